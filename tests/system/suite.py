# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""A whole suite of its own for a test: private root, real processes, and one
tmpfs that it protects. Nothing else of the machine is ever held: Include
names that mount alone, and a watchdog process ends everything that is left
when a test takes too long or dies."""

import collections
import contextlib
import ctypes
import errno
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("SPLX_BUILD", "build")
SCAN_USER = 61184
PATIENCE = float(os.environ.get("SPLX_PATIENCE", 1))  # see tests/conftest.py
# With "khm" the same tests try the kernel module (tests/vm); it is loaded.
INTERCEPTOR = os.environ.get("SPLX_INTERCEPTOR", "fanotify")

# Never whole in a file of ours: put together when a test runs.
EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-"
         + b"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")
MARKER = b"SPLX-MARKER-" + b"7c1f09e3-d52b86a4-NOT-A-VIRUS"

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, fstype, flags=0, data=None):
    if _libc.mount(source.encode(), str(target).encode(), fstype.encode(),
                   flags, data.encode() if data else None):
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e), str(target))


def umount(target):
    _libc.umount2(str(target).encode(), 2)  # MNT_DETACH


def read_terminal(fd, seconds):
    """All that a program writes on its terminal until it ends, or until
    nothing comes for so long."""
    out = b""
    while select.select([fd], [], [], seconds)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    return out


def pid_stat(pid):
    """(state, parent, start time) of a process, None when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    rest = text.rsplit(")", 1)[1].split()
    return rest[0], int(rest[1]), int(rest[19])


def without_module(text):
    """What an init script said, but for the kernel module's lines: whether it
    is there depends on the machine."""
    return re.sub(r"^((Loading|Unloading) splx kernel module:"
                  r"|splxctl: the kernel module is not).*\n", "", text,
                  flags=re.MULTILINE)


def seconds(n):
    """So many for a setting; of a slow machine's."""
    return f"{round(n * PATIENCE * 1000)}ms"


