# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Every page, as each role, in each language, look and width."""

import pytest

import texts
from place import PICTURES, ROLES

WIDTHS = (1440, 360)
pytestmark = pytest.mark.seconds(240)


def slug(path):
    return path.strip("/").replace("/", "-")[:40] or "summary"


def speak(browser, language):
    """By hand, as who wants another one does."""
    browser.press(f".look button[name=lang][value={language}]")
    assert browser.one("html").get_attribute("lang") == language


def judge(browser, role, language, path, width):
    """What is wrong with one page at this width, in both looks."""
    browser.look(width)
    browser.go(path)
    wrong = list(browser.run_file("page.js", width, True))
    if browser.one("html").get_attribute("lang") != language:
        wrong.append("it says it is in another language")
    if width == WIDTHS[0]:
        wrong += texts.wrong(language, browser.run_file("texts.js"))
    for dark in (True, False):
        browser.look(dark=dark)
        if not browser.is_dark(dark):
            wrong.append(f"not {'dark' if dark else 'light'}")
        if role == "admin":
            browser.picture(PICTURES / f"{slug(path)}-{language}-{width}"
                            f"-{'dark' if dark else 'light'}.png", whole=True)
    return wrong


@pytest.mark.parametrize("language", ("en", "ja"))
@pytest.mark.parametrize("role", ROLES)
def test_every_page(place, browser, role, language):
    place.login(browser, role)
    speak(browser, language)
    wrong = []
    titles = {}
    browser.saw()
    for path, status in place.pages(role):
        for width in WIDTHS:
            where = f"{path} at {width}: "
            wrong += [where + w for w in
                      judge(browser, role, language, path, width)]
            elsewhere, lines = browser.saw()
            wrong += [where + "asks " + url for url in elsewhere]
            # a page that is refused is one, and the browser says so
            wrong += [where + line for line in lines
                      if status == 200
                      or f"status of {status}" not in line]
        title = browser.driver.title
        if status == 200 and path != "/login":
            if title in titles:
                wrong.append(f"{path} and {titles[title]}: both {title!r}")
            titles[title] = path
        if status == 200 and path not in ("/login", "/password"):
            here = browser.all("nav [aria-current=page]")
            if len(here) != 1:
                wrong.append(f"{path}: the navigation does not say where")
    assert not wrong, "\n" + "\n".join(wrong)
