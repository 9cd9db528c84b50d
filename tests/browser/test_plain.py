# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""A browser that runs no script: everything works all the same."""

import texts
from console import PASSWORD
from place import USERS


def test_it_runs_none(place, plain):
    plain.driver.get("data:text/html,<p id=a>no</p>"
                     "<script>a.textContent = 'yes'</script>")
    assert plain.text("#a") == "no"


def test_login_language_look_and_logout(place, plain):
    plain.login(USERS["viewer"], PASSWORD)
    assert plain.path == "/"
    plain.press(".look button[name=lang][value=ja]")
    assert plain.text("h1") == texts.JA["summary"]
    plain.press(".look button[name=lang][value=en]")
    assert plain.text("h1") == texts.EN["summary"]
    plain.press(".look button[name=theme][value=dark]")
    assert plain.one("html").get_attribute("data-theme") == "dark"
    plain.press(".look button[name=theme][value='']")
    plain.press("form[action='/logout'] button")
    assert plain.path == "/login"


def test_every_page_says_the_same(place, plain):
    """All that a script shows is there without one, too."""
    plain.look(360)
    place.login(plain, "admin")
    for path, _ in place.pages("admin"):
        plain.go(path)
        assert plain.text("h1").strip(), path
        assert plain.text("main").strip() != plain.text("h1").strip(), path
        assert not plain.all("[data-script-only]"), path
    elsewhere, lines = plain.saw()
    assert not elsewhere
