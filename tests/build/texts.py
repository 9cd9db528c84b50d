#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Prints every text of the console that a language lacks, that puts in other
things than the English one, or that no page shows.

texts.py [ROOT]; exit status 1 when something was printed."""

import glob
import os
import re
import sys

ROW = re.compile(r'^TEXT\((\w+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)', re.M)


def table(path):
    """Name -> text, in their order; a name that stands twice is said."""
    found = {}
    with open(path, encoding="utf-8") as f:
        for name, text in ROW.findall(f.read()):
            if name in found:
                print(f"{path}: {name} stands twice")
            found[name] = text
    return found


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    folder = os.path.join(root, "httpd")
    tables = {p: table(p) for p in
              sorted(glob.glob(os.path.join(folder, "lang_*.def")))}
    english = tables[os.path.join(folder, "lang_en.def")]
    used = set()
    for path in glob.glob(os.path.join(folder, "*.c")):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        used |= set(re.findall(r"\bTEXT_(\w+)", text))
        # note=saved in an address is shown as the text note_saved
        used |= {"note_" + n for n in re.findall(r"note=(\w+)", text)}
    wrong = []
    for path, texts in tables.items():
        wrong += [f"{path}: {n} is missing" for n in english
                  if n not in texts]
        wrong += [f"{path}: {n} is not in lang_en.def" for n in texts
                  if n not in english]
        wrong += [f"{path}: {n} puts in other things than the English text"
                  for n in texts if n in english
                  and set(re.findall(r"\{\d\}", texts[n]))
                  != set(re.findall(r"\{\d\}", english[n]))]
    wrong += [f"lang_en.def: {n} is shown nowhere" for n in english
              if n not in used]
    wrong += [f"{n} is shown, and is in no table" for n in sorted(used)
              if n not in english]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
