# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Judges what a kernel wrote on its console. A report of a bug there fails a
test, whatever its script said."""

import re

# What each line may hold that tells of a fault.
FAULTS = [re.compile(p) for p in (
    # the end
    r"Kernel panic - not syncing", r"\bOops\b", r"\bOops:",
    r"\bkernel BUG at\b", r"\bBUG:", r"^BUG ", r"\bBUG kmalloc",
    r"[Uu]nable to handle (kernel|page)", r"double fault",
    r"(?<!traps: )general protection fault(?! ip:)",
    r"^(int3|invalid opcode|stack segment|divide error|traps?:? int3): ",
    r"Fixing recursive fault", r"end Kernel panic", r"stack-protector",
    # warnings
    r"\bWARNING: ", r"\[ cut here \]", r"\[ ftrace bug \]", r"ftrace_bug",
    r"\bCall Trace:", r"\brefcount_t: ", r"\blist_(add|del) corruption",
    r"\bODEBUG:", r"kobject.*tried to ", r"sysfs: cannot create duplicate",
    r"remove_proc_entry: removing non-empty", r"Bad page (state|map)",
    r"VFS: Busy inodes", r"vmalloc: .*(overflow|error)",
    # who waits
    r"\bINFO: task .* blocked for more than", r"soft lockup", r"hard LOCKUP",
    r"\brcu: INFO: ", r"rcu_\w+.*(detected|self-detected).*stall",
    r"kthread starved for", r"tasks? refusing to freeze",
    r"workqueue lockup", r"unregister_netdevice: waiting",
    # locks and contexts
    r"scheduling while atomic",
    r"sleeping function called from invalid context",
    r"\bpossible (recursive|circular|irq) lock",
    r"inconsistent lock state", r"bad unlock balance", r"held lock freed",
    r"\bINFO: trying to register non-static key",
    r"\bINFO: lockdep is turned off", r"DEBUG_LOCKS_WARN_ON",
    r"suspicious RCU usage", r"lock held when returning to user space",
    r"exited with .* locks? held", r"Invalid wait context",
    # memory
    r"\bKASAN:", r"\bUBSAN:", r"\bKFENCE:", r"\bKCSAN:", r"\bKMSAN:",
    r"kmemleak: [1-9][0-9]* new suspected", r"unreferenced object 0x",
    r"Objects remaining in", r"Slab .*: No memory leak expected",
    r"still has objects", r"Poison overwritten", r"Redzone overwritten",
    # modules
    r"module .*(is being|was) force.?(un)?loaded",
)]

# Lines known to be no fault of anybody's here, whole and with the reason.
HARMLESS = [re.compile(p) for p in (
)]

_STAMP = re.compile(r"^(<\d+>)?(\[ *\d+\.\d+\](\[ *[CT]\d+\])? )?")


def plain(line):
    """A console line without its time and control characters."""
    line = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|[\r\x00]", "", line)
    return _STAMP.sub("", line, count=1).rstrip()


def faults(text):
    """The lines of a console log that tell of a fault, in order."""
    found = []
    for line in text.splitlines():
        line = plain(line)
        if any(f.search(line) for f in FAULTS) \
                and not any(h.fullmatch(line) for h in HARMLESS):
            found.append(line)
    return found


def panicked(text):
    return "Kernel panic - not syncing" in text


def excerpt(text, around=40):
    """The console from shortly before its first fault, or its end."""
    lines = [plain(line) for line in text.splitlines()]
    for i, line in enumerate(lines):
        if any(f.search(line) for f in FAULTS):
            return "\n".join(lines[max(0, i - 5):i + around])
    return "\n".join(lines[-around:])
