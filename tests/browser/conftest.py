# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""One suite with a console and something to show on each page, and one
browser, for all tests here."""

import contextlib
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

import contain  # noqa: E402


def missing():
    """None, or why there is no browser."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "python3-selenium is not installed"
    for program in ("/usr/bin/chromium", "/usr/bin/chromedriver"):
        if not os.access(program, os.X_OK):
            return f"{program} is not installed"
    return None


MISSING = missing()


def pytest_cmdline_main(config):
    if os.geteuid() == 0 and not config.option.collectonly:
        with contextlib.suppress(OSError):
            contain.enter()


if MISSING:
    def pytest_pycollect_makemodule(module_path, parent):
        """Its files cannot even be read without Selenium."""
        return Missing.from_parent(parent, path=module_path)
else:
    from place import Place


class Missing(pytest.Module):
    def collect(self):
        pytest.skip(f"no browser: {MISSING}", allow_module_level=True)


@pytest.fixture(scope="session")
def place():
    with Place() as p:
        yield p


@pytest.fixture(scope="session")
def shared_browser(place):
    b = place.browser()
    yield b
    b.close()


@pytest.fixture
def browser(shared_browser):
    """Nobody is logged in; as wide as a desk's screen, light."""
    shared_browser.forget()
    shared_browser.look(1440, False)
    return shared_browser


@pytest.fixture(scope="session")
def shared_plain(place):
    b = place.browser(script=False)
    yield b
    b.close()


@pytest.fixture
def plain(shared_plain):
    """One that runs no script."""
    shared_plain.forget()
    shared_plain.look(1440, False)
    return shared_plain


@pytest.fixture(params=("script", "plain"))
def either(request):
    """What has to work in both."""
    return request.getfixturevalue({"script": "browser"}.get(request.param,
                                                             request.param))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the suite and the console said."""
    report = (yield).get_result()
    place = getattr(item, "funcargs", {}).get("place")
    if report.failed and place:
        report.sections.append(("suite", place.suite.output()[-4000:]))
        report.sections.append(("console", place.console.output()[-4000:]))
