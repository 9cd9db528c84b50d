# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The console judge on lines as kernels write them."""

import pytest

import judge

BAD = """
Kernel panic - not syncing: sysrq triggered crash
Oops: 0002 [#1] PREEMPT SMP NOPTI
Oops: int3: 0000 [#1] SMP
BUG: kernel NULL pointer dereference, address: 0000000000000001
BUG: unable to handle page fault for address: ffffffffc0a3b020
kernel BUG at mm/slub.c:4321!
BUG: scheduling while atomic: sh/77/0x00000002
BUG: sleeping function called from invalid context at mm/util.c:10
BUG: KASAN: slab-use-after-free in splxmod_ask+0x12/0x90 [splxmod]
BUG: KASAN: use-after-free in splxmod_ask+0x12/0x90 [splxmod]
BUG: Invalid wait context
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 37s!
BUG: key ffff888003d20a10 has not been registered!
BUG kmalloc-64 (Tainted: G    B      OE     ): Poison overwritten
BUG splxmod_entry (Tainted: G     OE     ): Objects remaining in splxmod_entry
WARNING: CPU: 1 PID: 91 at kernel/trace/ftrace.c:2087 ftrace_bug+0x1f5/0x290
WARNING: CPU: 0 PID: 12 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: possible irq lock inversion dependency detected
WARNING: inconsistent lock state
WARNING: bad unlock balance detected!
WARNING: suspicious RCU usage
WARNING: lock held when returning to user space!
WARNING: held lock freed!
------------[ cut here ]------------
------------[ ftrace bug ]------------
Call Trace:
refcount_t: underflow; use-after-free.
list_del corruption. prev->next should be ffff888, but was dead000000000122
general protection fault, probably for non-canonical address 0xdead: 0000 [#1]
general protection fault: 0000 [#1] SMP NOPTI
invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
double fault: 0000 [#1] SMP
INFO: task cat:97 blocked for more than 20 seconds.
watchdog: BUG: soft lockup - CPU#1 stuck for 67s! [sh:80]
NMI watchdog: Watchdog detected hard LOCKUP on cpu 0
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: INFO: rcu_sched detected stalls on CPUs/tasks:
rcu: INFO: rcu_tasks detected stalls on tasks:
rcu_sched kthread starved for 15002 jiffies! g-1 f0x0
INFO: rcu_tasks detected stalls on tasks:
INFO: trying to register non-static key.
INFO: lockdep is turned off.
DEBUG_LOCKS_WARN_ON(1)
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
unreferenced object 0xffff888004b0c000 (size 64):
UBSAN: array-index-out-of-bounds in khm/queue.c:88:12
ODEBUG: free active (active state 0) object type: timer_list
kobject (00000000f7c2): tried to init an initialized object, something is
Freezing of tasks failed after 20.003 seconds (1 tasks refusing to freeze):
VFS: Busy inodes after unmount of tmpfs. Self-destruct in 5 seconds.
remove_proc_entry: removing non-empty directory 'splx', leaking at least 'a'
BUG: Bad page state in process sh  pfn:03c11
sysfs: cannot create duplicate filename '/class/misc/splxmod'
""".strip().splitlines()

GOOD = """
Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP
splxmod: loading out-of-tree module taints kernel.
splxmod: module verification failed: signature and/or required key missing
splxmod: armed by ftrace
random: crng init done
traps: hook[77] general protection fault ip:401234 sp:7ffd error:0 in hook
hook[78]: segfault at 0 ip 0000000000401234 sp 00007ffd error 4 in hook[401]
clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' unstable
bed: user space
kmemleak: 0 new suspected memory leaks
reboot: Power down
DEBUG: nothing
rcu: Hierarchical SRCU implementation.
rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.
rcu_tasks: Setting shift to 1 and lim to 1.
""".strip().splitlines()


@pytest.mark.parametrize("line", BAD)
def test_a_report_is_a_fault(line):
    for head in ("", "[   12.345678] ", "[ 3.1] \r", "[   12.345678][  T77] ",
                 "<4>[   12.345678] "):
        assert judge.faults(head + line) == [line]


@pytest.mark.parametrize("line", GOOD)
def test_a_plain_message_is_no_fault(line):
    assert judge.faults(f"[    1.000000] {line}") == []


def test_a_known_line_is_let_pass_only_when_whole(monkeypatch):
    import re
    line = "WARNING: this is known"
    monkeypatch.setattr(judge, "HARMLESS", [re.compile(re.escape(line))])
    assert judge.faults(f"[ 1.0] {line}\r") == []
    assert judge.faults(f"[ 1.0] {line} not") == [f"{line} not"]
    assert judge.faults(f"x {line}") == [f"x {line}"]


def test_an_excerpt_begins_before_the_first_fault():
    text = "\n".join([f"line {n}" for n in range(50)]
                     + ["Kernel panic - not syncing: x", "after"])
    shown = judge.excerpt(text).splitlines()
    assert shown[0] == "line 45" and "after" in shown
