/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NOTIFYCONF_H
#define SPLX_COMMON_NOTIFYCONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entryfile.h"
#include "events.h"
#include "lib/err.h"
#include "lib/vec.h"
#include "scanstate.h"

/*
 * Who is told of events, /etc/splx/notify.conf: an entry for each channel
 * (entryfile.h). Its secrets are for core and for who sends alone: nothing here
 * puts them into a message, and notify_json() only says whether they are set.
 */
#define NOTIFY_FILE_MAX (1u << 20)
#define NOTIFY_CHANNELS_MAX 32
#define NOTIFY_TO_MAX 50

enum notify_type { NOTIFY_SMTP, NOTIFY_SNMP, NOTIFY_SYSLOG, NOTIFY_WEBHOOK };

struct notify_channel {
	char name[SCAN_NAME_MAX + 1];
	int line;
	int type; /* enum notify_type; -1: missing */
	bool enabled;
	char *server;	/* host, host:port, [v6]:port, a path, or a URL */
	char *protocol; /* by type; see notify_protocols() */
	char *ca;	/* file of certificates; NULL: the system's */
	char *user, *password, *key;   /* NULL: none */
	char *from;		       /* NULL: splx@HOST */
	struct entryfile_words to;     /* addresses */
	char *format;		       /* syslog: rfc5424, cef */
	char *facility;		       /* syslog, by its name */
	char *proxy;		       /* webhook: a URL; NULL: none */
	unsigned int kinds;	       /* bits by enum event_kind_id */
	int severity;		       /* the least */
	struct entryfile_words codes;  /* that are told whatever it is */
	struct entryfile_words silent; /* that never are; both as numbers */
	int64_t rate;	     /* messages an hour; 0: any; -1 while unset */
	int64_t digest;	     /* more events at once are one; 0: never */
	uint64_t collect_ms; /* waits for so long for others */
	bool collect_set;
};

struct notify_conf {
	struct {
		VEC(struct notify_channel);
	} entries;
	struct entryfile_problems problems;
};

/* Reads paths()->notify. Never NULL; without the file it is empty. */
struct notify_conf *notify_conf_read(void);
/* The same from text; `name` stands for the file in problems. */
struct notify_conf *notify_conf_parse(const char *text, const char *name);
void notify_conf_free(struct notify_conf **conf);
/* The one of that name; NULL: none, or it is void. */
const struct notify_channel *notify_conf_find(const struct notify_conf *conf,
					      const char *name);

const char *notify_type_name(int type);
/* Whether the channel is told of an event, as store_events() shows it. */
bool notify_wants(const struct notify_channel *c, json_t *event);
/* Its keys with their values: [{"key","value"}], secrets "set" or "". New
 * reference. */
json_t *notify_json(const struct notify_channel *c);
/* All that who sends has to know, secrets too. New reference. */
json_t *notify_job(const struct notify_channel *c);
/* What is at the other end, for people: "syslog loghost:514 (udp)". The caller
 * frees it. */
char *notify_target(const struct notify_channel *c);

/* Whether the value of that key is a secret; in any spelling that is near. */
bool notify_key_secret(const char *key);
/*
 * As entryfile_edit(); `value` is taken as one word where `quote`, so that any
 * text can be a secret.
 */
char *notify_conf_edit(const char *old_text, const char *name, const char *key,
		       const char *value, bool quote, struct err *err);

#endif
