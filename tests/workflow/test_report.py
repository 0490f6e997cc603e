"""The report of a finished study, opened in a real browser as a reader would."""

import re
import shutil

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from browsing import errors

MENU = "nav ul a"
MOVING = "return document.getAnimations().some(one => one.playState == 'running')"


class Report:
    """A report that is open in a browser, and what a reader does with it."""

    def __init__(self, browser, path):
        self.browser = browser
        browser.get(path.as_uri())
        self.wait(lambda: self.browser.find_elements(By.CSS_SELECTOR, "nav ul"))

    def wait(self, condition):
        return WebDriverWait(self.browser, 20, poll_frequency=0.02).until(lambda _: condition())

    def click(self, element):
        """Click what has come to rest: the menu slides to its new width and takes links along."""
        self.wait(lambda: not self.browser.execute_script(MOVING))
        element.click()

    def links(self):
        """Links of the menu by their text."""
        found = self.browser.find_elements(By.CSS_SELECTOR, MENU)
        return {link.text.strip(): link for link in found if link.text.strip()}

    def go(self, *names):
        """From the home of the menu down the entries named."""
        home = "nav nav li:first-child a"
        self.click(self.browser.find_element(By.CSS_SELECTOR, home))
        self.wait(lambda: "About" in self.links())
        for name in names:
            self.wait(lambda name=name: name in self.links())
            self.click(self.links()[name])

    def pages(self):
        """Every page of results: the menu entries that lead there."""
        general = {"Workflow", "Statistics", "About"}
        for category in set(self.links()) - general:
            self.go(category)
            if self.rows():
                yield (category,)
            else:
                for subcategory in self.links():
                    yield category, subcategory

    def rows(self):
        return self.browser.find_elements(By.CSS_SELECTOR, "nav tbody tr")

    def toggles(self):
        """Switches between two kinds of results on a page, such as splits."""
        return self.browser.find_elements(By.CSS_SELECTOR, "nav fieldset label")

    def shown(self):
        """The path of the result that is shown."""
        return self.browser.execute_script("return app.state.resultPath")

    def open_row(self, row, button):
        """Press the eye (0) or the i (1) of a row."""
        self.click(row.find_elements(By.TAG_NAME, "a")[button])

    def check_figure(self):
        image = self.wait(
            lambda: self.browser.find_elements(By.CSS_SELECTOR, "#app > div > div img")
        )[0]
        self.wait(lambda: self.browser.execute_script("return arguments[0].complete", image))
        assert image.is_displayed()
        assert image.size["width"] > 300
        assert int(image.get_property("naturalWidth")) > 600

    def check_table(self):
        frame = self.wait(lambda: self.browser.find_elements(By.TAG_NAME, "iframe"))[0]
        self.browser.switch_to.frame(frame)
        self.wait(lambda: self.browser.find_elements(By.CSS_SELECTOR, "tbody tr"))
        assert self.browser.find_element(By.TAG_NAME, "h1").is_displayed()
        for row in self.browser.find_elements(By.CSS_SELECTOR, "tbody tr"):
            assert row.is_displayed()
            assert re.search(r"\d", row.text)
        self.browser.switch_to.default_content()

    def caption(self):
        """The text of the caption that the navigation bar shows."""
        selector = "nav .prose"
        return self.wait(lambda: self.browser.find_elements(By.CSS_SELECTOR, selector))[0].text


@pytest.fixture
def report_file(finished, tmp_path):
    """The report, away from the study: it must hold everything itself."""
    return shutil.copy(finished.results / "report.html", tmp_path / "report.html")


def test_the_report_shows_every_figure_and_table(browser, finished, report_file):
    report = Report(browser, report_file)
    seen = {}
    for page in list(report.pages()):
        report.go(*page)
        report.wait(report.rows)
        for choice in range(max(1, len(report.toggles()))):
            for number in range(len(report.rows())):
                report.go(*page)
                report.wait(report.rows)
                if report.toggles():
                    report.click(report.toggles()[choice])
                report.open_row(report.rows()[number], 0)
                shown = report.shown()
                report.check_table() if shown.endswith(".html") else report.check_figure()
                report.open_row(report.rows()[number], 1)
                seen[shown] = report.caption()
    figures = finished.results.glob("figures/**/*.*")
    made = [path for path in figures if path.suffix in (".png", ".jpg")]
    made += finished.results.glob("tables/*.html")
    wanted = {f"results/tiny/{path.relative_to(finished.results)}" for path in made}
    assert set(seen) == wanted
    for shown, caption in seen.items():
        assert "Not done:" in caption, shown
        if "/spots/" not in shown:
            assert re.search(r"\d+ sections of \d+ patients", caption), shown
            assert "results/tiny/runs" in caption, shown
    assert errors(browser) == []


def test_the_first_page_shows_the_comparison_table(browser, finished, tmp_path):
    """Also where a part of the study is reported."""
    part = tmp_path / "part.html"
    done = finished.run("comparison", "--nolock", "--report", str(part))
    assert done.returncode == 0, done.stdout + done.stderr
    report = Report(browser, part)
    text = report.wait(lambda: browser.find_elements(By.CSS_SELECTOR, "#app .prose"))[0].text
    assert "every table and figure of the study tiny" in text
    rows = browser.find_elements(By.CSS_SELECTOR, ".brief tbody tr")
    table = (finished.results / "tables" / "comparison.tsv").read_text().splitlines()
    assert len(rows) == len(table) - 1
    for row in rows:
        assert row.is_displayed()
    head = browser.find_element(By.CSS_SELECTOR, ".brief thead")
    assert head.rect["y"] > 0
    assert head.rect["x"] + head.rect["width"] < 1600
    columns = "Dataset Split Method Mean PCC 95 % over patients Share of limit Median PCC Undefined"
    assert " ".join(head.text.split()) == columns
    assert errors(browser) == []


def test_the_report_of_48_sections_stays_under_40_mb(finished, report_file):
    """What a section adds, and what the rest weighs; base64 makes three bytes four."""
    whole = report_file.stat().st_size
    pictures = [path.stat().st_size for path in finished.results.glob("figures/**/*.jpg")]
    a_section = [
        sum(path.stat().st_size for path in finished.results.glob(f"figures/**/{name}.jpg"))
        for name in ("A1", "B1")
    ]
    assert min(a_section) > 0
    assert whole - 4 / 3 * sum(pictures) + 48 * 4 / 3 * max(a_section) < 40e6


def test_the_browser_would_tell_of_an_error(browser, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<script>undefinedFunction()</script>")
    browser.get(page.as_uri())
    assert errors(browser)
