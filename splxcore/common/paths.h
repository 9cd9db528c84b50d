/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_PATHS_H
#define SPLX_COMMON_PATHS_H

/*
 * Where everything lies. Installed: FHS. In a stage (`make run`, tests):
 * the same tree below a root, given to every program as `-R ROOT` or in
 * SPLX_ROOT.
 */
struct paths {
	const char *root;	  /* "" when installed */
	const char *conf;	  /* /etc/splx/splx.conf */
	const char *conf_dir;	  /* /etc/splx */
	const char *conflicts;	  /* /etc/splx/conflicts.conf */
	const char *scans;	  /* /etc/splx/scans.conf */
	const char *notify;	  /* /etc/splx/notify.conf */
	const char *network;	  /* /etc/splx/network.conf */
	const char *sendmail;	  /* /usr/sbin/sendmail */
	const char *km_dir;	  /* /etc/splx/km (0700) */
	const char *load_lock;	  /* km/.load_lock, see loadlock.h */
	const char *console_dir;  /* /etc/splx/console, see cert.h */
	const char *console_cert; /* console/current/certificate.pem */
	const char *console_key;  /* console/current/key.pem */
	const char *run_dir;	  /* /run/splx */
	const char *entity_sock;  /* run/entity.sock: verbs, JSON lines */
	const char *control_sock; /* run/control.sock: the supervisor, root */
	const char *scan_sock;	  /* run/scan.sock: scan jobs */
	const char *low_sock;	  /* run/scan-low.sock: of low priority */
	const char *pid_file;	  /* run/entity.pid: the supervisor's */
	const char *console_pid;  /* run/splxhttpd.pid: the console's */
	const char *active_conf;  /* run/active.conf: the settings in force */
	const char *state_file;	  /* run/vsapiapp.json: what vsapiapp tells */
	const char *module_why;	  /* run/module: why it is not loaded, khm.h */
	const char *scratch_dir;  /* run/scratch: where worker tmpfs are put */
	const char *lib_dir;	  /* /var/lib/splx */
	const char *store;	  /* lib/splx.db */
	const char *last_good;	  /* lib/last-good.conf */
	const char *verdicts;	  /* lib/verdicts: known clean, persistent */
	const char *spool_dir;	  /* lib/spool: findings while entity is away */
	const char *quarantine_dir; /* lib/quarantine (0700) */
	const char *quarantine_key; /* lib/quarantine.key (0600) */
	const char *pattern_dir;    /* lib/patterns: own pattern files */
	const char *builtin_dir;    /* /usr/share/splx/patterns */
	const char *log_dir;	    /* /var/log/splx */
	const char *log_file;	    /* log/splx.log */
	const char *console_log;    /* log/splxhttpd.log */
	const char *libexec_dir;    /* /usr/lib/splx: entity, vsapiapp … */
};

/*
 * Sets them up once, from `root` (NULL: SPLX_ROOT, else installed). In a
 * stage the program folders are ROOT/usr/lib/splx and so on. Panics when
 * called twice with different roots.
 */
void paths_init(const char *root);
/* The paths; panics before paths_init(). */
const struct paths *paths(void);

#endif
