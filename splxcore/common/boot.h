/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_BOOT_H
#define SPLX_COMMON_BOOT_H

#include <stdbool.h>
#include <stddef.h>

#include "inithdr.h"
#include "lib/vec.h"

/*
 * How a machine starts its services, read below a root: the links of the
 * runlevels, the headers of the init scripts, and what of both counts.
 * Nothing is run and nothing changed. All paths in here are without the root.
 */

/* Who makes the order. */
enum boot_kind {
	BOOT_LINKS,	/* the links' numbers, and nobody else changes them */
	BOOT_CHKCONFIG, /* numbers that chkconfig(8) takes from scripts */
	BOOT_INSSERV,	/* insserv(8): headers; it numbers the links itself */
	BOOT_SYSTEMD,	/* units, made of the headers; links say nothing */
};

struct boot_link {
	char level; /* '0'..'6' or 'S' */
	bool start; /* an S link, else a K link */
	int number;
	char *service;
	char *file;    /* "S01splx" */
	bool dangling; /* it points to nothing, and init passes it over */
};

/* Which file a header was taken from. */
enum boot_source {
	BOOT_SRC_SCRIPT,
	BOOT_SRC_ETC,	/* the administrator's override */
	BOOT_SRC_SHARE, /* a distribution's override */
};

struct boot_script {
	char *name;
	struct inithdr hdr; /* what counts, overrides taken into account */
	enum boot_source source;
};

/* A line of insserv.conf(5): a name such as $remote_fs and what it means. */
struct boot_facility {
	char *name;
	struct inithdr_words members;
};

struct boot {
	char *root; /* "": the machine itself */
	enum boot_kind kind;
	bool concurrent;   /* startpar: what does not need each other starts at
			      the same time, whatever the numbers */
	char current;	   /* runlevel, 0 when not known */
	char initial;	   /* the one that is booted into, 0 when not known */
	const char *initd; /* "/etc/init.d" */
	const char *rc;	   /* "/etc/rc" of "/etc/rc3.d" */
	const char *insserv; /* the program's path; NULL: none */
	struct {
		VEC(struct boot_link);
	} links; /* by level, kind and file: as they are run */
	struct {
		VEC(struct boot_script);
	} scripts; /* by name */
	struct {
		VEC(struct boot_facility);
	} facilities;
	char *depend; /* .depend.start, which startpar follows; NULL: none */
};

#define BOOT_LEVELS "S0123456"
#define BOOT_SPLX "splx"
/* Where overrides lie. */
#define BOOT_OVERRIDES "/etc/insserv/overrides"
#define BOOT_OVERRIDES_SHARE "/usr/share/insserv/overrides"
#define BOOT_CHKCONFIG_DIR "/etc/chkconfig.d"

/* `root` as in struct paths. Never NULL; without init scripts it is empty.
 * The caller frees it. */
struct boot *boot_read(const char *root);
/* Of a copy that has links, scripts and settings of `of`, but no programs. */
struct boot *boot_read_copy(const struct boot *of, const char *root);
void boot_free(struct boot **boot);

/* "insserv" …, for people and programs. */
const char *boot_kind_name(enum boot_kind kind);
/* The first link of a service in a runlevel; NULL when there is none. */
const struct boot_link *boot_link(const struct boot *boot, char level,
				  bool start, const char *service);
const struct boot_script *boot_script(const struct boot *boot,
				      const char *name);
/* The runlevel that counts when none is named: the current one if services
 * are started in it, else the initial one, else the first that starts splx;
 * 0 when there is none. */
char boot_level(const struct boot *boot);
/* A runlevel's word ("3", "S") or 0. */
char boot_level_parse(const char *word);
/* "2345": where the service has S links. Returns out. */
char *boot_levels_of(const struct boot *boot, const char *service, char *out,
		     size_t size);
/* "/etc/rc3.d". Returns out. */
char *boot_dir(const struct boot *boot, char level, char *out, size_t size);
/* The path below the boot's root; the caller frees it. */
char *boot_below(const struct boot *boot, const char *path);
/* The text of a file below the root, at most 1 MiB; NULL when it cannot be
 * had. The caller frees it. */
char *boot_text(const struct boot *boot, const char *path);

#endif
