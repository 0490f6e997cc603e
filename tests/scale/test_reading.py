"""Fields of a real slide: threads that read, how long an encoder waits, one stream or two steps.

Measures wall-clock time, so nothing else may run.
"""

import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from tabulate import tabulate

from reg2st.features.encoders import embed_places, embed_section, fetch_weights, load_encoder
from reg2st.features.fields import View, open_fields_at
from reg2st.features.patches import cut_patches, read_patches
from reg2st.sections.section_file import write_section
from sections import read_st

pytestmark = pytest.mark.scale

FIELD = View(field_px=224)
BATCH = 16
ON_TISSUE_PX = (2500, 7000)
"""Range of x and of y that lies on the tissue of C4."""


@pytest.fixture(scope="module")
def pyramid(shared, tmp_path_factory):
    """Section C4 as a pyramid of three levels in JPEG tiles."""
    Image.MAX_IMAGE_PIXELS = None
    pixels = np.asarray(Image.open(shared / "data/her2st/ST-imgs/C/C4/5714_HE_BT_D2.jpg"))
    path = tmp_path_factory.mktemp("slide") / "C4.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for step in (1, 4, 16):
            level = np.ascontiguousarray(pixels[::step, ::step])
            options = {"tile": (256, 256), "compression": "jpeg", "subfiletype": int(step > 1)}
            file.write(level, photometric="rgb", metadata=None, **options)
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    weights = folder / "weights.safetensors"
    fetch_weights("efficientnet_lite0", weights, folder / "lock.json")
    return load_encoder("efficientnet_lite0", weights)


def places(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Names and centres of places at random on the tissue."""
    names = np.array([f"place {each}" for each in range(number)])
    return names, np.random.default_rng(0).uniform(*ON_TISSUE_PX, (number, 2))


def seconds_to_read(slide, threads: int, number: int = 1600) -> float:
    with open_fields_at(slide, "C4", *places(number), FIELD, None) as fields:
        chunks = [slice(start, start + BATCH) for start in range(0, number, BATCH)]
        started = time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fields.__getitem__, chunks))
        return time.monotonic() - started


@pytest.mark.timeout(3600)
def test_two_threads_read_faster_than_one(pyramid):
    rows = [[*(seconds_to_read(pyramid, threads) for threads in (1, 2))] for _ in range(3)]
    table = [[f"{one:.1f} s", f"{two:.1f} s", f"{one / two:.2f}"] for one, two in rows]
    print(tabulate(table, ["one thread", "two threads", "ratio"], tablefmt="github"))
    assert np.median([one / two for one, two in rows]) > 1.6


@pytest.mark.timeout(3600)
def test_an_encoder_hardly_waits_for_its_fields(pyramid, encoder, tmp_path, caplog, one_thread):
    caplog.set_level(logging.INFO)
    for threads in (1, 2):
        out = tmp_path / f"{threads}.h5"
        embed_places(pyramid, "C4", *places(640), FIELD, None, encoder, out, workers=threads)
    shares = [float(share) for share in re.findall(r"it waited ([\d.]+) %", caplog.text)]
    print(f"waited {shares[0]} % with one reading thread, {shares[1]} % with two")
    assert max(shares) < 10


@pytest.mark.timeout(3600)
def test_one_stream_is_not_slower_than_cutting_first(shared, encoder, tmp_path, one_thread):
    data = shared / "data/her2st"
    slide = data / "ST-imgs/B/B4/BT10737_D2_HE.jpg"
    files = {"counts": data / "ST-cnts/B4.tsv.gz", "spots": data / "ST-spotfiles/B4_selection.tsv"}
    section, patches = tmp_path / "B4.h5ad", tmp_path / "patches.h5"
    write_section(read_st("B4", dataset="her2st", patient="B", image=slide, **files), section)

    def two_steps():
        cut_patches(slide, section, FIELD, patches)
        images = read_patches(patches).images[:]
        for start in range(0, len(images), BATCH):
            with torch.inference_mode():
                encoder(torch.from_numpy(images[start : start + BATCH]))

    def one_stream():
        embed_section(slide, section, FIELD, encoder, tmp_path / "features.h5", workers=2)

    taken = {two_steps: [], one_stream: []}
    for _ in range(3):
        for way, seconds in taken.items():
            started = time.monotonic()
            way()
            seconds.append(time.monotonic() - started)
    for way, seconds in taken.items():
        print(f"{way.__name__}: {', '.join(f'{each:.1f} s' for each in seconds)}")
    print(f"patches of {patches.stat().st_size / 1e6:.0f} MB are saved")
    assert min(taken[one_stream]) < 1.05 * min(taken[two_steps])
