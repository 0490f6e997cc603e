"""The sheet that is proposed for a folder is one that the workflow reads."""

import subprocess
import sys

import pytest

from outs import Outs, square, stained
from reg2st.base.errors import UserError
from reg2st.sections.assembly import read_section
from reg2st.sections.readers import reader
from reg2st.study.sheets import read_sheet, section_row
from reg2st.tools.propose_sheet import propose


@pytest.fixture
def folder(tmp_path):
    """Visium with its image beside it, Visium without, and Visium HD."""
    Outs().write(tmp_path / "S1" / "outs")
    stained().save(tmp_path / "S1.tif")
    stained().resize((200, 150)).save(tmp_path / "another.png")
    Outs().write(tmp_path / "run 2" / "S2" / "outs")
    stained().crop((0, 0, 900, 1200)).save(tmp_path / "run 2" / "S2" / "cropped.tif")
    hd = Outs(square(16, um_per_px=0.5))
    hd.scalefactors["microns_per_pixel"] = 0.5
    stained().save(tmp_path / "HD_scan.tif")
    binned = tmp_path / "HD" / "outs" / "binned_outputs" / "square_016um"
    hd.write(binned)
    (binned / "spatial" / "tissue_positions.csv").unlink()
    hd.write_positions(binned / "spatial" / "tissue_positions.parquet")
    return tmp_path


def test_sections_are_found_with_their_images(folder):
    rows = {row["section"]: row for row in propose(folder)}
    assert {name: row["platform"] for name, row in rows.items()} == {
        "HD_16um": "visium_hd",
        "S1": "visium",
        "S2": "visium",
    }
    assert [rows[name]["image"] for name in ("S1", "S2", "HD_16um")] == [
        "S1.tif",
        "",
        "HD_scan.tif",
    ]
    assert [rows[name]["picture"] for name in ("S1", "S2", "HD_16um")] == ["", "hires", ""]
    assert rows["HD_16um"]["bin_um"] == "16"


def test_the_proposed_sheet_is_read_as_it_is(folder):
    command = [sys.executable, "-m", "reg2st.tools.propose_sheet", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert "no full-resolution image found" in done.stderr
    (folder / "sheet.tsv").write_text(done.stdout)
    sheet = read_sheet(folder / "sheet.tsv")
    for name in sheet.index:
        row = section_row(sheet, name)
        section = read_section(row, reader(row.platform).files(row, folder), "mine")
        assert section.n_obs > 100


def test_an_empty_folder_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="holds no outs folder"):
        propose(tmp_path)
