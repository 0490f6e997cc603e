"""A slide whose prediction is killed goes on where it was, and ends with the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pytest

from model_folders import ENCODER

pytestmark = [pytest.mark.faults, pytest.mark.long]

PREDICT = """
import logging, sys, time
from pathlib import Path
from reg2st.training.slide_embedding import SlideFiles
from reg2st.training.slide_prediction import SlideRow, predict_slide
logging.basicConfig(level=logging.INFO, format="%(message)s")
made, out, pitch_um = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
files = SlideFiles(made / "D1.tif", made / "model", {sys.argv[4]: made / "weights.safetensors"})
row = SlideRow(slide="D1", pitch_um=pitch_um)
predict_slide(row, files, out / "D1.h5ad", out / "tissue.geojson", device="cpu", workers=2)
"""

PITCH_UM = float(os.environ.get("REG2ST_KILLED_SLIDE_PITCH_UM", "24"))
"""24 µm gives some 1,000 spots; 5.4 µm gives 20,000, which take minutes."""


def start(made, out):
    out.mkdir(exist_ok=True)
    arguments = (made, out, PITCH_UM, ENCODER)
    with open(out.with_suffix(".log"), "a") as log:
        return subprocess.Popen(
            [sys.executable, "-c", PREDICT, *map(str, arguments)],
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def seconds_so_far(process: subprocess.Popen) -> float:
    """CPU seconds of a process at work."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_of(process: subprocess.Popen) -> float:
    """CPU seconds of a process once it has ended; those of other work do not count."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def test_a_killed_slide_loses_less_than_a_minute_and_no_bit(fitted, tmp_path):
    undisturbed = start(fitted, tmp_path / "undisturbed")
    whole = seconds_of(undisturbed)
    assert undisturbed.returncode == 0, (tmp_path / "undisturbed.log").read_text()

    killed = start(fitted, tmp_path / "killed")
    while seconds_so_far(killed) < 0.6 * whole:
        time.sleep(0.5)
    killed.send_signal(signal.SIGKILL)
    begun = seconds_of(killed)
    assert not (tmp_path / "killed" / "D1.h5ad").exists()

    again = start(fitted, tmp_path / "killed")
    rest = seconds_of(again)
    said = (tmp_path / "killed.log").read_text()
    assert again.returncode == 0, said
    assert "Continuing with field" in said
    first, second = (
        anndata.read_h5ad(tmp_path / name / "D1.h5ad") for name in ("undisturbed", "killed")
    )
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.obs["distance"], second.obs["distance"])
    lost = begun + rest - whole
    print(f"{first.n_obs} spots: {whole:.0f} CPU s undisturbed, {lost:.0f} s lost by the kill")
    assert lost < 60
    assert {each.name for each in (tmp_path / "killed").iterdir()} == {"D1.h5ad", "tissue.geojson"}
