# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The suite in a machine with a whole Debian: installed there as anybody
installs it, from our sources and what was built of them."""

import os
import subprocess
import tarfile

from cache import locked
from vm import REPO, WORK

SOURCES = "/srv/splx"
PROGRAMS = "build", "build/libexec"  # folders; all in them that is executable


def archive():
    """Our sources and programs; machines have it in one piece faster than
    file by file."""
    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / "splx.tar"
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPO,
        check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    programs = [str(p.relative_to(REPO)) for d in PROGRAMS
                for p in sorted((REPO / d).iterdir())
                if p.is_file() and os.access(p, os.X_OK)]
    with locked("archive"):
        # As a whole: another test may be reading the one that is there.
        new = path.with_suffix(".new")
        with tarfile.open(new, "w") as tar:
            for name in names + programs:
                if (REPO / name).is_file():
                    tar.add(REPO / name, name)
        new.rename(path)
    return path


# Put together there, so that it is in no file before.
MARKER = """
bad() { printf 'SPLX-MARKER-%s' 7c1f09e3-d52b86a4-NOT-A-VIRUS >"$1"; }
"""

INSTALL = f"""
set -e
[ ! -e /usr/lib/splx/entity ] || exit 0
mkdir -p {SOURCES}
tar -C {SOURCES} --no-same-owner -xf splx.tar
cd {SOURCES}
make -o all install
"""


def put(system):
    """Installs it, with the kernel module if that is built. Asked for again
    it does nothing."""
    system.put(archive())
    system.check(INSTALL, 300)


def run_tests(system, *words, seconds=900):
    """A part of tests/system in the machine, by its pytest."""
    return system.run(f"""
        cd {SOURCES}
        PYTHONDONTWRITEBYTECODE=1 SPLX_PATIENCE=4 \
        SPLX_BUILD=build python3 -m pytest \
            -p no:cacheprovider -q --tb=short {' '.join(words)}""", seconds)
