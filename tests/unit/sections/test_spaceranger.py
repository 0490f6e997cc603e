"""Folders of Space Ranger, of every version: what is read, and what is said of a bad one."""

import gzip
import json
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from outs import PITCH_PX, Outs, square, stained
from reg2st.base.errors import UserError
from reg2st.sections.assembly import read_section
from reg2st.sections.readers import reader
from reg2st.sections.section_file import load_section_arrays, write_section
from reg2st.sections.section_row import SectionRow


@pytest.fixture
def visium(tmp_path):
    """Write a Visium section with changes, and read it."""

    def read(made=None, change=None, **said):
        outs = (made or Outs()).write(tmp_path / "S1" / "outs", change)
        stained().save(tmp_path / "S1.tif")
        if said.get("picture", "full") == "full":
            said = {"image": "S1.tif", **said}
        row = SectionRow("S1", "P", "visium", folder="S1", **said)
        assert outs.is_dir()
        return read_section(row, reader("visium").files(row, tmp_path), "made")

    return read


@pytest.fixture
def hd(tmp_path):
    """Write a Visium HD section of bins of 8 and 16 µm, and read one of them."""

    def read(bin_um, **said):
        for size in (8, 16):
            made = Outs(square(size, um_per_px=0.5))
            made.scalefactors["microns_per_pixel"] = 0.5
            folder = tmp_path / "S1" / "outs" / "binned_outputs" / f"square_{size:03d}um"
            made.write_h5(folder / "filtered_feature_bc_matrix.h5")
            made.write_positions(folder / "spatial" / "tissue_positions.parquet")
            made.write_scalefactors(folder / "spatial")
            made.write_pictures(folder / "spatial")
        stained().save(tmp_path / "S1.tif")
        row = SectionRow("S1", "P", "visium_hd", folder="S1", image="S1.tif", bin_um=bin_um, **said)
        return read_section(row, reader("visium_hd").files(row, tmp_path), "made")

    return read


def use_mtx(version):
    def change(made, outs):
        (outs / "filtered_feature_bc_matrix.h5").unlink()
        made.write_mtx(outs / "filtered_feature_bc_matrix", version)

    return change


def use_h5_of_version_2(made, outs):
    made.write_h5(outs / "filtered_feature_bc_matrix.h5", version=2)


def add_a_prefix(_, outs):
    name = "filtered_feature_bc_matrix.h5"
    (outs / name).rename(outs / f"GSM1_S1_{name}")


def use_positions(name, header):
    def change(made, outs):
        (outs / "spatial" / "tissue_positions.csv").unlink()
        made.write_positions(outs / "spatial" / name, header)

    return change


def keep_all_versions_of_positions(made, outs):
    shuffled = Outs(made.positions.sample(frac=1, random_state=0))
    shuffled.positions = shuffled.positions.round({"pxl_row_in_fullres": 0})
    shuffled.write_positions(outs / "spatial" / "tissue_positions_list.csv", header=False)


VERSIONS = {
    "h5 of version 3": None,
    "h5 of version 2": use_h5_of_version_2,
    "mtx of version 3": use_mtx(3),
    "mtx of version 2": use_mtx(2),
    "a sample prefix": add_a_prefix,
    "positions without header": use_positions("tissue_positions_list.csv", False),
    "positions with header": use_positions("tissue_positions_list.csv", True),
    "positions in parquet": use_positions("tissue_positions.parquet", True),
    "two versions that agree": keep_all_versions_of_positions,
}


