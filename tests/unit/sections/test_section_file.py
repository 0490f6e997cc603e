"""Raw sections, their join, and the section files made of them."""

import gzip
import logging

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad
from PIL import Image

from processes import printed_by
from reg2st.base.errors import UserError
from reg2st.sections.readers.st import (
    read_counts,
    read_labels,
    read_spots,
)
from reg2st.sections.section_file import (
    SPOTS_AT_A_TIME,
    load_section_arrays,
    load_thumbnail,
    write_section,
)
from sections import read_st

COUNTS = "\tACTB\tERBB2\tKRT5\n1x2\t3\t0\t1\n1x3\t0\t7\t0\n2x2\t1\t1\t1\n2x3\t0\t0\t9\n"
SPOTS = """x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected
1\t2\t1.02\t1.97\t100.5\t200.25\t1
1\t3\t1.01\t3.04\t101.5\t300.25\t1
2\t2\t2.03\t2.01\t200.5\t201.25\t1
2\t3\t1.98\t3.02\t201.5\t301.25\t1
"""
LABELS = """Row.names\tx\ty\tpixel_x\tpixel_y\tlabel
100x200\t1.02\t1.97\t100\t200\tinvasive cancer
101x300\t1.01\t3.04\t101\t300\tconnective tissue
200x201\t2.03\t2.01\t200\t201\tinvasive cancer
"""


@pytest.fixture
def raw(tmp_path):
    """Writes a section's raw files, with changes, and returns the arguments to read it."""

    def write(counts=COUNTS, spots=SPOTS, size=(400, 500)):
        paths = {}
        for kind, text in (("counts", counts), ("spots", spots)):
            paths[kind] = tmp_path / f"{kind}.tsv"
            paths[kind].write_text(text)
        paths["image"] = tmp_path / "slide.png"
        Image.fromarray(np.full((size[1], size[0], 3), 200, np.uint8)).save(paths["image"])
        return paths

    return write


def section_of(paths, **more):
    return read_st("S1", dataset="small", patient="P", **paths, **more)


def test_counts_are_the_files_own(tmp_path):
    path = tmp_path / "counts.tsv"
    path.write_text(COUNTS)
    packed = tmp_path / "counts.tsv.gz"
    packed.write_bytes(gzip.compress(COUNTS.encode()))
    for each in (path, packed):
        counts = read_counts(each)
        assert counts.genes == ["ACTB", "ERBB2", "KRT5"]
        assert counts.spots == ["1x2", "1x3", "2x2", "2x3"]
        assert counts.matrix.toarray().tolist() == [[3, 0, 1], [0, 7, 0], [1, 1, 1], [0, 0, 9]]
        assert counts.matrix.dtype == np.float32


