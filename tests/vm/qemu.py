# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""One QEMU process: its devices, its monitor, its console."""

import contextlib
import ctypes
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from cache import Unavailable

PROGRAM = "qemu-system-x86_64"
# A report on the console is read there; a panic ends the machine.
APPEND = ("console=ttyS0 panic=-1 oops=panic loglevel=5 printk.time=1 "
          "watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60")


_libc = ctypes.CDLL(None)


def _die_with_parent():
    """In the child: a test run that is killed leaves no machine behind."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Gone(Exception):
    """The machine ended or does not answer; the text says how."""


def version():
    path = shutil.which(PROGRAM)
    if not path:
        raise Unavailable("QEMU is not installed (qemu-system-x86)")
    return subprocess.run([path, "--version"], stdout=subprocess.PIPE,
                          text=True, check=True).stdout.splitlines()[0]


class Machine:
    """What a machine is: the same words start it cold, to be frozen, or
    from its frozen state."""

    def __init__(self, kernel, initrd, append="", memory=512, cpus=2,
                 disk=None, extra=()):
        self.kernel = kernel
        self.initrd = initrd
        self.append = f"{APPEND} {append}"
        self.memory = memory
        self.cpus = cpus
        self.disk = disk
        self.extra = list(extra)
        self.rtc = "utc"  # what its clock begins with

    # One thread for all processors: with more, QEMU before 8.1 may go on
    # running the breakpoint that stood where code is changed in place (it
    # looks at the code before it locks the page), and a processor hangs.
    def words(self):
        return [PROGRAM, "-nodefaults", "-no-user-config", "-display", "none",
                "-accel", "tcg,thread=single", "-cpu", "max", "-M", "pc",
                "-m", str(self.memory), "-smp", str(self.cpus),
                "-no-reboot", "-rtc", f"base={self.rtc}",
                "-kernel", str(self.kernel.image), "-initrd",
                str(self.initrd), "-append", self.append, *self.extra]

    def identity(self):
        """All that a frozen state depends on."""
        return " ".join([version(), *self.words(), str(self.disk),
                         pathlib.Path(__file__).read_text()])


class Qemu:
    """A running machine. shares: {tag: (folder, writable)}."""

    def __init__(self, machine, folder, shares, disk=None, snapshot=True,
                 frozen=None):
        self.folder = pathlib.Path(folder)
        self.console = self.folder / "console.log"
        self._buffer = b""
        self._monitor_buffer = b""
        words = machine.words()
        for tag, (path, writable) in shares.items():
            words += ["-fsdev", f"local,id={tag},path={path},"
                      "security_model=none,multidevs=remap"
                      + ("" if writable else ",readonly=on"),
                      "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        if disk:
            words += ["-drive", f"file={disk},if=virtio,discard=unmap,"
                      f"cache=unsafe,snapshot={'on' if snapshot else 'off'}"]
        agent, agent_end = socket.socketpair()
        monitor, monitor_end = socket.socketpair()
        words += ["-serial", f"file:{self.console}"]
        for name, s in (("agent", agent_end), ("qmp", monitor_end)):
            words += ["-chardev",
                      f"socket,id={name},fd={s.fileno()},server=off"]
        words += ["-serial", "chardev:agent",
                  "-mon", "chardev=qmp,mode=control"]
        if frozen:
            words += ["-incoming", f"exec:cat {frozen}"]
        self.console.write_bytes(b"")
        self._errors = open(self.folder / "qemu.log", "w+")
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=self._errors,
            stderr=self._errors, start_new_session=True,
            preexec_fn=_die_with_parent,
            pass_fds=(agent_end.fileno(), monitor_end.fileno()))
        agent_end.close()
        monitor_end.close()
        self._agent, self._monitor = agent, monitor
        try:
            self._qmp_read(30)  # its greeting
            self.qmp("qmp_capabilities")
            if frozen:
                self._until("paused", 60)
                self.qmp("cont")
        except BaseException:
            self.kill()
            raise

    # -- the monitor

    def _qmp_read(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self._monitor_buffer:
            self._monitor.settimeout(max(0.01, end - time.monotonic()))
            try:
                data = self._monitor.recv(65536)
            except OSError:
                raise Gone(f"QEMU's monitor is silent: {self.errors()}")
            if not data:
                raise Gone(f"QEMU ended: {self.errors()}")
            self._monitor_buffer += data
        line, self._monitor_buffer = self._monitor_buffer.split(b"\n", 1)
        return json.loads(line)

    def qmp(self, command, **arguments):
        order = {"execute": command}
        if arguments:
            order["arguments"] = arguments
        with contextlib.suppress(BrokenPipeError):
            self._monitor.sendall(json.dumps(order).encode() + b"\n")
        while True:
            answer = self._qmp_read(60)
            if "error" in answer:
                raise Gone(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def _until(self, status, seconds):
        end = time.monotonic() + seconds
        while self.qmp("query-status")["status"] != status:
            if time.monotonic() > end:
                raise Gone(f"the machine did not come to be {status}")
            time.sleep(0.02)

    def freeze(self, path):
        """Writes the machine's state to a file; it stays stopped."""
        self.qmp("stop")
        self.qmp("migrate", uri=f"exec:cat >{path}")
        while True:
            state = self.qmp("query-migrate").get("status")
            if state == "completed":
                return
            if state in ("failed", "cancelled"):
                raise Gone("the machine could not be frozen")
            time.sleep(0.05)

    # -- the agent

    def tell(self, line):
        try:
            self._agent.sendall(line.encode() + b"\n")
        except OSError as e:
            raise Gone(f"the agent is gone: {e}")

    def hear(self, seconds):
        """A line of the agent; None when the time is over, Gone when the
        machine is."""
        end = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._agent.settimeout(left)
            try:
                data = self._agent.recv(4096)
            except TimeoutError:
                return None
            except OSError as e:
                raise Gone(f"the agent is gone: {e}")
            if not data:
                raise Gone("the machine ended")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    # -- its end

    def errors(self):
        self._errors.flush()
        return (self.folder / "qemu.log").read_text(errors="replace").strip()

    def text(self):
        return self.console.read_bytes().decode(errors="replace")

    def wait(self, seconds):
        """Whether it ended of itself within so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return True
        return False

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for f in (self._agent, self._monitor, self._errors):
            f.close()
