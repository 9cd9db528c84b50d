/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "common/paths.h"
#include "help.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "output.h"
#include "render.h"

#define ANSWER_S 10   /* how long an answer may take */
#define PATTERN_S 600 /* … of one that loads patterns of any size */
#define SLOW_S 120    /* … of a verb that loads patterns or moves files */

/*
 * What splxctl does for a verb: a `run` does all of it. Without one the verb
 * is sent to entity and its data shown by `render`, or as they come.
 */
static const struct handler {
	int (*run)(struct ctl *ctl);
	void (*render)(json_t *data);
	int (*judge)(json_t *data);
	int timeout_s; /* 0: ANSWER_S; -1: events may be long in coming */
} handlers[VERB_COUNT] = {
	[VERB_ID_status] = {.run = status_run, .timeout_s = 5},
	[VERB_ID_health] = {.run = health_run, .timeout_s = 5},
	[VERB_ID_scan] = {.run = scan_run},
	[VERB_ID_scan_list] = {.render = scan_list_render},
	[VERB_ID_scan_show] = {.render = scan_show_render},
	[VERB_ID_scan_start] = {.run = scan_start_run},
	[VERB_ID_scan_run] = {.run = scan_schedule_run},
	[VERB_ID_network_status] = {.render = network_status_render},
	[VERB_ID_network_connections] = {.render = network_connections_render},
	[VERB_ID_network_rules] = {.render = network_rules_render},
	[VERB_ID_network_show] = {.render = network_show_render},
	[VERB_ID_network_set] = {.render = network_show_render},
	[VERB_ID_network_move] = {.render = done_render},
	[VERB_ID_network_remove] = {.render = schedule_remove_render},
	[VERB_ID_network_test] = {.render = network_test_render},
	[VERB_ID_network_lists] = {.render = network_lists_render},
	[VERB_ID_network_model] = {.render = network_model_render},
	[VERB_ID_network_learn] = {.render = network_learn_render},
	[VERB_ID_network_forget] = {.render = network_forget_render},
	[VERB_ID_schedule_list] = {.render = schedule_list_render},
	[VERB_ID_schedule_show] = {.render = schedule_show_render},
	[VERB_ID_schedule_set] = {.render = schedule_show_render},
	[VERB_ID_schedule_remove] = {.render = schedule_remove_render},
	[VERB_ID_notify_list] = {.render = notify_list_render},
	[VERB_ID_notify_show] = {.render = notify_show_render},
	[VERB_ID_notify_queue] = {.render = notify_queue_render},
	[VERB_ID_notify_set] = {.run = notify_set_run},
	[VERB_ID_notify_remove] = {.render = done_render},
	[VERB_ID_notify_test] = {.render = notify_test_render,
				 .timeout_s = SLOW_S},
	[VERB_ID_notify_drop] = {.render = notify_drop_render},
	[VERB_ID_scan_pause] = {.render = scan_job_render},
	[VERB_ID_scan_resume] = {.render = scan_job_render},
	[VERB_ID_scan_cancel] = {.render = scan_job_render},
	[VERB_ID_quarantine_list] = {.render = quarantine_list_render},
	[VERB_ID_quarantine_show] = {.render = quarantine_show_render},
	[VERB_ID_quarantine_restore] = {.render = quarantine_restore_render,
					.judge = quarantine_judge,
					.timeout_s = SLOW_S},
	[VERB_ID_quarantine_delete] = {.render = quarantine_delete_render,
				       .judge = quarantine_judge,
				       .timeout_s = SLOW_S},
	[VERB_ID_quarantine_purge] = {.render = quarantine_purge_render,
				      .timeout_s = SLOW_S},
	[VERB_ID_events_list] = {.run = events_list_run},
	[VERB_ID_events_follow] = {.run = events_follow_run, .timeout_s = -1},
	[VERB_ID_events_export] = {.run = events_export_run,
				   .timeout_s = SLOW_S},
	[VERB_ID_config_show] = {.render = config_show_render},
	[VERB_ID_config_get] = {.render = config_get_render},
	[VERB_ID_config_set] = {.render = config_change_render,
				.judge = config_change_judge,
				.timeout_s = SLOW_S},
	[VERB_ID_config_reset] = {.render = config_change_render,
				  .judge = config_change_judge,
				  .timeout_s = SLOW_S},
	[VERB_ID_config_check] = {.run = config_check_run},
	[VERB_ID_config_reload] = {.render = config_change_render,
				   .judge = config_change_judge,
				   .timeout_s = SLOW_S},
	[VERB_ID_config_sample] = {.run = config_sample_run},
	[VERB_ID_config_merge] = {.run = config_merge_run},
	[VERB_ID_config_export] = {.run = config_export_run},
	[VERB_ID_config_import] = {.run = config_import_run,
				   .timeout_s = SLOW_S},
	[VERB_ID_statistics_history] = {.render = history_render},
	[VERB_ID_metrics] = {.render = metrics_render},
	[VERB_ID_console_setup] = {.render = secret_render,
				   .timeout_s = SLOW_S},
	[VERB_ID_certificate_show] = {.render = certificate_render},
	[VERB_ID_certificate_set] = {.run = certificate_set_run,
				     .timeout_s = SLOW_S},
	[VERB_ID_certificate_renew] = {.render = certificate_render,
				       .timeout_s = SLOW_S},
	[VERB_ID_user_list] = {.render = user_list_render},
	[VERB_ID_user_add] = {.render = secret_render, .timeout_s = SLOW_S},
	[VERB_ID_user_set] = {.render = user_set_render},
	[VERB_ID_user_reset] = {.render = secret_render, .timeout_s = SLOW_S},
	[VERB_ID_user_remove] = {.render = done_render},
	[VERB_ID_session_list] = {.render = session_list_render},
	[VERB_ID_session_end] = {.render = done_render},
	[VERB_ID_token_list] = {.render = token_list_render},
	[VERB_ID_token_add] = {.render = token_add_render},
	[VERB_ID_token_revoke] = {.render = done_render},
	[VERB_ID_task_start] = {.render = task_start_render},
	[VERB_ID_task_list] = {.render = task_list_render},
	[VERB_ID_task_show] = {.render = task_show_render},
	[VERB_ID_task_cancel] = {.render = done_render},
	[VERB_ID_task_result] = {.run = task_result_run, .timeout_s = SLOW_S},
	[VERB_ID_exclusion_add] = {.render = config_change_render,
				   .judge = config_change_judge,
				   .timeout_s = SLOW_S},
	[VERB_ID_exclusion_remove] = {.render = config_change_render,
				      .judge = config_change_judge,
				      .timeout_s = SLOW_S},
	[VERB_ID_exclusion_list] = {.render = exclusion_list_render},
	[VERB_ID_statistics] = {.render = statistics_render},
	[VERB_ID_pattern_show] = {.render = pattern_show_render},
	[VERB_ID_pattern_reload] = {.render = pattern_reload_render,
				    .judge = config_change_judge,
				    .timeout_s = SLOW_S},
	[VERB_ID_pattern_update] = {.run = pattern_update_run,
				    .timeout_s = PATTERN_S},
	[VERB_ID_pattern_check] = {.run = pattern_check_run},
	[VERB_ID_pattern_rollback] = {.run = pattern_rollback_run,
				      .timeout_s = PATTERN_S},
	[VERB_ID_pattern_list] = {.run = pattern_list_run},
	[VERB_ID_pattern_verify] = {.run = pattern_verify_run},
	[VERB_ID_pattern_remove] = {.run = pattern_remove_run,
				    .timeout_s = PATTERN_S},
	[VERB_ID_pattern_bundle] = {.run = pattern_bundle_run},
	[VERB_ID_pattern_key] = {.run = pattern_key_run},
	[VERB_ID_service_start] = {.run = service_start_run,
				   .timeout_s = SLOW_S},
	[VERB_ID_service_stop] = {.run = service_stop_run, .timeout_s = SLOW_S},
	[VERB_ID_service_restart] = {.run = service_restart_run,
				     .timeout_s = SLOW_S},
	[VERB_ID_service_status] = {.run = service_status_run, .timeout_s = 5},
	[VERB_ID_module_status] = {.run = module_status_run},
	[VERB_ID_module_rivals] = {.run = module_rivals_run},
	[VERB_ID_module_load] = {.run = module_load_run, .timeout_s = SLOW_S},
	[VERB_ID_module_unload] = {.run = module_unload_run},
	[VERB_ID_conflicts] = {.run = conflicts_run},
	[VERB_ID_order_show] = {.run = order_show_run},
	[VERB_ID_order_check] = {.run = order_check_run},
	[VERB_ID_order_apply] = {.run = order_apply_run},
	[VERB_ID_module_unlock] = {.run = module_unlock_run,
				   .timeout_s = SLOW_S},
	[VERB_ID_diagnose] = {.run = diagnose_run, .timeout_s = 5},
	[VERB_ID_version] = {.run = version_run, .timeout_s = 2},
	[VERB_ID_help] = {.run = help_run},
	[VERB_ID_completion] = {.run = completion_run},
};

