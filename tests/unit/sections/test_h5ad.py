"""AnnData files and HEST-1k folders: what is read, and what is said of a bad one."""

import json
import shutil

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csc_matrix, csr_matrix

from outs import stained
from reg2st.base.errors import UserError
from reg2st.sections.assembly import read_section
from reg2st.sections.readers import reader
from reg2st.sections.section_file import load_section_arrays, write_section
from reg2st.sections.section_row import SectionRow
from sections import read_st

COUNTS = np.random.default_rng(0).poisson(2.0, (30, 4))
XY = np.array([(200 + 60 * x, 300 + 60 * y) for x in range(6) for y in range(5)])
BARCODES = [f"cell {number}" for number in range(30)]
GENES = pd.DataFrame(index=["A", "B", "C", "D"])
LOG = np.log1p(COUNTS)


def made(counts=COUNTS, **parts) -> anndata.AnnData:
    return anndata.AnnData(
        X=counts,
        obs=pd.DataFrame(index=BARCODES),
        var=GENES,
        obsm={"spatial": XY},
        **parts,
    )


@pytest.fixture
def h5ad(tmp_path):
    """Write an AnnData file and its image, and read them."""

    def read(adata, **said):
        adata.write_h5ad(tmp_path / "S1.h5ad")
        stained().save(tmp_path / "S1.png")
        row = SectionRow("S1", "P", "h5ad", counts="S1.h5ad", image="S1.png", **said)
        return read_section(row, reader("h5ad").files(row, tmp_path), "made")

    return read


@pytest.fixture
def hest(tmp_path):
    """Write a folder of HEST-1k with changes, and read it."""

    def read(adata=None, metadata=None, change=None, **said):
        adata = made() if adata is None else adata
        known = {"pixel_size_um_estimated": 0.5, "inter_spot_dist": 30.0, "spot_diameter": 20.0}
        for folder in ("st", "wsis", "metadata"):
            (tmp_path / "hest" / folder).mkdir(parents=True)
        adata.write_h5ad(tmp_path / "hest" / "st" / "TENX1.h5ad")
        stained().save(tmp_path / "hest" / "wsis" / "TENX1.tif")
        text = json.dumps(known if metadata is None else metadata)
        (tmp_path / "hest" / "metadata" / "TENX1.json").write_text(text)
        if change is not None:
            change(tmp_path / "hest")
        row = SectionRow("S1", "P", "hest", folder="hest", hest_id="TENX1", **said)
        return read_section(row, reader("hest").files(row, tmp_path), "made")

    return read


STORED = {
    "dense": made(),
    "float": made(COUNTS.astype(np.float64)),
    "CSR": made(csr_matrix(COUNTS)),
    "CSC": made(csc_matrix(COUNTS)),
    "raw": made(
        LOG, raw={"X": csr_matrix(COUNTS), "var": pd.DataFrame(index=["A", "B", "C", "D"])}
    ),
}


@pytest.mark.parametrize("adata", STORED.values(), ids=STORED)
def test_raw_counts_are_found_however_they_are_stored(h5ad, adata):
    section = h5ad(adata)
    assert section.obs_names.tolist() == BARCODES
    assert section.var_names.tolist() == ["A", "B", "C", "D"]
    assert (section.X.toarray() == COUNTS).all()
    assert section.X.dtype == np.float32
    np.testing.assert_array_equal(section.obsm["spatial"], XY)


def test_a_named_layer_holds_the_counts(h5ad):
    section = h5ad(made(LOG, layers={"raw_counts": COUNTS}), layer="raw_counts")
    assert (section.X.toarray() == COUNTS).all()


def test_many_spots_are_read_in_chunks(tmp_path):
    counts = np.random.default_rng(1).poisson(1.0, (2500, 3))
    xy = np.random.default_rng(2).uniform(0, 1000, (2500, 2))
    adata = anndata.AnnData(counts, var=pd.DataFrame(index=["A", "B", "C"]), obsm={"spatial": xy})
    adata.write_h5ad(tmp_path / "S1.h5ad")
    row = SectionRow("S1", "P", "h5ad", counts="S1.h5ad", image="S1.png")
    raw = reader("h5ad").read(reader("h5ad").files(row, tmp_path), row)
    assert (raw.counts.toarray() == counts).all()


def test_a_section_without_an_array_has_no_array_numbers(h5ad, tmp_path):
    section = h5ad(made(), um_per_px=0.5)
    write_section(section, tmp_path / "written.h5ad")
    arrays = load_section_arrays(tmp_path / "written.h5ad", ["D", "A"])
    assert arrays.array_xy is None
    assert (arrays.platform, arrays.um_per_px) == ("h5ad", 0.5)
    assert (arrays.spot_pitch_px, arrays.spot_pitch_um) == (60, 30)
    assert arrays.spot_diameter_um is None
    assert np.isnan(arrays.spot_diameter_px)
    assert arrays.counts.tolist() == COUNTS[:, [3, 0]].tolist()


