#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Prints what the tables of texts lack, and what in them nobody shows.

Of the console's (httpd/lang_*.def): every text that a language lacks, that
puts in other things than the English one, or that no page shows. Of what all
parts say (splxcore/common/words_*.def): every English text of a code, a
setting and whatever else people read that a language lacks, every row whose
English stands nowhere in the source, and every translation that puts in other
things. Of what the init scripts say (init.d/messages_*) the same.

texts.py [ROOT]; exit status 1 when something was printed."""

import glob
import os
import re
import sys

LITERALS = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
LITERAL = re.compile(LITERALS)
ROW = re.compile(rf"^TEXT\((\w+),\s*({LITERALS})\)", re.M)
WORDS = re.compile(rf"^WORDS\(({LITERALS}),\s*({LITERALS})\)", re.M)
CONVERSION = re.compile(
    r"%(?:(\d+)\$)?([-+# 0]*)(?:\*|\d+)?(?:\.(?:\*|\d+))?"
    r"(hh|h|ll|l|j|z|t)?([diouxXscfgm%])")

# Tables: which arguments of a row people read, from its end.
TABLES = {"codes.def": ("CODE", (-2, -1)), "options.def": ("OPTION", (-1,)),
          "verbs.def": ("VERB", (-1,)), "counters.def": ("COUNTER", (-1,))}
# Calls that make what people read, and where.
CALLS = re.compile(
    r"\b(?:err_set|err_add|dispatch_fail|dispatch_fail_data|ipc_fail|"
    r"ipc_fail_data|health_issue|health_issue_at|degraded|core_fault|"
    r"ctl_complain|core_event|store_event|not_right|usage_err|broken)\s*\(")
# What splxctl shows: T("…"), and titles.
SHOWN = re.compile(r"\b(?:T|output_title|section|line|count_line)\s*\(")
TITLE = re.compile(rf'\{{"[\w.]+",\s*({LITERALS}),\s*OUTPUT_')
FOLDERS = ("splxcore/lib/", "splxcore/common/", "splxcore/entity/",
           "splxcore/ctl/", "splxcore/notify/")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def joined(literals):
    """The text of adjacent C literals, escapes as they stand."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))


# ---- the console's ----

def table(path):
    """Name -> text, in their order; a name that stands twice is said."""
    found = {}
    for name, text in ROW.findall(read(path)):
        if name in found:
            print(f"{path}: {name} stands twice")
        found[name] = text
    return found


def console(root):
    folder = os.path.join(root, "httpd")
    tables = {p: table(p) for p in
              sorted(glob.glob(os.path.join(folder, "lang_*.def")))}
    english = tables[os.path.join(folder, "lang_en.def")]
    used = set()
    for path in glob.glob(os.path.join(folder, "*.c")):
        text = read(path)
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
    return wrong + columns(root)


def columns(root):
    """The console's log says the names of an event's columns by texts."""
    known = set(re.findall(r"^COLUMN\(\w+, (\w+),", read(os.path.join(
        root, "splxcore/common/events.def")), re.M))
    shown = set(re.findall(r'\{"(\w+)", TEXT_\w+, CELL_', read(os.path.join(
        root, "httpd/page_logs.c"))))
    return [f"httpd/page_logs.c: an event's {n} has no text"
            for n in sorted(known - shown)] + \
           [f"httpd/page_logs.c: no event has {n}"
            for n in sorted(shown - known)]


# ---- what all parts say ----

def without_comments(text):
    text = re.sub(r"\bPRI([diux])64\b", r'"ll\1"', text)
    return re.sub(r'("(?:[^"\\\n]|\\.)*")|\'(?:[^\'\\]|\\.)\'|/\*.*?\*/|'
                  r'//[^\n]*', lambda m: m[1] or " ", text, flags=re.S)


def arguments(text, start):
    """Of a call whose opening parenthesis is before start."""
    depth, args, begin = 1, [], start
    for m in re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)\'|[(),{}]'
                        ).finditer(text, start):
        depth += (m[0] in "({") - (m[0] in ")}")
        if depth == 0 or (m[0] == "," and depth == 1):
            args.append(text[begin:m.start()])
            begin = m.end()
        if depth == 0:
            break
    return args