/* ---- global options: anywhere on the line, up to "--" ---- */

/*
 * The value of a global option, from "-oV", "--output=V" or the next word;
 * NULL when argv[*i] is not this option. Without a value: *value_r is NULL.
 */
static bool take_value(int argc, char **argv, int *i, const char *brief,
		       const char *full, const char **value_r)
{
	const char *word = argv[*i];
	size_t len = strlen(full);

	if (strncmp(word, full, len) == 0 && word[len] == '=') {
		*value_r = word + len + 1;
		return true;
	}
	if (brief && strncmp(word, brief, 2) == 0 && word[2]) {
		*value_r = word + 2;
		return true;
	}
	if (strcmp(word, full) != 0 && (!brief || strcmp(word, brief) != 0))
		return false;
	*value_r = *i + 1 < argc ? argv[++*i] : NULL;
	return true;
}

static int set_output(struct command *cmd, const char *value, struct err *err)
{
	if (value && strcmp(value, "json") == 0)
		cmd->output = CTL_JSON;
	else if (value && strcmp(value, "table") == 0)
		cmd->output = CTL_TABLE;
	else
		return err_set(err, 0,
			       "--output%s%s: table or json is "
			       "allowed",
			       value ? "=" : "", value ? value : "");
	return 0;
}

static int set_timeout(struct command *cmd, const char *value, struct err *err)
{
	uint64_t ms;

	if (!value || str_to_duration(value, 1000, &ms, NULL) < 0 || ms == 0 ||
	    ms > 86400000)
		return err_set(err, 0,
			       "--timeout%s%s: a duration up to a day "
			       "is allowed, such as 30s",
			       value ? "=" : "", value ? value : "");
	cmd->timeout_ms = (int)ms;
	return 0;
}

