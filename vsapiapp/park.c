// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "park.h"

#include <stddef.h>

/* In scanner_ticket: a finisher is answering it, or has done so. No ticket
 * is ever as high. */
#define TICKET_TAKEN UINT64_MAX
#define TICKET_DONE (UINT64_MAX - 1)

/* In scan_ticket: its scan is over and those parked on it are being answered;
 * nobody parks on it any more. */
#define TICKET_CLOSING ((uint64_t)1 << 63)

bool park_take(struct hold *hold, enum hold_state from)
{
	uint32_t expected = from;

	return atomic_compare_exchange_strong(&hold->state, &expected,
					      HOLD_ANSWERED);
}

static uint32_t bit_of(const struct scoreboard *sb, int slot,
		       const struct hold *hold)
{
	return 1u << (unsigned int)(hold - sb->holds[slot]);
}

/*
 * The ticket under which a slot scans a file; 0 when it does not. The key is
 * plain memory: it counts only when the ticket was the same before and after.
 */
static uint64_t scans(struct slot *slot, const struct file_key *key)
{
	uint64_t ticket = atomic_load(&slot->scan_ticket);
	struct file_key theirs;

	if (ticket == 0 || (ticket & TICKET_CLOSING))
		return 0;
	theirs = slot->scan_key;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&slot->scan_ticket) != ticket ||
	    !file_key_same(&theirs, key))
		return 0;
	return ticket;
}

/* Another slot's scan of the file, entered before `before`; NULL: none. */
static struct slot *find_scan(struct scoreboard *sb, int own,
			      const struct file_key *key, uint64_t before,
			      uint64_t *ticket_r)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slot *slot = &sb->slots[i];

		if (i == own || atomic_load(&slot->role) != SLOT_FRONT)
			continue;
		*ticket_r = scans(slot, key);
		if (*ticket_r != 0 && *ticket_r < before)
			return slot;
	}
	return NULL;
}

static bool stands(struct scoreboard *sb, uint64_t ticket)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		if ((atomic_load(&sb->slots[i].scan_ticket) &
		     ~TICKET_CLOSING) == ticket)
			return true;
	return false;
}

/* Parks a hold on a ticket; false when it was answered before that. */
static bool park(struct scoreboard *sb, int slot, struct hold *hold,
		 uint64_t ticket)
{
	uint32_t expected = HOLD_SCANNING;

	atomic_store(&hold->scanner_ticket, ticket);
	atomic_fetch_or(&sb->slots[slot].parked, bit_of(sb, slot, hold));
	return atomic_compare_exchange_strong(&hold->state, &expected,
					      HOLD_PARKED);
}

/*
 * Takes a parked hold back from the scan that it awaited. The ticket decides
 * between the owner and the finisher, as each is given once: a state comes
 * again, and one who was stopped between a look at it and the exchange would
 * answer for another file.
 */
static enum park_state unpark(struct scoreboard *sb, int slot,
			      struct hold *hold, uint64_t ticket)
{
	uint32_t expected = HOLD_PARKED;

	if (!atomic_compare_exchange_strong(&hold->scanner_ticket, &ticket, 0))
		return PARK_TAKEN;
	atomic_fetch_and(&sb->slots[slot].parked, ~bit_of(sb, slot, hold));
	if (!atomic_compare_exchange_strong(&hold->state, &expected,
					    HOLD_SCANNING))
		return PARK_ANSWERED;
	return PARK_SCAN;
}

bool park_reclaim(struct scoreboard *sb, int slot, struct hold *hold)
{
	uint64_t ticket = atomic_load(&hold->scanner_ticket);

	return atomic_load(&hold->state) == HOLD_PARKED && ticket != 0 &&
	       ticket < TICKET_DONE &&
	       unpark(sb, slot, hold, ticket) == PARK_SCAN;
}

