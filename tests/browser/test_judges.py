# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""That what judges the pages sees: each break, made on purpose, is told."""

import pytest

import texts
from suite import wait_for

# What is broken, and what has to be said of it.
BREAKS = {
    "document.querySelector('h1').style.width = '3000px'": "too wide: <h1",
    "document.querySelector('h1').textContent = ''": "an empty heading",
    "document.querySelector('h1').remove()": "not exactly one h1",
    "document.querySelector('h1').outerHTML += '<h3>x</h3>'":
        "h1 is followed by h3",
    "document.title = ''": "no title",
    "document.querySelector('footer').remove()": "0 of footer",
    "document.querySelector('main').id = 'x'": "does not lead to the content",
    "document.querySelector('nav').removeAttribute('aria-label')":
        "0 of nav[aria-label]",
    "document.querySelector('nav ul').innerHTML +="
    " '<li><a href=/ aria-current=page>x</a>'.repeat(2)": "two present pages",
    "document.querySelector('[name=old]').labels[0].firstChild.remove()":
        "has no name: <input",
    "document.querySelector('.who button span').style.display = 'none'":
        "has no name: <button",
    "document.querySelector('svg').removeAttribute('aria-hidden')":
        "a picture without words",
    "document.querySelector('main').innerHTML +="
    " '<table><tr><td>x</table>'": "a table without a heading",
    "document.querySelector('footer').id = 'main'": "id twice: main",
    "const b = document.querySelector('.primary');"
    " b.style.width = '9px'; b.style.overflow = 'hidden'": "does not fit in",
}


@pytest.fixture
def page(place, browser):
    place.login(browser, "viewer")
    browser.go("/password")
    assert not browser.run_file("page.js", 1440, True)
    assert browser.saw() == ([], [])
    return browser


def test_what_is_broken_is_told(page):
    silent = []
    for how, what in BREAKS.items():
        page.go("/password")
        page.run(how)
        said = page.run_file("page.js", 1440, True)
        if not any(what in line for line in said):
            silent.append(f"{how}: {said}")
    assert not silent, "\n".join(silent)


def test_a_jump_is_told(page):
    page.run("setTimeout(() => document.querySelector('main').style"
             ".paddingTop = '60vh', 50)")
    wait_for(lambda: "jumped" in "".join(
        page.run_file("page.js", 1440, True)), 10)


def test_lines_on_the_console_and_requests_to_elsewhere_are_told(page):
    page.run("new Image().src = 'https://elsewhere.example/x.png'")
    page.run("setTimeout(() => { throw new Error('broken') })")
    lines = []

    def told():
        lines.extend(page.saw()[1])
        said = "".join(lines)
        return "Content Security Policy" in said and "broken" in said

    wait_for(told, 10)
    other = page.origin.replace("127.0.0.1", "localhost") + "/login"
    page.run("location = arguments[0]", other)
    wait_for(lambda: other in page.saw()[0], 10)


def test_another_language_is_told(page):
    said = page.run_file("texts.js")
    assert not texts.wrong("en", said)
    wrong = "\n".join(texts.wrong("ja", said))
    for name in ("own_password", "password_why", "navigation", "log_out"):
        assert texts.EN[name] in wrong, name
    page.press(".look button[name=lang][value=ja]")
    said = page.run_file("texts.js")
    assert not texts.wrong("ja", said)
    wrong = "\n".join(texts.wrong("en", said))
    for name in ("own_password", "password_why", "navigation", "log_out"):
        assert texts.JA[name] in wrong, name