def test_array_numbers_and_tissue_are_taken_from_obs(h5ad):
    adata = made()
    adata.obs["array_col"], adata.obs["array_row"] = np.divmod(np.arange(30), 5)
    adata.obs["in_tissue"] = (np.arange(30) > 2).astype(int)
    section = h5ad(adata)
    assert section.n_obs == 27
    assert section.obs["array_col"].tolist()[:3] == [0, 0, 1]
    assert section.obs["array_row"].tolist()[:3] == [3, 4, 0]
    assert section.uns["section"]["dropped"]["not in tissue"] == 3


def test_the_chemistry_of_visium_tells_the_pitch_and_its_pictures_nothing(h5ad):
    adata = made()
    adata.uns["spatial"] = {
        "S1": {
            "images": {"hires": np.zeros((10, 10, 3))},
            "scalefactors": {"tissue_hires_scalef": 0.9, "spot_diameter_fullres": 1.0},
            "metadata": {"chemistry_description": "Spatial 3' v1"},
        }
    }
    told = h5ad(adata).uns["section"]
    assert told["um_per_px"] == pytest.approx(100 / 60)
    assert (told["spot_pitch_um"], told["spot_diameter_um"]) == (100, 55)


def test_repeated_genes_are_numbered(h5ad, caplog):
    caplog.set_level("INFO")
    adata = made()
    adata.var_names = ["A", "B", "A", "A"]
    assert h5ad(adata).var_names.tolist() == ["A", "B", "A-1", "A-2"]
    assert "2 genes bear the name" in caplog.text


def without_spatial():
    adata = made()
    del adata.obsm["spatial"]
    return adata


def flat():
    adata = made()
    adata.obsm["spatial"] = XY[:, :1]
    return adata


def with_a_gap():
    adata = made()
    adata.obsm["spatial"] = np.where(np.arange(30)[:, None] == 4, np.nan, XY)
    return adata


def with_a_spot_twice():
    adata = made()
    adata.obs_names = ["cell 0", "cell 0", *BARCODES[2:]]
    return adata


def without_tissue():
    adata = made()
    adata.obs["in_tissue"] = 0
    return adata