void park_free(struct scoreboard *sb, int slot, struct hold *hold)
{
	atomic_fetch_and(&sb->slots[slot].parked, ~bit_of(sb, slot, hold));
	atomic_store(&hold->scanner_ticket, 0);
	atomic_store(&hold->ticket, 0);
	atomic_store(&hold->state, HOLD_FREE);
}

static void leave(struct slot *own)
{
	atomic_store(&own->scan_ticket, 0);
}

static uint64_t enter(struct scoreboard *sb, struct slot *own,
		      struct hold *hold)
{
	uint64_t ticket;

	own->scan_key = hold->key;
	ticket = atomic_fetch_add(&sb->next_ticket, 1) + 1;
	atomic_store(&hold->ticket, ticket);
	atomic_store(&own->scan_ticket, ticket);
	return ticket;
}

enum park_state park_enter(struct scoreboard *sb, int slot, struct hold *hold)
{
	struct slot *own = &sb->slots[slot];
	uint64_t mine, theirs;

	for (;;) {
		enum park_state state;
		struct slot *other;

		/* Looking first keeps others from parking on an entry that
		 * is given up at once. */
		other = find_scan(sb, slot, &hold->key, UINT64_MAX, &theirs);
		if (!other) {
			mine = enter(sb, own, hold);
			other = find_scan(sb, slot, &hold->key, mine, &theirs);
			if (!other)
				return PARK_SCAN;
			leave(own);
		}
		if (!park(sb, slot, hold, theirs))
			return PARK_ANSWERED;
		if (atomic_load(&other->scan_ticket) == theirs)
			return PARK_PARKED;
		state = unpark(sb, slot, hold, theirs);
		if (state != PARK_SCAN)
			return state;
	}
}

enum park_state park_check(struct scoreboard *sb, int slot, struct hold *hold)
{
	uint64_t ticket = atomic_load(&hold->scanner_ticket);
	enum park_state state;

	if (ticket == TICKET_TAKEN)
		return PARK_TAKEN;
	if (ticket == TICKET_DONE)
		return PARK_DONE;
	if (atomic_load(&hold->state) != HOLD_PARKED)
		return PARK_ANSWERED;
	if (stands(sb, ticket))
		return PARK_PARKED;
	state = unpark(sb, slot, hold, ticket);
	if (state != PARK_SCAN)
		return state;
	return park_enter(sb, slot, hold);
}

/*
 * Answers a hold of another slot if it awaits `ticket`. Its owner does not
 * free it, and so keeps the number, until it reads TICKET_DONE. A guard that
 * came in between leaves no such mark: the owner then gives it time.
 */
static bool answer_parked(struct hold *hold, int number, uint64_t ticket,
			  park_answer_fn answer, void *arg)
{
	uint64_t taken = TICKET_TAKEN;

	if (atomic_load(&hold->state) != HOLD_PARKED ||
	    !atomic_compare_exchange_strong(&hold->scanner_ticket, &ticket,
					    TICKET_TAKEN))
		return false;
	answer(hold, number, arg);
	/* Not a plain store: an owner that waited too long has gone on. */
	atomic_compare_exchange_strong(
		&hold->scanner_ticket, &taken,
		park_take(hold, HOLD_PARKED) ? TICKET_DONE : 0);
	return true;
}

unsigned int park_finish(struct scoreboard *sb, int slot, struct hold *hold,
			 uint64_t before_ns, park_answer_fn answer, void *arg)
{
	uint64_t ticket = atomic_load(&hold->ticket);
	unsigned int n = 0;

	atomic_store(&sb->slots[slot].scan_ticket, ticket | TICKET_CLOSING);
	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slot *other = &sb->slots[i];

		if (i == slot || atomic_load(&other->parked) == 0)
			continue;
		for (int h = 0; h < SLOT_NUMBERS; h++) {
			struct hold *theirs = &sb->holds[i][h];

			if (atomic_load(&theirs->start_ns) <= before_ns &&
			    answer_parked(theirs, slot_number(i) + h, ticket,
					  answer, arg))
				n++;
		}
	}
	leave(&sb->slots[slot]);
	return n;
}
