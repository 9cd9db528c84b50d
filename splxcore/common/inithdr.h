/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_INITHDR_H
#define SPLX_COMMON_INITHDR_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/vec.h"

/*
 * What an init script's comments say of its order: the LSB header (LSB 5.0,
 * 22.3, as insserv(8) reads it) and the line of chkconfig(8). An override
 * file is read in the same way.
 */
enum inithdr_field {
	INITHDR_PROVIDES,
	INITHDR_REQUIRED_START,
	INITHDR_REQUIRED_STOP,
	INITHDR_SHOULD_START,
	INITHDR_SHOULD_STOP,
	INITHDR_START_BEFORE, /* X-Start-Before */
	INITHDR_STOP_AFTER,   /* X-Stop-After */
	INITHDR_DEFAULT_START,
	INITHDR_DEFAULT_STOP,
	INITHDR_FIELDS,
};

struct inithdr_words {
	VEC(char *);
};

struct inithdr {
	bool lsb;    /* there is a whole LSB header */
	bool broken; /* one begins and does not end */
	bool has[INITHDR_FIELDS];
	struct inithdr_words words[INITHDR_FIELDS];
	/* "# chkconfig: LEVELS START STOP" */
	bool chkconfig;
	char levels[8]; /* digits, or "-" */
	int start, stop;
};

/* Reads a script's text. Never fails: what is not there is not set. */
void inithdr_parse(const char *text, struct inithdr *hdr_r);
void inithdr_free(struct inithdr *hdr);
void inithdr_copy(struct inithdr *to_r, const struct inithdr *from);
/* Sets what `over` (an override of chkconfig's) has; the rest stays. */
void inithdr_overlay(struct inithdr *hdr, const struct inithdr *over);

/* "Required-Start" … as it is written. */
const char *inithdr_name(enum inithdr_field field);
bool inithdr_lists(const struct inithdr *hdr, enum inithdr_field field,
		   const char *word);
/* Adds a word unless it is there, or takes it out; true when that changed
 * anything. */
bool inithdr_add(struct inithdr *hdr, enum inithdr_field field,
		 const char *word);
bool inithdr_remove(struct inithdr *hdr, enum inithdr_field field,
		    const char *word);

/*
 * The lines of the LSB header in `text`, from its beginning to its end, with
 * the fields that differ between `was` (what was parsed of it) and `now`
 * written anew; one that is empty now and not required is left out. NULL when
 * there is no whole header. The caller frees it.
 */
char *inithdr_rewrite(const char *text, const struct inithdr *was,
		      const struct inithdr *now);

#endif