@pytest.mark.parametrize(
    "text",
    [
        COUNTS.removeprefix("\t"),
        '"ACTB"\t"ERBB2"\t"KRT5"\n' + COUNTS.split("\n", 1)[1],
        COUNTS.replace("\t3\t", "\t3.0\t"),
        COUNTS.replace("1x2\t", "1.04x1.98\t"),
        COUNTS.replace("\n", "\r\n"),
    ],
    ids=["header without a corner", "quoted", "3.0", "fractional positions", "Windows"],
)
def test_harmless_ways_to_write_counts(text, tmp_path):
    path = tmp_path / "counts.tsv"
    path.write_bytes(text.encode())
    counts = read_counts(path)
    assert counts.genes == ["ACTB", "ERBB2", "KRT5"]
    assert counts.spots[0] == "1x2"
    assert counts.matrix[0].toarray().tolist() == [[3, 0, 1]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("\tACTB\n", "empty"),
        (COUNTS.replace("KRT5", "ACTB"), "gene ACTB twice"),
        (COUNTS.replace("ERBB2", ""), "no gene name in column 2"),
        (COUNTS.replace("2x2", "1x2"), "spot 1x2 twice"),
        (COUNTS.replace("2x2", ""), "no name for row 3"),
        (COUNTS.replace("2x2", "spot7"), "'spot7' for row 3"),
        (COUNTS.replace("1x3\t0\t7", "1x3\t0\t-7"), "negative count .-7. at spot 1x3, gene ERBB2"),
        (
            COUNTS.replace("1x3\t0\t7", "1x3\t0\t7.5"),
            "fractional count .7.5. at spot 1x3, gene ERBB2",
        ),
        (COUNTS.replace("1x3\t0\t7", "1x3\t0\tmany"), "'many' at spot 1x3, gene ERBB2"),
        (COUNTS.replace("1x3\t0\t7\t0", "1x3\t0\t7"), "no value at spot 1x3, gene KRT5"),
        (COUNTS.replace("1x3\t0\t7\t0", "1x3\t0\t\t0"), "no value at spot 1x3, gene ERBB2"),
        (COUNTS.replace("1x3\t0\t7\t0", "1x3\t0\tinf\t0"), "'inf' at spot 1x3, gene ERBB2"),
        (COUNTS.replace("\tKRT5", ""), "3 columns in its header and 4 in its first row"),
        (COUNTS.replace("\tERBB2\tKRT5", ""), "2 columns in its header and 4 in its first row"),
        (COUNTS.replace("1x3\t0\t7\t0", "1x3\t0\t7\t0\t5"), "5 cells in line 3"),
    ],
)
def test_a_bad_count_file_is_one_sentence_that_names_the_place(text, told, tmp_path):
    path = tmp_path / "counts.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=told) as caught:
        read_counts(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_count_file_cut_short_or_missing(tmp_path):
    path = tmp_path / "counts.tsv.gz"
    rng = np.random.default_rng(0)
    lines = ["\t" + "\t".join(f"G{g}" for g in range(300))]
    lines += [f"{r}x1\t" + "\t".join(map(str, rng.integers(0, 999, 300))) for r in range(50)]
    whole = gzip.compress("\n".join(lines).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cut short; fetch it again"):
        read_counts(path)
    with pytest.raises(UserError, match="does not exist"):
        read_counts(tmp_path / "none.tsv")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        (SPOTS.split("\n")[0] + "\n", "no rows"),
        (SPOTS.replace("pixel_y", "pixel_z"), "lacks the column pixel_y"),
        (SPOTS.replace("301.25", ""), "no number in column pixel_y of row 4"),
        (SPOTS.replace("301.25", "low"), "no number in column pixel_y of row 4"),
        (SPOTS.replace("2\t3\t", "1\t2\t"), "spot 1x2 twice"),
    ],
)
def test_a_bad_spot_file_is_one_sentence(text, told, tmp_path):
    path = tmp_path / "spots.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=told) as caught:
        read_spots(path)
    assert str(path) in str(caught.value)


def test_spots_without_a_selected_column_are_all_selected(tmp_path):
    path = tmp_path / "spots.tsv"
    path.write_text("\n".join(line.rsplit("\t", 1)[0] for line in SPOTS.splitlines()))
    spots = read_spots(path)
    assert spots["selected"].all()
    assert spots.loc["2x3"].tolist() == [2, 3, 201.5, 301.25, True]


def test_a_section_follows_the_contract(raw):
    section = section_of(raw(), um_per_px=0.5)
    assert section.obs_names.tolist() == ["1x2", "1x3", "2x2", "2x3"]
    assert section.obs["array_col"].tolist() == [1, 1, 2, 2]
    assert section.obs["array_row"].tolist() == [2, 3, 2, 3]
    assert section.obsm["spatial"].dtype == np.float64
    assert section.obsm["spatial"][1].tolist() == [101.5, 300.25]
    place = section.uns["spatial"]["S1"]
    assert place["images"]["hires"].dtype == np.uint8
    assert place["scalefactors"] == {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 200.0}
    told = section.uns["section"]
    assert (told["name"], told["dataset"], told["patient"]) == ("S1", "small", "P")
    assert (told["platform"], told["format_version"]) == ("st", 3)
    assert (told["um_per_px"], told["spot_pitch_um"], told["spot_diameter_um"]) == (0.5, 200, 100)


