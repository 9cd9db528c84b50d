/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CERT_H
#define SPLX_COMMON_CERT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

/*
 * The web console's certificate. It lies with its key in a set, a directory of
 * its own: DIR/current is a link to DIR/set-N, which holds certificate.pem (the
 * chain, the server's own first) and key.pem. Another one is another set, and
 * takes over when the link is replaced: so the two always belong together.
 * The former set is kept.
 */
#define CERT_CHAIN_MAX 65536
#define CERT_KEY_MAX 16384
#define CERT_DAYS 825

struct cert_info {
	char subject[256], issuer[256];	   /* as RFC 2253 writes them */
	char names[1024];		   /* "host.example, 192.0.2.7" */
	char fingerprint[65];		   /* SHA-256, hexadecimal */
	char key[32];			   /* "EC 256", "RSA 2048" */
	int64_t not_before_s, not_after_s; /* since 1970 */
	bool self_made;			   /* by cert_make() */
};

struct cert {
	char chain[CERT_CHAIN_MAX]; /* PEM */
	char key[CERT_KEY_MAX];	    /* PEM, not encrypted: wipe it after use */
	struct cert_info info;
};

/*
 * Takes a chain and a key that somebody gives. They must fit, the chain be in
 * order, neither too weak (under 112 bits) nor out of its time, the key without
 * a password. What is kept is written anew: what stood between is left out.
 * -1 and *err, which holds nothing of the key.
 */
int cert_read(const char *chain, const char *key, struct cert *out,
	      struct err *err);
/*
 * A self-signed one for this machine: EC P-256, good for CERT_DAYS, for its
 * names and addresses (all that its interfaces have, and localhost).
 */
int cert_make(struct cert *out, struct err *err);
/*
 * Puts it into DIR and into force; the set belongs to root and may be read by
 * the group. DIR is made where it is missing.
 */
int cert_install(const char *dir, const struct cert *cert, gid_t gid,
		 struct err *err);
/* The one in force there; -1 and *err, ENOENT in its code when there is none.
 */
int cert_show(const char *dir, struct cert_info *info_r, struct err *err);

#endif
