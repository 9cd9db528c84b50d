# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What axe-core has to say of each page: nothing serious."""

import pytest

import axe
from place import ROLES

pytestmark = pytest.mark.seconds(240)


def judge(browser, path, width, dark):
    browser.look(width, dark)
    return [f"{path} at {width}, {'dark' if dark else 'light'}: {w}"
            for w in axe.judge(browser)]


@pytest.mark.parametrize("role", ROLES)
def test_axe_finds_nothing_serious(place, browser, role):
    axe.source()
    place.login(browser, role)
    wrong = []
    for path, _ in place.pages(role):
        browser.go(path)
        wrong += judge(browser, path, 1440, False)
        wrong += judge(browser, path, 360, True)
    assert not wrong, "\n" + "\n".join(wrong)


def test_axe_finds_nothing_serious_before_the_login(place, browser):
    axe.source()
    wrong = []
    for width in (1440, 360):
        for dark in (False, True):
            browser.go("/login")
            wrong += judge(browser, "/login", width, dark)
            browser.one("input[name=user]").send_keys("nobody")
            browser.one("input[name=password]").send_keys("wrong")
            browser.press("form[action='/login'] button")
            assert browser.there("[role=alert]")
            wrong += judge(browser, "/login refused", width, dark)
    assert not wrong, "\n" + "\n".join(wrong)


def test_axe_sees_what_is_wrong(place, browser):
    """That it looks at all."""
    axe.source()
    browser.go("/login")
    browser.run("document.querySelector('label span').remove();"
                "document.documentElement.removeAttribute('lang')")
    found = "\n".join(axe.judge(browser))
    assert "label" in found and "html-has-lang" in found