def test_what_the_join_drops_is_counted_in_the_log(raw, caplog):
    counts = COUNTS + "9x9\t1\t1\t1\n8x8\t2\t2\t2\n7x7\t1\t1\t1\n"
    spots = SPOTS + "5\t5\t5\t5\t10\t10\t1\n8\t8\t8\t8\t20\t20\t0\n7\t7\t7\t7\t401\t20\t1\n"
    with caplog.at_level(logging.INFO):
        section = section_of(raw(counts, spots))
    assert section.n_obs == 4
    assert section.uns["section"]["dropped"] == {
        "spots without counts": 1,
        "counts without a spot": 1,
        "not selected": 1,
        "off the slide": 1,
    }
    for told in ("1 spots without counts", "1 off the slide"):
        assert told in caplog.text


def test_spots_that_belong_to_another_section_are_refused(raw):
    with pytest.raises(UserError, match=r"No spot of .* matches a row of") as caught:
        section_of(raw(spots=SPOTS.replace("\n1\t", "\n31\t").replace("\n2\t", "\n32\t")))
    assert "section S1" in str(caught.value)


def test_a_section_without_spots_left_is_refused(raw):
    with pytest.raises(UserError, match=r"no spots left .*4 not selected"):
        section_of(raw(spots=SPOTS.replace("\t1\n", "\t0\n")))


def test_without_a_pixel_size_the_pitch_tells_it(raw):
    told = section_of(raw())
    place = told.uns["spatial"]["S1"]
    assert told.uns["section"]["um_per_px"] == pytest.approx(2, rel=0.01)
    assert place["scalefactors"]["spot_diameter_fullres"] == pytest.approx(50, rel=0.01)


def test_a_section_file_reads_back_with_and_without_anndata(raw, tmp_path):
    import anndata

    section = section_of(raw(), um_per_px=0.5)
    path = tmp_path / "S1.h5ad"
    write_section(section, path)
    back = anndata.read_h5ad(path)
    assert (back.X != section.X).nnz == 0
    pd.testing.assert_frame_equal(back.obs, section.obs)

    arrays = load_section_arrays(path, ["KRT5", "ACTB"])
    assert (arrays.name, arrays.dataset, arrays.patient) == ("S1", "small", "P")
    assert arrays.barcodes.tolist() == ["1x2", "1x3", "2x2", "2x3"]
    assert arrays.array_xy.tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]
    assert arrays.array_xy.dtype == np.int64
    np.testing.assert_array_equal(arrays.pixel_xy, section.obsm["spatial"])
    assert arrays.counts.tolist() == [[1, 3], [0, 0], [1, 1], [9, 0]]
    assert arrays.counts.dtype == np.float32
    assert arrays.platform == "st"
    assert (arrays.um_per_px, arrays.spot_pitch_um, arrays.spot_diameter_um) == (0.5, 200, 100)
    assert arrays.spot_pitch_px == pytest.approx(100, rel=0.01)
    assert arrays.spot_diameter_px == 200
    assert arrays.dropped["not selected"] == 0
    assert arrays.warnings == list(section.uns["section"]["warnings"])
    assert len(arrays.warnings) == 1  # 200 µm are 100 px, so a pixel is rather 2 µm
    assert load_section_arrays(path).counts is None
    assert read_h5ad(path).var_names.tolist() == ["ACTB", "ERBB2", "KRT5"]
    picture, scale = load_thumbnail(path)
    assert picture.shape == (500, 400, 3)
    assert scale == 1


