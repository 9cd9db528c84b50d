# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Databases that ClamAV signed, small ones: test-1.cvd … test-6.cvd and the
differences between them, test-2.cdiff …. They are test files of ClamAV's
sources, which come from Debian's source package, into the cache of the virtual
machines; and what somebody could make of them."""

import functools
import gzip
import io
import re
import sys
import tarfile

from suite import REPO

sys.path.insert(0, str(REPO / "tests/vm"))

from cache import Unavailable, digest, made  # noqa: E402
from packages import Sources, codename  # noqa: E402

WANTED = re.compile(r"unit_tests/input/(bytecode_sigs/bytecode\.cvd|"
                    r"freshclam_testfiles/test-\d\.(cvd|cdiff))")


@functools.lru_cache
def files():
    """The folder with them; Unavailable says why there is none."""
    apt = Sources(codename(), codename() + "-security")
    apt.update()
    versions = apt.versions("clamav")
    if not versions:
        raise Unavailable("no source package of clamav")

    def fetch(folder):
        folder.mkdir()
        apt.fetch("clamav", folder)
        archive = next(folder.glob("*.orig.tar.*"))
        with tarfile.open(archive) as tar:
            for m in tar:
                name = m.name.partition("/")[2]
                if m.isfile() and WANTED.fullmatch(name):
                    (folder / name.rpartition("/")[2]).write_bytes(
                        tar.extractfile(m).read())
        for f in folder.iterdir():
            if f.suffix not in (".cvd", ".cdiff"):
                f.unlink()
        if len(list(folder.iterdir())) < 12:
            raise Unavailable("the test databases are not in the sources")

    return made("clamav", digest(*versions, WANTED.pattern), fetch)


def database(version):
    return (files() / f"test-{version}.cvd").read_bytes()


def published():
    """One of ClamAV's own, bytecode.cvd, from long ago."""
    return (files() / "bytecode.cvd").read_bytes()


def difference(version):
    return (files() / f"test-{version}.cdiff").read_bytes()


def flipped(data, offset):
    """With one bit changed."""
    data = bytearray(data)
    data[offset] ^= 1
    return bytes(data)


def field(data, number):
    """Where a field of the header begins."""
    return len(b":".join(data[:512].split(b":")[:number])) + 1


def members(data):
    """[(name, content)] of a database."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data[512:]))) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar]


def cld(data, contents, packed=False):
    """The header of data with other contents, as differences leave it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w",
                      format=tarfile.USTAR_FORMAT) as tar:
        for name, content in contents:
            m = tarfile.TarInfo(name)
            m.size = len(content)
            tar.addfile(m, io.BytesIO(content))
    body = out.getvalue()
    return data[:512] + (gzip.compress(body) if packed else body)
