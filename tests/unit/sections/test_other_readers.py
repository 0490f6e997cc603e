"""scanpy and squidpy read the same counts, barcodes and coordinates from the same folders."""

import shutil

import numpy as np
import pytest

from outs import Outs
from reg2st.sections.readers import reader
from reg2st.sections.section_row import SectionRow

REAL = ("human_breast_338", "human_crc16", "mouse_placenta_cytassist")


def others_reading(name, outs):
    if name == "scanpy":
        scanpy = pytest.importorskip("scanpy")
        adata = scanpy.read_visium(outs, load_images=True)
    else:
        squidpy = pytest.importorskip("squidpy", reason="squidpy is not installed")
        adata = squidpy.read.visium(outs, load_images=True)
    adata.var_names_make_unique()
    return adata


def check_same(name, outs):
    theirs = others_reading(name, outs)
    row = SectionRow("S1", "P", "visium", folder=".", image="S1.tif")
    ours = reader("visium").read(reader("visium").files(row, outs), row)
    assert ours.barcodes == theirs.obs_names.tolist()
    assert ours.genes == theirs.var_names.tolist()
    assert (ours.counts != theirs.X).nnz == 0
    np.testing.assert_array_equal(ours.pixel_xy, theirs.obsm["spatial"].astype(float))
    np.testing.assert_array_equal(ours.array_xy, theirs.obs[["array_col", "array_row"]])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["scanpy", "squidpy"])
@pytest.mark.parametrize("header", [True, False])
def test_a_made_folder_reads_the_same(name, header, tmp_path):
    def change(made, outs):
        if not header:
            (outs / "spatial" / "tissue_positions.csv").unlink()
            made.write_positions(outs / "spatial" / "tissue_positions_list.csv", header=False)

    check_same(name, Outs().write(tmp_path, change))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["scanpy", "squidpy"])
@pytest.mark.parametrize("folder", REAL)
def test_a_real_folder_reads_the_same(name, folder, shared, tmp_path):
    shutil.copytree(shared / "data" / "visium" / folder / "outs", tmp_path / "outs")
    spatial = tmp_path / "outs" / "spatial"
    spatial.chmod(0o755)
    if not (spatial / "tissue_hires_image.png").exists():  # both insist on it
        shutil.copy(spatial / "tissue_lowres_image.png", spatial / "tissue_hires_image.png")
    check_same(name, tmp_path / "outs")


@pytest.mark.parametrize("section", ["151673", "151510"])
def test_a_real_mtx_folder_reads_the_same_as_by_scanpy(shared, section):
    scanpy = pytest.importorskip("scanpy")
    outs = shared / "data" / "visium" / "human_dlpfc" / section / "outs"
    theirs = scanpy.read_10x_mtx(outs / "filtered_feature_bc_matrix")
    row = SectionRow("S1", "P", "visium", folder=".", picture="lowres")
    ours = reader("visium").read(reader("visium").files(row, outs), row)
    assert ours.barcodes == theirs.obs_names.tolist()
    assert ours.genes == theirs.var_names.tolist()
    assert (ours.counts != theirs.X).nnz == 0
