"""Sections written as SpatialData and read again."""

import numpy as np
import pytest
from anndata import read_h5ad

from reg2st.base.errors import UserError
from reg2st.sections.assembly import read_section
from reg2st.sections.readers import reader
from reg2st.sections.section_file import write_section
from reg2st.sections.section_row import SectionRow
from sections import read_st

pytest.importorskip("spatialdata", reason="spatialdata is not installed")

from reg2st.sections.spatialdata_store import write_spatialdata


@pytest.fixture(scope="module")
def c4(shared, tmp_path_factory):
    """A real section: its file and its slide."""
    folder = shared / "data/her2st"
    image = folder / "ST-imgs/C/C4/5714_HE_BT_D2.jpg"
    section = read_st(
        "C4",
        dataset="her2st",
        patient="C",
        image=image,
        counts=folder / "ST-cnts/C4.tsv.gz",
        spots=folder / "ST-spotfiles/C4_selection.tsv",
    )
    path = tmp_path_factory.mktemp("c4") / "C4.h5ad"
    write_section(section, path)
    return path, image


@pytest.fixture(scope="module")
def store(c4, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "C4.zarr"
    write_spatialdata(*c4, path)
    return path


def read_store(store, image, **cells):
    row = SectionRow("C4", "C", "spatialdata", image=image.name, folder=store.name, **cells)
    files = reader("spatialdata").files(row, store.parent)
    return read_section(row, files | {"image": image}, "her2st")


def test_a_section_is_the_same_after_spatialdata(c4, store):
    path, image = c4
    before, after = read_h5ad(path), read_store(store, image)
    assert list(after.obs_names) == list(before.obs_names)
    assert list(after.var_names) == list(before.var_names)
    assert (after.X != before.X).nnz == 0
    np.testing.assert_array_equal(after.obsm["spatial"], before.obsm["spatial"])
    np.testing.assert_array_equal(after.obs["array_row"], before.obs["array_row"])


def test_the_store_holds_the_slide(c4, store):
    import spatialdata
    from PIL import Image

    slide = spatialdata.read_zarr(store)["slide"]
    pixels = np.asarray(Image.open(c4[1]).crop((4000, 4000, 4010, 4020)))
    stored = slide["scale0"]["image"][:, 4000:4020, 4000:4010]
    np.testing.assert_array_equal(stored.transpose("y", "x", "c").to_numpy(), pixels)


def test_a_folder_without_a_store_is_one_sentence(c4, tmp_path):
    with pytest.raises(UserError, match=r"is no SpatialData store \(a zarr folder\)"):
        read_store(tmp_path, c4[1])
