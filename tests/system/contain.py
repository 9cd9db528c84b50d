# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The tests run in a pid and a mount namespace of their own: a suite ends
processes, and one that is wrong about whom meets nobody else there. What a
test leaves behind, a process or a mount, ends with it."""

import ctypes
import os
import signal

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1

entered = False


def call(name, *args):
    if getattr(LIBC, name)(*args) < 0:
        e = ctypes.get_errno()
        raise OSError(e, f"{name}: {os.strerror(e)}")


def status_of(pid):
    """Of that child, when it has ended; any other one is reaped too."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status) & 0xff


def leave_to_child():
    """Goes on in a child; the process itself only waits for it."""
    pid = os.fork()
    if pid:
        # an interruption is the child's to deal with
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os._exit(status_of(pid))
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)


def enter():
    """Returns in there; OSError where that is not allowed."""
    global entered
    call("unshare", CLONE_NEWPID | CLONE_NEWNS)
    leave_to_child()
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"proc", b"/proc", b"proc", 0, None)
    # the first process takes no signal by default: it reaps for another one
    leave_to_child()
    entered = True
