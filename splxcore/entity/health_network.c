/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* How the network monitor is: by its board. */
#include <stdio.h>
#include <string.h>

#include "health_check.h"
#include "lib/clock.h"
#include "lib/proc.h"
#include "settings.h"

/* It starts after us, and is started anew within a moment. */
#define START_NS (5 * CLOCK_NS_PER_S)
/* What a packet may take of the buffer. */
#define PACKET_ROOM 2048

/* A text of the board: written by another process, for people alone. */
static const char *text_of(const char *from, char out[NET_REASON_MAX])
{
	memcpy(out, from, NET_REASON_MAX);
	out[NET_REASON_MAX - 1] = '\0';
	return out;
}

static bool is_gone(const struct scoreboard *sb)
{
	const struct proc_id id = {.pid = atomic_load(&sb->netmon.pid),
				   .start = atomic_load(&sb->netmon.start)};

	return (id.pid <= 0 || !proc_alive(&id)) &&
	       clock_mono_ns() - sb->boot_ns > START_NS;
}

static void check_buffer(const struct core *core, struct report *r)
{
	const struct conf *conf = settings_conf(core->settings);
	uint32_t got = atomic_load(&core->sb->net.buffer);
	int64_t need = conf->network_queue_length * PACKET_ROOM;

	if (!got || got >= need || (int64_t)conf->network_buffer < need)
		return;
	health_issue(r, STATUS_NET_BUFFER, "splxnetmon",
		     "the network monitor's buffer has %u bytes of %lld: "
		     "sysctl -w net.core.rmem_max=%lld",
		     got, (long long)conf->network_buffer,
		     (long long)conf->network_buffer / 2);
}

void health_check_network(const struct core *core, struct report *r)
{
	const struct net_board *b = &core->sb->net;
	int code = atomic_load(&b->code);
	uint64_t passed = atomic_load(&b->uninspected);
	char text[NET_REASON_MAX];

	if (!atomic_load(&core->sb->net_wanted))
		return;
	if (is_gone(core->sb))
		health_issue(r, STATUS_NET_GONE, "splxnetmon", "%s",
			     status_text(STATUS_NET_GONE));
	else if (code && status_field(code) == STATUS_FIELD_NETWORK)
		health_issue(r, (enum status_code)code, "splxnetmon", "%s: %s",
			     status_text(code), text_of(b->reason, text));
	if (atomic_load(&b->rules_broken) && code != STATUS_NET_RULES)
		health_issue(r, STATUS_NET_RULES, "splxnetmon",
			     "%s; the old ones are in force: %s",
			     status_text(STATUS_NET_RULES),
			     text_of(b->broken, text));
	check_buffer(core, r);
	if (passed)
		health_issue(r, STATUS_NET_UNINSPECTED, "splxnetmon",
			     "%llu connections have passed that nobody had "
			     "judged",
			     (unsigned long long)passed);
}
