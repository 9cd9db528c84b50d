# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""A throw-away copy of this machine: its root as the lower layer of an
overlay whose upper one is a tmpfs, in mount and process namespaces of its
own. What is installed, started and removed there leaves no trace here, and
when its first process ends, at the latest after `life` seconds, the kernel
ends all others."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile

from suite import REPO, pid_stat, wait_for

ENV = ["env", "-i", "HOME=/root", "LC_ALL=C.UTF-8",
       "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

# /run is empty there: no systemd, `service` runs the scripts. The clone is a
# layer of its own, wherever it lies.
LAY = """
set -e
base=$1 repo=$2 life=$3
mount --make-rprivate /
mount -t tmpfs -o mode=755 splx-test "$base"
new=$base/new
mkdir "$new" "$base/up" "$base/work" "$base/up2" "$base/work2"
mount -t overlay -o "lowerdir=/,upperdir=$base/up,workdir=$base/work" \
    splx-test "$new"
for d in run tmp; do mount -t tmpfs -o mode=1777 splx-test "$new/$d"; done
chmod 755 "$new/run"
mkdir -p "$new$repo" "$new/srv/protected" "$new/run/lock"
mount -t overlay \
    -o "lowerdir=$repo,upperdir=$base/up2,workdir=$base/work2" \
    splx-test "$new$repo"
mount --rbind /dev "$new/dev"
mount --rbind /sys "$new/sys"
mount -t proc proc "$new/proc"
mount -t tmpfs -o size=64M,mode=1777 splx-test "$new/srv/protected"
mkdir "$new/run/layer"
mount --bind "$base/up" "$new/run/layer"
cd "$new"
pivot_root . mnt
exec chroot . sh -c '
    cd /
    umount -l /mnt
    sleep "$0" &
    wait $!' "$life" </dev/null >/dev/null 2>&1
"""


def children(pid):
    with contextlib.suppress(OSError):
        return [int(p) for p in pathlib.Path(
            f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Machine:
    def __init__(self, life=280):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="splx-machine-"))
        self._errors = open(self.base.with_suffix(".err"), "w+")
        self._unshare = subprocess.Popen(
            ["unshare", "-m", "-p", "--fork", "--kill-child", "sh", "-c", LAY,
             "lay", str(self.base), str(REPO), str(life)],
            stdin=subprocess.DEVNULL, stdout=self._errors,
            stderr=self._errors, cwd="/")
        self.init = None
        try:
            wait_for(self._laid, 20)
        except AssertionError:
            self.close()
            raise

    def _laid(self):
        """The first process there, once it is in its new root."""
        if self._unshare.poll() is not None:
            self._errors.seek(0)
            raise AssertionError("no throw-away root: " + self._errors.read())
        kids = children(self._unshare.pid)
        if not kids:
            return False
        self.init = kids[0]
        try:
            mounts = pathlib.Path(f"/proc/{self.init}/mounts").read_text()
        except OSError:
            return False
        points = [m.split()[1] for m in mounts.splitlines()]
        return "/srv/protected" in points and "/mnt" not in points

    def run(self, command, seconds=120, user=None):
        """(status, all output) of a shell's command, as root there or as
        another one, with an environment as `service` has it."""
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}",
                "--clear-groups"] if user else []
        # -r and not chroot: the kernel's paths are then those seen there
        with subprocess.Popen(
                ["nsenter", f"--target={self.init}", "-m", "-p", "-r", "-w",
                 "--", *ENV, *drop, "sh", "-c", command],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as p:
            try:
                out = p.communicate(timeout=seconds)[0]
            except BaseException:
                # What it started is its child to reap: as an orphan it were
                # process 1's, which may reap nothing, and the machine ends
                # only when all in it are reaped.
                for pid in children(p.pid):
                    os.kill(pid, signal.SIGKILL)
                raise
        return p.returncode, out.decode(errors="replace")

    def check(self, command, **kw):
        status, out = self.run(command, **kw)
        assert status == 0, f"{command}: {status}: {out}"
        return out

    def make(self, *words, **kw):
        return self.check("cd %s && make %s" % (
            shlex.quote(str(REPO)), " ".join(map(shlex.quote, words))), **kw)

    def write(self, path, data):
        """Closed by a process of the machine."""
        subprocess.run(
            ["nsenter", f"--target={self.init}", "-m", "-p", "-r", "-w", "--",
             "sh", "-c", f"cat >{shlex.quote(path)}"], input=data, check=True,
            timeout=30)

    def listing(self, *where):
        """path -> type, mode and owner of all that lies there."""
        out = self.check("find %s -xdev -printf '%%M %%u:%%g %%p\\n'"
                         % " ".join(where))
        return {line.split(" ", 2)[2]: line.split(" ", 2)[:2]
                for line in out.splitlines()}

    def new(self):
        """The same of what this machine has not, but for /run and /tmp."""
        layer = {p[len("/run/layer"):]: v
                 for p, v in self.listing("/run/layer").items()}
        return {p: v for p, v in layer.items()
                if p and not os.path.lexists(p)}

    def gone(self):
        """What this machine has and that one no more."""
        out = self.check("find /run/layer -xdev -type c")
        return [p[len("/run/layer"):] for p in out.splitlines()
                if os.path.lexists(p[len("/run/layer"):])]

    def close(self):
        self._unshare.kill()
        self._unshare.wait()
        if self.init:
            wait_for(lambda: (pid_stat(self.init) or "Z")[0] == "Z", 20)
        self._errors.close()
        self.base.with_suffix(".err").unlink(missing_ok=True)
        shutil.rmtree(self.base, ignore_errors=True)
