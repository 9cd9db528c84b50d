// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Writes a jump over the site's first instruction, and runs what was there in
 * a place of its own before it goes on: what ftrace has put there included.
 */
#include <linux/mutex.h>
#include <linux/string.h>

#include "rival.h"

#define SIZE 5
#define CALL 0xe8
#define JUMP 0xe9

static unsigned long site;
static u8 before[SIZE];
static struct mutex *text;
static void (*poke)(void *at, const void *code, size_t size,
		    const void *emulate);

/* inline_thunk.S */
asmlinkage void rival_thunk(void);
extern u8 rival_slot[SIZE];
unsigned long rival_resume, rival_seen;
module_param_named(seen, rival_seen, ulong, 0444);

static void put(void *at, const u8 code[SIZE])
{
	mutex_lock(text);
	poke(at, code, SIZE, NULL);
	mutex_unlock(text);
}

/* A near call or jump at `at` to where the target is. */
static void near(u8 code_r[SIZE], u8 op, unsigned long at, unsigned long target)
{
	s32 distance = target - at - SIZE;

	code_r[0] = op;
	memcpy(code_r + 1, &distance, sizeof(distance));
}

static int __init rival_init(void)
{
	unsigned long (*location)(unsigned long) =
		(void *)rival_lookup("ftrace_location");
	u8 code[SIZE];
	s32 distance;

	text = (void *)rival_lookup("text_mutex");
	poke = (void *)rival_lookup("text_poke_bp");
	if (!poke)
		poke = (void *)rival_lookup("smp_text_poke_single");
	site = location ? location(rival_lookup(RIVAL_SITE)) : 0;
	if (!site || !poke || !text)
		return -ENOENT;
	memcpy(before, (void *)site, SIZE);
	rival_resume = site + SIZE;
	if (before[0] == CALL) {
		memcpy(&distance, before + 1, sizeof(distance));
		near(code, CALL, (unsigned long)rival_slot,
		     site + SIZE + (long)distance);
		put(rival_slot, code);
	}
	near(code, JUMP, site, (unsigned long)rival_thunk);
	put((void *)site, code);
	return 0;
}

static void __exit rival_exit(void)
{
	put((void *)site, before);
	synchronize_rcu();
}

module_init(rival_init);
module_exit(rival_exit);
MODULE_DESCRIPTION("Hooks where splxmod does: for tests");
MODULE_LICENSE("GPL");