static int set_root(struct command *cmd, const char *value, struct err *err)
{
	if (!value || value[0] != '/')
		return err_set(err, 0, "-R%s%s: a full path is needed",
			       value ? " " : "", value ? value : "");
	cmd->root = value;
	return 0;
}

/* 1 when argv[*i] was a global option, 0 when not, -1 and *err. */
static int take_global(struct command *cmd, int argc, char **argv, int *i,
		       struct err *err)
{
	const char *value;
	int rc = -2;

	if (take_value(argc, argv, i, "-o", "--output", &value))
		rc = set_output(cmd, value, err);
	else if (take_value(argc, argv, i, NULL, "--timeout", &value))
		rc = set_timeout(cmd, value, err);
	else if (take_value(argc, argv, i, "-R", "--root", &value))
		rc = set_root(cmd, value, err);
	else if (strcmp(argv[*i], "--help") == 0 || strcmp(argv[*i], "-h") == 0)
		cmd->help = true, rc = 0;
	else if (strcmp(argv[*i], "--version") == 0)
		cmd->version = true, rc = 0;
	return rc == -2 ? 0 : rc < 0 ? -1 : 1;
}

int command_parse(struct command *cmd, int argc, char **argv, struct err *err)
{
	int i, rc;

	memset(cmd, 0, sizeof(*cmd));
	cmd->words = xcalloc((size_t)argc + 1, sizeof(char *));
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			while (i < argc)
				cmd->words[cmd->count++] = argv[i++];
			break;
		}
		rc = take_global(cmd, argc, argv, &i, err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			cmd->words[cmd->count++] = argv[i];
	}
	return 0;
}

