# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""axe-core, which judges how well a page can be used by everybody. It comes
from npm, of one version with one content, into a cache outside the repository
($SPLX_AXE_CACHE); it is in nothing that is installed."""

import functools
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import pytest

VERSION = "4.10.2"
SHA256 = "9ea2d2d6917da998122bdacfd3b473e31ead53f4b87146c716a12edf89158100"
CACHE = pathlib.Path(os.environ.get("SPLX_AXE_CACHE")
                     or "/var/cache/splx-browser")


def fetched(path):
    """None, or why it could not be."""
    npm = shutil.which("npm")
    if not npm:
        return "npm is not installed"
    with tempfile.TemporaryDirectory(prefix="splx-axe-") as d:
        try:
            r = subprocess.run(
                [npm, "pack", "--silent", f"axe-core@{VERSION}"], cwd=d,
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=90)
        except subprocess.TimeoutExpired:
            return "the registry does not answer"
        got = list(pathlib.Path(d).glob("*.tgz"))
        if r.returncode or len(got) != 1:
            return "npm: " + (r.stderr or r.stdout).strip()[-200:]
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}")
        shutil.copyfile(got[0], aside)
        aside.rename(path)
    return None


@functools.lru_cache
def source():
    """The script's text; the test is skipped where there is none."""
    path = CACHE / f"axe-core-{VERSION}.tgz"
    why = None if path.exists() else fetched(path)
    if why:
        pytest.skip(f"no axe-core: {why}")
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256, \
        f"{path} is not what it should be: remove it"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.extractfile("package/axe.min.js").read().decode()


def judge(browser):
    """What is serious or critical on the page that is shown, a line each."""
    browser.run(source())
    found = browser.driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ["violations"] }).then(
            (r) => done(r.violations), (e) => done(String(e)));""")
    assert isinstance(found, list), found
    return [f"{v['id']} ({v['impact']}): {v['help']}: "
            f"{n['html'][:160]}: {(n['any'] or n['all'] or n['none'])[0]['message']}"
            for v in found if v["impact"] in ("serious", "critical")
            for n in v["nodes"]]
