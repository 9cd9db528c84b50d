/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_SETTINGS_H
#define SPLX_HTTPD_SETTINGS_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/vec.h"

/* What the console serves by, as entity tells it. */
struct settings {
	bool enabled;
	struct {
		VEC(char *);
	} addresses;
	int https_port, http_port; /* http 0: none */
	int max_connections;
	char *certificate, *key; /* where they lie */
	char *user;
	uid_t uid;
	gid_t gid;
	bool log_syslog;
	char *generation; /* another when any of these, or the certificate, is
			   */
};

/*
 * Asks entity, as root. NULL and *err; ENOENT, ECONNREFUSED or ETIMEDOUT in its
 * code when nobody answers, EINVAL when what is set cannot be used.
 */
struct settings *settings_get(struct err *err);
/* Has entity make a certificate where there is none; *s are read anew then. */
int settings_certificate(struct settings **s, struct err *err);
void settings_free(struct settings **s);

#endif
