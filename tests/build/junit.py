#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""junit.py FILE STATUS [ENDS]: counts the cases of a pytest report as "PASSED FAILED
SKIPPED" and tells failures and skips with their reasons on descriptor 3. A
run that ended otherwise than its report says is a failure of its own. With
ENDS, a file, the end of what each failure printed is added to it."""

import os
import sys
import xml.etree.ElementTree as ET

LINES = 40  # of a failure, in ENDS


def first_line(text):
    lines = [line for line in (text or "").splitlines() if line.strip()]
    return lines[0].strip() if lines else "no reason given"


def end_of(case, bad):
    """What is worth reading again when all is over."""
    texts = [bad.text] + [case.findtext(t) for t in ("system-out",
                                                     "system-err")]
    lines = "\n".join(t.rstrip() for t in texts if t).splitlines()
    return "\n".join("      | " + line[:200] for line in lines[-LINES:])


def main():
    path, status = sys.argv[1], int(sys.argv[2])
    ends = open(sys.argv[3] if len(sys.argv) > 3 else os.devnull, "a")
    passed = failed = skipped = 0
    with os.fdopen(3, "w") as say:
        try:
            cases = list(ET.parse(path).iter("testcase"))
        except (OSError, ET.ParseError) as e:
            cases = []
            print(f"    FAILED: no report of pytest: {e}", file=say)
            failed += 1
        for case in cases:
            name = f"{case.get('classname')}.{case.get('name')}"
            bad = case.find("failure")
            if bad is None:
                bad = case.find("error")
            skip = case.find("skipped")
            if bad is not None:
                failed += 1
                said = f"FAILED: {name}: {first_line(bad.get('message'))}"
                print("    " + said, file=say)
                print(f"    {said}\n{end_of(case, bad)}", file=ends)
            elif skip is not None:
                skipped += 1
                why = first_line(skip.get("message"))
                print(f"    skipped: {name}: {why}", file=say)
            else:
                passed += 1
        if status not in (0, 5) and not failed:
            failed += 1
            print(f"    FAILED: pytest ended with status {status}", file=say)
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