void command_free(struct command *cmd)
{
	xfree(&cmd->words);
}

/* ---- running ---- */

static int call_and_render(struct ctl *ctl, const struct handler *h)
{
	struct err err = {0};
	char wire[64];
	json_t *data;
	int rc;

	verbs_wire(ctl->verb, wire, sizeof(wire));
	rc = ctl_call(ctl, wire, ctl->args, &data, &err);
	if (rc != CTL_OK)
		return ctl_failed(rc, &err);
	if (ctl->output == CTL_JSON || !h->render)
		output_json(stdout, data);
	else
		h->render(data);
	if (h->judge)
		rc = h->judge(data);
	json_decref(data);
	return rc;
}

static int choose_timeout(const struct command *cmd, const struct handler *h)
{
	if (cmd->timeout_ms > 0)
		return cmd->timeout_ms;
	if (h->timeout_s < 0)
		return -1;
	return (h->timeout_s > 0 ? h->timeout_s : ANSWER_S) * 1000;
}

static int run_verb(const struct command *cmd, const struct verb *v, int used)
{
	const struct handler *h = &handlers[v->id];
	struct ctl ctl = {.output = cmd->output, .verb = v};
	struct err err = {0};
	int rc;

	ctl.timeout_ms = choose_timeout(cmd, h);
	ctl.args = verbs_parse(v, cmd->count - used, cmd->words + used, &err);
	if (!ctl.args) {
		ctl_complain("%s", err.text);
		return CTL_ERROR;
	}
	rc = h->run ? h->run(&ctl) : call_and_render(&ctl, h);
	json_decref(ctl.args);
	return rc;
}

static int complain_unknown(const struct command *cmd)
{
	char near[256];

	if (verbs_nearest(cmd->count, cmd->words, near, sizeof(near)))
		ctl_complain("unknown command: %s%s%s; did you mean: splxctl "
			     "%s",
			     cmd->words[0], cmd->count > 1 ? " " : "",
			     cmd->count > 1 ? cmd->words[1] : "", near);
	else
		ctl_complain("unknown command: %s; see splxctl help",
			     cmd->words[0]);
	return CTL_ERROR;
}

static int run_command(const struct command *cmd)
{
	const struct verb *v;
	int used = 0;

	if (cmd->help)
		return help_show(cmd->count, cmd->words);
	if (cmd->count == 0 && !cmd->version) {
		help_summary(stderr);
		return CTL_ERROR;
	}
	if (cmd->version && cmd->count == 0) {
		v = &verbs[VERB_ID_version];
	} else {
		v = verbs_match(cmd->count, cmd->words, &used);
		if (!v)
			return complain_unknown(cmd);
	}
	return run_verb(cmd, v, used);
}

int ctl_main(int argc, char **argv)
{
	struct command cmd;
	struct err err = {0};
	int rc;

	/* A reader that goes away is seen by the failing write. */
	signal(SIGPIPE, SIG_IGN);
	output_speak(words_lang());
	if (command_parse(&cmd, argc, argv, &err) < 0) {
		ctl_complain("%s", err.text);
		rc = CTL_ERROR;
	} else {
		/* What a program reads is English, complaints too. */
		if (cmd.output == CTL_JSON)
			output_speak(LANG_EN);
		paths_init(cmd.root);
		rc = run_command(&cmd);
	}
	command_free(&cmd);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (errno != EPIPE)
			ctl_complain("writing the output: %s", strerror(errno));
		if (rc == CTL_OK)
			rc = CTL_ERROR;
	}
	return rc;
}