@pytest.mark.parametrize("change", VERSIONS.values(), ids=VERSIONS)
def test_every_version_of_space_ranger_gives_the_same_section(visium, change):
    made = Outs()
    section = visium(made, change)
    place = made.positions.set_index("barcode").loc[made.barcodes]
    assert section.obs_names.tolist() == made.barcodes
    assert section.var_names.tolist() == [*made.genes[:6], "GENE1-1"]
    assert (section.X.toarray() == made.counts).all()
    assert section.X.dtype == np.float32
    pixels = place[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
    np.testing.assert_allclose(section.obsm["spatial"], pixels)
    assert (section.obs["array_row"] == place["array_row"]).all()
    assert (section.obs["array_col"] == place["array_col"]).all()
    told = section.uns["section"]
    assert told["um_per_px"] == pytest.approx(100 / PITCH_PX)
    assert told["spot_pitch_px"] == pytest.approx(PITCH_PX)
    assert (told["spot_pitch_um"], told["spot_diameter_um"]) == (100, 55)
    assert not any(told["dropped"].values())
    assert told["warnings"].tolist() == []


def test_the_files_of_a_folder_are_named_one_by_one(tmp_path):
    Outs().write(tmp_path / "S1", keep_all_versions_of_positions)
    row = SectionRow("S1", "P", "visium", folder="S1", image="S1.tif")
    found = reader("visium").files(row, tmp_path)
    assert {name: str(path.relative_to(tmp_path)) for name, path in found.items()} == {
        "matrix": "S1/filtered_feature_bc_matrix.h5",
        "positions": "S1/spatial/tissue_positions.csv",
        "positions_2": "S1/spatial/tissue_positions_list.csv",
        "scalefactors": "S1/spatial/scalefactors_json.json",
        "image": "S1.tif",
        "hires": "S1/spatial/tissue_hires_image.png",
    }
    shutil.rmtree(tmp_path / "S1")
    made = Outs()
    made.write(tmp_path / "S1", use_mtx(3))
    found = reader("visium").files(row, tmp_path)
    assert [found[name].name for name in ("matrix", "features", "barcodes")] == [
        "matrix.mtx.gz",
        "features.tsv.gz",
        "barcodes.tsv.gz",
    ]


def test_what_is_no_gene_or_not_in_tissue_is_left_out_and_counted(visium):
    made = Outs()
    made.kinds[2] = "Antibody Capture"
    nowhere = made.barcodes[0]
    made.positions = made.positions[made.positions["barcode"] != nowhere]
    gone = made.positions["barcode"] == made.barcodes[1]
    made.positions.loc[gone, "in_tissue"] = 0
    dropped_counts = made.barcodes.pop()
    made.counts = made.counts[:-1]
    section = visium(made)
    assert section.var_names.tolist() == [g for g in [*made.genes[:6], "GENE1-1"] if g != "GENE2"]
    assert section.obs_names.tolist() == made.barcodes[2:]
    assert dropped_counts not in section.obs_names
    assert section.uns["section"]["dropped"] == {
        "spots without counts": 1,
        "counts without a spot": 1,
        "not in tissue": 1,
        "features that are no genes": 1,
        "off the slide": 0,
    }
    assert (section.X.toarray() == np.delete(made.counts[2:], 2, axis=1)).all()


def test_barcodes_with_and_without_their_ending_are_matched(visium, caplog):
    caplog.set_level("INFO")
    made = Outs()
    made.barcodes = [name.removesuffix("-1") for name in made.barcodes]
    section = visium(made)
    assert section.obs_names.tolist() == made.barcodes
    assert not any(section.uns["section"]["dropped"].values())
    assert "different endings" in caplog.text


@pytest.mark.parametrize("picture", ["hires", "lowres"])
def test_the_smaller_picture_is_used_where_the_sheet_says_so(visium, picture, tmp_path):
    made = Outs()
    section = visium(made, picture=picture)
    scale = made.scalefactors[f"tissue_{picture}_scalef"]
    place = made.positions.set_index("barcode").loc[made.barcodes]
    pixels = place[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
    np.testing.assert_allclose(section.obsm["spatial"], pixels * scale)
    assert section.uns["section"]["um_per_px"] == pytest.approx(100 / PITCH_PX / scale)
    (warning,) = section.uns["section"]["warnings"]
    assert f"Space Ranger's {picture} picture" in warning
    write_section(section, tmp_path / "S1.h5ad")
    arrays = load_section_arrays(tmp_path / "S1.h5ad")
    assert arrays.warnings == [warning]
    assert arrays.image.endswith(f"tissue_{picture}_image.png")


@pytest.mark.parametrize("bin_um", [8, 16])
def test_bins_of_visium_hd_are_read_at_the_size_asked_for(hd, bin_um):
    section = hd(bin_um)
    made = Outs(square(bin_um, um_per_px=0.5))
    assert section.obs_names.tolist() == made.barcodes
    assert (section.X.toarray() == made.counts).all()
    told = section.uns["section"]
    assert told["um_per_px"] == 0.5
    assert told["spot_pitch_um"] == told["spot_diameter_um"] == bin_um
    assert told["spot_pitch_px"] == pytest.approx(bin_um / 0.5)
    assert told["warnings"].tolist() == []


def test_a_size_of_bins_that_a_folder_lacks_is_refused(hd):
    with pytest.raises(UserError, match=r"no bins of 24 µm \(it has 8, 16\); correct `bin_um`"):
        hd(24)


def test_a_section_of_one_spot_is_read_without_a_pitch(visium):
    made = Outs()
    made.positions = made.positions[made.positions["barcode"] == made.barcodes[0]]
    made.barcodes, made.counts = made.barcodes[:1], made.counts[:1]
    section = visium(made)
    assert section.n_obs == 1
    told = section.uns["section"]
    assert told["spot_pitch_um"] == 100
    assert not {"um_per_px", "spot_pitch_px"} & set(told)


# Wrong pictures


def test_the_hires_picture_given_as_the_image_is_refused(visium):
    with pytest.raises(UserError, match=r"is 400 px wide, .* belong to an image of 1,600 px"):
        visium(image="S1/outs/spatial/tissue_hires_image.png")


def test_without_a_smaller_picture_spots_outside_the_image_tell(visium):
    def change(_, outs):
        stained().resize((400, 300)).save(outs / "small.png")
        for path in (outs / "spatial").glob("*.png"):
            path.unlink()

    with pytest.raises(UserError, match=r"of .* spots lie outside .*small\.png \(400 x 300 px\)"):
        visium(change=change, image="S1/outs/small.png")


def test_an_image_of_another_section_is_a_warning_that_names_it(visium, caplog):
    def change(_, outs):
        stained().transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(outs / "other.png")

    section = visium(change=change, image="S1/outs/other.png")
    (warning,) = section.uns["section"]["warnings"]
    assert "of the spots lie on tissue of" in warning
    assert "other.png" in warning
    assert warning in caplog.text


def test_exchanged_columns_of_positions_are_said(visium):
    made = Outs()
    x, y = "pxl_col_in_fullres", "pxl_row_in_fullres"
    made.positions[[x, y]] = made.positions[[y, x]].to_numpy()
    section = visium(made)
    assert any("if x and y were exchanged" in each for each in section.uns["section"]["warnings"])


# Bad folders, one sentence each


def without(name):
    def change(_, outs):
        path = outs / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def incomplete_mtx(made, outs):
    use_mtx(3)(made, outs)
    (outs / "filtered_feature_bc_matrix" / "barcodes.tsv.gz").unlink()


def another_h5(_, outs):
    with h5py.File(outs / MATRIX, "r+") as file:
        file.move("matrix", "else")


def of_other_barcodes(made, outs):
    made.barcodes = [f"OTHER{name}" for name in made.barcodes]
    made.write_h5(outs / "filtered_feature_bc_matrix.h5")


def of_two_libraries(made, outs):
    made.barcodes = [f"{number // 2}-{number % 2}" for number in range(len(made.barcodes))]
    made.write_h5(outs / "filtered_feature_bc_matrix.h5")


def positions_that_disagree(made, outs):
    made.positions = made.positions.assign(pxl_row_in_fullres=lambda p: p["pxl_row_in_fullres"] + 9)
    made.write_positions(outs / "spatial" / "tissue_positions_list.csv", header=False)


def normalised(made, outs):
    made.counts = np.log1p(made.counts)
    made.write_mtx(outs / "filtered_feature_bc_matrix")
    (outs / "filtered_feature_bc_matrix.h5").unlink()
    path = outs / "filtered_feature_bc_matrix" / "matrix.mtx.gz"
    text = gzip.decompress(path.read_bytes()).decode().replace("integer", "real")
    lines = text.splitlines()
    lines[3:] = [f"{line}.5" for line in lines[3:]]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def no_tissue(made, outs):
    made.positions = made.positions.assign(in_tissue=0)
    made.write_positions(outs / "spatial" / "tissue_positions.csv")


def two_matrices(_, outs):
    h5 = outs / "filtered_feature_bc_matrix.h5"
    shutil.copy(h5, outs / "A_filtered_feature_bc_matrix.h5")
    h5.rename(outs / "B_filtered_feature_bc_matrix.h5")


def written(name, content):
    def change(_, outs):
        (outs / name).write_bytes(content)

    return change


def cut_short(name):
    def change(_, outs):
        content = (outs / name).read_bytes()
        (outs / name).write_bytes(content[: len(content) // 2])

    return change


def without_scale(made, outs):
    (outs / "spatial" / "scalefactors_json.json").write_text(json.dumps({"other": 1}))


def a_pixel_size_in_words(made, outs):
    made.scalefactors["microns_per_pixel"] = "half"
    made.write_scalefactors(outs / "spatial")


def a_position_without_number(made, outs):
    made.positions = made.positions.astype({"array_row": object})
    made.positions.loc[4, "array_row"] = "low"
    made.write_positions(outs / "spatial" / "tissue_positions.csv")


def a_barcode_twice(made, outs):
    made.positions.loc[5, "barcode"] = made.positions.loc[4, "barcode"]
    made.write_positions(outs / "spatial" / "tissue_positions.csv")


MATRIX, POSITIONS = "filtered_feature_bc_matrix.h5", "spatial/tissue_positions.csv"
BAD = {
    "no matrix": (without(MATRIX), "has no count matrix"),
    "no positions": (without(POSITIONS), "has no spot positions"),
    "no scale factors": (without("spatial/scalefactors_json.json"), "no scalefactors_json.json"),
    "no spatial": (without("spatial"), "has no spot positions"),
    "two matrices": (two_matrices, "has 2 matrices"),
    "an incomplete mtx": (incomplete_mtx, r"has no barcodes\.tsv\.gz"),
    "other barcodes": (of_other_barcodes, "only 0 of .* barcodes of"),
    "two libraries": (of_two_libraries, "only 0 of .* barcodes of"),
    "positions that disagree": (positions_that_disagree, "disagree; keep the one"),
    "normalised": (normalised, "is no count: raw counts are needed"),
    "an empty tissue": (no_tissue, "no spot of .* is in tissue"),
    "a matrix cut short": (cut_short(MATRIX), "is damaged or no count matrix"),
    "another h5": (another_h5, "is damaged or no count matrix"),
    "scale factors that are none": (without_scale, "no tissue_hires_scalef above 0"),
    "a pixel size in words": (a_pixel_size_in_words, "no microns_per_pixel above 0"),
    "scale factors cut short": (
        written("spatial/scalefactors_json.json", b'{"tissue'),
        r"scalefactors_json\.json cannot be read as JSON",
    ),
    "a broken picture": (
        written("spatial/tissue_hires_image.png", b"nothing"),
        r"tissue_hires_image\.png is no image",
    ),
    "empty positions": (written(POSITIONS, b""), "cannot be read"),
    "positions of another kind": (written(POSITIONS, b"a,b\n1,2\n"), "2 columns instead of 6"),
    "positions without a column": (
        written(POSITIONS, b"barcode,in_tissue\nA,1\n"),
        "have no column array_row",
    ),
    "a position without number": (
        a_position_without_number,
        "no number in column array_row of row 5",
    ),
    "a barcode twice": (a_barcode_twice, "name the barcode .* twice"),
}


@pytest.mark.parametrize(("change", "told"), BAD.values(), ids=BAD)
def test_a_bad_folder_is_one_sentence(visium, change, told):
    with pytest.raises(UserError, match=told) as caught:
        visium(change=change)
    assert "\n" not in str(caught.value)


def test_a_picture_that_is_not_there_is_one_sentence(visium):
    with pytest.raises(UserError, match=r"no tissue_hires_image\.png; set `picture` to lowres"):
        visium(change=without("spatial/tissue_hires_image.png"), picture="hires")


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    row = SectionRow("S1", "P", "visium", folder="nowhere", image="S1.tif")
    with pytest.raises(UserError, match="nowhere does not exist"):
        reader("visium").files(row, tmp_path)


def test_a_matrix_of_spots_outside_the_tissue_is_a_warning(visium):
    made = Outs()
    half = made.positions["barcode"].isin(made.barcodes[::2])
    made.positions.loc[half, "in_tissue"] = 0
    (warning,) = visium(made).uns["section"]["warnings"]
    assert "are not in tissue by" in warning


# Real sections


REAL = {
    "human_breast_338": ("hires", 338, 36601, 7.67),
    "human_crc16": ("lowres", 3106, 36601, 15.1),
    "mouse_placenta_cytassist": ("lowres", 2898, 19465, 23.4),
    "human_dlpfc/151673": ("lowres", 3639, 5000, 16.2),
    "human_dlpfc/151674": ("lowres", 3673, 5000, 16.2),
    "human_dlpfc/151510": ("lowres", 4634, 500, 16.2),
}


@pytest.mark.parametrize("folder", REAL)
def test_a_real_section_is_read(shared, folder):
    picture, spots, genes, um_per_px = REAL[folder]
    root = shared / "data" / "visium"
    row = SectionRow("S1", "P", "visium", folder=folder, picture=picture)
    section = read_section(row, reader("visium").files(row, root), "real")
    assert section.shape == (spots, genes)
    told = section.uns["section"]
    assert told["um_per_px"] == pytest.approx(um_per_px, rel=0.02)
    assert not any(told["dropped"].values())
    assert len(told["warnings"]) == 1  # of the picture: every spot lies where it should


def test_h5_and_mtx_of_a_real_section_are_the_same(shared, tmp_path):
    outs = shared / "data" / "visium" / "mouse_placenta_cytassist" / "outs"
    shutil.copytree(outs / "filtered_feature_bc_matrix", tmp_path / "filtered_feature_bc_matrix")
    shutil.copytree(outs / "spatial", tmp_path / "spatial")
    row = SectionRow("S1", "P", "visium", folder=".", picture="lowres")
    one, other = (reader("visium").files(row, root) for root in (outs, tmp_path))
    assert (one["matrix"].name, other["matrix"].name) == (MATRIX, "matrix.mtx.gz")
    one, other = (reader("visium").read(files, row) for files in (one, other))
    assert one.barcodes == other.barcodes
    assert one.genes == other.genes
    assert (one.counts != other.counts).nnz == 0


def test_a_real_lowres_picture_as_the_image_is_refused(shared):
    outs = "human_crc16/outs"
    picture = f"{outs}/spatial/tissue_lowres_image.png"
    row = SectionRow("S1", "P", "visium", folder=outs, image=picture)
    files = reader("visium").files(row, shared / "data" / "visium")
    with pytest.raises(UserError, match=r"is 561 px wide, but .* an image of 6,5"):
        read_section(row, files, "real")
