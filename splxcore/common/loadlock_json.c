/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "loadlock_json.h"

#include "lib/clock.h"
#include "loadlock.h"
#include "paths.h"

static json_t *entry_json(const struct loadlock_entry *e,
			  const struct loadlock_now *now)
{
	static const char *const kinds[] = {
		[LOADLOCK_START] = "start",
		[LOADLOCK_CRASH] = "crash",
		[LOADLOCK_CLEARED] = "cleared",
	};
	int64_t age = now->up - e->at;

	return json_pack("{s:s,s:s,s:s,s:I,s:I}", "kind", kinds[e->kind],
			 "boot", e->boot, "kernel", e->kernel, "time",
			 (json_int_t)CLOCK_NS_PER_S * (now->real - age),
			 "age_s", (json_int_t)age);
}

json_t *loadlock_json(const struct conf *conf)
{
	struct loadlock_policy policy;
	struct loadlock_state st;
	struct loadlock_now now;
	json_t *entries = json_array();
	char text[400];

	loadlock_policy(conf, &policy);
	loadlock_now(&now);
	loadlock_look(&now, &policy, &st);
	for (unsigned int i = 0; i < st.lock.n; i++)
		json_array_append_new(entries,
				      entry_json(&st.lock.entries[i], &now));
	if (st.known)
		loadlock_text(&st, &now, &policy, text, sizeof(text));
	return json_pack(
		"{s:s,s:b,s:b,s:i,s:i,s:I,s:o,s:s,s:o}", "file",
		paths()->load_lock, "known", (int)st.known, "locked",
		(int)st.locked, "crashes", (int)loadlock_crashes(&st.lock),
		"max", (int)policy.max, "window_s", (json_int_t)policy.window,
		"free_in_s",
		st.locked ? json_integer((json_int_t)st.free_in) : json_null(),
		"text", st.known ? text : st.why.text, "entries", entries);
}
