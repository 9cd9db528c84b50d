# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What is mounted later, wherever and by whoever, is protected too; what is
not covered is named with a reason."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest

from suite import EICAR, PATIENCE, denied, mount, opens, umount, wait_for

MS_BIND = 4096
MS_PRIVATE = 1 << 18
MS_REC = 16384


def blocks_at(where, name="bad.com"):
    """An infected file written there is refused, within a moment."""
    def refused():
        p = pathlib.Path(where) / name
        p.unlink(missing_ok=True)
        p.write_bytes(EICAR)
        return denied(p)
    return wait_for(refused, 5, 0.05)


def coverage(suite, point):
    return [c for c in suite.health()["coverage"] if c["point"] == str(point)]


def test_a_new_tmpfs_is_followed(shared):
    at = shared.dir / "new-tmpfs"
    at.mkdir()
    mount("later", at, "tmpfs", 0, "size=8M")
    try:
        assert blocks_at(at)
        assert wait_for(lambda: coverage(shared, at), 5)[0]["covered"]
    finally:
        umount(at)
    wait_for(lambda: not coverage(shared, at), 5)


def test_a_bind_mount_of_protected_files_is_protected_elsewhere(shared):
    src = shared.dir / "bind-src"
    src.mkdir()
    at = shared.root / "bind-target"
    at.mkdir()
    mount(str(src), at, "", MS_BIND)
    try:
        (src / "bad.com").write_bytes(EICAR)
        assert denied(at / "bad.com")
    finally:
        umount(at)


def test_an_overlay_is_followed(shared):
    for d in ("lower", "upper", "work", "merged"):
        (shared.dir / "ovl" / d).mkdir(parents=True)
    o = shared.dir / "ovl"
    (o / "lower/low.com").write_bytes(EICAR)
    (o / "lower/fine.txt").write_bytes(b"fine\n")
    mount("ovl", o / "merged", "overlay", 0,
          f"lowerdir={o}/lower,upperdir={o}/upper,workdir={o}/work")
    try:
        assert blocks_at(o / "merged")
        assert denied(o / "merged/low.com")
        assert (o / "merged/fine.txt").read_bytes() == b"fine\n"
    finally:
        umount(o / "merged")


@pytest.mark.parametrize("fstype", ["ext4", "xfs", "btrfs"])
def test_a_loop_mounted_file_system_is_followed(shared, fstype):
    mkfs = shutil.which(f"mkfs.{fstype}", path="/sbin:/usr/sbin:/bin:/usr/bin")
    if not mkfs:
        pytest.skip(f"no mkfs.{fstype} on this machine")
    img = shared.root / f"{fstype}.img"
    with open(img, "wb") as f:
        f.truncate((330 if fstype == "xfs" else 128) << 20)
    quiet = ["-q"] if fstype != "btrfs" else ["-q", "-m", "single"]
    subprocess.run([mkfs, *quiet, str(img)], check=True)
    at = shared.dir / f"loop-{fstype}"
    at.mkdir()
    r = subprocess.run(["mount", "-o", "loop", str(img), str(at)],
                       capture_output=True)
    if r.returncode:
        pytest.skip("loop mounts do not work here: "
                    + r.stderr.decode().strip())
    try:
        assert blocks_at(at)
        c = at / "fine.txt"
        c.write_bytes(b"fine")
        assert opens(c) == 0
    finally:
        # a worker may still be reading; a moment later it must be free
        wait_for(lambda: subprocess.run(["umount", str(at)],
                                        capture_output=True).returncode == 0,
                 5)
        img.unlink()


def test_a_mount_in_another_mount_namespace_is_followed(shared):
    at = shared.dir / "other-ns"
    at.mkdir()
    script = (
        "import os, sys, time, errno\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from suite import mount, EICAR\n"
        "at = sys.argv[1]\n"
        "mount('ns', at, 'tmpfs', 0, 'size=8M')\n"
        "end = time.monotonic() + 5\n"
        "while time.monotonic() < end:\n"
        "    open(at + '/bad', 'wb').write(EICAR)\n"
        "    try:\n"
        "        open(at + '/bad', 'rb').read()\n"
        "    except PermissionError:\n"
        "        sys.exit(0)\n"
        "    os.unlink(at + '/bad')\n"
        "    time.sleep(0.1)\n"
        "sys.exit(1)\n")
    r = subprocess.run(
        ["unshare", "--mount", "--propagation", "private",
         "/usr/bin/python3", "-c", script, str(at),
         str(pathlib.Path(__file__).parent)], timeout=30)
    assert r.returncode == 0
    # and outside nothing was mounted there
    assert not os.path.ismount(at)


def test_a_foreign_mount_cannot_pose_as_an_excluded_directory(shared):
    """Who may mount in a namespace of his own could give any file the path
    of an excluded directory there."""
    excluded, evil = shared.dir / "excluded", shared.dir / "evil"
    excluded.mkdir()
    evil.mkdir()
    (evil / "bad.com").write_bytes(EICAR)
    (excluded / "real.com").write_bytes(EICAR)
    shared.ctl("exclusion", "add", "directory", excluded)
    try:
        assert opens(excluded / "real.com") == 0
        r = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             'mount --bind "$0" "$1" && cat "$1/bad.com"', str(evil),
             str(excluded)], capture_output=True)
        assert r.returncode != 0 and EICAR not in r.stdout
        assert b"Operation not permitted" in r.stderr
    finally:
        shared.ctl("exclusion", "remove", "directory", excluded)


def test_uncovered_file_systems_are_named_with_a_reason(make_suite):
    s = make_suite(FirstAction="deny", ExcludeFsType=["ramfs"])
    s.start()
    at = s.dir / "ram"
    at.mkdir()
    mount("ram", at, "ramfs")
    try:
        c = wait_for(lambda: coverage(s, at), 5)[0]
        assert not c["covered"] and c["reason"]
        (at / "bad.com").write_bytes(EICAR)
        assert opens(at / "bad.com") == 0
    finally:
        umount(at)


def test_a_fuse_file_system_that_hangs_holds_nobody_else(shared):
    """Its daemon never answers; it is not covered unless asked for, and
    opens elsewhere go on."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no FUSE on this machine")
    at = shared.dir / "fuse"
    at.mkdir()
    fd = os.open("/dev/fuse", os.O_RDWR)
    try:
        mount("hang", at, "fuse", 0,
              f"fd={fd},rootmode=40000,user_id=0,group_id=0")
        time.sleep(1.5)
        start = time.monotonic()
        assert opens(shared.clean("beside-fuse.txt")) == 0
        assert denied(shared.infected("beside-fuse.com"))
        assert time.monotonic() - start < 3 * PATIENCE
        c = coverage(shared, at)
        assert c and not c[0]["covered"] and c[0]["reason"]
    finally:
        umount(at)
        os.close(fd)


def test_nothing_outside_include_is_held(shared):
    out = shared.root / "not-protected.com"
    out.write_bytes(EICAR)
    assert opens(out) == 0
    assert all(str(shared.dir) in c["point"]
               for c in shared.health()["coverage"] if c["covered"])
