"""The same sections in three formats give the same scores."""

import os

import pandas as pd
import pytest

pytestmark = pytest.mark.skipif(
    "REG2ST_TEST_REGRESSION" not in os.environ, reason="needs minutes: make test-regression"
)
KEY = ["method", "section", "gene"]


def scores(study, dataset: str) -> pd.DataFrame:
    table = pd.read_parquet(study.results / f"scores/{dataset}.parquet")
    return table.set_index(KEY)[["pcc", "mse"]].sort_index()


def test_sections_read_as_st_as_h5ad_and_as_spatialdata(study, shared, root):
    pytest.importorskip("spatialdata", reason="spatialdata is not installed")
    (study.folder / "raw").symlink_to(shared / "data/her2st")
    all_sections = pd.read_csv(root / "config/sections/her2st.tsv", sep="\t", dtype=str)
    st = all_sections.set_index("section").loc[["C3", "C4"]].drop(columns="labels")
    images = "raw/" + st["image"]
    made = "results/formats"
    columns = {
        "st": st.assign(**{each: "raw/" + st[each] for each in ("image", "counts", "spots")}),
        "h5ad": pd.DataFrame({"counts": f"{made}/sections/st/" + st.index + ".h5ad"}),
        "spatialdata": pd.DataFrame({"folder": f"{made}/spatialdata/st/" + st.index + ".zarr"}),
    }
    datasets = {}
    for platform, sheet in columns.items():
        sheet = sheet.set_index(st.index).assign(
            patient="C", platform=platform, image=images, um_per_px=st["um_per_px"]
        )
        sheet.to_csv(study.folder / f"{platform}.tsv", sep="\t")
        datasets[platform] = {
            "root": str(study.folder),
            "sheet": f"{platform}.tsv",
            "panel": {"file": str(root / "resources/panels/her2st_785.txt")},
        }
    study.config = {
        "name": "formats",
        "datasets": {"st": datasets.pop("st")},
        "splits": ["section_out"],
        "inputs": {"embeddings": [{"encoder": "efficientnet_lite0"}]},
        "methods": {"ridge": {}, "brightness": {}, "sister_section": {}},
    }
    done = study.run(f"{made}/scores/st.parquet", *columns["spatialdata"]["folder"])
    assert done.returncode == 0, done.stdout + done.stderr
    study.config["datasets"] |= datasets
    done = study.run(*(f"{made}/scores/{platform}.parquet" for platform in datasets))
    assert done.returncode == 0, done.stdout + done.stderr
    expected = scores(study, "st")
    assert expected["pcc"].groupby("method").mean()["ridge"] > 0.1
    for platform in datasets:
        pd.testing.assert_frame_equal(scores(study, platform), expected, check_exact=True)
