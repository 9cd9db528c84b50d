#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""each.py JOBS OUT FILE... -- WORD...: runs "pytest WORD... FILE" for every
FILE (a folder stands for its test_*.py), JOBS at a time and in this order, each
in a process of its own. What one says is printed when it ends, so that no two
are mixed up; OUT/NAME.xml is its report and OUT/NAME.status how it ended."""

import concurrent.futures
import pathlib
import subprocess
import sys
import threading
import time


def files_of(words):
    for word in map(pathlib.Path, words):
        yield from sorted(word.glob("test_*.py")) if word.is_dir() else [word]


def main():
    jobs, out = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    end = sys.argv.index("--")
    words = sys.argv[end + 1:]
    print_lock = threading.Lock()

    def say(text):
        with print_lock:
            print(text, flush=True)

    def run(path):
        say(f"  {path}: begins")
        began = time.monotonic()
        p = subprocess.run(
            [sys.executable, "-m", "pytest", *words,
             f"--junitxml={out / path.stem}.xml", path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        (out / f"{path.stem}.status").write_text(f"{p.returncode}\n")
        say(p.stdout.decode(errors="replace")
            + f"  {path}: {time.monotonic() - began:.0f} s")

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, files_of(sys.argv[3:end])))


if __name__ == "__main__":
    main()
