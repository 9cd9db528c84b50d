# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The pictures of README (docs/pictures): taken anew in each run into
build/screenshots/docs, and small."""

from place import PICTURES
from suite import EICAR, MARKER, REPO, opens, wait_for

FOUND = ("uploads/invoice-0412.exe", "uploads/holiday.scr", "www/cart.php",
         "www/.cache/x.so", "home/mia/setup.com", "mail/attachment-7.bin",
         "backup/old.tar", "uploads/readme.pdf")
MOST = 150 * 1024


def found(place):
    for k, name in enumerate(FOUND):
        path = place.suite.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((EICAR, MARKER)[k % 3 == 1])
        wait_for(lambda: place.suite.events()[0]["path"] == str(path))
    opens(place.suite.clean())


def test_pictures_for_the_readme(place, browser):
    found(place)
    place.login(browser, "admin")
    for name, language, width, height, dark in (
            ("summary", "en", 1200, 800, False),
            ("summary-ja", "ja", 390, 800, True)):
        browser.look(width, dark, height)
        browser.press(f".look button[name=lang][value={language}]")
        browser.go("/")
        assert FOUND[-1] in browser.text()
        picture = PICTURES / f"docs/{name}.png"
        browser.picture(picture)
        assert 0 < picture.stat().st_size <= MOST, name
    browser.press(".look button[name=lang][value=en]")
    for picture in (REPO / "docs/pictures").glob("*.png"):
        assert picture.stat().st_size <= MOST, picture
        assert (PICTURES / "docs" / picture.name).exists(), \
            f"{picture}: nobody takes it"
