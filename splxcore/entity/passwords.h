/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_PASSWORDS_H
#define SPLX_ENTITY_PASSWORDS_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "secret.h"

/*
 * Work with passwords, outside the loop: by children of low priority, at most
 * PASSWORDS_AT_ONCE (32 MiB each), and some that wait their turn. Beyond that
 * it is refused: whoever tries passwords by the thousand costs no more.
 */
#define PASSWORDS_AT_ONCE 2
#define PASSWORDS_WAITING 16
#define PASSWORDS_CHECKS 2

struct passwords;

struct passwords_work {
	/* Password and what is kept of it (NULL: of an account that is not). */
	struct {
		char *password;
		char *kept;
	} check[PASSWORDS_CHECKS];
	int checks;
	char *make; /* NULL: none is made */
};
struct passwords_result {
	bool right[PASSWORDS_CHECKS];
	char made[SECRET_SCRYPT];
};
/* `result` is borrowed; NULL when it could not be done. */
typedef void (*passwords_fn)(const struct passwords_result *result, void *arg);

struct passwords *passwords_new(struct loop *loop);
/* What is under way ends without its fn. */
void passwords_free(struct passwords **p);
/* The texts are taken over, whatever comes of it. -1 and *err when there are
 * too many; fn is not called then. */
int passwords_begin(struct passwords *p, const struct passwords_work *work,
		    passwords_fn fn, void *arg, struct err *err);

#endif
