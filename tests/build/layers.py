#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Prints every include that breaches the layers of docs/ARCHITECTURE.md.

lib (generic) includes lib alone; common includes lib and common; a daemon
these two and itself, never another daemon. A third-party header is included
by its wrapper alone. Unit tests stand where what they test stands.

layers.py [ROOT]; exit status 1 when something was printed."""

import os
import re
import subprocess
import sys

FOLDERS = {
    "splxcore/lib": "lib",
    "splxcore/common": "common",
    "splxcore/entity": "entity",
    "splxcore/ctl": "ctl",
    "splxcore/fresh": "fresh",
    "splxcore/notify": "notify",
    "splxcore/netmon": "netmon",
    "vsapiapp": "vsapiapp",
    "httpd": "httpd",
}
MAY_INCLUDE = {
    "lib": {"lib"},
    "common": {"lib", "common"},
    "entity": {"lib", "common", "entity"},
    "ctl": {"lib", "common", "ctl"},
    "fresh": {"lib", "common", "fresh"},
    "notify": {"lib", "common", "notify"},
    "netmon": {"lib", "common", "netmon"},
    "vsapiapp": {"lib", "common", "vsapiapp"},
    "httpd": {"lib", "common", "httpd"},
}
UNIT_LAYERS = {"lib": "lib", "common": "common", "entity": "entity",
               "ctl": "ctl", "notify": "notify", "netmon": "netmon", "vsapi": "vsapiapp",
               "httpd": "httpd"}

# Which file wraps a third-party header (by its beginning). A wrapper that is
# split over name_*.c and shares a name_impl.h is still one wrapper.
WRAPPERS = {
    "event2/": ["splxcore/lib/loop"],
    "seccomp.h": ["splxcore/lib/sandbox"],
    "cap-ng.h": ["splxcore/lib/sandbox"],
    "confuse.h": ["splxcore/common/conf"],
    "pcre2.h": ["splxcore/common/exclude"],
    "clamav.h": ["vsapiapp/engine", "splxcore/fresh/library"],
    "libfreshclam.h": ["splxcore/fresh/library"],
    "microhttpd.h": ["httpd/server"],
    "sqlite3.h": ["splxcore/entity/store"],
    "openssl/": ["splxcore/entity/seal", "splxcore/entity/secret",
                 "splxcore/common/cert", "splxcore/common/hash",
                 "splxcore/common/signing", "splxcore/notify/crypt"],
    "curl/": ["splxcore/common/fetch", "splxcore/notify/post"],
    "libmnl/": ["splxcore/netmon/netlink"],
    "zlib.h": ["splxcore/entity/seal", "splxcore/ctl/tar",
               "vsapiapp/database"],
}
# The kernel module's interface: one header of ours brings it to all others.
MODULE_HEADER = "khm/uapi/splxmod.h"
MODULE_WRAPPER = "splxcore/common/khm"
# jansson's types are ours everywhere above lib.
ABOVE_LIB = ("jansson.h",)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def system_headers():
    """What the C library, the kernel's headers and the compiler bring."""
    names = set()
    out = subprocess.run(["dpkg", "-L", "libc6-dev", "linux-libc-dev"],
                         capture_output=True, text=True, check=True).stdout
    multiarch = subprocess.run(["gcc", "-print-multiarch"], text=True,
                               capture_output=True, check=True).stdout.strip()
    for path in out.split():
        for top in (f"/usr/include/{multiarch}/", "/usr/include/"):
            if path.startswith(top) and path.endswith(".h"):
                names.add(path[len(top):])
                break
    own = subprocess.run(["gcc", "-print-file-name=include"], text=True,
                         capture_output=True, check=True).stdout.strip()
    return names | set(os.listdir(own))


def layer_of(path):
    """The layer of a source of ours, None outside of them."""
    folder, name = os.path.split(path)
    if folder == "tests/unit":
        return UNIT_LAYERS.get(name.split("_")[0])
    return FOLDERS.get(folder)


def resolve(root, path, name):
    """The file of ours that `#include "name"` in path means, or None."""
    for top in (os.path.dirname(path), "splxcore", ""):
        found = os.path.normpath(os.path.join(top, name))
        if os.path.exists(os.path.join(root, found)):
            return found
    return None


def is_wrapper(path, wrapper):
    stem = os.path.splitext(path)[0]
    return stem == wrapper or stem.startswith(wrapper + "_")


def breach(root, path, quote, name, system):
    """Why this include is wrong, None when it is right."""
    layer = layer_of(path)
    test = path.startswith("tests/")
    if quote == '"':
        if ".." in name.split("/"):
            return "reaches out of its folder"
        target = resolve(root, path, name)
        if target is None:
            return None if name.startswith("build/") else "is not there"
        if target == MODULE_HEADER and not is_wrapper(path, MODULE_WRAPPER):
            return f"belongs into {MODULE_WRAPPER}.h"
        other = FOLDERS.get(os.path.dirname(target))
        if layer and other and other not in MAY_INCLUDE[layer]:
            return f"{layer} may not include {other}"
        return None
    if name in system or test:
        return None
    if name in ABOVE_LIB:
        return "lib may not include it" if layer == "lib" else None
    for header, wrappers in WRAPPERS.items():
        if name.startswith(header):
            if any(is_wrapper(path, w) for w in wrappers):
                return None
            return "belongs into " + " or ".join(w + ".c" for w in wrappers)
    return "is third-party and has no wrapper in tests/build/layers.py"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    system = system_headers()
    found = 0
    for top in [*FOLDERS, "tests/unit"]:
        for name in sorted(os.listdir(os.path.join(root, top))):
            if not name.endswith((".c", ".h", ".def")):
                continue
            path = f"{top}/{name}"
            with open(os.path.join(root, path), encoding="utf-8") as f:
                for number, line in enumerate(f, 1):
                    m = INCLUDE.match(line)
                    why = m and breach(root, path, m[1], m[2], system)
                    if why:
                        print(f"{path}:{number}: {m[2]}: {why}")
                        found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
