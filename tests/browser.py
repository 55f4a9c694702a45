"""A headless Chromium for tests of pages: what a reader sees, and what the console says.

Chromium and its driver are the system's (Debian: ``chromium chromium-driver``).  Where they are missing tests are
skipped, on the CI (``CI=true``) they fail.  Names other than 127.0.0.1 do not resolve: a page that asks the network
for something says so in the console.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromedriver")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
WAIT_SECONDS = 15
SIZE = (1280, 860)


class Browser:
    """One window; ``driver`` is selenium's own, for whatever is not here."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, where: str | Path) -> None:
        """Load a URL or a file (as file://) anew, with a console that says nothing yet."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(where.resolve().as_uri() if isinstance(where, Path) else where)

    def script(self, text: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns (say ``return document.title``)."""
        return self.driver.execute_script(text, *arguments)

    def until(self, condition: str, seconds: float = WAIT_SECONDS) -> Any:
        """The value of a JavaScript expression as soon as it is true; AssertionError when it does not become so."""
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        try:
            return WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(
                lambda driver: driver.execute_script(f"return ({condition})")
            )
        except TimeoutException:
            raise AssertionError(f"not within {seconds} s: {condition}; console: {self.console()}") from None

    def keys(self, text: str) -> None:
        """Press keys, one after the other, on whatever has the focus (selenium's ``Keys`` for the nameless)."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).send_keys(text).perform()

    def click(self, selector: str) -> None:
        """Click the first element of a CSS selector, as a mouse does: it has to be in sight."""
        self.driver.find_element("css selector", selector).click()

    def text(self, selector: str) -> str:
        """The visible text of the first element of a CSS selector."""
        found: str = self.driver.find_element("css selector", selector).text
        return found

    def console(self, level: str = "SEVERE") -> list[str]:
        """What the console said at ``level`` since it was last asked: errors, refused and failed requests."""
        return [one["message"] for one in self.driver.get_log("browser") if one["level"] == level]

    def look(self, dark: bool = False, width: int = SIZE[0], height: int = SIZE[1]) -> None:
        """Ask for the dark or the light scheme and a window of that size (CSS px)."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        view = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)

    def screenshot(self, path: Path) -> Path:
        """Save what is in the window as PNG."""
        assert self.driver.save_screenshot(str(path))
        return path


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.1 of two CSS colours."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [float(one) / 255 for one in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@contextlib.contextmanager
def opened() -> Iterator[Browser]:
    """A browser; for a fixture of session or module scope, since it takes a second or two to start."""
    found = {name: shutil.which(name) for name in PROGRAMS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        told = f"found no {' or '.join(missing)}; install Debian's chromium and chromium-driver"
        if os.environ.get("CI") == "true":
            raise RuntimeError(told)
        pytest.skip(told)
    driver = _driver(str(found["chromium"]), str(found["chromedriver"]))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def _driver(chromium: str, chromedriver: str) -> Any:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for one in OPTIONS:
        options.add_argument(one)
    options.add_argument(f"--window-size={SIZE[0]},{SIZE[1]}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Both programs are named, so selenium does not go looking for them on the network.
    service = webdriver.ChromeService(executable_path=chromedriver)
    return webdriver.Chrome(options=options, service=service)
