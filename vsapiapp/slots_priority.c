/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Whose turn it is. Front workers come first, as somebody waits for each; one
 * whose scan takes long steps back. Back workers come behind them. A low worker
 * takes what nobody else wants of CPU and disks, for as long as it lives: so
 * nothing has to be given back to it, whatever becomes of its scan, and it
 * holds nothing that others wait for.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "slots_in.h"

#define BACK_NICE 10
#define BUSY_NICE 10
#define BUSY_MS 30
/* See proc_priority(): what a front worker usually does takes less, and
 * somebody waits for it. */
#define FRONT_SLICE_NS 200000

static void set_priority(pid_t pid, int nice_value, uint64_t slice_ns)
{
	if (proc_priority(pid, nice_value, slice_ns) < 0 && errno != ESRCH)
		log_debug("worker pid=%d priority: %m", pid);
}

void slots_priority_begin(struct slots_worker *w)
{
	if (w->role == SLOT_FRONT)
		set_priority(w->pid, 0, FRONT_SLICE_NS);
	else
		set_priority(w->pid, BACK_NICE, 0);
}

void slots_priority_serving(struct slots_worker *w)
{
	if (w->role != SLOT_LOW || w->pid <= 0 || !w->gen)
		return;
	/* The autogroup is a session's: never that of others. */
	if (getsid(w->pid) != w->pid)
		log_warn("worker pid=%d: its session is not its own", w->pid);
	else if (proc_lowest(w->pid) < 0 && errno != ESRCH)
		log_warn("worker pid=%d priority: %m", w->pid);
}

void slots_restore_priority(struct slots_worker *w)
{
	if (w->lowered && w->role == SLOT_FRONT && w->pid > 0)
		set_priority(w->pid, 0, FRONT_SLICE_NS);
	w->lowered = false;
}

void slots_priority_tick(struct slots_worker *w, uint64_t scan_ms)
{
	if (w->role != SLOT_FRONT || w->pid <= 0 || !w->gen)
		return;
	if (scan_ms > BUSY_MS && !w->lowered) {
		set_priority(w->pid, BUSY_NICE, 0);
		w->lowered = true;
	} else if (!scan_ms && w->lowered) {
		slots_restore_priority(w);
	}
}
