/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "monitor_impl.h"

static void set_text(struct net_board *b, char *where, const char *text)
{
	atomic_fetch_add(&b->text_seq, 1);
	str_copy(where, NET_REASON_MAX, text);
	atomic_fetch_add(&b->text_seq, 1);
}

void monitor_code(struct monitor *m, int code, const char *reason)
{
	struct net_board *b = m->board;

	if (atomic_load(&b->code) == code && strcmp(b->reason, reason) == 0)
		return;
	if (code)
		log_warn("network: %s%s%s", status_text(code),
			 *reason ? ": " : "", reason);
	else if (atomic_load(&b->code))
		log_info("network: connections are judged again");
	set_text(b, b->reason, reason);
	atomic_store(&b->code, code);
}

void monitor_broken(struct monitor *m, const char *why)
{
	struct net_board *b = m->board;

	if (*why)
		log_error("network: rules refused: %s", why);
	set_text(b, b->broken, why);
	atomic_store(&b->rules_broken, *why != '\0');
}

static void fold(_Atomic uint64_t *total, _Atomic uint64_t *now,
		 _Atomic uint64_t *seen)
{
	uint64_t value = atomic_load(now), before = atomic_load(seen);

	/* A judge cannot make a count go back. */
	if (value <= before)
		return;
	atomic_fetch_add(total, value - before);
	atomic_store(seen, value);
}

static void fold_seat(struct net_board *b, struct crew_member *member)
{
	struct seat *now = member->seat, *seen = &member->seen;

	_Atomic uint64_t late = 0;

	fold(&b->judged, &now->judged, &seen->judged);
	fold(&late, &now->late, &seen->late);
	atomic_fetch_sub(&b->judged, atomic_load(&late));
	fold(&b->alerted, &now->alerted, &seen->alerted);
	fold(&b->dropped, &now->dropped, &seen->dropped);
	fold(&b->reset, &now->reset, &seen->reset);
	fold(&b->overruns, &now->overruns, &seen->overruns);
	fold(&b->unreported, &now->unreported, &seen->unreported);
}

void monitor_seats(struct monitor *m)
{
	int i;

	for (i = 0; i < CREW_PLACES; i++)
		if (m->crew.judges[i].seat)
			fold_seat(m->board, &m->crew.judges[i]);
}

/*
 * Packets under way between the counters would be told as uninspected, or hide
 * some that were: the least of the last looks is what is sure.
 */
static void settle(struct monitor *m, uint64_t unseen)
{
	uint64_t least = unseen;
	size_t i;

	m->unseen[m->sample++ % SAMPLES] = unseen;
	for (i = 0; i < SAMPLES; i++)
		if (m->unseen[i] < least)
			least = m->unseen[i];
	if (least > atomic_load(&m->board->uninspected))
		atomic_store(&m->board->uninspected, least);
}

void monitor_first(struct monitor *m)
{
	struct net_board *b = m->board;
	struct table_counts counts = {0};
	uint64_t known;
	struct held held = {0};
	struct err err;

	if (table_count(m->filter, &counts, &err))
		return;
	held_read(m->held_fd, m->plan.number, &held);
	monitor_seats(m);
	if (counts.first >= m->counted)
		atomic_fetch_add(&b->first_packets, counts.first - m->counted);
	m->counted = counts.first;
	atomic_store(&b->counted, m->counted);
	known = atomic_load(&b->judged) + held.waiting;
	if (atomic_load(&b->first_packets) >= known)
		settle(m, atomic_load(&b->first_packets) - known);
	else
		settle(m, 0);
}
