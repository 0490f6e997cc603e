"""What other programs get of a page: TissUUmaps' project beside an h5ad, QuPath's GeoJSON."""

import json

import anndata
import numpy as np
import pytest
from tissuumaps_schema.v01 import Project

from reg2st.report.viewer.other_viewers import export_page
from reg2st.report.viewer.study_page import page_of_section
from sections import log_expression
from viewed import UM_PER_PX, make_section

GENES = [f"GENE{number}" for number in range(24)] + ["CONSTANT"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    page = page_of_section(**make_section(folder / "made", name="S1", genes=GENES))
    export_page(page, folder / "export" / "S1")
    return page, folder / "export" / "S1"


def test_the_project_follows_tissuumaps_own_schema(exported):
    page, folder = exported
    written = json.loads((folder / "spots.tmap").read_text())
    project = Project.model_validate(written)
    assert project.mpp == UM_PER_PX
    slide = (folder / written["layers"][0]["tileSource"]).resolve()
    assert slide.with_suffix("") == page.image.resolve()
    titles = ["Observed", "Ridge", "SPRIG", "SPRIG, SD", "Regions"]
    assert [marker["title"] for marker in written["markerFiles"]] == titles
    assert all(marker.path == "spots.h5ad" for marker in project.marker_files)


def test_the_project_points_at_the_values_of_the_page(exported):
    page, folder = exported
    project = json.loads((folder / "spots.tmap").read_text())
    adata = anndata.read_h5ad(folder / "spots.h5ad")
    np.testing.assert_array_equal(adata.obsm["spatial"], page.pixel_xy)
    for layer, marker in zip(page.layers, project["markerFiles"], strict=False):
        for gene in ("GENE3", "CONSTANT"):
            (option,) = (each for each in marker["dropdownOptions"] if each["optionName"] == gene)
            place, column = option["expectedHeader.cb_col"].split(";")
            values = adata.X if place == "/X" else adata.layers[place.removeprefix("/layers/")]
            np.testing.assert_array_equal(values[:, int(column)], layer.read([gene])[:, 0])


def test_qupath_gets_a_detection_for_each_spot(exported):
    page, folder = exported
    collection = json.loads((folder / "spots.geojson").read_text())
    features = collection["features"]
    assert [each["properties"]["name"] for each in features] == page.barcodes.tolist()
    for spot, feature in enumerate(features):
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        np.testing.assert_allclose(np.mean(ring[:-1], axis=0), page.pixel_xy[spot], atol=0.01)
        radii = np.hypot(*(np.array(ring) - page.pixel_xy[spot]).T)
        np.testing.assert_allclose(radii, page.spot_px / 2, atol=0.02)
    counts = anndata.read_h5ad(folder.parent.parent / "made" / "section.h5ad").X.toarray()
    observed = log_expression(counts)
    measured = features[5]["properties"]["measurements"]
    assert len(measured) == 20 * len(page.layers)
    for name, value in measured.items():
        gene, layer = name.split(", ", 1)
        if layer == "Observed":
            assert value == pytest.approx(observed[5, GENES.index(gene)], rel=1e-4)
    assert features[0]["properties"]["classification"]["name"] == "tumour"
    assert "classification" not in features[-1]["properties"]
