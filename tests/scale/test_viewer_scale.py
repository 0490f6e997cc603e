"""Pages of 5,000 and of 200,000 made-up spots: how long a reader waits, and how much memory."""

import re
import statistics
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tabulate import tabulate

from browsing import errors
from reg2st.report.viewer.page import Layer, Page
from reg2st.report.viewer.page_writer import write_page
from reg2st.report.viewer.pyramid import write_pyramid
from reg2st.sections.slides import open_slide

pytestmark = pytest.mark.scale

SIZES = {5_000: 785, 200_000: 60}
"""Genes by spots; fewer of the many spots, since a gene is a file of its own there."""

PITCH_PX = 16
MOST_FIRST_S, MOST_GENE_S, MOST_ZOOM_S, MOST_MB = 1.5, 0.2, 0.1, 500
MOST_BUILDING_S = 60

WHEN_SHOWN = """
new MutationObserver((_, observer) => {
  if (document.body?.dataset.shown === undefined) return;
  observer.disconnect();
  requestAnimationFrame(() => (window.firstDrawing = performance.now()));
}).observe(document, { subtree: true, childList: true, attributes: true });
"""

TIMED = """
const done = arguments[arguments.length - 1];
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
(async () => {
  const seconds = [];
  for (let step = 0; step < STEPS; step++) {
    await frame();
    const begun = performance.now();
    ACT;
    await frame();
    await frame();
    seconds.push((performance.now() - begun) / 1000);
  }
  done(seconds);
})();
"""


def made_up_page(folder: Path, spots: int, genes: int) -> Page:
    """Gapless bins on a noisy slide, four layers that mix smooth patterns and noise."""
    random = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(spots)))
    rows, columns = (place.ravel()[:spots] for place in np.mgrid[:side, :side])
    size = PITCH_PX * (side + 40)
    noise = [Image.effect_noise((size, size), 40) for _ in range(3)]
    Image.merge("RGB", noise).save(folder / "slide.jpg", quality=90)

    def read(names):
        values = np.empty((spots, len(names)), dtype=np.float32)
        for place, name in enumerate(names):
            wave = np.sin((columns + 3 * int(name[4:])) / 40) * np.cos(rows / 55)
            values[:, place] = 1 + wave + random.normal(0, 0.3, spots)
        return values

    layers = [
        Layer("observed", "Observed", "expression", "log", read),
        Layer("ridge", "Ridge", "expression", "log", read),
        Layer("sprig", "SPRIG", "expression", "log", read),
        Layer("sprig.sd", "SPRIG, SD", "spread", "log", read, of="sprig"),
    ]
    return Page(
        name=f"{spots} spots",
        facts={},
        image=folder / "slide.jpg",
        barcodes=np.array(
            [f"s_008um_{y:05d}_{x:05d}-1" for y, x in zip(rows, columns, strict=True)]
        ),
        pixel_xy=PITCH_PX * (np.column_stack([columns, rows]) + 20.5),
        um_per_px=0.5,
        spot_px=PITCH_PX,
        pitch_px=PITCH_PX,
        square=True,
        genes=[f"GENE{number}" for number in range(genes)],
        layers=layers,
        scores={"sprig": random.uniform(0, 0.6, genes)},
        reference="sprig",
    )


def renderer_mb(browser) -> float:
    """Resident memory of the tab: the largest renderer that the browser started."""
    own = {browser.service.process.pid}
    sizes = []
    for status in sorted(Path("/proc").glob("[0-9]*/status"), key=lambda path: int(path.parts[2])):
        try:
            text = status.read_text()
            command = (status.parent / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(re.search(r"PPid:\s+(\d+)", text)[1]) in own:
            own.add(int(status.parts[2]))
            if b"--type=renderer" in b" ".join(command):
                sizes.append(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024 / 1e6)
    return max(sizes)


def timed(browser, act: str, steps: int = 12) -> list[float]:
    """Seconds from an act to the second frame after it."""
    return browser.execute_async_script(TIMED.replace("ACT", act).replace("STEPS", str(steps)))


@pytest.mark.timeout(1200)
def test_pages_stay_quick(browser, tmp_path):
    browser.set_script_timeout(60)
    watch = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WHEN_SHOWN})
    rows, too_much = [], []
    for spots, genes in SIZES.items():
        page = made_up_page(tmp_path, spots, genes)
        begun = time.perf_counter()
        with open_slide(page.image) as slide:
            write_pyramid(slide, tmp_path / "tiles")
        of_tiles = time.perf_counter() - begun
        begun = time.perf_counter()
        folder = tmp_path / str(spots)
        write_page(page, folder, tmp_path)
        building = time.perf_counter() - begun - of_tiles
        bytes_a_value = sum(path.stat().st_size for path in (folder / "data").rglob("*.js")) / (
            spots * genes * len(page.layers)
        )

        browser.get((folder / "index.html").as_uri())
        for _ in range(600):
            first = browser.execute_script("return window.firstDrawing")
            if first:
                break
            time.sleep(0.05)
        gene = timed(
            browser, "await slidePage.showGene((slidePage.gene + 17) % slidePage.page.genes.length)"
        )
        zoom = timed(
            browser, "slidePage.view.zoom(step < STEPS / 2 ? 1.6 : 1 / 1.6); slidePage.moved()"
        )
        pan = timed(browser, "slidePage.view.pan(9, 5); slidePage.moved()")
        memory = renderer_mb(browser)
        wrong = [entry for entry in errors(browser) if "start.js" not in entry["message"]]
        assert wrong == []
        rows.append(
            [
                f"{spots:,} x {genes}",
                f"{building:.1f}",
                f"{bytes_a_value:.2f}",
                f"{first:.0f}",
                *(
                    f"{1000 * statistics.median(each):.0f} / {1000 * max(each):.0f}"
                    for each in (gene, zoom, pan)
                ),
                f"{memory:.0f}",
            ]
        )
        for what, found, most in (
            ("building", building, MOST_BUILDING_S),
            ("first drawing", first / 1000, MOST_FIRST_S),
            ("change of gene", statistics.median(gene), MOST_GENE_S),
            ("zoom step", statistics.median(zoom), MOST_ZOOM_S),
            ("memory", memory, MOST_MB),
            ("bytes a spot, gene and layer", bytes_a_value, 2),
        ):
            if found > most:
                too_much.append(f"{spots:,} spots: {what} is {found:.3g}, more than {most}")
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", watch)
    heads = ["spots x genes", "building, s", "bytes a value", "first drawing, ms"]
    heads += ["gene, ms (median / most)", "zoom, ms", "pan, ms", "memory, MB"]
    print("\n" + tabulate(rows, heads, tablefmt="github"))
    assert too_much == []
