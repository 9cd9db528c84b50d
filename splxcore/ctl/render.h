/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_RENDER_H
#define SPLX_CTL_RENDER_H

#include <jansson.h>
#include <stdio.h>

#include "ctl.h"

/*
 * What each verb prints. A *_run() does the whole verb and returns its exit
 * code; a *_render() shows the data that entity answered with, as a table
 * (JSON is printed as it came), and a *_judge() makes an exit code of it.
 * What the data hold stands in entity's headers; here unknown members are
 * passed over and missing ones leave a gap.
 */

/* render_status.c */
int status_run(struct ctl *ctl);
int health_run(struct ctl *ctl);
/*
 * What can be told of the service when entity does not answer (`why`), from
 * the control socket and the pid file: an object with the members of a health
 * answer. New reference.
 */
json_t *status_without_entity(const char *why);
/* Its message alone, for a person: one line, and what to do. */
void status_complain(const struct err *why);

/* True when no supervisor lives, by its pid file. */
bool status_is_stopped(void);

/* render_health.c */
void health_render(json_t *data);

/* render_quarantine.c */
void quarantine_list_render(json_t *data);
void quarantine_show_render(json_t *data);
void quarantine_restore_render(json_t *data);
void quarantine_delete_render(json_t *data);
void quarantine_purge_render(json_t *data);
int quarantine_judge(json_t *data);

/* render_scan.c */
void scan_list_render(json_t *data);
void scan_show_render(json_t *data);
/* What scan.show answered, for people. */
void scan_print(FILE *f, json_t *data);
void scan_job_render(json_t *data);

/* render_schedule.c */
/* Lines "Key = value" of an array of {"key","value"}. */
void render_settings(json_t *settings);
void schedule_list_render(json_t *data);
void schedule_show_render(json_t *data);
void schedule_remove_render(json_t *data);

/* render_notify.c */
void notify_list_render(json_t *data);
void notify_show_render(json_t *data);
void notify_queue_render(json_t *data);
void notify_test_render(json_t *data);
void notify_drop_render(json_t *data);
int notify_set_run(struct ctl *ctl);

/* render_network.c */
void network_status_render(json_t *data);
void network_connections_render(json_t *data);
void network_rules_render(json_t *data);
void network_show_render(json_t *data);
void network_test_render(json_t *data);
void network_lists_render(json_t *data);
void network_model_render(json_t *data);
void network_learn_render(json_t *data);
void network_forget_render(json_t *data);

/* render_events.c */
int events_list_run(struct ctl *ctl);
int events_follow_run(struct ctl *ctl);
int events_export_run(struct ctl *ctl);

/* render_config.c */
void config_show_render(json_t *data);
void config_get_render(json_t *data);
void config_change_render(json_t *data);
int config_change_judge(json_t *data);
int config_check_run(struct ctl *ctl);
int config_sample_run(struct ctl *ctl);
int config_merge_run(struct ctl *ctl);
void exclusion_list_render(json_t *data);

/* render_statistics.c */
void statistics_render(json_t *data);

/* render_pattern.c */
void pattern_show_render(json_t *data);
void pattern_reload_render(json_t *data);

/* render_console.c */
/* Puts a file's text in the place of its name, which that argument is; false,
 * and it was complained about, when it cannot. */
bool render_take_file(struct ctl *ctl, const char *arg);
/* Sends the verb and shows what it answers. */
int render_send(struct ctl *ctl, void (*render)(json_t *data));
void secret_render(json_t *data);
void user_list_render(json_t *data);
void user_set_render(json_t *data);
void session_list_render(json_t *data);
void token_list_render(json_t *data);
void token_add_render(json_t *data);
void done_render(json_t *data);
void certificate_render(json_t *data);
int certificate_set_run(struct ctl *ctl);
int config_export_run(struct ctl *ctl);
int config_import_run(struct ctl *ctl);
void task_list_render(json_t *data);
void task_show_render(json_t *data);
void task_start_render(json_t *data);
int task_result_run(struct ctl *ctl);
void history_render(json_t *data);
void metrics_render(json_t *data);

/* conflicts.c, order.c */
int conflicts_run(struct ctl *ctl);
int order_show_run(struct ctl *ctl);
int order_check_run(struct ctl *ctl);
int order_apply_run(struct ctl *ctl);

/* scan.c, diagnose.c, service.c, help.c, completion.c */
int pattern_update_run(struct ctl *ctl);
int pattern_check_run(struct ctl *ctl);
int pattern_rollback_run(struct ctl *ctl);
int pattern_list_run(struct ctl *ctl);
int pattern_verify_run(struct ctl *ctl);
int pattern_remove_run(struct ctl *ctl);
int pattern_bundle_run(struct ctl *ctl);
int pattern_key_run(struct ctl *ctl);
int scan_run(struct ctl *ctl);
int scan_start_run(struct ctl *ctl);
int scan_schedule_run(struct ctl *ctl);
int diagnose_run(struct ctl *ctl);
int service_start_run(struct ctl *ctl);
int service_stop_run(struct ctl *ctl);
int service_restart_run(struct ctl *ctl);
int service_status_run(struct ctl *ctl);
int module_status_run(struct ctl *ctl);
int module_rivals_run(struct ctl *ctl);
int module_load_run(struct ctl *ctl);
int module_unload_run(struct ctl *ctl);
int module_unlock_run(struct ctl *ctl);
int help_run(struct ctl *ctl);
int completion_run(struct ctl *ctl);
int version_run(struct ctl *ctl);

#endif
