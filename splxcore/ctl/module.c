/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The kernel module: what it does, who is in its way, in and out. All of it
 * works without the service too. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/control.h"
#include "common/khm.h"
#include "common/khm_json.h"
#include "common/loadlock_json.h"
#include "common/paths.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ARM_MS 30000

/* ---- looking at it ---- */

/* From entity, or where that does not run from the module itself. */
static int ask(struct ctl *ctl, const char *verb, json_t *(*own)(void),
	       json_t **data_r, struct err *err)
{
	int rc = ctl_call(ctl, verb, NULL, data_r, err);

	if (rc != CTL_UNREACHABLE)
		return rc;
	*data_r = own();
	return *data_r ? CTL_OK : rc;
}

static void show_lock(json_t *lock)
{
	static const struct output_column columns[] = {
		{"kind", "LOAD LOCK", OUTPUT_WORD},
		{"time", "TIME", OUTPUT_TIME},
		{"age_s", "AGE", OUTPUT_S},
		{"kernel", "KERNEL", OUTPUT_TEXT},
		{"boot", "BOOT", OUTPUT_TEXT},
	};
	struct str b = {0};

	if (json_array_size(json_object_get(lock, "entries"))) {
		puts("");
		output_rows(stdout, json_object_get(lock, "entries"), columns,
			    N(columns), NULL);
	}
	if (json_is_true(json_object_get(lock, "locked"))) {
		str_add(&b, "locked: ");
		output_value(&b, json_object_get(lock, "text"), OUTPUT_SAID);
		str_add(&b, "; open again in ");
		output_value(&b, json_object_get(lock, "free_in_s"), OUTPUT_S);
		str_add(&b, ", or by splxctl module unlock");
	} else if (json_is_false(json_object_get(lock, "known"))) {
		str_add(&b, "the load lock cannot be read: ");
		output_value(&b, json_object_get(lock, "text"), OUTPUT_SAID);
	}
	if (b.len)
		puts(str_get(&b));
	str_free(&b);
}

static void show_status(json_t *data)
{
	static const struct output_column head[] = {
		{"status.state", "State", OUTPUT_WORD},
		{"status.method", "Method", OUTPUT_WORD},
		{"status.blind", "Does not see", OUTPUT_SAID},
		{"status.version", "Version", OUTPUT_TEXT},
		{"other", "Installed", OUTPUT_TEXT},
		{"status.readers", "Readers", OUTPUT_NUMBER},
		{"status.pending", "Pending", OUTPUT_NUMBER},
		{"status.closes_waiting", "Closes waiting", OUTPUT_NUMBER},
		{"status.breaker_open", "Breaker open", OUTPUT_NUMBER},
		{"status.cached", "Known files", OUTPUT_COUNT},
		{"status.rules", "Rules", OUTPUT_NUMBER},
	};
	json_t *status = json_object_get(data, "status"), *value;
	const char *name;
	unsigned int i;

	if (!json_is_true(json_object_get(data, "loaded"))) {
		struct str b = {0};

		str_add(&b, "not loaded: ");
		output_value(&b, json_object_get(data, "text"), OUTPUT_SAID);
		puts(str_get(&b));
		str_free(&b);
		show_lock(json_object_get(data, "load_lock"));
		return;
	}
	output_pairs(stdout, data, head, N(head), false);
	puts("");
	for (i = 0; (name = khm_counter_name(i)); i++) {
		value = json_object_get(status, name);
		if (value)
			printf("%-16s %lld\n", name,
			       (long long)json_integer_value(value));
	}
	show_lock(json_object_get(data, "load_lock"));
}

/* The settings as a service that starts now would take them. */
static struct conf *settings(void)
{
	struct conf *conf = conf_load(paths()->conf, NULL);

	if (!conf)
		conf = conf_load(paths()->last_good, NULL);
	return conf ? conf : conf_new();
}

static json_t *own_status(void)
{
	struct conf *conf = settings();
	json_t *data = khm_status_json();

	json_object_set_new(data, "load_lock", loadlock_json(conf));
	conf_free(&conf);
	return data;
}

int module_status_run(struct ctl *ctl)
{
	struct err err = {0};
	json_t *data = NULL;
	int rc = ask(ctl, "module.status", own_status, &data, &err);

	if (rc != CTL_OK)
		return ctl_failed(rc, &err);
	if (ctl->output == CTL_JSON)
		output_json(stdout, data);
	else
		show_status(data);
	rc = json_is_true(json_object_get(data, "loaded")) ? CTL_OK : CTL_NO;
	json_decref(data);
	return rc;
}

