/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/address.h"
#include "common/khm.h"
#include "common/order.h"
#include "common/paths.h"
#include "common/scoreboard.h"
#include "diagnose.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/vec.h"
#include "mask.h"
#include "render.h"
#include "service.h"

#define EVENT_DAYS "7d"
#define EVENT_BYTES_MAX (16u << 20)
#define PROC_FILE_MAX (1u << 20)
#define PROCESSES_MAX 256
#define CONTROL_MS 2000

/* ---- verbs ---- */

static void add_text(struct diagnose *d, const char *name, const char *text)
{
	char *masked = address_mask(text);

	tar_add(d->tar, name, masked, strlen(masked));
	free(masked);
}

static void add_json(struct diagnose *d, const char *name, json_t *data)
{
	char *text = json_dumps(data, JSON_INDENT(1) | JSON_ENCODE_ANY);

	if (text)
		add_text(d, name, text);
	free(text);
}

/* An empty answer is NULL. Entity that kept silent once is not asked again:
 * each question would cost the whole timeout. */
static json_t *ask(struct diagnose *d, const char *verb)
{
	json_t *args = json_object(), *data = NULL;
	struct err err = {0};
	int rc;

	if (!d->silent) {
		rc = ctl_call(d->ctl, verb, args, &data, &err);
		if (rc != CTL_OK)
			diagnose_problem(d, verb, err.text);
		d->silent = rc == CTL_UNREACHABLE;
	}
	json_decref(args);
	return data;
}

static void add_verbs(struct diagnose *d)
{
	static const struct {
		const char *verb, *name;
	} rows[] = {
		{"health", "health.json"},
		{"statistics", "statistics.json"},
		{"config.show", "config.json"},
		{"exclusion.list", "exclusions.json"},
		{"pattern.show", "patterns.json"},
		{"module.status", "module.json"},
		{"notify.list", "notify.json"},
	};
	json_t *data;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		data = ask(d, rows[i].verb);
		if (data && strcmp(rows[i].verb, "config.show") == 0)
			mask_config_json(data);
		if (data)
			add_json(d, rows[i].name, data);
		json_decref(data);
	}
	if (!d->silent)
		return;
	data = status_without_entity("");
	add_json(d, "health.json", data);
	json_decref(data);
}

static int on_lines(json_t *part, void *arg)
{
	struct str *lines = arg;
	const char *text = json_string_value(json_object_get(part, "text"));

	if (text)
		str_add(lines, text);
	return lines->len > EVENT_BYTES_MAX;
}

static void add_events(struct diagnose *d)
{
	json_t *args, *data = NULL;
	struct str lines = {0};
	struct err err = {0};

	if (d->silent)
		return;
	args = json_pack("{s:s, s:s}", "since", EVENT_DAYS, "format", "jsonl");
	if (ctl_stream(d->ctl, "events.export", args, on_lines, &lines, &data,
		       &err) != CTL_OK)
		diagnose_problem(d, "events", err.text);
	add_text(d, "events.jsonl", str_get(&lines));
	str_free(&lines);
	json_decref(data);
	json_decref(args);
}

/* ---- processes ---- */

struct pids {
	VEC(pid_t);
};

/* The children of a process, from its threads' lists in /proc. */
static void add_children(struct pids *pids, pid_t pid)
{
	char path[64], *text, *save, *word;
	size_t len;
	int64_t child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
		 (int)pid);
	if (fd_read_file(path, PROC_FILE_MAX, &text, &len, NULL) < 0)
		return;
	for (word = strtok_r(text, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		if (str_to_i64(word, 1, INT32_MAX, &child, NULL) == 0 &&
		    pids->len < PROCESSES_MAX)
			vec_push(pids, (pid_t)child);
	}
	free(text);
}

static void add_process(struct diagnose *d, pid_t pid)
{
	static const char *const files[] = {
		"cmdline", "status", "limits", "stat", "wchan", "cgroup",
	};
	char path[64], name[64], *text;
	struct str all = {0};
	size_t i, k, len;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		if (fd_read_file(path, PROC_FILE_MAX, &text, &len, NULL) < 0)
			continue;
		for (k = 0; k < len; k++) {
			if (text[k] == '\0')
				text[k] = ' ';
		}
		str_addf(&all, "== %s\n%s\n", files[i], text);
		free(text);
	}
	snprintf(name, sizeof(name), "processes/%d.txt", (int)pid);
	add_text(d, name, str_get(&all));
	str_free(&all);
}

static void add_processes(struct diagnose *d, pid_t supervisor)
{
	struct pids pids = {0};
	size_t i;

	vec_push(&pids, supervisor);
	for (i = 0; i < pids.len; i++)
		add_children(&pids, pids.items[i]);
	for (i = 0; i < pids.len; i++)
		add_process(d, pids.items[i]);
	vec_free(&pids);
}

/* ---- scoreboard ---- */

static int64_t age_ms(uint64_t since_ns)
{
	if (since_ns == 0)
		return -1;
	return ((int64_t)clock_mono_ns() - (int64_t)since_ns) /
	       (int64_t)CLOCK_NS_PER_MS;
}

