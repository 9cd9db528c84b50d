# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What the virtual machines are made of lies outside the repository, in
$SPLX_VM_CACHE: kernels, root images, frozen machines. Each thing there is a
file or folder that is made in a place aside and renamed when it is whole, by
one process at a time."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

CACHE = pathlib.Path(os.environ.get("SPLX_VM_CACHE") or "/var/cache/splx-vm")
# Seconds after which what nobody used is removed; frozen machines are many.
UNUSED = {"frozen": 86400}
UNUSED_ELSE = 14 * 86400


class Unavailable(Exception):
    """Something that a test needs cannot be had here; the text says why."""


def say(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


def run(*command, **how):
    """The output of a command; its errors are in the exception's text."""
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **how)
    if done.returncode:
        words = " ".join(str(c) for c in command)
        raise Unavailable(f"{words[:200]}: status {done.returncode}: "
                          f"{(done.stderr or done.stdout)[-2000:].strip()}")
    return done.stdout


def digest(*parts):
    """A short name for contents: texts, or files by their path."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, pathlib.Path):
            h.update(part.read_bytes())
        else:
            h.update(str(part).encode())
        h.update(b"\0")
    return h.hexdigest()[:12]


@contextlib.contextmanager
def locked(name):
    """One process at a time; others wait here."""
    folder = CACHE / "lock"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def made(kind, name, make):
    """The path CACHE/kind/name; make(path) makes it aside when it is not
    there. Of the same kind, what was not used for long is removed then."""
    path = CACHE / kind / name
    if not path.exists():
        with locked(f"{kind}-{name}"):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                for left in path.parent.glob(f".{name}.*"):
                    remove(left)
                aside = path.parent / f".{name}.{os.getpid()}"
                start = time.monotonic()
                say(f"making {kind}/{name}")
                try:
                    make(aside)
                    aside.rename(path)
                except BaseException:
                    remove(aside)
                    raise
                say(f"made {kind}/{name} in {time.monotonic() - start:.0f} s")
                _prune(path)
    os.utime(path)
    return path


def _prune(new):
    limit = UNUSED.get(new.parent.name, UNUSED_ELSE)
    for other in new.parent.iterdir():
        if other != new and not other.name.startswith(".") \
                and not other.is_symlink() \
                and time.time() - other.stat().st_mtime > limit:
            say(f"removing {other.name}, long unused")
            remove(other)
