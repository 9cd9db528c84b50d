/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_KHM_H
#define SPLX_COMMON_KHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "codes.h"
#include "conf.h"
#include "khm/uapi/splxmod.h"
#include "known.h"
#include "loadlock.h"
#include "lib/err.h"
#include "lib/mounts.h"
#include "lib/vec.h"

/*
 * The kernel module's user side: its device (khm.c), what it is told of the
 * settings (khm_plan.c), how it gets into the kernel and out again
 * (khm_load.c), which build of it that is (khm_build.c). The interface itself
 * is khm/uapi/splxmod.h.
 */
#define KHM_DEVICE "/dev/" SPLXMOD_NAME
#define KHM_PROC "/proc/splx"
#define KHM_PENDING_MAX 4096
#define KHM_CLOSE_MAX 8192
/* Without any worker an opener waits so long for one, then OnError decides. */
#define KHM_GRACE_MS 3000

/* --- the device (khm.c) -------------------------------------------------- */

/* A controller's descriptor (O_CLOEXEC). -1 and *err: ENOENT when the module
 * is not loaded, EPROTO when it speaks another version than we. */
int khm_open(struct err *err);
/* The same of a module of whatever version, for khm_status() and khm_disarm()
 * alone. */
int khm_open_any(struct err *err);
/*
 * There is one module in a machine, and it serves one suite (a stage may run
 * beside the installed one): who configures it holds this lock. The
 * descriptor (O_CLOEXEC) holds it; -1 and *err: EBUSY when another one does.
 */
#define KHM_LOCK "/run/" SPLXMOD_NAME ".lock"
int khm_lock(struct err *err);
/* Whether a descriptor is one of the device. */
bool khm_is_device(int fd);
/* A reader's (O_CLOEXEC, O_NONBLOCK) for SPLXMOD_OPEN | …. -1 and *err. */
int khm_reader(uint32_t classes, struct err *err);

/* Takes one question; 1, 0 when there is none, -1 (errno). */
int khm_read(int reader, struct splxmod_event *ev_r);
enum khm_answered {
	KHM_TAKEN,
	KHM_LATE,    /* nobody waits for it any more */
	KHM_UNKNOWN, /* it is no question of this reader */
	KHM_FAILED,  /* errno */
};
/* flags: 0, or with `allow` one of SPLXMOD_REMEMBER, SPLXMOD_ONE. */
enum khm_answered khm_answer(int reader, uint64_t id, uint64_t epoch,
			     bool allow, uint32_t flags);

/* Each 0, or -1 and *err with the system call's code. */
int khm_configure(int fd, const struct splxmod_config *config, struct err *err);
/* Takes or takes back (`on` false) an exemption; pid 0: the caller. */
int khm_exempt(int fd, pid_t pid, bool on, struct err *err);
int khm_status(int fd, struct splxmod_status *status_r, struct err *err);
int khm_flush(int fd, struct err *err);

/* What arming or disarming came to. */
struct khm_report {
	enum splxmod_method method;
	unsigned int rivals; /* that stand in the way */
	char text[sizeof(((struct splxmod_arming *)0)->report)];
};
/*
 * 0, also when it is armed already; else -1 and *err, in words of the report:
 * EBUSY when something holds the hook, EOPNOTSUPP when this kernel has none.
 */
int khm_arm(int fd, struct khm_report *report_r, struct err *err);
/* 0, also when it was not armed; `passive`: EBUSY is no error, the module
 * then stays as it is and lets all pass. */
int khm_disarm(int fd, bool passive, struct khm_report *report_r,
	       struct err *err);

const char *khm_method_name(unsigned int method);
const char *khm_state_name(unsigned int state);
/* As in /proc/splx/status; NULL past the last. */
const char *khm_counter_name(unsigned int i);

/* --- what the module is told (khm_plan.c) -------------------------------- */

/* By the settings; `epoch` as of known_epoch(). */
void khm_config_from(const struct conf *conf, uint64_t epoch,
		     struct splxmod_config *config_r);

struct khm_rules {
	VEC(struct splxmod_rule); /* with descriptors of ours */
	size_t left_out;	  /* there were more than SPLXMOD_RULES_MAX */
};
/*
 * What needs no question by the settings alone: types of file systems that
 * are not to be examined, excluded programs and directories. Those that
 * cannot be said to the module exactly (a link in the path, nothing there
 * now) are left to the workers. `mounts` are those of our own namespace.
 */
