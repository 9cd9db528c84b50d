# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What people do with the console, in a real browser."""

import pytest
from selenium.webdriver.common.keys import Keys

import texts
from console import PASSWORD
from place import PICTURES, USERS
from suite import EICAR, opens, wait_for


def test_another_certificate_is_not_trusted(place):
    """That the tests speak TLS with this console and no other."""
    b = place.browser(trusted=False)
    try:
        b.go("/login")
        assert "ERR_CERT_AUTHORITY_INVALID" in b.text()
        assert not b.there("form")
    finally:
        b.close()


@pytest.mark.parametrize("language", ("en", "ja"))
def test_the_browser_says_which_language(place, browser, language):
    browser.prefer({"en": "en-GB,en;q=0.8", "ja": "ja-JP,ja,en;q=0.5"}
                   [language])
    try:
        for width in (1440, 360):
            browser.look(width)
            browser.go("/login")
            assert browser.one("html").get_attribute("lang") == language
            assert browser.text("h1") == {"en": texts.EN, "ja": texts.JA}[
                language]["login"]
            wrong = browser.run_file("page.js", width, False)
            wrong += texts.wrong(language, browser.run_file("texts.js"))
            assert not wrong, "\n".join(wrong)
            browser.picture(PICTURES / f"login-{language}-{width}-light.png")
    finally:
        browser.prefer("en-US,en")


def test_the_look_is_chosen_by_hand(place, browser):
    """Against what the browser prefers, and back."""
    place.login(browser, "viewer")
    for prefers, want in ((False, "dark"), (True, "light")):
        browser.look(dark=prefers)
        browser.press(f".look button[name=theme][value={want}]")
        assert browser.path == "/"
        html = browser.one("html")
        assert html.get_attribute("data-theme") == want
        assert html.value_of_css_property("color-scheme") == want
    browser.press(".look button[name=theme][value='']")
    assert not browser.one("html").get_attribute("data-theme")
    assert browser.is_dark(True)


def test_logging_in_and_out_by_the_keyboard_alone(place, browser):
    browser.go("/login")
    browser.tab_to("input[name=user]")
    browser.type(USERS["operator"])
    browser.tab_to("input[name=password]")
    browser.type("wrong")
    browser.submit()
    assert browser.path == "/login"
    assert texts.EN["login_wrong"] in browser.text("[role=alert]")
    # what was typed is kept, but for the password
    assert browser.one("input[name=user]").get_attribute("value") == \
        USERS["operator"]
    assert browser.one("input[name=password]").get_attribute("value") == ""
    browser.tab_to("input[name=password]")
    browser.type(PASSWORD)
    browser.submit()
    assert browser.path == "/"
    # the first stop leads past what is on every page
    browser.type(Keys.TAB)
    assert browser.run("return document.activeElement.getAttribute('href')") \
        == "#main"
    browser.type(Keys.ENTER)
    assert browser.run("return document.activeElement.id") == "main"
    browser.go("/")
    browser.tab_to("form[action='/logout'] button")
    browser.submit()
    assert browser.path == "/login"
    assert texts.EN["note_out"] in browser.text("[role=status]")


def test_what_is_found_while_the_summary_is_open_appears(place, browser):
    place.login(browser, "viewer")
    name = "found-while-open.com"
    assert name not in browser.text()
    bad = place.suite.dir / name
    bad.write_bytes(EICAR)
    opens(bad)
    live = "/live" in browser.run(
        "return fetch(document.querySelector('script[src]').src)"
        ".then((r) => r.text())")

    def appears():
        if not live:
            browser.go("/")
        return name in browser.text()

    wait_for(appears, 15, 0.2)
    row = next(r for r in browser.all("tbody tr") if name in r.text)
    assert "Splx.Test.EICAR" in row.text
    assert not browser.run_file("page.js", 1440, True)
    elsewhere, lines = browser.saw()
    assert not elsewhere and not lines


def password(browser, old, new, again):
    for name, value in (("old", old), ("new", new), ("again", again)):
        browser.one(f"input[name={name}]").send_keys(value)
    browser.press("form[action='/password'] button")


def test_an_own_password_is_refused_and_taken(place, browser):
    place.console.user("paula", "viewer")
    browser.login("paula", PASSWORD)
    browser.go("/password")
    password(browser, PASSWORD, "one new password", "another new one")
    assert texts.EN["password_differs"] in browser.text("[role=alert]")
    password(browser, "not the old one", "one new password",
             "one new password")
    assert browser.text("[role=alert]").strip()
    assert browser.path == "/password"
    password(browser, PASSWORD, "one new password", "one new password")
    assert browser.path == "/"
    assert texts.EN["note_password"] in browser.text("[role=status]")
    browser.forget()
    browser.login("paula", "one new password")
    assert browser.path == "/"


def test_a_press_counts_once(place, browser):
    """Whoever presses twice has not done it twice."""
    place.login(browser, "viewer")
    assert browser.run("""
        const form = document.querySelector("form.look");
        let sent = 0;
        form.addEventListener("submit", (e) => {
            if (!e.defaultPrevented) sent++;
            e.preventDefault();
        });
        const button = form.querySelector("button");
        button.click();
        button.click();
        return sent""") == 1
