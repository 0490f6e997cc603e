"""Names that look like nothing or like numbers, through every table of names."""

import numpy as np
import pandas as pd
from anndata import read_h5ad
from PIL import Image

from reg2st.evaluation.tidy import read_tidy
from reg2st.sections.panels import read_panel, write_panel
from reg2st.sections.section_file import load_section_arrays, write_section
from reg2st.study.folds import assign_folds, fold_table
from reg2st.study.sheets import read_sheet
from sections import read_st

NAMES = ["NA", "nan", "null", "1e5", "001"]


def test_genes_keep_their_names_from_counts_to_section_file(tmp_path):
    (tmp_path / "counts.csv").write_text(
        ",".join(["", *NAMES]) + "\n1x1,0,1,2,3,4\n1x2,5,6,7,8,9\n"
    )
    (tmp_path / "spots.tsv").write_text("x\ty\tpixel_x\tpixel_y\n1\t1\t9\t9\n1\t2\t9\t19\n")
    Image.fromarray(np.full((40, 40, 3), 200, np.uint8)).save(tmp_path / "slide.png")
    section = read_st(
        "nan",
        dataset="null",
        patient="001",
        image=tmp_path / "slide.png",
        counts=tmp_path / "counts.csv",
        spots=tmp_path / "spots.tsv",
    )
    write_section(section, tmp_path / "nan.h5ad")
    write_panel(tmp_path / "panel.txt", NAMES, {})
    arrays = load_section_arrays(tmp_path / "nan.h5ad", read_panel(tmp_path / "panel.txt"))
    assert (arrays.name, arrays.dataset, arrays.patient) == ("nan", "null", "001")
    assert read_h5ad(tmp_path / "nan.h5ad").var_names.tolist() == NAMES
    assert arrays.counts.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert arrays.absent_genes == []


def test_sections_keep_their_names_from_sheet_to_scores(tmp_path):
    rows = "".join(f"{name}\t{name}\ti\tc\ts\n" for name in NAMES)
    (tmp_path / "sheet.tsv").write_text(f"section\tpatient\timage\tcounts\tspots\n{rows}")
    sheet = read_sheet(tmp_path / "sheet.tsv")
    folds = assign_folds(sheet, "section_out")
    assert sorted(fold.name for fold in folds) == sorted(NAMES)
    for table in (
        fold_table(sheet, folds),
        pd.DataFrame(
            {"section": NAMES, "patient": NAMES, "gene": NAMES, "pcc": [0.5, *4 * [None]]}
        ),
    ):
        table.to_csv(tmp_path / "table.tsv", sep="\t", index=False)
        pd.testing.assert_frame_equal(read_tidy(tmp_path / "table.tsv"), table, check_dtype=False)
