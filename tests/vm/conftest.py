# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Which kernels a test runs on: those of $KERNELS (names, or "all") in full,
of $SMOKE only what is marked smoke. Without either 6.1 in full and the others
as a smoke test. After $VM_END, if given (seconds of the epoch), no further
machine is used: what is left is skipped. A test with the fixture `vm` or
`system` runs on each; they are one machine for a file and kernel, anew for a
test marked fresh."""

import functools
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import kernels  # noqa: E402
import qemu  # noqa: E402
from cache import Unavailable  # noqa: E402
from vm import VM, drop_unused  # noqa: E402

END = float(os.environ.get("VM_END") or "inf")
_got = {}


@functools.lru_cache
def wanted():
    """[(series, in full)]. The same words each time: pytest makes a module's
    fixtures anew for a parameter that is only equal to the last one."""
    every = list(kernels.SERIES)
    full = (os.environ.get("KERNELS") or "").split()
    smoke = (os.environ.get("SMOKE") or "").split()
    if not full and not smoke:
        full, smoke = ["6.1"], [s for s in every if s != "6.1"]
    if "all" in full:
        full = every
    return [(s, True) for s in full] + [(s, False) for s in smoke
                                        if s not in full]


def pytest_generate_tests(metafunc):
    if "series" not in metafunc.fixturenames:
        return
    smoke = metafunc.definition.get_closest_marker("smoke")
    metafunc.parametrize(
        "series", [s for s, in_full in wanted() if in_full or smoke],
        scope="module")


def skip(series, why):
    """Told; but where everything is to be run, what is run in full must."""
    if os.environ.get("CI") == "true" and (series, True) in wanted():
        pytest.fail(f"kernel {series}: {why}")
    pytest.skip(f"kernel {series}: {' '.join(why.split())[:300]}")


def kernel_or_skip(series):
    if series not in _got:
        try:
            _got[series] = kernels.get(series)
        except Unavailable as e:
            _got[series] = str(e)
    if isinstance(_got[series], str):
        skip(series, _got[series])
    return _got[series]


def machine(series, kind, **how):
    try:
        qemu.version()
        return VM(kernel_or_skip(series), kind, **how)
    except Unavailable as e:
        return skip(series, str(e))


@pytest.fixture
def usual_seconds():
    return 400  # a cold start may be in it


@pytest.fixture(scope="module")
def kernel(series):
    return kernel_or_skip(series)


@pytest.fixture(scope="module")
def fast_machine(series):
    vm = machine(series, "fast")
    yield vm
    vm.close()


@pytest.fixture(scope="module")
def root_machine(series):
    vm = machine(series, "root")
    yield vm
    vm.close()


def _told(request, vm):
    if request.node.get_closest_marker("fresh"):
        faults = vm.stop()
        assert not faults, f"left by an earlier test: {faults}"
    return vm


@pytest.fixture
def in_full(series):
    """False where a smoke test is enough."""
    return (series, True) in wanted()


@pytest.fixture
def vm(request, fast_machine):
    """The bare machine of a kernel."""
    return _told(request, fast_machine)


@pytest.fixture
def system(request, root_machine):
    """The machine with the whole Debian system of a kernel."""
    return _told(request, root_machine)


def pytest_runtest_setup(item):
    if "series" in item.fixturenames and time.time() > END:
        pytest.skip("machines had their time (VM_MINUTES); make check-vm "
                    "takes as long as it needs")


def pytest_configure(config):
    for text in ("smoke: also on the kernels that are not run in full",
                 "fresh: on a machine that ran nothing before"):
        config.addinivalue_line("markers", text)


def pytest_sessionstart(session):
    drop_unused()


def pytest_collection_modifyitems(items):
    """A kernel after the other in each file: one machine at a time."""
    order = [s for s, _ in wanted()]

    def place(item):
        series = getattr(item, "callspec", None) \
            and item.callspec.params.get("series")
        return str(item.path), order.index(series) if series in order else -1

    items.sort(key=place)
