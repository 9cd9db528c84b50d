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
#include "common/paths.h"
#include "lib/proc.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

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

static void show_status(json_t *data)
{
	static const struct output_column head[] = {
		{"status.state", "State", OUTPUT_TEXT},
		{"status.method", "Method", OUTPUT_TEXT},
		{"status.blind", "Does not see", OUTPUT_TEXT},
		{"status.version", "Version", OUTPUT_TEXT},
		{"status.readers", "Readers", OUTPUT_NUMBER},
		{"status.pending", "Pending", OUTPUT_NUMBER},
		{"status.closes_waiting", "Closes waiting", OUTPUT_NUMBER},
		{"status.breaker_open", "Breaker open", OUTPUT_NUMBER},
		{"status.cached", "Known files", OUTPUT_NUMBER},
		{"status.rules", "Rules", OUTPUT_NUMBER},
	};
	json_t *status = json_object_get(data, "status"), *value;
	const char *name;
	unsigned int i;

	if (!json_is_true(json_object_get(data, "loaded"))) {
		struct str b = {0};

		str_add(&b, "not loaded: ");
		output_value(&b, json_object_get(data, "text"), OUTPUT_TEXT);
		puts(str_get(&b));
		str_free(&b);
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
}

int module_status_run(struct ctl *ctl)
{
	struct err err = {0};
	json_t *data = NULL;
	int rc = ask(ctl, "module.status", khm_status_json, &data, &err);

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
	{"kind", "KIND", OUTPUT_TEXT},
	{"symbol", "SYMBOL", OUTPUT_TEXT},
	{"effect", "EFFECT", OUTPUT_TEXT},
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

static bool is_wanted(void)
{
	struct err err;
	struct conf *conf = conf_load(paths()->conf, &err);
	bool wanted = !conf || conf->interceptor == CONF_INTERCEPTOR_AUTO ||
		      conf->interceptor == CONF_INTERCEPTOR_KHM;

	conf_free(&conf);
	return wanted;
}

static bool supervisor_runs(void)
{
	pid_t pid;

	return proc_pidfile_check(paths()->pid_file, &pid, NULL) == 1;
}

int module_load_run(struct ctl *ctl)
{
	bool was = !access(KHM_DEVICE, F_OK);
	enum status_code code;
	struct err err = {0};
	json_t *data = NULL;

	if (!is_root("load"))
		return CTL_ERROR;
	if (ctl_flag(ctl, "if-wanted") && !is_wanted())
		return CTL_OK;
	code = khm_load(&err);
	if (code != STATUS_OK) {
		ctl_complain("the kernel module is not loaded: %s", err.text);
		return CTL_NO;
	}
	/* A service that runs takes it into use with new workers. */
	if (!was && supervisor_runs() &&
	    ctl_call(ctl, "config.reload", NULL, &data, &err) != CTL_OK)
		ctl_complain("it is loaded, but not in use yet: %s", err.text);
	json_decref(data);
	return CTL_OK;
}

int module_unload_run(struct ctl *ctl)
{
	char reply[CONTROL_MAX + 1];
	struct khm_report report;
	struct err err = {0};
	int rc;

	if (!is_root("unload"))
		return CTL_ERROR;
	rc = supervisor_runs()
		     ? control_call(paths()->control_sock, "release module",
				    ctl->timeout_ms, reply, sizeof(reply), &err)
		     : 0;
	if (!rc)
		rc = khm_unload(&report, &err);
	if (rc)
		ctl_complain("the kernel module is not unloaded: %s", err.text);
	return rc ? CTL_ERROR : CTL_OK;
}