#define DESCRIBE(out, sb, who)                                                 \
	str_addf(out, #who " pid=%d beat_ms_ago=%" PRId64 " restarts=%u\n",    \
		 (int)atomic_load(&(sb)->who.pid),                             \
		 age_ms(atomic_load(&(sb)->who.beat_ns)),                      \
		 atomic_load(&(sb)->who.restarts))

static void describe_slot(struct str *out, const struct scoreboard *sb, int i)
{
	const struct slot *slot = &sb->slots[i];
	const struct hold *holds = sb->holds[i];
	int k, held = 0, parked = 0;

	if (atomic_load(&slot->role) == SLOT_UNUSED)
		return;
	for (k = 0; k < SLOT_NUMBERS; k++) {
		held += atomic_load(&holds[k].state) == HOLD_SCANNING;
		parked += atomic_load(&holds[k].state) == HOLD_PARKED;
	}
	str_addf(out,
		 "slot %d role=%u pid=%d generation=%" PRIu64
		 " beat_ms_ago=%" PRId64 " scan_ms=%" PRId64
		 " scanning=%d parked=%d drain=%u job=%" PRIu64 "\n",
		 i, atomic_load(&slot->role), (int)atomic_load(&slot->pid),
		 atomic_load(&slot->generation),
		 age_ms(atomic_load(&slot->beat_ns)),
		 age_ms(atomic_load(&slot->scan_start_ns)), held, parked,
		 atomic_load(&slot->drain), atomic_load(&slot->job));
}

static void describe(struct str *out, const struct scoreboard *sb)
{
	int i;

	DESCRIBE(out, sb, supervisor);
	DESCRIBE(out, sb, core);
	DESCRIBE(out, sb, master);
	str_addf(out,
		 "master_state=%u interceptor=%u generation=%" PRIu64
		 " policy_generation=%" PRIu64 "\nbreaker_open=%u "
		 "timeouts_in_row=%u verdict_timeout_ms=%u\n",
		 atomic_load(&sb->master_state), atomic_load(&sb->interceptor),
		 atomic_load(&sb->generation),
		 atomic_load(&sb->policy_generation),
		 atomic_load(&sb->breaker_open),
		 atomic_load(&sb->timeouts_in_row),
		 atomic_load(&sb->verdict_timeout_ms));
	for (i = 0; i < COUNTER_COUNT; i++)
		str_addf(out, "%s=%" PRIu64 "\n", counter_names[i],
			 scoreboard_count(sb, (enum counter_id)i));
	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		describe_slot(out, sb, i);
}

/* The supervisor's descriptor of the scoreboard, opened for ourselves. */
static int open_scoreboard(pid_t supervisor)
{
	char dir[64], path[400], target[128];
	struct dirent *de;
	ssize_t n;
	int fd = -1;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)supervisor);
	d = opendir(dir);
	while (d && fd < 0 && (de = readdir(d))) {
		n = readlinkat(dirfd(d), de->d_name, target,
			       sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (!str_starts(target, "/memfd:splx-scoreboard"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (d)
		closedir(d);
	return fd;
}

static void add_scoreboard(struct diagnose *d, pid_t supervisor)
{
	struct scoreboard *sb = NULL;
	struct err err = {0};
	struct str out = {0};
	int fd = open_scoreboard(supervisor);

	if (fd >= 0)
		sb = scoreboard_map(fd, &err);
	else
		err_set(&err, errno, "not found");
	if (sb) {
		describe(&out, sb);
		add_text(d, "scoreboard.txt", str_get(&out));
		munmap(sb, sizeof(*sb));
	} else {
		diagnose_problem(d, "scoreboard", err.text);
	}
	str_free(&out);
	fd_close(&fd);
}

/* ---- the kernel module ---- */

static void add_module(struct diagnose *d)
{
	static const char *const names[] = {"status", "queue", "rivals"};
	char path[64], name[64], *text;
	struct err err;
	size_t i, len;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), KHM_PROC "/%s", names[i]);
		if (fd_read_file(path, PROC_FILE_MAX, &text, &len, &err)) {
			if (err.code != ENOENT)
				diagnose_problem(d, path, err.text);
			continue;
		}
		snprintf(name, sizeof(name), "module/%s.txt", names[i]);
		add_text(d, name, text);
		free(text);
	}
}

/* ---- conflicts and the start order ---- */

static void add_order(struct diagnose *d)
{
	struct err err = {0};
	json_t *data = conflicts_json(false);

	add_json(d, "conflicts.json", data);
	json_decref(data);
	data = order_json(0, &err);
	if (data)
		add_json(d, "order.json", data);
	else
		diagnose_problem(d, "order", err.text);
	json_decref(data);
}

void diagnose_live(struct diagnose *d)
{
	struct err err = {0};
	json_t *processes;
	pid_t pid = 0;

	add_verbs(d);
	add_events(d);
	add_module(d);
	add_order(d);
	processes = service_processes(CONTROL_MS, &err);
	if (processes)
		add_json(d, "service.json", processes);
	else
		diagnose_problem(d, "service status", err.text);
	json_decref(processes);
	if (proc_pidfile_check(paths()->pid_file, &pid, &err) != 1) {
		diagnose_problem(d, paths()->pid_file,
				 pid > 0 ? "its process is gone"
					 : "no process");
		return;
	}
	add_scoreboard(d, pid);
	add_processes(d, pid);
}
