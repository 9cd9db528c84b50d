/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "poison.h"

#include "lib/log.h"

void poison_add(struct scoreboard *sb, const struct file_key *key)
{
	uint32_t fewest = UINT32_MAX;
	int i, place = 0;

	for (i = 0; i < SCOREBOARD_POISON; i++) {
		uint32_t deaths = atomic_load(&sb->poison[i].deaths);

		if (deaths && file_key_same(&sb->poison[i].key, key)) {
			atomic_store(&sb->poison[i].deaths, deaths + 1);
			if (deaths + 1 == POISON_DEATHS)
				log_warn("file dev=%llx ino=%llu ended %d "
					 "workers and is not scanned again "
					 "until patterns change",
					 (unsigned long long)key->dev,
					 (unsigned long long)key->ino,
					 POISON_DEATHS);
			return;
		}
		if (deaths < fewest) {
			fewest = deaths;
			place = i;
		}
	}
	/* Readers compare the key only while deaths is not 0. */
	atomic_store(&sb->poison[place].deaths, 0);
	sb->poison[place].key = *key;
	atomic_store(&sb->poison[place].deaths, 1);
}

bool poison_is(const struct scoreboard *sb, const struct file_key *key)
{
	int i;

	for (i = 0; i < SCOREBOARD_POISON; i++)
		if (atomic_load(&sb->poison[i].deaths) >= POISON_DEATHS &&
		    file_key_same(&sb->poison[i].key, key))
			return true;
	return false;
}

void poison_clear(struct scoreboard *sb)
{
	int i;

	for (i = 0; i < SCOREBOARD_POISON; i++)
		atomic_store(&sb->poison[i].deaths, 0);
}
