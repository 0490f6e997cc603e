"""Pages of 5,000 and of 200,000 made-up spots: how long a reader waits, and how much memory."""

import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

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


def use_of(browser) -> tuple[float, float]:
    """Processor seconds of all processes of the browser, and resident MB of its largest tab."""
    own, seconds, sizes = {browser.service.process.pid}, 0.0, [0.0]
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) in own:
            own.add(int(folder.name))
            seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            if b"--type=renderer" in command:
                sizes.append(int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
    return seconds, max(sizes)


class Step(NamedTuple):
    """What an act of the reader costs: seconds to the second frame after it, and of processor."""

    waited: float
    longest: float
    processor: float

    def __str__(self) -> str:
        return " / ".join(f"{1000 * seconds:.0f}" for seconds in self)


def timed(browser, act: str, steps: int = 12) -> Step:
    """The cost of an act: the median and the longest waiting, and the mean processor time."""
    before = use_of(browser)[0]
    script = TIMED.replace("ACT", act).replace("STEPS", str(steps))
    waited = browser.execute_async_script(script)
    processor = (use_of(browser)[0] - before) / steps
    return Step(statistics.median(waited), max(waited), processor)


def opened(browser, page: Path) -> Step:
    """The cost of opening a page until its spots are drawn."""
    browser.get("about:blank")
    before = use_of(browser)[0]
    browser.get(page.as_uri())
    while not (first := browser.execute_script("return window.firstDrawing")):
        time.sleep(0.05)
    return Step(first / 1000, first / 1000, use_of(browser)[0] - before)


@pytest.mark.timeout(1200)
def test_pages_stay_quick(browser, tmp_path):
    """Limits are of processor time: what a reader waits on an idle machine is no more."""
    browser.set_script_timeout(60)
    watch = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WHEN_SHOWN})
    rows, too_much = [], []
    for spots, genes in SIZES.items():
        page = made_up_page(tmp_path, spots, genes)
        begun = time.process_time()
        with open_slide(page.image) as slide:
            write_pyramid(slide, tmp_path / "tiles")
        of_tiles = time.process_time() - begun
        begun = time.process_time()
        folder = tmp_path / str(spots)
        write_page(page, folder, tmp_path)
        building = time.process_time() - begun - of_tiles
        stored = sum(path.stat().st_size for path in (folder / "data").rglob("*.js"))
        bytes_a_value = stored / (spots * genes * len(page.layers))

        first = opened(browser, folder / "index.html")
        gene = timed(
            browser,
            "await slidePage.showGene((slidePage.gene + 17) % slidePage.page.genes.length)",
        )
        zoom = timed(
            browser, "slidePage.view.zoom(step < STEPS / 2 ? 1.6 : 1 / 1.6); slidePage.moved()"
        )
        pan = timed(browser, "slidePage.view.pan(9, 5); slidePage.moved()")
        memory = use_of(browser)[1]
        wrong = [entry for entry in errors(browser) if "start.js" not in entry["message"]]
        assert wrong == []
        size = f"{spots:,} x {genes}"
        numbers = [f"{building:.1f}", f"{bytes_a_value:.2f}", first, gene, zoom, pan]
        rows.append([size, *map(str, numbers), f"{memory:.0f}"])
        for what, found, most in (
            ("building", building, MOST_BUILDING_S),
            ("first drawing", first.processor, MOST_FIRST_S),
            ("change of gene", gene.processor, MOST_GENE_S),
            ("zoom step", zoom.processor, MOST_ZOOM_S),
            ("memory", memory, MOST_MB),
            ("bytes a spot, gene and layer", bytes_a_value, 2),
        ):
            if found > most:
                too_much.append(f"{spots:,} spots: {what} is {found:.3g}, more than {most}")
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", watch)
    heads = ["spots x genes", "building, s", "bytes a value", "first drawing, ms"]
    heads += ["gene, ms", "zoom, ms", "pan, ms", "memory, MB"]
    print("\n" + tabulate(rows, heads, tablefmt="github"))
    print("ms: median waiting / longest waiting / processor time")
    assert too_much == []
