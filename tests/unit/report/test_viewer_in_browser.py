"""Pages of the viewer in a real browser, from disk and from a web server, as a reader uses them."""

import csv
import io
import json
import shutil
import subprocess
import sys
import time

import anndata
import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from browsing import errors
from reg2st.report.viewer.page_writer import write_page, write_summary
from reg2st.report.viewer.start_page import write_start_page
from reg2st.report.viewer.study_page import page_of_section
from reg2st.report.writers import Table
from sections import log_expression
from viewed import make_section

HOSTILE = "</script><script>window.hacked=1</script>"
IMAGE = "<img/src=x/onerror=window.hacked=1>"
GENES = [
    *("ERBB2", "=1+1", HOSTILE, IMAGE, "5'\"&amp;\\u003c", "Ünï基因", "__proto__"),
    *(f"GENE{number}" for number in range(60)),
    "CONSTANT",
]
NAME = f"A1 {IMAGE}\u2028"
FOLDER = "A1 'ü\" #1"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder with a start page and one page, whose names are all awkward."""
    made = make_section(
        tmp_path_factory.mktemp("made"), name=NAME, genes=GENES, region=HOSTILE, barcode="=<b>{}"
    )
    viewer = tmp_path_factory.mktemp("study") / "viewer"
    page = page_of_section(**made)
    folder = viewer / "sections" / "demo" / FOLDER
    write_page(page, folder, viewer)
    write_summary(page, viewer / "summaries" / "a.json", folder, viewer)
    shown = pd.DataFrame({"Method": ["Ridge", HOSTILE], "Mean PCC": ["0.5", "0.1"]})
    write_start_page(
        [viewer / "summaries" / "a.json"],
        viewer,
        study="made_up",
        provenance={"Methods": HOSTILE},
        table=Table("comparison", f"Title {IMAGE}", shown, shown, notes=(IMAGE,)),
    )
    return {**made, "viewer": viewer, "page": folder}


@pytest.fixture(scope="module")
def served(study):
    """The address of the folder on Python's web server."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    server = subprocess.Popen(
        command, cwd=study["viewer"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    port = server.stdout.readline().split(" port ")[1].split()[0]
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


class Viewer:
    """A page that is open in a browser."""

    def __init__(self, browser, address):
        self.browser = browser
        browser.get("about:blank")  # an address that differs in its hash alone is not loaded again
        errors(browser)
        browser.get(address)

    def js(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def wait(self, condition):
        return WebDriverWait(self.browser, 15, poll_frequency=0.02).until(lambda _: condition())

    def wait_for(self, script):
        return self.wait(lambda: self.js(f"return {script}"))

    def wait_for_gene(self, gene):
        self.wait(lambda: self.js("return document.body.dataset.shown") == gene)
        self.wait_for("!slidePage.stale.size && !slidePage.tiles.loading.size")

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def choose(self, pane, name):
        Select(self.all(".choice")[pane]).select_by_value(name)
        self.wait_for("!slidePage.stale.size")

    def place_of(self, pane, x, y):
        """A place of the slide as an offset from the middle of a pane."""
        box = self.all(".stage")[pane].size
        sx, sy = self.js("return slidePage.view.toScreen(arguments[0], arguments[1])", x, y)
        return sx - box["width"] / 2, sy - box["height"] / 2

    def point(self, pane, x, y):
        return ActionChains(self.browser, duration=20).move_to_element_with_offset(
            self.all(".stage")[pane], *map(round, self.place_of(pane, x, y))
        )

    def drag(self, pane, *places):
        stage, actions = self.all(".stage")[pane], ActionChains(self.browser, duration=20)
        for number, place in enumerate(places):
            actions.move_to_element_with_offset(stage, *map(round, self.place_of(pane, *place)))
            if number == 0:
                actions.click_and_hold()
        actions.release().perform()

    def pixel(self, pane, layer, x, y):
        """RGBA at a place of the slide, on one of the canvases of a pane."""
        return self.js(
            "const [pane, layer, x, y] = arguments;"
            "const at = slidePage.view.toScreen(x, y).map((v) => Math.floor(v * devicePixelRatio));"
            "return [...slidePage.panes[pane].contexts[layer].getImageData(...at, 1, 1).data]",
            *(pane, layer, x, y),
        )


@pytest.fixture
def opened(browser, study):
    """The page from disk, with its first gene shown."""
    viewer = Viewer(browser, page_address(study))
    viewer.wait_for("document.body.dataset.shown")
    return viewer


def page_address(study, address=""):
    return (study["page"] / "index.html").as_uri() + address


@pytest.mark.parametrize("way", ["disk", "server"])
def test_start_page_and_page_open_without_errors(browser, study, served, way):
    root = served if way == "server" else study["viewer"].as_uri()
    viewer = Viewer(browser, f"{root}/index.html")
    link = viewer.wait(lambda: viewer.all("#pages a"))[0]
    viewer.wait_for("document.querySelector('#pages img').naturalWidth > 50")
    assert link.text == NAME.strip()
    assert "patient P1" in viewer.text("#pages li")
    assert "80 spots, 68 genes" in viewer.text("#pages li")
    rows = [
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in viewer.all("tr")
    ]
    assert rows[1:] == [["Ridge", "0.5"], [HOSTILE, "0.1"]]
    link.click()
    viewer.wait_for("document.body.dataset.shown")
    viewer.wait_for("!document.getElementById('start').hidden")
    viewer.find("#start").click()
    viewer.wait(lambda: viewer.all("#pages a"))
    assert errors(browser) == []


def test_hostile_names_are_text_and_nothing_else(opened, study):
    assert opened.text("#title") == NAME.strip()
    for gene in GENES[:7]:
        opened.js("slidePage.showGene(arguments[0])", GENES.index(gene))
        opened.wait_for_gene(gene)
        assert opened.js("return document.getElementById('gene').textContent") == gene
    opened.choose(0, "labels")
    assert HOSTILE in opened.text(".names")
    opened.point(0, 150, 150).click().perform()
    opened.wait(lambda: "=<b>0x0" in opened.text("#spot"))
    assert HOSTILE in opened.text("#spot")
    assert opened.js("return window.hacked") is None
    assert errors(opened.browser) == []
    assert opened.js("return document.images.length") == 0


@pytest.mark.parametrize("layer", ["observed", "ridge", "sprig.sd"])
def test_colours_of_ten_spots_are_those_of_the_values(opened, study, layer):
    """Each colour is that of the value between the 1st and 99th percentile of the gene."""
    gene = "GENE3"
    opened.js("slidePage.showGene(arguments[0])", GENES.index(gene))
    opened.wait_for_gene(gene)
    opened.choose(0, layer)
    section = anndata.read_h5ad(study["section"])
    if layer == "observed":
        values = log_expression(section.X.toarray())
    else:
        predictions = anndata.read_h5ad(study["predictions"][layer.split(".")[0]])
        values = predictions.layers["spread"] if layer.endswith("sd") else predictions.X
    values = values[:, GENES.index(gene)]
    low, high = np.percentile(values, (1, 99))
    palette = colormaps["cividis" if layer.endswith("sd") else "viridis"]
    for spot in np.linspace(0, len(values) - 1, 10).astype(int):
        share = np.clip((values[spot] - low) / (high - low), 0, 1)
        nearby = [palette(int(np.clip(round(255 * share) + step, 0, 255))) for step in (-1, 0, 1)]
        red, green, blue, alpha = opened.pixel(0, 1, *section.obsm["spatial"][spot])
        off = np.abs(np.array(nearby)[:, :3] * 255 - [red, green, blue]).max(axis=1)
        assert alpha == 255
        assert off.min() <= 1, (spot, values[spot])
    assert errors(opened.browser) == []


def test_spots_lie_on_their_places_of_the_slide(browser, study, served):
    """From a server the picture can be read back: each spot's mark is in the middle of its disc."""
    viewer = Viewer(browser, f"{served}/sections/demo/A1%20'%C3%BC%22%20%231/index.html")
    viewer.wait_for("document.body.dataset.shown")
    viewer.js("slidePage.view.moveTo(450, 450, 1); slidePage.moved()")
    viewer.wait_for("!slidePage.stale.size && !slidePage.tiles.loading.size")
    for x, y in ((350, 350), (550, 450)):
        for pane in (0, 1):
            assert viewer.pixel(pane, 0, x, y)[0] < 120
            assert viewer.pixel(pane, 0, x + 4, y - 4)[0] < 120
            assert viewer.pixel(pane, 0, x + 9, y)[0] > 180
            assert viewer.pixel(pane, 1, x + 24, y)[3] == 255
            assert viewer.pixel(pane, 1, x + 31, y)[3] == 0


def test_every_control_works(opened):
    names = {"slide", "observed", "ridge", "sprig", "sprig.sd", "labels"}
    assert {
        option.get_attribute("value")
        for option in opened.all(".choice")[0].find_elements(By.TAG_NAME, "option")
    } == names
    for pane in (0, 1):
        for name in sorted(names):
            opened.choose(pane, name)
            painted = opened.pixel(pane, 1, 150, 150)[3]
            assert (painted == 0) == (name == "slide"), name

    def view():
        return opened.js("const {x, y, scale} = slidePage.view; return [x, y, scale]")

    home = view()
    opened.find("#closer").click()
    assert view()[2] == pytest.approx(1.5 * home[2])
    opened.find("#further").click()
    opened.find("#further").click()
    assert view()[2] < home[2]
    opened.find("#home").click()
    assert view() == home
    opened.drag(0, (400, 400), (500, 450))
    assert view()[:2] == pytest.approx([home[0] - 100, home[1] - 50], abs=2)
    opened.js(
        "slidePage.panes[1].stage.dispatchEvent("
        "new WheelEvent('wheel', {deltaY: -200, clientX: 900, clientY: 400, cancelable: true}))"
    )
    assert view()[2] > 1.2 * home[2]
    opened.find("#home").click()

    opened.js(
        "arguments[0].value = 30; arguments[0].dispatchEvent(new Event('input'))",
        opened.find("#opacity"),
    )
    opened.wait_for("document.querySelector('canvas.spots').style.opacity === '0.3'")

    opened.choose(0, "observed")
    opened.choose(1, "ridge")
    limits = [(opened.all(".low")[pane].text, opened.all(".high")[pane].text) for pane in (0, 1)]
    assert limits[0] != limits[1]
    opened.find("#same").click()
    for limit in (".low", ".high"):
        left, right = (each.text.lstrip("≤≥ ") for each in opened.all(limit))
        assert left == right
    assert opened.text(".unit") == "log10(1 + 1e4 c / sum c)"

    opened.find("#search").send_keys("gene1")
    assert opened.text("#count") == "11 of 68 genes"
    Select(opened.find("#sort")).select_by_value("name")
    listed = [gene.text.split("\n")[0] for gene in opened.all(".gene")]
    assert listed == ["GENE1", *(f"GENE1{number}" for number in range(10))]
    opened.all(".gene")[2].click()
    opened.wait_for_gene("GENE11")
    opened.find("#search").clear()
    opened.find("#search").send_keys("CONST")
    assert "doubted" in opened.find(".gene").get_attribute("class")
    opened.find("#search").send_keys(Keys.ENTER)
    opened.wait_for_gene("CONSTANT")
    for details in opened.all("summary"):
        details.click()
    assert "trained on 2 sections (Z1, Z2)" in opened.text("#provenance")
    assert "0123abc" in opened.text("#provenance")
    assert errors(opened.browser) == []


def test_values_are_read_at_a_spot_and_kept_by_a_click(opened, study):
    opened.js("slidePage.showGene(arguments[0])", GENES.index("GENE5"))
    opened.wait_for_gene("GENE5")
    opened.point(1, 352, 251).perform()
    opened.wait(lambda: "=<b>2x1" in opened.text("#spot"))
    told = opened.text("#spot").split("\n")
    assert told[told.index("Place") + 1] == "700, 500 µm"
    sprig = anndata.read_h5ad(study["predictions"]["sprig"])
    wanted = sprig.X[12, GENES.index("GENE5")], sprig.layers["spread"][12, GENES.index("GENE5")]
    value, spread = told[told.index("SPRIG") + 1].removesuffix(" (SD)").split(" ± ")
    assert [float(value), float(spread)] == pytest.approx(wanted, rel=0.05)
    opened.point(1, 352, 251).click().perform()
    opened.point(1, 100, 100).perform()
    assert "=<b>2x1" in opened.text("#spot")
    ActionChains(opened.browser).send_keys(Keys.ESCAPE).perform()
    opened.wait(lambda: "Point at a spot" in opened.text("#spot"))


@pytest.mark.parametrize("mode", ["rectangle", "lasso"])
def test_a_selection_gives_means_and_a_csv(opened, study, tmp_path, mode):
    opened.js("slidePage.showGene(1)")
    opened.wait_for_gene("=1+1")
    opened.choose(0, "observed")
    opened.choose(1, "labels")
    opened.find(f"#{mode}").click()
    corners = [(110, 110), (390, 110), (390, 290), (110, 290)]
    opened.drag(0, *(corners if mode == "lasso" else (corners[0], corners[2])))
    assert opened.text("#selected") == "6 spots selected"
    chosen = [0, 1, 2, 10, 11, 12]
    observed = log_expression(anndata.read_h5ad(study["section"]).X.toarray())[chosen, 1]
    means = [cell.text for cell in opened.all("#means td")]
    mean, n = means[0].removeprefix("mean ").split(", n = ")
    assert (float(mean), n) == (pytest.approx(observed.mean(), rel=0.01), "6")
    assert means[1] == f"{HOSTILE}: 6"
    opened.browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    opened.find("#save").click()
    saved = opened.wait(lambda: [*tmp_path.glob("*.csv")])[0]
    rows = list(csv.DictReader(io.StringIO(saved.read_text(encoding="utf-8"))))
    assert [row["spot"] for row in rows] == [f"'=<b>{n % 10}x{n // 10}" for n in chosen]
    assert [row["x (µm)"] for row in rows[:3]] == ["300", "500", "700"]
    column = next(name for name in rows[0] if name.startswith("'=1+1, Observed"))
    np.testing.assert_allclose([float(row[column]) for row in rows], observed, atol=0.02)
    opened.find("#forget").click()
    assert not opened.find("#selection").is_displayed()
    assert errors(opened.browser) == []


def test_the_address_brings_the_same_state_back(browser, study):
    asked = "#gene=GENE7&left=sprig.sd&right=labels&opacity=40&same=1&x=420&y=510&scale=0.9"
    viewer = Viewer(browser, page_address(study, asked))
    viewer.wait_for_gene("GENE7")

    def state():
        return viewer.js(
            "const {view, panes} = slidePage;"
            "return [view.x, view.y, view.scale, ...panes.map((pane) => pane.choice.value),"
            "find('opacity').value, find('same').checked, find('gene').textContent]"
        )

    assert state() == [420, 510, 0.9, "sprig.sd", "labels", "40", True, "GENE7"]
    time.sleep(0.3)  # the address follows after a moment
    first = browser.current_url
    viewer.js("slidePage.showGene(3)")
    viewer.wait_for_gene(GENES[3])
    viewer.find("#closer").click()
    viewer.wait(lambda: browser.current_url != first)
    time.sleep(0.3)
    before, address = state(), browser.current_url
    viewer = Viewer(browser, address)
    viewer.wait_for_gene(GENES[3])
    assert state() == [
        pytest.approx(value, rel=1e-3) if isinstance(value, float) else value for value in before
    ]
    viewer = Viewer(browser, page_address(study, "#gene=NONE&left=nothing&x=a&opacity=z"))
    viewer.wait_for("document.body.dataset.shown")
    viewer.wait(lambda: viewer.text("#notice") == "This page has no gene NONE.")
    assert errors(browser) == []


def test_keys_do_what_the_buttons_do(opened):
    def press(*keys):
        ActionChains(opened.browser).send_keys(*keys).perform()

    stage = opened.all(".stage")[0]
    opened.js("arguments[0].focus()", stage)
    home = opened.js("return slidePage.view.scale")
    press("+")
    assert opened.js("return slidePage.view.scale") > home
    press("0", Keys.ARROW_RIGHT)
    assert not opened.js("return slidePage.view.atHome")
    press("0")
    assert opened.js("return slidePage.view.atHome")
    opened.js("slidePage.view.moveTo(355, 255, 1)")
    press(Keys.ENTER)
    opened.wait(lambda: "=<b>2x1" in opened.text("#spot"))
    press(Keys.ESCAPE, "r")
    assert opened.find("#rectangle").get_attribute("aria-pressed") == "true"
    press("l", "m")
    assert opened.find("#move").get_attribute("aria-pressed") == "true"
    first = opened.js("return slidePage.list.rows.slice(0, 2)")
    press("n")
    opened.wait(lambda: opened.js("return slidePage.gene") == first[1])
    press("p")
    opened.wait(lambda: opened.js("return slidePage.gene") == first[0])
    press("/", "gene59")
    opened.wait(lambda: opened.text("#count") == "1 of 68 genes")
    press(Keys.ARROW_DOWN, Keys.END)
    opened.wait_for_gene("GENE59")
    assert errors(opened.browser) == []


def test_controls_have_names_and_large_text_fits(browser, study):
    """A window of half the size is what a reader of 200 % text has."""
    browser.set_window_size(800, 640)
    try:
        viewer = Viewer(browser, page_address(study))
        viewer.wait_for("document.body.dataset.shown")
        viewer.find("#rectangle").click()
        assert viewer.js("return document.documentElement.scrollWidth <= innerWidth")
        for control in viewer.all("button, select, input, summary, .stage, #genes"):
            if control.is_displayed():
                assert control.rect["width"] > 10
                assert control.rect["x"] + control.rect["width"] <= 800
        nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = {"button", "combobox", "slider", "checkbox", "searchbox", "listbox", "option"}
        roles |= {"application", "link", "img", "image", "DisclosureTriangle"}
        named = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if node.get("role", {}).get("value") in roles and not node.get("ignored")
        ]
        assert len(named) > 30
        assert [role for role, name in named if not name.strip()] == []
    finally:
        browser.set_window_size(1600, 1000)


def test_a_page_taken_elsewhere_opens_without_its_start_page(browser, study, tmp_path):
    shutil.copytree(study["page"], tmp_path / "mailed 100 %")
    viewer = Viewer(browser, (tmp_path / "mailed 100 %" / "index.html").as_uri())
    viewer.wait_for_gene(viewer.wait_for("document.body.dataset.shown"))
    assert not viewer.find("#start").is_displayed()
    assert viewer.pixel(1, 1, 150, 150)[3] == 255
    assert not viewer.find("#notice").is_displayed()


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("data/genes/1.js", "The file data/genes/1.js of this page is missing"),
        ("data/page.js", "The file data/page.js of this page is missing"),
        ("data/spots.js", "The file data/spots.js of this page is missing"),
        ("tiles/9/0_0.jpg", "1 of the picture's tiles are missing"),
    ],
)
def test_a_lost_file_is_named_in_one_sentence(browser, study, tmp_path, lost, told):
    shutil.copytree(study["page"], tmp_path / "page")
    (tmp_path / "page" / lost).unlink()
    viewer = Viewer(browser, (tmp_path / "page" / "index.html").as_uri() + "#gene=GENE40")
    viewer.wait(lambda: told in viewer.text("#notice"))
    assert viewer.text("#notice").endswith("copy the whole folder again.")
    if "genes" in lost:
        viewer.js("slidePage.showGene(0)")
        viewer.wait_for_gene("ERBB2")
        assert not viewer.find("#notice").is_displayed()
    if "tiles" in lost:
        viewer.wait_for_gene("GENE40")
        assert viewer.pixel(0, 1, 150, 150)[3] == 255
    exceptions = [each for each in errors(browser) if "ERR_FILE_NOT_FOUND" not in each["message"]]
    assert exceptions == []


def test_a_damaged_file_is_named_in_one_sentence(browser, study, tmp_path):
    shutil.copytree(study["page"], tmp_path / "page")
    spots = tmp_path / "page" / "data" / "spots.js"
    spots.write_text(spots.read_text()[:100])
    viewer = Viewer(browser, (tmp_path / "page" / "index.html").as_uri())
    viewer.wait(lambda: "data/spots.js of this page is damaged" in viewer.text("#notice"))


def test_data_are_json_whatever_the_names(study):
    for script in study["page"].glob("data/**/*.js"):
        text = script.read_text(encoding="ascii")
        assert "<" not in text
        json.loads(f"[{text[len('received(') : -len(');') - 1]}]")