static json_t *own_rivals(void)
{
	json_t *rivals = khm_rivals_json();

	return rivals ? json_pack("{s:o}", "rivals", rivals) : NULL;
}

static const struct output_column rival_columns[] = {
	{"module", "MODULE", OUTPUT_TEXT},
	{"kind", "KIND", OUTPUT_WORD},
	{"symbol", "SYMBOL", OUTPUT_TEXT},
	{"effect", "EFFECT", OUTPUT_WORD},
};

int module_rivals_run(struct ctl *ctl)
{
	struct err err = {0};
	json_t *data = NULL;
	int rc = ask(ctl, "module.rivals", own_rivals, &data, &err);

	if (rc == CTL_UNREACHABLE) {
		ctl_complain("the kernel module is not loaded, or not yours to "
			     "ask");
		return CTL_ERROR;
	}
	if (rc != CTL_OK)
		return ctl_failed(rc, &err);
	if (ctl->output == CTL_JSON)
		output_json(stdout, data);
	else
		output_rows(stdout, json_object_get(data, "rivals"),
			    rival_columns, N(rival_columns),
			    "nobody else is in the place");
	json_decref(data);
	return CTL_OK;
}

/* ---- in and out ---- */

static bool is_root(const char *what)
{
	if (geteuid() == 0)
		return true;
	ctl_complain("module %s: only root may do that", what);
	return false;
}

static bool is_wanted(const struct conf *conf)
{
	return conf->interceptor == CONF_INTERCEPTOR_AUTO ||
	       conf->interceptor == CONF_INTERCEPTOR_KHM;
}

static bool supervisor_runs(void)
{
	pid_t pid;

	return proc_pidfile_check(paths()->pid_file, &pid, NULL) == 1;
}

/* 1 when the service that runs uses it, 0 when not; -1 and *err. */
static int is_in_use(struct ctl *ctl, struct err *err)
{
	json_t *data = NULL, *args = json_pack("{s:s}", "field", "interceptor");
	int rc = ctl_call(ctl, "health", args, &data, err);
	const char *now = json_string_value(json_object_get(data, "value"));
	int use = rc != CTL_OK ? -1 : now && !strcmp(now, "khm");

	json_decref(data);
	json_decref(args);
	return use;
}

/* A service that runs takes it into use with new workers. */
static int take_into_use(struct ctl *ctl, struct err *err)
{
	uint64_t end = clock_mono_ns() + ARM_MS * CLOCK_NS_PER_MS;
	json_t *data = NULL;
	int use = is_in_use(ctl, err);
	bool pending;

	if (use)
		return use < 0 ? -1 : 0;
	if (ctl_call(ctl, "config.reload", NULL, &data, err) != CTL_OK)
		return -1;
	pending = json_is_false(json_object_get(data, "applied"));
	json_decref(data);
	/* The kernel takes its time where it has many processors, or few. */
	while (!(use = is_in_use(ctl, err)) && pending && clock_mono_ns() < end)
		usleep(200000);
	if (!use)
		err_set(err, 0, "splxctl health tells why");
	return use > 0 ? 0 : -1;
}

static int load_by(struct ctl *ctl, const struct conf *conf)
{
	struct loadlock_policy policy;
	enum status_code code;
	struct err err = {0};

	loadlock_policy(conf, &policy);
	code = khm_load(&policy, &err);
	if (code == STATUS_MODULE_OTHER)
		ctl_complain("the kernel module is not of use: %s", err.text);
	else if (code != STATUS_OK)
		ctl_complain("the kernel module is not loaded: %s", err.text);
	else if (*err.text)
		ctl_complain("%s", err.text);
	if (code != STATUS_OK)
		return CTL_NO;
	if (!supervisor_runs() || !is_wanted(conf) || !take_into_use(ctl, &err))
		return CTL_OK;
	ctl_complain("the kernel module is loaded, but not in use: %s",
		     err.text);
	return CTL_NO;
}

int module_load_run(struct ctl *ctl)
{
	struct conf *conf;
	int rc = CTL_OK;

	if (!is_root("load"))
		return CTL_ERROR;
	conf = settings();
	if (!ctl_flag(ctl, "if-wanted") || is_wanted(conf))
		rc = load_by(ctl, conf);
	conf_free(&conf);
	return rc;
}

