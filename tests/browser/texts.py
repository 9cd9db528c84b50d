# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The console's tables of texts, and whether a page keeps to its language."""

import ast
import re

from suite import REPO

ROW = re.compile(r'^TEXT\((\w+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)', re.M)
JAPANESE = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def table(language):
    text = (REPO / f"httpd/lang_{language}.def").read_text("utf-8")
    return {name: ast.literal_eval(f"({words})")
            for name, words in ROW.findall(text)}


EN, JA = table("en"), table("ja")


def pattern(text):
    """Of a text, with anything where something is put in."""
    parts = re.split(r"\{\d\}", re.sub(r"\s+", " ", text.strip()))
    return re.compile(".*".join(map(re.escape, parts)) + "[:\uff1a]?")


# What is English and should not be, were it on a Japanese page.
ENGLISH = [pattern(EN[k]) for k in EN
           if k in JA and EN[k] != JA[k]
           and re.search("[a-z]{3}", re.sub(r"\{\d\}", "", EN[k]))]


# What the service says comes in no table's words; so much of it is a sentence.
# Which verb somebody used is no sentence: "config.set by admin from …".
SENTENCE = re.compile(r"(?![a-z._]+ by ).*?\b[A-Za-z']+(?: [a-z']+){3,}")


def wrong(language, texts):
    """Of [[text, where], ...] what is in another language than it should."""
    if language == "en":
        return [f"{t!r} in {w}" for t, w in texts if JAPANESE.search(t)]
    return [f"{t!r} in {w}" for t, w in texts
            if SENTENCE.match(t) or not JAPANESE.search(t)
            and any(p.fullmatch(t) for p in ENGLISH)]