def test_an_absent_gene_is_zero_and_counted_and_no_gene_at_all_is_refused(raw, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "S1.h5ad"
    write_section(section_of(raw()), path)
    arrays = load_section_arrays(path, ["TP53", "ACTB"])
    assert arrays.absent_genes == ["TP53"]
    assert arrays.counts.tolist() == [[0, 3], [0, 0], [0, 1], [0, 0]]
    assert "1 of 2 panel genes are absent and count as zero: TP53" in caplog.text
    with pytest.raises(UserError, match="none of the 1 genes"):
        load_section_arrays(path, ["TP53"])


def test_a_section_file_of_another_format_is_refused(raw, tmp_path):
    path = tmp_path / "S1.h5ad"
    section = section_of(raw())
    section.uns["section"]["format_version"] = 1
    write_section(section, path)
    with pytest.raises(UserError, match=r"S1\.h5ad has format version 1.*delete it"):
        load_section_arrays(path)
    del section.uns["section"]["format_version"]
    write_section(section, path)
    with pytest.raises(UserError, match=r"S1\.h5ad has no format version"):
        load_section_arrays(path)


def test_what_is_no_section_file_is_refused(tmp_path):
    text = tmp_path / "text.h5ad"
    text.write_text("nothing")
    for path, told in ((text, "damaged or no section"), (tmp_path / "none.h5ad", "not exist")):
        with pytest.raises(UserError, match=told):
            load_section_arrays(path)


def test_reading_arrays_imports_neither_anndata_nor_pandas():
    code = (
        "import reg2st.sections.section_file, sys; "
        "print({'anndata', 'pandas', 'torch'} & set(sys.modules))"
    )
    assert printed_by(code).strip() == "set()"


def test_labels_join_by_rounding_and_what_has_no_place_or_label_is_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "labels.tsv"
    path.write_text(LABELS + "611x491\tNA\tNA\tNA\tNA\tfat\n201x301\t1.98\t3.02\t201\t301\t\n")
    assert read_labels(path).to_dict() == {
        "1x2": "invasive cancer",
        "1x3": "connective tissue",
        "2x2": "invasive cancer",
    }
    assert "2 rows without position or label" in caplog.text


def test_real_labels_join_by_rounding(shared, caplog):
    caplog.set_level(logging.INFO)
    folder = shared / "data" / "her2st" / "ST-pat" / "lbl"
    for path in sorted(folder.glob("*_labeled_coordinates.tsv")):
        labels = read_labels(path)
        assert labels.notna().all()
        name = path.name.split("_")[0]
        spots = shared / "data" / "her2st" / "ST-spotfiles" / f"{name}_selection.tsv"
        if spots.exists():
            assert labels.index.isin(read_spots(spots).index).mean() > 0.99
    assert "rows without position or label" in caplog.text


def test_a_real_section_joins_completely(shared):
    data = shared / "data" / "her2st"
    section = read_st(
        "B4",
        dataset="her2st",
        patient="B",
        image=data / "ST-imgs" / "B" / "B4" / "BT10737_D2_HE.jpg",
        counts=data / "ST-cnts" / "B4.tsv.gz",
        spots=data / "ST-spotfiles" / "B4_selection.tsv",
    )
    assert section.shape == (283, 15289)
    dropped = section.uns["section"]["dropped"]
    assert dropped.pop("spots without counts") == 1
    assert not any(dropped.values())
    diameter = section.uns["spatial"]["B4"]["scalefactors"]["spot_diameter_fullres"]
    assert diameter == pytest.approx(136, rel=0.1)
    column_of_spot = np.corrcoef(section.obs["array_col"], section.obsm["spatial"][:, 0])[0, 1]
    assert column_of_spot > 0.999


def test_counts_of_more_spots_than_are_read_at_once_are_those_of_the_file(raw, tmp_path):
    spots = SPOTS_AT_A_TIME + 5
    rng = np.random.default_rng(0)
    section = section_of(raw())
    many = section[rng.integers(0, section.n_obs, spots)].copy()
    many.obs_names = [f"s{spot}" for spot in range(spots)]
    write_section(many, tmp_path / "S1.h5ad")
    read = load_section_arrays(tmp_path / "S1.h5ad", ["KRT5", "NONE", "ACTB"])
    expected = many.to_df()
    np.testing.assert_array_equal(read.counts[:, 0], expected["KRT5"])
    np.testing.assert_array_equal(read.counts[:, 2], expected["ACTB"])
    assert not read.counts[:, 1].any()
    assert read.absent_genes == ["NONE"]
