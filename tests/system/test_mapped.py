# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Writes through a mapping: they leave no trace where the file lies in memory
or on an overlay, and what was known of it must not hold."""

import contextlib
import ctypes
import mmap
import os
import time

import pytest

from suite import (INTERCEPTOR, MARKER, denied, mount, opens, umount,
                   wait_for)

PAGE = 4096
USER = 61185
# Known to the kernel's marks, which root's own mappings get round (README).
OWNERS = [USER] if INTERCEPTOR == "fanotify" else [0, USER]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                       ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def opened_often(path):
    """Until all know it who would."""
    time.sleep(2.5)
    for _ in range(3):
        assert opens(path) == 0
        time.sleep(0.5)


@contextlib.contextmanager
def mapped(path):
    """A page of it to be written, and no descriptor: mmap.mmap() has one."""
    fd = os.open(path, os.O_RDWR)
    at = _libc.mmap(None, PAGE, mmap.PROT_READ | mmap.PROT_WRITE,
                    mmap.MAP_SHARED, fd, 0)
    os.close(fd)
    yield at
    _libc.munmap(at, PAGE)


@pytest.fixture
def page(make_suite):
    """A suite with a file of one page on its tmpfs."""
    def make(owner, **settings):
        s = make_suite(FirstAction="deny", **settings).start()
        p = s.clean("mapped.txt", b"x" * PAGE)
        os.chown(p, owner, owner)
        return p
    return make


@pytest.mark.parametrize("owner", OWNERS)
def test_in_memory_it_voids_what_was_known(page, owner):
    p = page(owner, RealtimeScan="2")
    opened_often(p)
    with mapped(p) as at:
        assert ctypes.string_at(at, 1) == b"x"  # not the first access
        ctypes.memmove(at, MARKER, len(MARKER))
    assert denied(p)


@pytest.mark.parametrize("owner", OWNERS)
def test_while_it_is_mapped_nothing_is_known(page, owner):
    p = page(owner, RealtimeScan="2")
    with mapped(p) as at:
        ctypes.memmove(at, b"y", 1)
        opened_often(p)
        ctypes.memmove(at, MARKER, len(MARKER))
        assert denied(p)


def test_roots_own_is_examined_when_it_is_let_go(page):
    p = page(0)
    opened_often(p)
    with mapped(p) as at:
        ctypes.memmove(at, MARKER, len(MARKER))
    wait_for(lambda: denied(p), 10)


@pytest.mark.parametrize("owner", OWNERS)
def test_a_mapping_of_an_overlays_file_is_a_writer(make_suite, owner):
    """It holds the file below alone."""
    s = make_suite(FirstAction="deny", RealtimeScan="2")
    for name in ("low", "up", "work", "merged"):
        (s.dir / name).mkdir()
    mount("ovl", s.dir / "merged", "overlay", 0,
          f"lowerdir={s.dir}/low,upperdir={s.dir}/up,workdir={s.dir}/work")
    try:
        p = s.clean("merged/mapped.txt", b"x" * PAGE)
        os.chown(p, owner, owner)
        s.start()
        with mapped(p) as at:
            ctypes.memmove(at, b"y", 1)
            opened_often(p)
            ctypes.memmove(at, MARKER, len(MARKER))
            assert denied(p)
    finally:
        umount(s.dir / "merged")
