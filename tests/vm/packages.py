# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Debian packages of other suites than the machine's, from the archives the
machine itself uses, by an apt configuration of our own. Nothing of the
machine's apt or dpkg is read but its settings, and nothing is changed."""

import functools
import os
import re
import subprocess
import time

from cache import CACHE, Unavailable, digest, locked, made, run, say

FRESH = 7 * 86400  # seconds a list of packages is good for
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def codename():
    text = open("/etc/os-release").read()
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", text, re.M)
    if not found:
        raise Unavailable("this is no Debian release: no VERSION_CODENAME")
    return found.group(1)


@functools.lru_cache
def archives():
    """{suite: URI} of the Debian archives that the machine uses."""
    found = {}
    for info in ([], ["--no-release-info"]):
        text = run("apt-get", "indextargets", *info, "--format",
                   "$(REPO_URI)|$(RELEASE)|$(ORIGIN)", "Created-By: Packages")
        for line in text.splitlines():
            uri, suite, origin = line.split("|")
            if info or origin == "Debian":
                found.setdefault(suite, uri)
        if codename() in found:
            return found
    raise Unavailable("apt knows no Debian archive: apt-get update")


def source(suite, kind="deb"):
    """The line of sources.list for a suite, also one of another release."""
    part = suite.partition("-")[2]
    security = part == "security"
    here = codename() + ("-security" if security else "")
    if here not in archives():
        raise Unavailable(f"the machine's apt has no {here}")
    return f"{kind} [signed-by={KEYRING}] {archives()[here]} {suite} main"


@functools.lru_cache
def acquire_options():
    """How the machine's apt reaches its archives (proxy, checks)."""
    lines = run("apt-config", "dump").splitlines()
    return [line for line in lines if line.startswith("Acquire::")
            and not re.match(r"Acquire::(Changelogs|Languages|IndexTargets)",
                             line)]


class Apt:
    """The packages of some suites."""
    kind = "deb"

    def __init__(self, *suites):
        self.suites = suites
        self.name = "+".join(suites)
        if self.kind != "deb":
            self.name = f"{self.kind}-{self.name}"
        self.dir = CACHE / "apt" / self.name
        self.config = self.dir / "apt.conf"

    def _write(self):
        for d in ("etc/apt.conf.d", "etc/sources.list.d",
                  "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial",
                  "cache/archives/partial", "log"):
            (self.dir / d).mkdir(parents=True, exist_ok=True)
        (self.dir / "state/status").touch()
        lines = acquire_options() + [
            f'Dir::State "{self.dir}/state/";',
            f'Dir::State::status "{self.dir}/state/status";',
            f'Dir::Cache "{self.dir}/cache/";',
            f'Dir::Etc "{self.dir}/etc/";',
            f'Dir::Log "{self.dir}/log/";',
            'APT::Sandbox::User "root";',
            'APT::Architecture "amd64";',
            'APT::Architectures { "amd64"; };',
            'Acquire::Languages "none";',
        ]
        self.config.write_text("\n".join(lines) + "\n")
        (self.dir / "etc/sources.list").write_text(
            "\n".join(source(s, self.kind) for s in self.suites) + "\n")

    def _run(self, *command, **how):
        return run(*command, env=dict(os.environ, LC_ALL="C.UTF-8",
                                      APT_CONFIG=str(self.config)), **how)

    def update(self):
        """Lists not older than FRESH; older ones do when there is no net."""
        stamp = self.dir / "updated"
        with locked(f"apt-{self.name}"):
            if stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH \
                    and not os.environ.get("SPLX_VM_REFRESH"):
                return
            self._write()
            try:
                self._run("apt-get", "update", "-qq", "--error-on=any")
            except Unavailable as e:
                if not stamp.exists():
                    raise
                say(f"the lists of {self.name} stay as they are: {e}")
            stamp.touch()

    def newest(self, pattern):
        """The name of the newest package whose name matches."""
        names = [line.split()[0] for line in self._run(
            "apt-cache", "search", "--names-only", f"^{pattern}$"
        ).splitlines()]
        best = None
        for line in self._run("apt-cache", "madison", *names).splitlines() \
                if names else []:
            name, version = [f.strip() for f in line.split("|")][:2]
            if best is None or newer(version, best[1]):
                best = name, version
        if not best:
            raise Unavailable(f"no package {pattern} in {self.name}")
        return best[0]

    def closure(self, names, keep):
        """The packages and those they depend on whose names match keep."""
        done, todo = [], list(names)
        while todo:
            name = todo.pop()
            if name in done:
                continue
            done.append(name)
            text = self._run("apt-cache", "depends", "--no-recommends",
                             "--no-suggests", "--no-conflicts", "--no-breaks",
                             "--no-replaces", "--no-enhances", name)
            todo += [n for n in re.findall(r"Depends: (\S+)", text)
                     if re.match(keep, n)]
        return done

    def download(self, names):
        """The files of the packages, and of no others; in a folder that the
        next download() does not touch."""
        versions = self._run("apt-cache", "show", "--no-all-versions",
                             *names)
        wanted = re.findall(r"^Filename: (.*)", versions, re.M)

        def fetch(folder):
            folder.mkdir()
            self._run("apt-get", "download", "-qq", *names, cwd=folder)

        return sorted(made("debs", digest(*wanted), fetch).iterdir())

    def unpack(self, names, root, leave_out=()):
        """Files of the packages below root; no script of theirs runs."""
        store = CACHE / "deb" / self.name
        store.mkdir(parents=True, exist_ok=True)
        root.mkdir(parents=True, exist_ok=True)
        self._run("apt-get", "download", "-qq", *names, cwd=store)
        for name in names:
            files = sorted(store.glob(f"{name}_*.deb"))
            tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", files[-1]],
                                   stdout=subprocess.PIPE)
            subprocess.run(["tar", "-x", "-C", root, "--no-same-owner",
                            *(f"--exclude={p}" for p in leave_out)],
                           stdin=tar.stdout, check=True)
            if tar.wait():
                raise Unavailable(f"{files[-1].name} is damaged")
            for f in files:
                f.unlink()

    def bootstrap(self, variant, include, root, *more):
        """A tree (or an archive of one) by mmdebstrap."""
        self._write()
        # What it fetches by must not be our lists and states.
        options = self.dir / "acquire.conf"
        options.write_text("\n".join(acquire_options()) + "\n")
        env = dict(os.environ, LC_ALL="C.UTF-8")
        run("mmdebstrap", "--quiet", "--mode=root", f"--variant={variant}",
            f"--aptopt={options}", "--aptopt=APT::Sandbox::User \"root\"",
            f"--include={','.join(include)}", *more,
            self.suites[0].partition("-")[0], root,
            *(source(s) for s in self.suites), env=env)


class Sources(Apt):
    """The same of their source packages."""
    kind = "deb-src"

    def versions(self, name):
        """Of a source package, the newest first."""
        lines = self._run("apt-cache", "madison", name).splitlines()
        found = {line.split("|")[1].strip() for line in lines}
        return sorted(found, reverse=True, key=functools.cmp_to_key(
            lambda a, b: 1 if newer(a, b) else -1))

    def fetch(self, name, folder):
        """The files of one; of the newest version that can be had."""
        why = Unavailable(f"no source package {name} in {self.name}")
        for version in self.versions(name):
            try:
                self._run("apt-get", "source", "-qq", "--download-only",
                          f"{name}={version}", cwd=folder)
                return version
            except Unavailable as e:
                why = e
        raise why


def newer(a, b):
    return not subprocess.run(
        ["dpkg", "--compare-versions", a, "gt", b]).returncode
