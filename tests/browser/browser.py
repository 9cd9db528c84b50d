# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Chromium without a screen, driven by Selenium, and what it saw meanwhile:
every request, every line on its console."""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.parse

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from suite import wait_for

CHROMIUM = "/usr/bin/chromium"
DRIVER = "/usr/bin/chromedriver"
HERE = pathlib.Path(__file__).resolve().parent
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--disable-extensions",
         "--disable-dev-shm-usage", "--hide-scrollbars",
         "--force-color-profile=srgb", "--lang=en-US")
# What a page asked of the browser itself.
OWN = ("data", "blob", "about", "chrome", "chrome-error", "devtools")


def fingerprint(pem):
    """Of the certificate's public key, as Chromium wants it."""
    key = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=pem,
                         check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"],
                         input=key, check=True, capture_output=True).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"],
                            input=der, check=True, capture_output=True).stdout
    return base64.b64encode(digest).decode()


class Browser:
    """One that trusts the one key `pin` (None: no key of ours)."""

    def __init__(self, origin, pin, script=True):
        self.origin = origin
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="splx-browser-",
                                                  dir="/tmp"))
        options = Options()
        options.binary_location = CHROMIUM
        for flag in FLAGS:
            options.add_argument(flag)
        options.add_argument(f"--user-data-dir={self.home}/profile")
        if pin:
            options.add_argument("--ignore-certificate-errors-spki-list="
                                 + pin)
        if not script:
            options.add_experimental_option(
                "prefs",
                {"profile.default_content_setting_values.javascript": 2})
        options.set_capability("goog:loggingPrefs",
                               {"browser": "ALL", "performance": "ALL"})
        try:
            self.driver = webdriver.Chrome(
                service=Service(DRIVER, log_path=str(self.home / "log")),
                options=options)
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise
        self.driver.set_page_load_timeout(40)
        self.driver.set_script_timeout(40)
        self.width = self.size = self.dark = None

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.home, ignore_errors=True)

    def cdp(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    # -- how it looks at pages

    def is_dark(self, dark):
        """Whether the page is as light or dark as it should be."""
        rgb = self.run(
            "return getComputedStyle(document.body).backgroundColor"
            ".match(/[\\d.]+/g).slice(0, 3).map(Number)")
        return (sum(rgb) < 3 * 100) == dark and \
            (sum(rgb) < 3 * 100 or sum(rgb) > 3 * 200)

    def look(self, width=None, dark=None, height=900):
        """So wide a window; the look that its user prefers."""
        if width and (width, height) != self.size:
            self.cdp("Emulation.setDeviceMetricsOverride", width=width,
                     height=height, deviceScaleFactor=1, mobile=width < 600)
            self.width, self.size = width, (width, height)
        if dark is not None and dark != self.dark:
            self.cdp("Emulation.setEmulatedMedia", features=[
                {"name": "prefers-color-scheme",
                 "value": "dark" if dark else "light"},
                # a colour that is still on its way is none to judge by
                {"name": "prefers-reduced-motion", "value": "reduce"}])
            self.dark = dark

    def prefer(self, languages):
        """What it sends as Accept-Language."""
        agent = self.run("return navigator.userAgent")
        self.cdp("Emulation.setUserAgentOverride", userAgent=agent,
                 acceptLanguage=languages)

    def picture(self, path, whole=False):
        """A PNG of what is to be seen, or of the whole page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        args = {"format": "png"}
        if whole:
            size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            args.update(captureBeyondViewport=True, clip={
                "x": 0, "y": 0, "scale": 1, "width": self.width,
                "height": min(size["height"], 6000)})
        path.write_bytes(base64.b64decode(
            self.cdp("Page.captureScreenshot", **args)["data"]))

    # -- going about

    def go(self, path):
        self.driver.get(self.origin + path)

    @property
    def path(self):
        return urllib.parse.urlsplit(self.driver.current_url).path

    def run(self, script, *args):
        return self.driver.execute_script(script, *args)

    def run_file(self, name, *args):
        return self.run((HERE / name).read_text(), *args)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def there(self, css):
        try:
            return self.one(css)
        except NoSuchElementException:
            return None

    def text(self, css="body"):
        return self.one(css).text

    def press(self, css):
        """A button that leads to another page; returns when it is there."""
        leaving = self.one("html")
        self.one(css).click()
        self.wait_gone(leaving)

    def wait_gone(self, element):
        def gone():
            try:
                element.is_enabled()
            except Exception:  # stale, or between two pages
                return self.there("body") is not None
            return False
        wait_for(gone, 20)

    def type(self, *keys):
        """Into whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def tab_to(self, css, most=80):
        """By the keyboard alone; what has the focus must be seen to."""
        for _ in range(most):
            self.type(Keys.TAB)
            got = self.run("const e = document.activeElement;"
                           "const s = getComputedStyle(e);"
                           "return [e.matches(arguments[0]), s.outlineStyle,"
                           " parseFloat(s.outlineWidth), e.outerHTML]", css)
            assert got[1] != "none" and got[2] >= 2, \
                f"the focus cannot be seen: {got[3][:200]}"
            if got[0]:
                return
        raise AssertionError(f"no way by the keyboard to {css}")

    def fill(self, **fields):
        """Fields of a form, by their names, anew."""
        for name, value in fields.items():
            field = self.one(f"main [name={name}]")
            field.clear()
            field.send_keys(value)

    def value(self, name):
        return self.one(f"main [name={name}]").get_attribute("value")

    def login(self, user, password):
        self.go("/login")
        self.one("input[name=user]").send_keys(user)
        self.one("input[name=password]").send_keys(password)
        self.press("form[action='/login'] button")

    def submit(self):
        """The form that has the focus, with Enter."""
        leaving = self.one("html")
        self.type(Keys.ENTER)
        self.wait_gone(leaving)

    def forget(self):
        """Nobody is logged in any more; nothing was seen."""
        self.cdp("Network.clearBrowserCookies")
        self.saw()

    # -- what it saw since it was asked last

    def saw(self):
        """(requests to elsewhere, lines of the console)"""
        elsewhere = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
            elif message["method"] == "Network.webSocketCreated":
                url = message["params"]["url"]
            else:
                continue
            if not url.startswith(self.origin + "/") \
                    and urllib.parse.urlsplit(url).scheme not in OWN:
                elsewhere.add(url)
        lines = [e["message"] for e in self.driver.get_log("browser")
                 if e["level"] in ("SEVERE", "WARNING")]
        return sorted(elsewhere), lines
