"""A real browser, without a window."""

import os
import shutil

import pytest
from selenium import webdriver


def chromium() -> webdriver.Chrome:
    """A headless Chromium that remembers what its console says; the test is skipped without one."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        message = "needs Debian's packages chromium and chromium-driver"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    # Chromium has no sandbox for root, who runs CI.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1600,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))


def errors(browser: webdriver.Chrome) -> list[dict]:
    """What went wrong in the browser since the last call."""
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
