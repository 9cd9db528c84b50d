# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Changes that are refused, and that are taken, with and without a script."""

import pytest

import texts
from console import routes
from suite import opens, wait_for

SAVE = "main form[action='/notifications/edit'] button.primary"


def needs(path):
    if not any(p == path for _, p, _ in routes()):
        pytest.skip(f"the console has no {path}")


def channels(place):
    return {c["name"]: c for c in
            place.suite.json("notify", "list")["channels"]}


def test_a_setting_is_refused_and_keeps_what_was_typed(place, either):
    needs("/notifications/edit")
    place.login(either, "admin")
    either.go("/notifications/edit?type=syslog")
    # Digest is a number of events
    typed = {"name": "night-watch", "Server": "192.0.2.7:6514",
             "Digest": "now and then", "Rate": "12"}
    either.fill(**typed)
    either.one("main select[name=Protocol] option[value=tcp]").click()
    either.press(SAVE)
    said = either.text("[role=alert]")
    assert "Digest" in said and "allowed" in said
    assert {name: either.value(name) for name in typed} == typed
    assert either.value("Protocol") == "tcp"
    assert typed["name"] not in channels(place)
    # mended, it is taken, and shows
    either.fill(Digest="7")
    either.press(SAVE)
    assert either.path == "/notifications"
    assert texts.EN["note_saved"] in either.text("[role=status]")
    assert typed["name"] in either.text("main")
    assert typed["Server"] in either.text("main")
    assert "192.0.2.7" in channels(place)[typed["name"]]["target"]
    either.go(f"/notifications/edit?name={typed['name']}")
    assert either.value("Digest") == "7"
    # and away again, when it was asked for twice
    either.go("/notifications")
    gone = "//form[@action='/notifications/remove']" \
           f"[.//input[@value='{typed['name']}']]//button"
    leaving = either.one("html")
    either.driver.find_element("xpath", gone).click()
    either.wait_gone(leaving)
    assert typed["name"] in channels(place)
    assert typed["name"] in either.text("main")
    either.press("main form[action='/notifications/remove'] button")
    assert typed["name"] not in channels(place)


def exclusions(place):
    return place.suite.json("exclusion", "list")


def test_what_costs_most_is_excluded_with_a_warning(place, either):
    needs("/statistics/exclude")
    place.login(either, "admin")
    either.go("/statistics")
    name = str(place.suite.dir / "a folder")
    button = either.one(f"button[aria-label*={name!r}]")
    leaving = either.one("html")
    button.click()
    either.wait_gone(leaving)
    assert name in either.text("main")
    assert texts.EN["opens_directory"] in either.text("main")
    assert name not in str(exclusions(place))
    either.press("main form[action='/statistics/exclude'] button")
    assert either.path == "/statistics"
    assert texts.EN["note_excluded"] in either.text("[role=status]")
    assert name in str(exclusions(place))
    place.suite.ctl("exclusion", "remove", "directory", name)


def test_a_role_that_may_not_is_shown_no_button(place, either):
    """And is refused when it finds the way all the same."""
    needs("/notifications/edit")
    place.login(either, "operator")
    either.go("/notifications")
    assert "office" in either.text("main")
    assert not either.all("main form")
    either.go("/notifications/edit?name=office")
    assert texts.EN["error_403"] in either.text("main")


def test_a_restore_by_the_keyboard_alone(place, browser):
    needs("/quarantine")
    path = place.suite.dir / "wanted-back.com"
    place.suite.infected(path.name)

    def kept():
        return [i for i in place.suite.json("quarantine", "list")["items"]
                if i["path"] == str(path)]

    opens(path)
    wait_for(kept)
    place.login(browser, "admin")
    browser.go("/quarantine")
    assert path.name in browser.text("main")
    number = kept()[0]["id"]
    browser.tab_to(f"main input[type=checkbox][value='{number}']")
    browser.type(" ")
    browser.tab_to("main button[formaction='/quarantine/restore']")
    browser.submit()
    assert path.name in browser.text("main") or str(number) in \
        browser.text("main")
    browser.tab_to("main form button")
    browser.submit()
    assert not kept()
