"""The stream of fields into an encoder: workers, kills, and what is kept beside the output."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch

from reg2st import __version__
from reg2st.base.errors import UserError
from reg2st.features.encoders import embed_places, fetch_weights, load_encoder
from reg2st.features.encoders.finished_rows import RECORD, FinishedRows
from reg2st.features.encoders.mean_grey import LoadedMeanGrey, MeanGrey
from reg2st.features.fields import View

PLACES, BATCH, PITCH_PX = 90, 4, 40
VIEW = View(field_px=224)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> Path:
    """A tiled TIFF of noise in blocks of 8 px."""
    blocks = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    pixels = blocks.repeat(8, axis=0).repeat(8, axis=1)
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", metadata=None)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    fetch_weights("efficientnet_lite0", folder / "weights.safetensors", folder / "lock.json")
    return folder / "weights.safetensors"


def embed(slide, out, encoder, view=VIEW, shift_px=0.0, **options):
    """Embed ``PLACES`` places whose fields overlap; returns the file's arrays."""
    number = np.arange(PLACES)
    centres = 112 + shift_px + PITCH_PX * np.column_stack([number % 10, number // 10])
    names = np.array([f"place {each}" for each in number])
    loaded = load_encoder(encoder, None) if isinstance(encoder, str) else encoder
    options = {"batch_size": BATCH, "device": "cpu"} | options
    embed_places(slide, "S1", names, centres, view, 0.5, loaded, out, **options)
    return arrays(out)


def arrays(out: Path) -> dict[str, np.ndarray]:
    with h5py.File(out) as file:
        return {name: file[name][()] for name in file} | dict(file.attrs)


KILLED = """
import sys
import torch
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
from reg2st.features.encoders import load_encoder
from test_embedding_stream import embed
embed(*sys.argv[2:4], load_encoder("efficientnet_lite0", sys.argv[4]), workers=2)
"""


def test_a_killed_job_goes_on_and_writes_the_same_bits(slide, weights, tmp_path, caplog):
    encoder = load_encoder("efficientnet_lite0", weights)
    whole = embed(slide, tmp_path / "whole.h5", encoder)
    out, kept = tmp_path / "killed.h5", tmp_path / "killed.h5.partial"
    command = [sys.executable, "-c", KILLED, Path(__file__).parent, slide, out, weights]
    job = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    record = RECORD.size + BATCH * 1280 * 4
    while not kept.exists() or kept.stat().st_size < 3 * record:
        assert job.poll() is None
        time.sleep(0.005)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert not out.exists()
    caplog.set_level("INFO")
    resumed = embed(slide, out, encoder)
    begun = int(caplog.text.split("Continuing with field ")[1].split()[0]) - 1
    assert 2 * BATCH <= begun < PLACES
    assert f"{PLACES - begun} fields in" in caplog.text
    assert resumed.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values)
    assert not kept.exists()


@pytest.mark.parametrize("encoder", ["mean_grey", "tissue_statistics"])
def test_neither_workers_nor_batches_change_statistics(encoder, slide, tmp_path):
    view = View(um_per_px=0.25)
    one = embed(slide, tmp_path / "1.h5", encoder, view=view, batch_size=1)
    several = embed(slide, tmp_path / "2.h5", encoder, view=view, batch_size=32, workers=3)
    np.testing.assert_array_equal(one["embeddings"], several["embeddings"])
    assert np.ptp(one["embeddings"][:, 0]) > 0


def keep_rows(out: Path, about: dict, rows: np.ndarray, start: int = 0) -> Path:
    """Kept rows as a job leaves them that is stopped by no mistake of the user."""
    with suppress(KeyboardInterrupt), FinishedRows(out) as kept:
        kept.resume(about, np.empty((90, 2), np.float32))
        kept.append(start, rows, batch_size=4)
        raise KeyboardInterrupt
    return kept.path


def resumed(out: Path, about: dict) -> tuple[int, int | None, np.ndarray]:
    embeddings = np.full((90, 2), np.nan, np.float32)
    with suppress(KeyboardInterrupt), FinishedRows(out) as kept:
        done = kept.resume(about, embeddings)
        raise KeyboardInterrupt
    return *done, embeddings


def test_rows_of_anything_else_are_not_reused(tmp_path):
    out, rows = tmp_path / "e.h5", np.arange(8, dtype=np.float32).reshape(4, 2)
    keep_rows(out, {"field_px": 224}, rows)
    done, batch_size, embeddings = resumed(out, {"field_px": 224})
    assert (done, batch_size) == (4, 4)
    np.testing.assert_array_equal(embeddings[:4], rows)
    assert resumed(out, {"field_px": 448})[:2] == (0, None)
    assert resumed(out, {"field_px": 224})[:2] == (0, None)


@pytest.mark.parametrize("damage", ["cut short", "zeros", "ones", "a changed byte"])
def test_a_record_that_was_not_written_whole_is_left_out(damage, tmp_path):
    out, rows = tmp_path / "e.h5", np.arange(8, dtype=np.float32).reshape(4, 2)
    keep_rows(out, {}, rows)
    path = keep_rows(out, {}, rows, start=4)
    content = path.read_bytes()
    record = RECORD.size + 32
    path.write_bytes(
        {
            "cut short": content[:-5],
            "zeros": content[:-record] + bytes(record + 100),
            "ones": content[:-record] + b"\xff" * record,
            "a changed byte": content[:-1] + b"x",
        }[damage]
    )
    assert resumed(out, {})[:2] == (4, 4)
    keep_rows(out, {}, rows, start=4)
    assert resumed(out, {})[:2] == (8, 4)


def test_two_jobs_that_keep_the_same_rows_do_no_harm(tmp_path):
    out, rows = tmp_path / "e.h5", np.ones((4, 2), np.float32)
    for start in (0, 0, 4, 4):
        keep_rows(out, {}, rows, start)
    assert resumed(out, {})[0] == 8
    keep_rows(out, {}, rows, start=20)
    assert resumed(out, {})[0] == 8


class Stopping(LoadedMeanGrey):
    """The mean grey value, from a device that stops at the third batch."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        object.__setattr__(self, "batches", getattr(self, "batches", 0) + 1)
        if self.batches == 3:
            raise RuntimeError("device-side assert triggered")
        return super().__call__(images)


@pytest.mark.parametrize("changed", ["nothing", "image", "view", "places"])
def test_kept_rows_are_reused_where_nothing_changed(changed, slide, tmp_path, caplog):
    caplog.set_level("INFO")
    out, own = tmp_path / "e.h5", tmp_path / "slide.tif"
    own.write_bytes(slide.read_bytes())
    with pytest.raises(RuntimeError, match="device-side"):
        embed(own, out, Stopping(MeanGrey(), __version__, ""))
    if changed == "image":
        os.utime(own, ns=(0, 0))
    view = View(field_px=200) if changed == "view" else VIEW
    shift_px = 5.0 if changed == "places" else 0.0
    embed(own, out, "mean_grey", view=view, shift_px=shift_px)
    assert ("Continuing with field 9 of 90" in caplog.text) == (changed == "nothing")
    assert sorted(tmp_path.iterdir()) == [out, own]


def test_a_slide_that_is_damaged_leaves_nothing_behind(slide, tmp_path):
    content = slide.read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(content[: len(content) // 2])
    folder = tmp_path / "features"
    with pytest.raises(UserError, match="damaged or cut short"):
        embed(cut, folder / "e.h5", "mean_grey", workers=2)
    assert not folder.exists() or list(folder.iterdir()) == []
