# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What becomes of a benchmark's figures: ratios, a judgement, a table in a
document."""

import statistics


def ratios(a, b):
    """Round by round; None where there is nothing to compare."""
    if not a or not b:
        return None
    return [x / y for x, y in zip(a, b)]


def spread(v):
    return v and [statistics.median(v), min(v), max(v)]


def judge(unit, target, met, figures, load):
    """A target is met, or missed, when the median and three quarters of the
    rounds say so; else the machine was too unquiet to tell."""
    ours = ratios(figures.get("ours"), figures.get("bare"))
    peer = ratios(figures.get("ours"), figures.get("clamonacc"))
    verdict = "–"
    if met:
        mine = ours or figures["ours"]
        each = [met(o, p) for o, p in zip(mine, peer or [None] * len(mine))]
        middle = met(statistics.median(mine),
                     peer and statistics.median(peer))
        share = sum(each) / len(each)
        verdict = ("yes" if middle and share >= 0.75 else
                   "**no**" if not middle and share <= 0.25 else "unclear")
    return {"unit": unit, "target": target, "met": verdict, "load": load,
            "median": {k: statistics.median(v) for k, v in figures.items()
                       if v},
            "ours/bare": spread(ours), "ours/clamonacc": spread(peer),
            "figures": figures}


def short(x):
    return f"{x:.2g}" if x < 0.1 else f"{x:.2f}"


def ratio_cell(r):
    if not r:
        return "–"
    mid, low, high = map(short, r)
    return mid if low == high else f"{mid} ({low} to {high})"


def at_most(bare, clamonacc=None):
    return lambda o, p: o <= bare and (clamonacc is None or p <= clamonacc)


def publish(path, mark, text):
    """Puts the text between the marker lines of a document."""
    begin, end = f"<!-- {mark}: make bench -->", f"<!-- end of {mark} -->"
    head, rest = path.read_text().split(begin, 1)
    tail = rest.split(end, 1)[1]
    path.write_text(f"{head}{begin}\n{text}{end}{tail}")
