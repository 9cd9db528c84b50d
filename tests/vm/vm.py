#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""A virtual machine for tests. By hand:

  vm.py run [-k SERIES] [-r] [-t SECONDS] [-m SRC] SCRIPT [FILE...]

boots kernel SERIES (5.10, 6.1, 6.12, new; 6.1 when not said), runs SCRIPT in
it, prints what it said and ends with its status. -r: the whole system with
init scripts and Python instead of a bare one with busybox. -m SRC: builds
the kernel module in the folder SRC for that kernel and puts it beside the
script. The script runs in its own folder with the FILEs, in /job; the
repository is /src, read-only, the test programs are in /src/build/tests/vm.

  sh:      /usr/bin/python3 tests/vm/vm.py run -k 6.12 -m khm my.sh
  my.sh:   insmod ./splxmod.ko && cat /proc/splx/status

In a test (conftest.py gives `vm`, one machine for all tests of a file and
kernel, started anew after one that broke it):

  def test_it(vm):
      vm.put(vm.kernel_module("khm"))
      vm.check("insmod ./splxmod.ko; ...", seconds=30)

Status: the script's own; 124 it took too long, 125 the kernel panicked, 126
the machine did not answer in time, 127 it ended without a status."""

import argparse
import datetime
import pathlib
import shutil
import sys
import tempfile
import time

import cache
import initrd
import judge
import kernels
import qemu
from cache import Unavailable, digest, made, say

REPO = pathlib.Path(__file__).resolve().parents[2]
WORK = REPO / "build/vm"
PROGRAMS = "/src/build/tests/vm"  # of prog/, as the machines see them
TIMEOUT, PANIC, SILENT, NO_STATUS = 124, 125, 126, 127
BOOT = 180  # seconds; a boot takes 10 to 60, more on a busy machine
TRIES = 3


def drop_unused():
    """Removes what an earlier run left behind that was killed."""
    for left in WORK.glob("*-*-*/job"):
        if time.time() - left.stat().st_mtime > 6 * 3600:
            shutil.rmtree(left.parent, ignore_errors=True)


class Result:
    """What a script did: status, out, the console's part, its faults."""

    def __init__(self, status, out, console):
        self.status = status
        self.out = out
        self.console = console
        self.faults = judge.faults(console)

    def __str__(self):
        text = f"status {self.status}\n{self.out[-6000:]}"
        if self.faults or self.status in (PANIC, SILENT, NO_STATUS):
            text += ("\n-- console: " + "; ".join(self.faults[:5]) + "\n"
                     + judge.excerpt(self.console))
        return text

    def check(self, status=0):
        assert not self.faults, f"the kernel reports a fault: {self}"
        assert self.status == status, f"expected status {status}: {self}"
        return self


