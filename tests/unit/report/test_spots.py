"""The figure of a section's spots on its slide."""

import numpy as np
import pytest
from PIL import Image

from reg2st.features.fields import View
from reg2st.features.patches import cut_patches, read_patches
from reg2st.report.figures.spots import spots
from reg2st.report.style import save
from reg2st.sections.section_file import write_section
from sections import read_st

SPOTS = """x\ty\tpixel_x\tpixel_y\tselected
1\t2\t600.4\t400.6\t1
4\t5\t300.5\t449.5\t1
7\t8\t1295.0\t10.0\t1
"""
VIEW = View(field_px=224)


@pytest.fixture
def section(tmp_path):
    """A section on a grey slide; the patch of its last spot extends beyond the slide."""
    slide = tmp_path / "slide.png"
    Image.fromarray(np.full((900, 1300, 3), 200, np.uint8)).save(slide)
    (tmp_path / "counts.tsv").write_text("\tACTB\n1x2\t1\n4x5\t1\n7x8\t1\n")
    (tmp_path / "spots.tsv").write_text(SPOTS)
    section = read_st(
        "S1",
        dataset="small",
        patient="P",
        image=slide,
        counts=tmp_path / "counts.tsv",
        spots=tmp_path / "spots.tsv",
        um_per_px=0.8,
    )
    write_section(section, tmp_path / "S1.h5ad")
    return tmp_path / "S1.h5ad"


def test_spots_are_drawn_on_the_slide_and_those_with_padded_patches_marked(section, tmp_path):
    figure = spots(section, section="S1", view=VIEW.model_dump())
    save(figure, tmp_path / "spots.png")
    drawn = np.asarray(Image.open(tmp_path / "spots.png").convert("RGB")).astype(int)
    blue = np.abs(drawn - [0, 0x72, 0xB2]).sum(axis=2) < 30
    orange = np.abs(drawn - [0xD5, 0x5E, 0]).sum(axis=2) < 30
    grey = np.abs(drawn - 200).max(axis=2) < 3
    assert blue.sum() > 100
    assert orange.sum() > 20
    assert grey.mean() > 0.5


def test_padded_patches_are_those_that_were_cut(section, tmp_path):
    cut_patches(tmp_path / "slide.png", section, VIEW, tmp_path / "S1.h5")
    padded = read_patches(tmp_path / "S1.h5").padded.sum()
    figure = spots(section, section="S1", view=VIEW.model_dump())
    inside, leaving, _ = (text.get_text() for text in figure.legends[0].get_texts())
    assert inside == "2 spots"
    assert leaving == f"{padded} spot whose patch leaves the slide"


def test_what_was_left_out_is_said(section):
    figure = spots(section, section="S1", view=VIEW.model_dump())
    title = figure.legends[0].get_title().get_text()
    assert title == "small: section S1 of patient P. Left out: nothing"