def sources(root):
    """Path from the root -> its text; the tables of words are none."""
    found = {}
    for top in ("splxcore/*", "vsapiapp", "httpd"):
        for path in sorted(glob.glob(os.path.join(root, top, "*.[chd]*"))):
            name = os.path.basename(path)
            if name.endswith((".c", ".h", ".def")) and \
                    not name.startswith(("words_", "lang_")):
                found[os.path.relpath(path, root)] = \
                    without_comments(read(path))
    return found


def whole_literals(argument):
    """Those that no macro adds to."""
    for m in LITERAL.finditer(argument):
        around = argument[:m.start()].rstrip()[-1:] + \
            argument[m.end():].lstrip()[:1]
        if not re.search(r"\w", around):
            yield joined(m[0])


def is_prose(text):
    """More than the name of a call, or of one thing."""
    if re.fullmatch(r"\w+ ?\(.*\)|[\w./]+", text):
        return False
    return len(re.findall(r"[A-Za-z']{2,}", CONVERSION.sub(" ", text))) > 1


def read_by_people(files):
    """(text, where) of all that has to be in every language."""
    for path, text in files.items():
        for m in CALLS.finditer(text) if path.startswith(FOLDERS) else ():
            for argument in arguments(text, m.end()):
                for literal in whole_literals(argument):
                    if is_prose(literal):
                        yield literal, path
        if path.startswith("splxcore/ctl/"):
            for m in TITLE.finditer(text):
                yield joined(m[1]), path
            for m in SHOWN.finditer(text):
                for argument in arguments(text, m.end()):
                    for literal in whole_literals(argument):
                        if re.search(r"[A-Z ]|[^a-z_]{2}", literal):
                            yield literal, path
        macro, which = TABLES.get(os.path.basename(path), (None, ()))
        if macro:
            for m in re.finditer(rf"^{macro}\(", text, re.M):
                args = arguments(text, m.end())
                for i in which if "HIDDEN" not in map(str.strip, args) else ():
                    yield joined(args[i]), path


def put_in(text):
    """What a format puts in: place -> how it is read from the arguments."""
    places, count = {}, 0
    for number, _, size, kind in CONVERSION.findall(text):
        if kind == "%":
            continue
        count += 1
        places[int(number or count)] = (size, "d" if kind == "i" else kind)
    return places


def words(root):
    files = sources(root)
    said = {joined(m) for text in files.values()
            for m in LITERAL.findall(text)}
    # what the C library says of an errno
    said |= {os.strerror(n) for n in range(1, 134)}
    wrong = []
    for language in ("ja",):
        rows = {}
        for path in sorted(glob.glob(os.path.join(
                root, f"splxcore/common/words_{language}*.def"))):
            for english, text in WORDS.findall(read(path)):
                english, text = joined(english), joined(text)
                if english in rows:
                    wrong.append(f"{path}: {english!r} stands twice")
                rows[english] = text
                if english not in said:
                    wrong.append(f"{path}: nobody says {english!r}")
                if put_in(english) != put_in(text):
                    wrong.append(f"{path}: {english!r} puts in other things"
                                 f" than {text!r}")
        missing = {}
        for text, where in read_by_people(files):
            if text and text not in rows:
                missing.setdefault(text, where)
        wrong += [f"{where}: {text!r} is missing in {language}"
                  for text, where in missing.items()]
    return wrong


# ---- what the init scripts say ----

def scripts(root):
    folder = os.path.join(root, "init.d")
    said = {}
    for name in ("functions", "splx", "splxcore", "splxhttpd"):
        for text in re.findall(
                r'\b(?:say|tell|complain|aside|step) "((?:[^"\\]|\\.)*)"',
                read(os.path.join(folder, name))):
            if not text.startswith("$"):
                said.setdefault(text, name)
    wrong = []
    for path in sorted(glob.glob(os.path.join(folder, "messages_*"))):
        told = dict(re.findall(r'"([^"]*)"\)\s*told="([^"]*)"', read(path)))
        wrong += [f"{path}: {t!r} is missing, {w} says it"
                  for t, w in said.items() if t not in told]
        wrong += [f"{path}: nobody says {t!r}" for t in told if t not in said]
        wrong += [f"{path}: {e!r} puts in other things than {t!r}"
                  for e, t in told.items() if e.count("%s") != t.count("%s")]
    return wrong


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    wrong = console(root) + words(root) + scripts(root)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
