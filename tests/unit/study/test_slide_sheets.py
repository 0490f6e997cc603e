"""Slides in a config: their sheet, files and models, and what is wrong with them."""

import pytest

from reg2st.base.errors import UserError
from reg2st.study.study import Study


@pytest.fixture
def config(tmp_path):
    """A study of two slides, of which the second has own contours and a pixel size."""
    for name in ("S1.svs", "S2.png", "S2.geojson"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "model").mkdir()
    sheet = "slide\timage\tum_per_px\ttissue\nS1\tS1.svs\t\t\nS2\tS2.png\t0.5\tS2.geojson\n"
    (tmp_path / "sheet.tsv").write_text(sheet)
    return {
        "name": "cohort",
        "slides": {
            "sheet": str(tmp_path / "sheet.tsv"),
            "root": str(tmp_path),
            "models": {"mine": str(tmp_path / "model"), "other": "hf:lab/model@v1.0"},
        },
    }


def test_slides_are_read_from_their_sheet(config, tmp_path):
    study = Study.read(config)
    first, second = study.slides.values()
    assert (first.name, first.um_per_px, first.tissue) == ("S1", None, None)
    assert (second.um_per_px, second.tissue) == (0.5, str(tmp_path / "S2.geojson"))
    assert study.slide_models["other"].hub == ("lab/model", "v1.0")
    assert study.slide_models["other"].folder == "resources/models/lab--model@v1.0"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models": {"mine": "nowhere"}}, "there is no folder 'nowhere'"),
        ({"models": {"mine": "hf:lab/model"}}, "write hf:owner/name@revision"),
        ({"models": {}}, "must not be empty"),
        ({"slides": ["S9"]}, "the sheet has no slide 'S9'"),
        ({"sheet": None}, "write one of sheet and source"),
        ({"grid": "round"}, "'round' is not one of its values"),
        ({"pitch_um": 0}, "pitch_um: must be above 0"),
    ],
)
def test_a_wrong_config_of_slides_is_one_sentence(config, change, said):
    config["slides"] |= change
    with pytest.raises(UserError, match=said):
        Study.read(config)


@pytest.mark.parametrize(
    ("sheet", "said"),
    [
        ("slide\tfile\nS1\tS1.svs\n", "the header has no column 'image'"),
        ("slide\timage\nS1\tS3.svs\n", r"slide S1: its image .*S3\.svs does not exist"),
        ("slide\timage\nS1\t\n", "line 2: 'image' is missing"),
        ("slide\timage\nS1\tS1.svs\nS1\tS1.svs\n", "line 3: slide 'S1' is listed twice"),
        ("slide\timage\na/b\tS1.svs\n", "line 2: slide 'a/b' must be a name"),
        ("slide\timage\nS1\t../S1.svs\n", "must be a plain file below `root`"),
        ("slide\timage\tum_per_px\nS1\tS1.svs\tNA\n", "um_per_px is 'NA'; give a positive"),
    ],
)
def test_a_wrong_sheet_of_slides_is_one_sentence(config, tmp_path, sheet, said):
    (tmp_path / "sheet.tsv").write_text(sheet)
    with pytest.raises(UserError, match=said):
        Study.read(config)


def test_a_method_that_cannot_predict_slides_is_no_model(config):
    dataset = {"source": {"simulation": {}}, "panel": {"recipe": {}}}
    config |= {"datasets": {"mine": dataset}, "methods": {"ridge": {}, "histogene": {}}}
    assert [fit.method for fit in Study.read(config).fits] == ["ridge"]
    config["slides"]["models"] = {"net": "mine/histogene"}
    with pytest.raises(UserError, match=r"this study fits no such model.*mine/ridge"):
        Study.read(config)
