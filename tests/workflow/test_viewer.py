"""The viewer of a finished study: a start page, and a page of every section."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from browsing import errors


@pytest.fixture
def start(browser, finished):
    errors(browser)
    browser.get((finished.results / "viewer" / "index.html").as_uri())
    wait_for(browser, "document.querySelectorAll('#pages a').length")


def wait_for(browser, script):
    wait = WebDriverWait(browser, 20, poll_frequency=0.02)
    return wait.until(lambda _: browser.execute_script(f"return {script}"))


def test_the_run_ends_by_naming_the_start_page(finished):
    assert "open results/tiny/viewer/index.html in a browser" in finished.output


def test_every_section_has_a_page_that_shows_its_predictions(browser, finished, start):
    links = browser.find_elements(By.CSS_SELECTOR, "#pages a")
    pages = {link.text: link.get_attribute("href") for link in links}
    assert list(pages) == ["A1", "A2", "B1", "B2"]
    for name, address in pages.items():
        browser.get(address)
        wait_for(browser, "document.body.dataset.shown")
        wait_for(browser, "!document.getElementById('start').hidden")
        assert browser.title == name
        options = browser.find_elements(By.CSS_SELECTOR, ".choice")[1].text.split("\n")
        wanted = {"Slide", "Observed", "Ridge", "Reg2ST"}
        labelled = (finished.results / "labels" / "simulated" / f"{name}.tsv").exists()
        assert {option.strip() for option in options} == wanted | (
            {"Regions"} if labelled else set()
        )
        facts = browser.find_element(By.ID, "facts").text
        # The first split of the study tests one section of each patient.
        split = "leave one section out" if name.endswith("1") else "leave one patient out"
        assert split in facts
        painted = browser.execute_script(
            "const {width, height} = slidePage.panes[1].layers[1];"
            "const pixels = slidePage.panes[1].contexts[1].getImageData(0, 0, width, height).data;"
            "return pixels.filter((value, place) => place % 4 === 3 && value).length"
        )
        assert painted > 1000
    assert errors(browser) == []


def test_the_start_page_has_the_comparison_and_its_sources(browser, finished, start):
    table = (finished.results / "tables" / "comparison.tsv").read_text().splitlines()
    assert len(browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")) == len(table) - 1
    told = browser.find_element(By.ID, "provenance").text
    for word in ("tiny", "reg2st: quick settings", "tissue_statistics", "log10", "Commit"):
        assert word in told
    assert errors(browser) == []