void khm_rules_from(const struct conf *conf, const struct mount_list *mounts,
		    struct khm_rules *rules_r);
/* One more; what there is no room for is counted. text may be NULL. */
void khm_rules_add(struct khm_rules *rules, enum splxmod_rule_kind kind,
		   uint64_t dev, uint64_t ino, const char *text);
/*
 * Of what lies on the mount only what is below this directory is asked about,
 * and below others of which that is said. False when it cannot be said: the
 * directory is no more, or not on that mount.
 */
bool khm_rules_add_below(struct khm_rules *rules, const char *dir,
			 const struct mount *mount);
/* Takes all that was said so back: more is asked about. True when there was
 * any. */
bool khm_rules_drop_below(struct khm_rules *rules);
void khm_rules_free(struct khm_rules *rules);
/* 0, or -1 and *err. */
int khm_rules_send(int fd, const struct khm_rules *rules, struct err *err);

/* Tells which files are known clean under the epoch that is configured.
 * Returns how many, or -1 and *err. */
long khm_send_known(int fd, const struct known *known, uint64_t epoch,
		    struct err *err);

/* --- lines that the module writes (khm_plan.c) --------------------------- */

/* A line of /proc/splx/rivals, and of a report. */
struct khm_rival {
	char kind[32];
	char module[64];
	char symbol[128];
	char effect[32]; /* "safe", "blocks-arm", "blocks-unload" */
};
/* True when the line is one. */
bool khm_rival_parse(const char *line, struct khm_rival *rival_r);
/*
 * A report in one line for people: who is in the way; else why each method
 * does not go.
 */
void khm_report_words(const char *report, char *out, size_t size);
/* Why a method does not go, out of "method: why" lines; "" if not told. */
void khm_report_method(const char *report, const char *method, char *out,
		       size_t size);

/* --- which build it is (khm_build.c) ------------------------------------- */

struct khm_build {
	char version[32]; /* "" unknown, as the next one */
	char sources[40]; /* "srcversion": a number of all its sources */
};
/*
 * The module for a kernel: where DKMS and distributions put it, then our own
 * folder. False when there is none. path_r may end in .xz and the like.
 */
bool khm_find(const char *release, char *path_r, size_t size);
/* What a module's file says of itself ("version", "vermagic"); "" nothing. Of
 * a compressed one modinfo(8) is asked. */
void khm_modinfo(const char *path, const char *name, char *out, size_t size);
/* Of the one in the kernel, of a file; false when nothing is known. */
bool khm_build_loaded(struct khm_build *build_r);
bool khm_build_of(const char *path, struct khm_build *build_r);
/* True when it is certain; *why (may be NULL) tells it. */
bool khm_build_differs(const struct khm_build *loaded,
		       const struct khm_build *installed, struct err *why);
/* Is another build loaded than the one that is installed for this kernel?
 * *why (may be NULL) tells it. Opens files. */
bool khm_is_other(struct err *why);

/* --- into the kernel and out (khm_load.c) -------------------------------- */

/*
 * Loads the module unless it is there, or the load lock holds it back
 * (STATUS_LOCKED, also for one that is there). Another build than the one that
 * is installed is exchanged, if nobody uses it and nobody is in the way.
 * STATUS_OK, and *err is empty or tells that another one stays; or the reason
 * and *err in detail. The reason is kept (on /run) for khm_why_not().
 */
enum status_code khm_load(const struct loadlock_policy *policy,
			  struct err *err);
/* The lock was opened: it is no reason any more. */
void khm_unlocked(void);
/*
 * Why there is no device, as far as it can be told without trying: what the
 * last try came to, or that there was none. STATUS_OK when it is there.
 * Opens files.
 */
enum status_code khm_why_not(struct err *err);
/*
 * Disarms and unloads, whatever its version is; nobody else may hold the
 * device. 0, also when it was not loaded; -1 and *err: EBUSY with the rivals'
 * names, or who holds it.
 */
int khm_unload(struct khm_report *report_r, struct err *err);

/* What a refusal to load means; looks into nothing but its arguments. */
struct khm_refusal {
	int code;	    /* errno of the system call */
	bool no_modules;    /* /proc/modules is not there */
	bool modules_off;   /* kernel.modules_disabled */
	char lockdown[64];  /* /sys/kernel/security/lockdown */
	char release[128];  /* of the running kernel */
	char vermagic[128]; /* of the module; "" unknown */
};
enum status_code khm_refusal_code(const struct khm_refusal *refusal,
				  struct err *err);

#endif