class VM:
    """kind "fast" is busybox in memory, "root" a Debian with SysV init.
    frozen: start from a state frozen after the boot. append: for the
    kernel's command line. keep: a disk of its own that lasts over boots,
    each of them a cold one. disk: an image to begin with that is not the
    usual one. ahead: seconds that its clock is before ours."""

    def __init__(self, kernel, kind="fast", frozen=True, append="",
                 memory=None, runlevel=2, keep=False, disk=None):
        self.kind = kind
        self.frozen = frozen and not keep
        self.keep = keep
        self.ahead = 0
        self._qemu = None
        self._files = {}
        self._runs = 0
        self._judged = 0
        if kind == "root":
            import root
            self._disk = disk or root.get()
            self._append = f"bed=root,{runlevel} {append}"
        else:
            self._disk = None
            self._append = f"bed=fast {append}"
        self._memory = memory or (1536 if self._disk else 512)
        self.use(kernel)
        WORK.mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(
            prefix=f"{kernel.series}-{kind}-", dir=WORK))
        self.folder.chmod(0o755)
        (self.folder / "job").mkdir()

    def use(self, kernel):
        """From its next start on it boots this kernel, with the same disk."""
        append, memory = self._append, self._memory
        if kernel.series == "kasan":
            memory += 1024
            # A method of ACPI takes half a minute there, and is given up.
            append = f"acpi=noirq {append}"
        self.kernel = kernel
        self.machine = qemu.Machine(kernel, initrd.get(kernel), append,
                                    memory=memory, disk=self._disk)

    # -- start and end

    def _shares(self, folder):
        (folder / "job").mkdir(exist_ok=True)
        return {"job": (folder / "job", True), "src": (REPO, False),
                "modules": (self.kernel.modules.resolve(), False)}

    def _boot(self, folder, **how):
        """A boot may fail before user space (QEMU's emulation of text
        patching): told, and tried again."""
        for last in [False] * (TRIES - 1) + [True]:
            machine = qemu.Qemu(self.machine, folder, self._shares(folder),
                                **how)
            why = ""
            try:
                if machine.hear(BOOT) == "ready":
                    return machine
                why = "no answer"
            except qemu.Gone as e:
                why = str(e)
            text = machine.text()
            machine.kill()
            if last or "bed: user space" in text:
                raise qemu.Gone(f"the machine does not boot: {why}\n"
                                + judge.excerpt(text))
            say(f"kernel {self.kernel.version} did not come to user space "
                f"({why}); again")

    def _overlay(self, path):
        cache.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
                  "-b", self.machine.disk.resolve(), path)
        return path

    def _freeze(self, folder):
        folder.mkdir()
        disk = None
        if self.machine.disk:
            disk = self._overlay(folder / "disk.qcow2")
        machine = self._boot(folder, disk=disk, snapshot=False)
        found = judge.faults(machine.text())
        if found:
            machine.kill()
            raise qemu.Gone("the kernel reports a fault when it boots: "
                            + "; ".join(found))
        try:
            machine.freeze(folder / "state")
        finally:
            machine.kill()
        shutil.rmtree(folder / "job")

    def _own_disk(self):
        path = self.folder / "disk.qcow2"
        return path if path.exists() else self._overlay(path)

    def start(self):
        begin = time.monotonic()
        now = datetime.datetime.fromtimestamp(time.time() + self.ahead,
                                              datetime.timezone.utc)
        self.machine.rtc = f"{now:%Y-%m-%dT%H:%M:%S}" if self.ahead else "utc"
        if self.keep:
            self._qemu = self._boot(self.folder, disk=self._own_disk(),
                                    snapshot=False)
        elif self.frozen:
            name = f"{self.kernel.version}-{self.kind}-" \
                + digest(self.machine.identity())
            ice = made("frozen", name, self._freeze)
            disk = ice / "disk.qcow2"
            self._qemu = qemu.Qemu(
                self.machine, self.folder, self._shares(self.folder),
                disk=disk if disk.exists() else None, frozen=ice / "state")
        else:
            self._qemu = self._boot(self.folder, disk=self.machine.disk)
        self._judged = 0
        self.start_seconds = time.monotonic() - begin
        return self

    def stop(self):
        """Switches it off; the console's faults since the last run."""
        if not self._qemu:
            return []
        machine, self._qemu = self._qemu, None
        try:
            machine.tell("off")
            if not machine.wait(60):
                say("the machine does not switch itself off")
        except qemu.Gone:
            pass
        machine.kill()
        return judge.faults(machine.text()[self._judged:])

    def shutdown(self, seconds=300):
        """Ends it as an administrator does, with all that init scripts stop;
        what the console says from then on."""
        if not self._qemu:
            self.start()
        machine, self._qemu = self._qemu, None
        machine.tell("shutdown")
        ended = machine.wait(seconds)
        machine.kill()
        text = machine.text()[self._judged:]
        assert ended, f"it does not shut down: {judge.excerpt(text)}"
        assert not judge.faults(text), judge.excerpt(text)
        return text

    def close(self):
        """Ends it and removes its folder, unless the console holds a fault
        that no run was told of."""
        found = self.stop()
        if found:
            raise AssertionError(
                "the kernel reports a fault after the last run: "
                + "; ".join(found) + f"\n(console in {self.folder})")
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        if self._qemu:
            self._qemu.kill()
            self._qemu = None
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what runs there

    def kernel_module(self, source):
        """The path of the .ko built for this kernel from a folder."""
        source = REPO / source
        out = WORK / f"module-{source.name}-{self.kernel.version}"
        with cache.locked(f"module-{digest(str(out))}"):
            self.kernel.module(source, out)
        built = sorted(out.glob("*.ko"))
        assert built, f"{source} makes no .ko"
        return built[0]

    def put(self, path, name=None):
        """From now on the file lies beside every script."""
        path = pathlib.Path(path)
        self._files[name or path.name] = path

    def run(self, script, seconds=60):
        """Runs a script (text, or a path), for so long at most. A machine
        that is not running, or that broke, is started anew."""
        if not self._qemu:
            self.start()
        self._runs += 1
        name = f"run{self._runs}"
        job = self.folder / "job" / name
        job.mkdir()
        for file, path in self._files.items():
            shutil.copy2(path, job / file)
        if isinstance(script, pathlib.Path):
            script = script.read_text()
        (job / "run.sh").write_text(script)
        status = self._order(name, seconds)
        text = self._qemu.text()
        console, self._judged = text[self._judged:], len(text)
        if judge.panicked(console):
            status = PANIC
        out = job / "out"
        result = Result(
            status, out.read_bytes().decode(errors="replace")
            if out.exists() else "", console)
        if status in (TIMEOUT, PANIC, SILENT, NO_STATUS) or result.faults:
            self._drop()
        return result

    def _order(self, name, seconds):
        try:
            self._qemu.tell(f"run {name} {seconds} "
                            f"{time.time() + self.ahead:.0f}")
            # The agent ends the script; a busy host may delay it.
            answer = self._qemu.hear(seconds * 1.5 + 60)
        except qemu.Gone:
            self._qemu.wait(10)
            return NO_STATUS
        time.sleep(0.1)  # for what the kernel still writes
        if answer is None:
            return SILENT
        return int(answer.split()[1])

    def _drop(self):
        machine, self._qemu = self._qemu, None
        machine.kill()

    def check(self, script, seconds=60, status=0):
        """run(), and the status and the console have to be right; else who
        comes next has a machine that is fresh."""
        result = self.run(script, seconds)
        if result.status != status and self._qemu:
            self._drop()
        return result.check(status)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("verb", choices=["run"])
    p.add_argument("-k", dest="series", default="6.1")
    p.add_argument("-r", dest="root", action="store_true")
    p.add_argument("-t", dest="seconds", type=int, default=60)
    p.add_argument("-m", dest="module")
    p.add_argument("-c", dest="cold", action="store_true")
    p.add_argument("script", type=pathlib.Path)
    p.add_argument("files", nargs="*", type=pathlib.Path)
    args = p.parse_args()
    vm = VM(kernels.get(args.series), "root" if args.root else "fast",
            frozen=not args.cold)
    try:
        for f in args.files:
            vm.put(f)
        if args.module:
            vm.put(vm.kernel_module(args.module))
        vm.start()
        say(f"ready after {vm.start_seconds:.1f} s")
        result = vm.run(args.script, args.seconds)
        sys.stdout.write(result.out)
        late = vm.stop()
        for line in result.faults + late:
            say(f"FAULT: {line}")
        if result.faults or result.status >= TIMEOUT:
            say("console:\n" + judge.excerpt(result.console))
        return result.status or (1 if result.faults or late else 0)
    finally:
        vm.kill()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Unavailable, qemu.Gone, RuntimeError) as e:
        sys.exit(f"vm.py: {e}")