/* Where no service runs the end of this boot's use is ours to write. */
static int end_start(struct err *err)
{
	struct loadlock_now now;

	loadlock_now(&now);
	return loadlock_end(&now, LOADLOCK_BY_ANY, err);
}

/* It stays, disarmed, or passive where a rival does not let it. */
static int let_pass(struct err *err)
{
	struct khm_report report;
	int fd = khm_open_any(NULL), rc = 0;

	if (fd >= 0)
		rc = khm_disarm(fd, true, &report, err);
	fd_close(&fd);
	return rc;
}

int module_unload_run(struct ctl *ctl)
{
	bool keep = ctl_flag(ctl, "keep"), runs;
	char reply[CONTROL_MAX + 1];
	struct khm_report report;
	struct err err = {0};
	int rc = 0;

	if (!is_root("unload"))
		return CTL_ERROR;
	runs = supervisor_runs();
	if (runs && keep)
		rc = err_set(&err, 0, "the service runs: service splx stop");
	else if (runs)
		rc = control_call(paths()->control_sock, "release module",
				  ctl->timeout_ms, reply, sizeof(reply), &err);
	if (!rc)
		rc = keep ? let_pass(&err) : khm_unload(&report, &err);
	if (!rc && !runs)
		rc = end_start(&err);
	if (rc)
		ctl_complain(keep ? "the kernel module is not let go of: %s"
				  : "the kernel module is not unloaded: %s",
			     err.text);
	return rc ? CTL_ERROR : CTL_OK;
}

/* ---- the load lock ---- */

/* By ourselves: the service, when it runs, is told by its next start. */
static int clear_here(unsigned int *cleared_r, struct err *err)
{
	struct loadlock_now now;

	if (geteuid() != 0)
		return err_set(err, 0,
			       "only root may do that without the service");
	loadlock_now(&now);
	if (loadlock_clear(&now, true, cleared_r, err))
		return -1;
	khm_unlocked();
	return 0;
}

/*
 * By the service, so that it judges anew and the event is there at once; else
 * by ourselves. *served_r tells which. CTL_OK, or the exit code and it is said
 * why.
 */
static int clear(struct ctl *ctl, unsigned int *cleared_r, bool *served_r)
{
	bool later = ctl_flag(ctl, "later");
	struct err err = {0};
	json_t *data = NULL;
	int rc = later ? CTL_UNREACHABLE
		       : ctl_call(ctl, "module.unlock", NULL, &data, &err);

	*served_r = rc == CTL_OK;
	*cleared_r = (unsigned int)json_integer_value(
		json_object_get(data, "cleared"));
	json_decref(data);
	if (rc == CTL_OK)
		return rc;
	if (rc != CTL_UNREACHABLE || (supervisor_runs() && !later))
		return ctl_failed(rc, &err);
	if (!clear_here(cleared_r, &err))
		return CTL_OK;
	ctl_complain("module unlock: %s", err.text);
	return CTL_ERROR;
}

/* What is to be done now, and what became of it. */
static int use_again(struct ctl *ctl, bool served, const char **text_r)
{
	struct conf *conf = settings();
	int rc = CTL_OK;

	if (!served) {
		*text_r = supervisor_runs()
				  ? "the next start takes the module into use: "
				    "service splx restart"
				  : "the next start takes the module into use: "
				    "service splx start";
	} else if (!is_wanted(conf)) {
		*text_r = "Interceptor does not ask for the module: splxctl "
			  "config set Interceptor auto";
	} else if (geteuid() != 0) {
		*text_r = "root takes the module into use: splxctl module "
			  "load, or service splx restart";
	} else {
		rc = load_by(ctl, conf);
		*text_r = rc == CTL_OK ? "the module is in use"
				       : "the module is not in use";
	}
	conf_free(&conf);
	return rc;
}

int module_unlock_run(struct ctl *ctl)
{
	const char *text;
	unsigned int n;
	bool served;
	int rc = clear(ctl, &n, &served);

	if (rc != CTL_OK)
		return rc;
	if (ctl->output == CTL_TABLE && n)
		printf(T("the load lock is open: %u crash%s cleared\n"), n,
		       n == 1 ? "" : "es");
	else if (ctl->output == CTL_TABLE)
		puts(T("the load lock is open: there was no crash to clear"));
	rc = use_again(ctl, served, &text);
	if (ctl->output == CTL_TABLE) {
		puts(text);
	} else {
		json_t *data = json_pack("{s:i, s:s}", "cleared", (int)n,
					 "text", text);

		output_json(stdout, data);
		json_decref(data);
	}
	return rc;
}