def wait_for(what, seconds=10.0, step=0.05):
    """Waits until what() is true and returns its value."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(step)


def kill_all(processes):
    """Ends them all, though each that lives starts the others anew: they
    are frozen first."""
    def none_left():
        pids = processes()
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, sig)
        return not pids
    wait_for(none_left, 10)


class Suite:
    """One stage, one protected tmpfs. Settings are given before start()."""

    living = []

    def __init__(self, life=240, **settings):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="splx-", dir="/tmp"))
        self.root.chmod(0o755)
        self.dir = self.root / "protected"
        self.entity = None
        self._mounts = []
        self._log = None
        self.life = life
        self.inside = []  # words before what is started: a network namespace
        Suite.living.append(self)
        subprocess.run(["sh", "tests/build/stage.sh", str(self.root), BUILD],
                       cwd=REPO, check=True, stdin=subprocess.DEVNULL)
        self.mount_tmpfs(self.dir)
        self.settings = {
            "Include": [str(self.dir)],
            "ScanUser": str(SCAN_USER),
            "LogSyslog": "no",
            "ConsoleEnabled": "no",  # those who want it say so
            "VerdictTimeout": seconds(3),
        }
        if INTERCEPTOR != "fanotify":
            self.settings["Interceptor"] = INTERCEPTOR
        self.settings.update(settings)
        self.write_conf()
        self._watchdog = self._start_watchdog()

    # -- set up and tear down

    def mount_tmpfs(self, where, size="256M"):
        where = pathlib.Path(where)
        where.mkdir(parents=True, exist_ok=True)
        mount("splx-test", where, "tmpfs", 0, f"size={size},mode=1777")
        self._mounts.append(where)
        return where

    def _start_watchdog(self):
        """Its own session, so that it outlives a pytest that was killed."""
        script = (
            "import os, signal, sys, time, pathlib\n"
            f"root = {str(self.root)!r}\n"
            f"end = time.monotonic() + {self.life * PATIENCE}\n"
            f"parent = {os.getpid()}\n"
            "while time.monotonic() < end and os.path.exists(root) \\\n"
            "        and os.path.exists(f'/proc/{parent}'):\n"
            "    time.sleep(0.5)\n"
            "for sig in [signal.SIGSTOP, signal.SIGKILL] * 5:\n"
            "    for p in pathlib.Path('/proc').glob('[0-9]*'):\n"
            "        try:\n"
            "            if os.readlink(p / 'exe').startswith(root + '/'):\n"
            "                os.kill(int(p.name), sig)\n"
            "        except OSError:\n"
            "            pass\n"
            "    time.sleep(0.2)\n")
        return subprocess.Popen([sys.executable, "-c", script],
                                start_new_session=True,
                                stdin=subprocess.DEVNULL)

    def write_conf(self, **more):
        self.settings.update(more)
        lines = []
        for key, value in self.settings.items():
            if isinstance(value, (list, tuple)):
                items = ", ".join(json.dumps(str(v)) for v in value)
                lines.append(f"{key} = {{{items}}}")
            else:
                lines.append(f"{key} = {json.dumps(str(value))}")
        self.conf_file.write_text("\n".join(lines) + "\n")

    @property
    def conf_file(self):
        return self.root / "etc/splx/splx.conf"

    def start(self, wait=True):
        self._log = open(self.root / "entity.out", "ab")
        self.entity = subprocess.Popen(
            [*self.inside, str(self.root / "usr/lib/splx/entity"), "-R",
             str(self.root), "-f", "-a"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        """Until an infected file in the protected place is really refused."""
        probe = self.dir / f".probe-{os.getpid()}"

        def blocked():
            if self.entity and self.entity.poll() is not None:
                raise AssertionError("entity ended: " + self.output())
            with contextlib.suppress(OSError):
                probe.unlink()
            try:
                probe.write_bytes(MARKER)
                probe.read_bytes()
            except PermissionError:
                return True
            except FileNotFoundError:
                return True  # taken to quarantine already
            return False

        wait_for(blocked, seconds, 0.1)
        with contextlib.suppress(OSError):
            probe.unlink()

    def wait_armed(self, interceptor=INTERCEPTOR, seconds=30):
        """Where nothing is refused: until it says that it works."""
        wait_for(lambda: self.ctl("status", check=False).returncode < 2
                 and self.health().get("interceptor") == interceptor
                 and self.health()["antimalwareStatus"] == 0
                 or interceptor == "async"
                 and self.health().get("interceptor") == "async", seconds)

    def stop(self, seconds=30):
        if self.entity and self.entity.poll() is None:
            self.entity.terminate()
            self.entity.wait(seconds)
        status = self.entity.returncode if self.entity else None
        self.entity = None
        return status

    def close(self):
        """Ends whatever of this root still runs, by pid."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop(15)
        kill_all(self.processes)
        for m in reversed(self._mounts):
            umount(m)
        if self._log:
            self._log.close()
        Suite.living.remove(self)
        shutil.rmtree(self.root, ignore_errors=True)
        self._watchdog.kill()
        self._watchdog.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # -- looking at it

    def output(self):
        text = ""
        for f in (self.root / "entity.out",
                  self.root / "var/log/splx/splx.log"):
            with contextlib.suppress(OSError):
                text += f"--- {f.name}\n" + f.read_text(errors="replace")
        return text

    def processes(self):
        """Every living process whose program lies in this root."""
        pids = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                exe = os.readlink(p / "exe")
            except OSError:
                continue
            if exe.startswith(f"{self.root}/"):
                st = pid_stat(p.name)
                if st and st[0] != "Z":
                    pids.append(int(p.name))
        return sorted(pids)

    def titles(self):
        """pid -> what ps shows, of this root's processes."""
        out = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                raw = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                out[pid] = raw.replace(b"\0", b" ").strip().decode(
                    errors="replace")
        return out

    def pid_of(self, part):
        """The pid of: supervisor, core, master, generation."""
        def match(title):
            return {
                "supervisor": "entity" in title and ": core" not in title
                              and "--core" not in title,
                "core": "entity: core" in title or "--core" in title,
                "master": "vsapiapp: master" in title,
                "generation": "vsapiapp: generation" in title,
                "monitor": "splxnetmon: monitor" in title,
                "judge": "splxnetmon: judge" in title,
                "looker": "splxnetmon: looker" in title,
            }[part]
        found = [p for p, t in self.titles().items() if match(t)]
        return found[0] if found else None

    def workers(self, kind="front"):
        return [p for p, t in self.titles().items()
                if f"vsapiapp: {kind} worker" in t]

    def ctl(self, *args, check=True, seconds=60, env=None):
        r = subprocess.run([str(self.root / "bin/splxctl"), *map(str, args)],
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=seconds,
                           env={**os.environ, **env} if env else None)
        r.stdout = r.stdout.decode(errors="replace")
        r.stderr = r.stderr.decode(errors="replace")
        if check and r.returncode:
            raise AssertionError(
                f"splxctl {args}: {r.returncode}: {r.stdout}{r.stderr}")
        return r

    def json(self, *args, **kw):
        r = self.ctl(*args, "--output", "json", **kw)
        return json.loads(r.stdout)

    def health(self):
        return self.json("health", check=False)

    def counters(self):
        return self.json("statistics")["counters"]

    def events(self, kind="virus"):
        """Newest first; a column without a value reads as ''."""
        got = self.json("events", "list", "--kind=" + kind, "--limit=1000")
        return [collections.defaultdict(
            str, {k: v for k, v in e.items() if v is not None})
            for e in got["events"]]

    # -- files in the protected place

    def clean(self, name="clean.txt", data=b"nothing bad in here\n"):
        p = self.dir / name
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(data)
        return p

    def infected(self, name="bad.com", data=EICAR):
        """An infected file that was never closed after writing on the
        protected mount, so that only its opening can find it: it is written
        elsewhere on the same file system by a link to an open file."""
        p = self.dir / name
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(data)
        return p


def opens(path, flags=os.O_RDONLY):
    """errno of an open(2), 0 when it works."""
    try:
        os.close(os.open(path, flags))
        return 0
    except OSError as e:
        return e.errno


def denied(path, flags=os.O_RDONLY):
    return opens(path, flags) == errno.EPERM
