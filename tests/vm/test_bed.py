# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The bed itself: each kernel boots, scripts run, and what goes wrong inside
is never taken for success."""

import os
import shutil
import subprocess
import sys
import time

import pytest

import qemu
from vm import PANIC, REPO, SILENT, TIMEOUT, VM

pytestmark = pytest.mark.seconds(600)


@pytest.mark.smoke
def test_it_is_the_kernel_that_was_asked_for(vm, kernel):
    result = vm.check("uname -r; nproc; cat /proc/1/comm")
    assert result.out.split()[:2] == [kernel.version, "2"]
    assert kernel.series in ("new", "kasan") \
        or kernel.version.startswith(kernel.series + ".")


@pytest.mark.smoke
def test_a_module_is_built_loaded_and_removed(vm):
    vm.put(vm.kernel_module("tests/vm/toy"))
    out = vm.check("insmod ./toy.ko; lsmod; rmmod toy; "
                   "test ! -e /proc/toy").out
    assert "toy" in out


def test_the_status_is_that_of_the_script(vm):
    assert vm.run("echo out; echo err >&2; exit 7").check(7).out \
        == "out\nerr\n"
    assert vm.run("true").status == 0


def test_a_script_that_takes_too_long_ends_with_124(vm):
    start = time.monotonic()
    result = vm.run("echo begun; sleep 100", seconds=4)
    assert result.status == TIMEOUT and result.out.startswith("begun\n")
    assert time.monotonic() - start < 60
    vm.check("true")


def test_a_machine_that_does_not_answer_ends_with_126(vm, monkeypatch):
    monkeypatch.setattr(qemu.Qemu, "hear", lambda self, seconds: None)
    vm.stop()
    assert vm.run("true").status == SILENT


def test_the_time_is_that_of_the_host(vm):
    now = int(vm.check("date +%s").out)
    assert abs(time.time() - now) < 30


def test_the_repository_is_there_read_only(vm):
    vm.check("test -e /src/tests/vm/vm.py && ! touch /src/x")


@pytest.mark.fresh
def test_what_one_script_leaves_the_next_one_finds(vm):
    vm.check("echo kept >/tmp/left")
    assert vm.check("cat /tmp/left").out == "kept\n"
    assert vm.stop() == []
    vm.check("test ! -e /tmp/left")


def test_file_systems_are_loaded_when_asked_for(vm):
    vm.check("""set -e
        mkdir -p /tmp/o/l /tmp/o/u /tmp/o/w /tmp/o/m
        mount -t overlay -o lowerdir=/tmp/o/l,upperdir=/tmp/o/u,workdir=/tmp/o/w \
            overlay /tmp/o/m
        touch /tmp/o/m/new && test -e /tmp/o/u/new
        umount /tmp/o/m""")


# -- reports on the console fail a script that is content with itself

@pytest.mark.smoke
def test_a_panic_fails_with_125(vm):
    result = vm.run("echo c >/proc/sysrq-trigger; sleep 30; exit 0")
    assert result.status == PANIC
    assert any("sysrq triggered crash" in f for f in result.faults)
    with pytest.raises(AssertionError, match="sysrq triggered crash"):
        result.check(PANIC)
    vm.check("true")  # on a new machine


def wrong(vm, what, seconds=60):
    vm.put(vm.kernel_module("tests/vm/toy"))
    return vm.run(f"insmod ./toy.ko && echo {what} >/proc/toy; "
                  "rmmod toy", seconds)


@pytest.mark.smoke
def test_a_warning_fails_a_script_that_succeeds(vm):
    result = wrong(vm, "warn")
    assert result.status == 0
    assert any(f.startswith("WARNING: ") for f in result.faults)
    with pytest.raises(AssertionError, match="cut here"):
        result.check()


def test_an_oops_ends_the_machine(vm):
    result = wrong(vm, "null")
    assert result.status == PANIC
    assert any("NULL pointer" in f for f in result.faults)


def test_a_sleep_with_preemption_off_is_a_fault(vm, series):
    if series == "5.10":
        pytest.skip("Debian's 5.10 is built without counting preemption")
    result = wrong(vm, "atomic")
    assert any("scheduling while atomic" in f for f in result.faults)


def test_a_hung_task_is_a_fault(vm):
    assert vm.check("cat /proc/sys/kernel/hung_task_timeout_secs").out \
        == "20\n"
    vm.run("echo 4 >/proc/sys/kernel/hung_task_timeout_secs")
    result = wrong(vm, "hang")
    assert result.status == 0
    assert any("blocked for more than" in f for f in result.faults)


def test_a_fault_after_the_last_script_is_told_at_the_end(vm, kernel):
    own = VM(kernel)
    own.put(own.kernel_module("tests/vm/toy"))
    own.check("insmod ./toy.ko; (sleep 3; echo warn >/proc/toy) "
              "</dev/null >/dev/null 2>&1 &")
    time.sleep(8)
    with pytest.raises(AssertionError, match="after the last run"):
        own.close()
    own.kill()


# -- speed

@pytest.mark.smoke
def test_a_warm_machine_is_ready_in_less_than_20_seconds(vm, kernel):
    vm.check("true")  # so that its frozen state is there
    own = VM(kernel)
    try:
        start = time.monotonic()
        own.start().check("true")
        took = time.monotonic() - start
    finally:
        own.kill()
    assert took < 20


def test_a_boot_that_fails_before_user_space_is_tried_again(
        kernel, monkeypatch, capsys):
    own = VM(kernel, frozen=False)
    real, tries = qemu.Qemu, []

    def failing(machine, *args, **how):
        tries.append(1)
        found = real(machine, *args, **how)
        if len(tries) == 1:
            found.process.kill()
        return found

    monkeypatch.setattr(qemu, "Qemu", failing)
    try:
        own.start().check("true")
    finally:
        own.kill()
    assert len(tries) == 2 and "; again" in capsys.readouterr().err


def test_a_boot_that_fails_in_user_space_is_not_tried_again(
        kernel, monkeypatch):
    own = VM(kernel, frozen=False, append="init=/none rdinit=/none")
    tries = []
    real = qemu.Qemu
    monkeypatch.setattr(qemu, "Qemu",
                        lambda *a, **h: tries.append(1) or real(*a, **h))
    monkeypatch.setattr(qemu.Qemu if False else real, "text",
                        lambda self: "bed: user space\nbroken")
    try:
        with pytest.raises(qemu.Gone, match="does not boot"):
            own.start()
    finally:
        own.kill()
    assert len(tries) == 1


def test_a_run_that_is_killed_leaves_no_machine(kernel):
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "import kernels, time, vm\n"
            "m = vm.VM(kernels.get(sys.argv[2])).start()\n"
            "print(m._qemu.process.pid, m.folder, flush=True)\n"
            "time.sleep(100)\n")
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(REPO / "tests/vm"), kernel.series],
        stdout=subprocess.PIPE, text=True)
    try:
        pid, folder = run.stdout.readline().split()
        assert os.path.exists(f"/proc/{pid}")
        run.kill()
        run.wait()
        end = time.monotonic() + 10
        while os.path.exists(f"/proc/{pid}/cmdline") \
                and open(f"/proc/{pid}/cmdline").read():
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        run.kill()
    shutil.rmtree(folder)