BAD = {
    "normalised": (made(LOG), {}, "is no count: raw counts are needed"),
    "normalised beside layers": (
        made(LOG, layers={"scaled": LOG}),
        {},
        r"not normalised ones; name the layer .*\(there are scaled\)\.$",
    ),
    "a layer that is not there": (
        made(LOG, layers={"counts": COUNTS}),
        {"layer": "raw"},
        r"no layer 'raw' \(its layers: counts\)",
    ),
    "a normalised layer": (made(layers={"log": LOG}), {"layer": "log"}, "is no count"),
    "negative": (made(COUNTS - 1), {}, "holds -1, which is no count"),
    "without spatial": (without_spatial(), {}, r'has no obsm\["spatial"\]'),
    "a spatial of one number": (flat(), {}, r'obsm\["spatial"\] must hold x and y of each spot'),
    "a gap": (with_a_gap(), {}, "no position for the spot cell 4"),
    "a spot twice": (with_a_spot_twice(), {}, "names the spot cell 0 twice"),
    "an empty tissue": (without_tissue(), {}, "no spot in tissue"),
}


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize(("adata", "said", "told"), BAD.values(), ids=BAD)
def test_a_bad_file_is_one_sentence(h5ad, adata, said, told):
    with pytest.raises(UserError, match=told) as caught:
        h5ad(adata, **said)
    assert "S1.h5ad" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_h5ad_is_one_sentence(tmp_path):
    row = SectionRow("S1", "P", "h5ad", counts="S1.h5ad", image="S1.png")
    files = reader("h5ad").files(row, tmp_path)
    made().write_h5ad(files["counts"])
    whole = files["counts"].read_bytes()
    for content in (b"nothing", whole[: len(whole) // 2]):
        files["counts"].write_bytes(content)
        with pytest.raises(UserError, match=r"S1\.h5ad is damaged or no h5ad file"):
            reader("h5ad").read(files, row)


def test_a_folder_of_hest_tells_its_sizes(hest):
    section = hest()
    assert (section.X.toarray() == COUNTS).all()
    np.testing.assert_array_equal(section.obsm["spatial"], XY)
    told = section.uns["section"]
    assert told["um_per_px"] == 0.5
    assert (told["spot_pitch_um"], told["spot_diameter_um"]) == (30, 20)
    assert told["warnings"].tolist() == []


def test_hest_and_a_pitch_that_disagrees_is_said(hest):
    metadata = {"pixel_size_um_estimated": 0.5, "inter_spot_dist": 20.0, "spot_diameter": None}
    told = hest(metadata=metadata).uns["section"]
    (warning,) = told["warnings"]
    assert "0.5 µm by TENX1.json, which is used, but 0.3333 µm by the spot pitch" in warning
    assert "spot_diameter_um" not in told


def test_hest_without_sizes_asks_the_slide(hest):
    metadata = {"pixel_size_um_estimated": float("nan"), "inter_spot_dist": None}
    assert "um_per_px" not in hest(metadata=metadata).uns["section"]


def test_positions_of_hest_in_obs(hest):
    adata = without_spatial()
    adata.obs["pxl_col_in_fullres"], adata.obs["pxl_row_in_fullres"] = XY.T
    np.testing.assert_array_equal(hest(adata).obsm["spatial"], XY)


def missing(name):
    return lambda folder: (folder / name).unlink()


def broken(folder):
    (folder / "metadata" / "TENX1.json").write_text("{")


BAD_HEST = {
    "no table": ({"change": missing("st/TENX1.h5ad")}, r"has no st/TENX1\.h5ad"),
    "no image": ({"change": missing("wsis/TENX1.tif")}, r"has no wsis/TENX1\.tif"),
    "no metadata": ({"change": missing("metadata/TENX1.json")}, r"has no metadata/TENX1\.json"),
    "broken metadata": ({"change": broken}, r"TENX1\.json cannot be read as JSON"),
    "no positions": ({"adata": without_spatial()}, "has no spot positions"),
    "another image": ({"metadata": {"fullres_px_width": 3200}}, "belong to an image of 3,200 px"),
}


@pytest.mark.parametrize(("changes", "told"), BAD_HEST.values(), ids=BAD_HEST)
def test_a_bad_folder_of_hest_is_one_sentence(hest, changes, told):
    with pytest.raises(UserError, match=told):
        hest(**changes)


# Real sections


def test_a_real_h5ad_is_read_and_its_normalised_twin_refused(shared):
    root = shared / "data" / "h5ad"
    said = {"patient": "P", "platform": "h5ad", "image": "test_img.jpg"}
    row = SectionRow("S1", counts="test_data_100genes_counts.h5ad", **said)
    section = read_section(row, reader("h5ad").files(row, root), "real")
    assert section.shape == (49, 100)
    assert section.uns["section"]["um_per_px"] == pytest.approx(0.73, rel=0.01)
    assert section.uns["section"]["warnings"].tolist() == []
    row = SectionRow("S1", counts="test_data.h5ad", **said)
    with pytest.raises(UserError, match=r"test_data\.h5ad holds 1\.06.*, which is no count"):
        read_section(row, reader("h5ad").files(row, root), "real")


def test_a_real_section_of_hest_lies_on_its_tissue(shared, tmp_path, caplog):
    caplog.set_level("INFO")
    real = shared / "data" / "hest"
    for folder, name in (("st", "h5ad"), ("metadata", "meta"), ("wsis", None)):
        (tmp_path / folder).mkdir()
        if name:
            (source,) = (real / name).iterdir()
            shutil.copy(source, tmp_path / folder)
    Image.open(real / "image" / "NCBI858.jpg").save(tmp_path / "wsis" / "NCBI858.tif")
    row = SectionRow("NCBI858", "P", "hest", folder=".")
    section = read_section(row, reader("hest").files(row, tmp_path), "real")
    assert section.shape == (200, 338)
    assert section.uns["section"]["warnings"].tolist() == []
    assert "100 % of the spots lie on tissue" in caplog.text


def test_a_real_legacy_section_reads_the_same_as_h5ad(shared, tmp_path):
    data = shared / "data" / "her2st"
    image = data / "ST-imgs" / "C" / "C4" / "5714_HE_BT_D2.jpg"
    tables = {
        "counts": data / "ST-cnts" / "C4.tsv.gz",
        "spots": data / "ST-spotfiles" / "C4_selection.tsv",
    }
    legacy = read_st("C4", dataset="her2st", patient="C", image=image, um_per_px=0.6901, **tables)
    write_section(legacy, tmp_path / "C4.h5ad")
    row = SectionRow("C4", "C", "h5ad", counts="C4.h5ad", um_per_px=0.6901)
    files = {"counts": tmp_path / "C4.h5ad", "image": image}
    again = read_section(row, files, "her2st")
    assert again.obs_names.equals(legacy.obs_names)
    assert again.var_names.equals(legacy.var_names)
    assert (again.X != legacy.X).nnz == 0
    np.testing.assert_array_equal(again.obsm["spatial"], legacy.obsm["spatial"])
    pd.testing.assert_frame_equal(again.obs, legacy.obs)
    assert again.uns["section"]["um_per_px"] == legacy.uns["section"]["um_per_px"]
