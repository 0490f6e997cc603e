"""The runs that a study asks for, and the files of their jobs."""

import pytest
import yaml

from reg2st.study.specification import dump, files_of, load
from reg2st.study.study import Study


@pytest.fixture
def paper(root, monkeypatch):
    """The paper's configuration, read from where its sheets are."""
    monkeypatch.chdir(root)
    return yaml.safe_load((root / "config" / "config.yaml").read_text())


def test_the_paper_has_every_fold_of_every_method(paper):
    runs = Study.read(paper).runs
    folds = {}
    for run in runs:
        folds.setdefault((run.dataset, run.split, run.method), set()).add(run.fold.name)
    counts = {key: len(names) for key, names in folds.items()}
    for method in paper["methods"]:
        assert counts["her2st", "section_out", method] == 32
        assert counts["her2st", "patient_out", method] == 8
        assert counts["cscc", "section_out", method] == 12
        assert counts["cscc", "patient_out", method] == 4
    assert len({run.key for run in runs}) == len(runs) == 56 * len(paper["methods"])


def test_seeds_repeat_networks_only(paper):
    paper["seeds"] = [3, 4]
    paper["methods"] = {"ridge": {}, "reg2st": {}}
    seeds = {name: set() for name in paper["methods"]}
    for run in Study.read(paper).runs:
        seeds[run.method].add(run.seed)
    assert seeds == {"ridge": {3}, "reg2st": {3, 4}}


def test_variants_override_settings_and_inputs(paper):
    paper["methods"] = {
        "reg2st": {
            "settings": {"epochs": 7},
            "variants": {
                "narrow": {"hidden": 128},
                "other_encoder": {"inputs": {"embeddings": [{"encoder": "efficientnet_lite0"}]}},
            },
        }
    }
    runs = {run.variant: run for run in Study.read(paper).runs}
    assert set(runs) == {"full", "narrow", "other_encoder"}
    assert (runs["full"].settings.hidden, runs["narrow"].settings.hidden) == (256, 128)
    assert runs["narrow"].settings.epochs == 7
    (source,) = runs["other_encoder"].features
    assert (source.encoder, source.view, source.field_px) == ("efficientnet_lite0", "native", 224)


def test_variants_run_on_the_splits_of_their_experiments(paper):
    paper["methods"] = {
        "reg2st": {
            "variants": {
                "without_a_part": {"contrastive": False},
                "wide": {"hidden": 512},
                "both": {"hidden": 1024},
                "of_none": {"epochs": 3},
            }
        }
    }
    paper["ablation"] = {"variants": ["without_a_part", "both"], "splits": ["patient_out"]}
    paper["sensitivity"] = {"curves": {"hidden": ["full", "wide", "both"]}}
    splits = {}
    for run in Study.read(paper).runs:
        splits.setdefault(run.variant, set()).add(run.split)
    either = {"section_out", "patient_out"}
    assert splits == {
        **{name: either for name in ("full", "wide", "both", "of_none")},
        "without_a_part": {"patient_out"},
    }


@pytest.fixture
def study(paper):
    paper["methods"] = {"brightness": {}, "reg2st": {}, "thitogene": {}}
    return Study.read(paper)


FOLD = {"dataset": "her2st", "split": "patient_out", "variant": "full", "seed": "0"}


def test_a_training_reads_its_training_sections_only(study):
    run = study.training(**FOLD, method="reg2st", fold="B")
    files = run.files()
    assert "results/paper/panels/her2st/paper.txt" in files
    assert "results/paper/sections/her2st/A1.h5ad" in files
    assert "results/paper/features/phikon_v2/native/her2st/A1.h5" in files
    assert not [file for file in files if "/B" in file]
    assert len(run.sections) == 30
    assert len(files) == len(set(files)) == 1 + 2 * 30


def test_methods_read_what_they_need(study):
    grey = study.training(**FOLD, method="brightness", fold="B").sections[0]
    assert list(map(str, grey.features)) == ["results/paper/features/mean_grey/native/her2st/A1.h5"]
    assert (grey.patches, grey.graph) == (None, None)
    graph = study.training(**FOLD, method="thitogene", fold="B").sections[0]
    assert str(graph.graph) == "results/paper/graphs/nearest_4/her2st/A1.npz"


def test_windows_are_of_networks_in_which_all_spots_see_each_other(paper):
    paper["methods"] = {"ridge": {}, "bleep": {}, "reg2st": {}}
    paper["training"] = {"window_spots": 500}
    study = Study.read(paper)
    bounds = {
        name: study.training(**FOLD, method=name, fold="B").window_spots
        for name in paper["methods"]
    }
    assert bounds == {"ridge": None, "bleep": None, "reg2st": 500}


def test_brightness_is_measured_on_the_view_of_the_patches_and_not_standardised(paper):
    paper["views"] = {"wide": {"field_px": 448}}
    paper["inputs"] = {"patches": "wide", "standardise": "section"}
    paper["methods"] = {"brightness": {}, "ridge": {}}
    study = Study.read(paper)
    run = study.training(**FOLD, method="brightness", fold="B")
    assert [source.model_dump(exclude_none=True) for source in run.features] == [
        {"encoder": "mean_grey", "view": "wide", "field_px": 448}
    ]
    assert run.standardise == "none"
    ridge = study.training(**FOLD, method="ridge", fold="B")
    assert [source.encoder for source in ridge.features] == ["phikon_v2"]
    assert ridge.standardise == "section"


def test_a_prediction_reads_the_models_and_test_sections_of_every_fold(study):
    runs = study.predictions(**FOLD, method="reg2st")
    assert [run.key.fold for run in runs] == list("ABCDEFGH")
    tested = [section.section.stem for run in runs for section in run.sections]
    assert len(tested) == len(set(tested)) == 36
    models = {str(run.model) for run in runs}
    assert len(models) == 8
    assert models < set(files_of(runs))


def test_a_specification_survives_params_and_a_prefix(study):
    runs = study.predictions(**FOLD, method="reg2st")
    assert load(dump(runs), files_of(runs)) == runs
    moved = [f"elsewhere/{file}" for file in files_of(runs)]
    first = load(dump(runs), moved)[0]
    assert all(file.startswith("elsewhere/results/") for file in first.files())
    assert first.key == runs[0].key
