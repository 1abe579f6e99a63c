"""A headless Chromium that notes what a page asks for and complains of."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

REQUIRE = "GENREPLAY_REQUIRE_BROWSER"
"""Set where a missing browser is a failure, not a reason to skip."""
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def opened(page: Path, profile: Path, width: int = 1280) -> Iterator[Any]:
    """The browser with `page` open in it; skips where there is no Chromium."""
    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        told = "needs Chromium and its driver: apt-get install chromium chromium-driver"
        if os.environ.get(REQUIRE):
            pytest.fail(told)
        pytest.skip(told)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--window-size={width},1000", f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))
    try:
        # A window has a least width; what a phone shows is emulated.
        screen = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get(page.resolve().as_uri())
        yield browser
    finally:
        browser.quit()


def requests(browser: Any) -> list[str]:
    """The address of everything that was asked for since the last call, but for the browser's own pages."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [request["request"]["url"] for request in asked if not request["documentURL"].startswith("chrome")]
