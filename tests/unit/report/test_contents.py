"""Every table and figure: what makes it takes what it is given, and what a study has of them."""

import copy
import inspect
from importlib import import_module

import pytest

from reg2st.report.contents import FIGURES, TABLES, files
from reg2st.report.products import FILES, SETTINGS
from reg2st.report.sources import READERS
from reg2st.study.study import Study

SMALL = {
    "name": "small",
    "datasets": {
        "simulated": {
            "source": {"simulation": {"patients": 2, "sections_per_patient": 2, "spots": 40}},
            "panel": {"recipe": {}},
            "folds": {"section_out": ["A1", "B1"]},
        }
    },
    "inputs": {"embeddings": [{"encoder": "efficientnet_lite0"}]},
    "methods": {
        "ridge": {},
        "sprig": {},
        "reg2st": {
            "preset": "quick",
            "variants": {"wide": {"hidden": 128}, "without_contrastive": {"contrastive": False}},
        },
    },
    "ablation": {"variants": ["without_contrastive"], "splits": ["patient_out"]},
    "sensitivity": {"curves": {"hidden": ["full", "wide"]}, "splits": ["patient_out"]},
}


def read(**changes):
    """The small study with some keys replaced, or left out where None."""
    config = {**copy.deepcopy(SMALL), **changes}
    return Study.read({key: value for key, value in config.items() if value is not None})


@pytest.fixture(scope="module")
def study():
    return read()


def jobs(study):
    """Every product with the files and the place that its job has."""
    for table in TABLES.values():
        if table.where(study):
            yield table, table.files(study), {}
    for figure in FIGURES.values():
        for of in figure.all_of(study, "simulated"):
            yield figure, figure.files(study, "simulated", of), figure.place(of)


def test_names_are_those_of_the_kinds(study):
    assert FILES.keys() == READERS.keys()
    for product, _, _ in jobs(study):
        assert set(product.needs) <= FILES.keys()
        assert set(product.settings) <= SETTINGS.keys()


def test_what_makes_a_product_takes_what_it_is_given(study):
    for product, given, place in jobs(study):
        module, function = product.made_by.split(":")
        make = getattr(import_module(f"reg2st.report.{module}"), function)
        inspect.signature(make).bind(**given, **product.settings_of(study), **place)


def test_every_kind_of_file_is_there_and_no_file_twice(study):
    for product, given, place in jobs(study):
        for kind, paths in given.items():
            assert paths, (product.name, place, kind)
            assert len(set(paths)) == len(paths), (product.name, place, kind)


def test_maps_are_of_the_methods_that_test_the_section(study):
    given = FIGURES["gene_maps"].files(study, "simulated", "section_out/A1")
    assert given["section_file"] == ["results/small/sections/simulated/A1.h5ad"]
    assert given["predictions"] == [
        f"results/small/runs/simulated/section_out/{method}/full/seed-0/predictions.h5ad"
        for method in ("ridge", "sprig", "reg2st")
    ]


def test_an_experiment_has_its_own_scores(study):
    figure = FIGURES["sensitivity"]
    given = figure.files(study, "simulated", "patient_out")
    assert given == {"scores": ["results/small/scores/simulated_sensitivity.parquet"]}
    assert figure.settings_of(study) == {
        "metric": "pcc",
        "method": "reg2st",
        "curves": {"hidden": {"full": 64, "wide": 128}},
        "published": [],
    }


def test_published_numbers_are_those_of_the_studys_datasets(tmp_path):
    her2st = {"sheet": "sheet.tsv", "root": str(tmp_path), "panel": {"recipe": {}}}
    (tmp_path / "sheet.tsv").write_text(
        "section\tpatient\timage\tcounts\tspots\nA1\tA\ti\tc\ts\nB1\tB\ti\tc\ts\n"
    )
    for name in "ics":
        (tmp_path / name).touch()
    study = read(datasets={"her2st": {**her2st, "sheet": str(tmp_path / "sheet.tsv")}})
    published = TABLES["comparison"].settings_of(study)["published"]
    assert {row["dataset"] for row in published} == {"her2st"}
    assert {"dataset", "method", "source", "mean_pcc", "median_pcc"} <= published[0].keys()


def shown(study, folder):
    """The tables or the kinds of figures of a study's comparison."""
    place = {"tables": 3, "figures": 4}[folder]
    paths = [path.split("/") for path in files(study)]
    return {path[place].split(".")[0] for path in paths if path[2] == folder}


def test_a_study_has_every_table_and_figure(study):
    assert shown(study, "tables") == {
        name for name, table in TABLES.items() if not table.experiment and name != "gene_sets"
    }
    assert shown(study, "figures") == {
        name for name, figure in FIGURES.items() if not figure.experiment
    }
    folder = "results/small/figures/simulated"
    assert {
        f"{folder}/gene_maps/section_out/A1.jpg",
        f"{folder}/spots/A2.pdf",
        f"{folder}/leakage/all.png",
        f"{folder}/expected_pcc/patient_out/sprig.png",
    } <= set(files(study))
    kinds = ("tsv", "txt", "md", "tex", "html")
    assert files(study, "ablation") == [
        *(f"results/small/tables/ablation.{kind}" for kind in kinds),
        *(f"{folder}/ablation/patient_out.{kind}" for kind in ("pdf", "png")),
    ]


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"splits": ["patient_out"]}, {"leakage"}),
        ({"methods": {"ridge": {}}, "ablation": None, "sensitivity": None},
         {"expected_pcc", "training"}),
    ],
    ids=["one split", "no network and none that expects"],
)  # fmt: skip
def test_what_a_study_cannot_have_is_left_out(study, changes, left_out):
    changed = read(**changes)
    assert shown(study, "figures") - shown(changed, "figures") == left_out
    if changes.get("ablation", ()) is None:
        assert files(changed, "ablation") == []


def test_sections_without_labels_have_no_regions():
    study = read()
    for dataset in study.datasets.values():
        dataset.sheet["labels"] = ""
    assert not [path for path in files(study) if "region" in path]


def test_only_a_study_with_sets_of_genes_has_their_table():
    assert "gene_sets" not in shown(read(), "tables")
    dataset = {**SMALL["datasets"]["simulated"], "gene_sets": {"HVG": {"variable": 3}}}
    study = read(datasets={"simulated": dataset})
    assert "gene_sets" in shown(study, "tables")
    given = TABLES["gene_sets"].files(study)
    assert given["gene_sets"] == ["results/small/gene_sets/simulated/HVG.tsv"]
    alone = {**dataset, "sections": ["A1"]}
    study = read(datasets={"alone": alone, **SMALL["datasets"]})
    assert not TABLES["gene_sets"].where(study)


def test_a_second_dataset_leaves_the_figures_of_the_first_alone():
    first, second = SMALL["datasets"]["simulated"], copy.deepcopy(SMALL["datasets"]["simulated"])
    second["source"]["simulation"]["seed"] = 1
    one, two = read(), read(datasets={"simulated": first, "second": second})
    for figure in FIGURES.values():
        assert figure.settings_of(one) == figure.settings_of(two)
        for of in figure.all_of(one, "simulated"):
            given = (figure.files(each, "simulated", of) for each in (one, two))
            assert len({str(files) for files in given}) == 1, (figure.name, of)


def test_only_what_names_a_setting_has_it(study):
    asking = {
        (product.name, key) for product, _, _ in jobs(study) for key in product.settings_of(study)
    }
    by_setting = {key: {name for name, each in asking if each == key} for _, key in asking}
    assert by_setting["reference"] == {"genes", "significance", "wilcoxon"}
    assert by_setting["genes"] == by_setting["best_genes"] == {"gene_maps"}
    assert by_setting["view"] == {"spots"}
    assert by_setting["published"] == {"comparison", "ablation", "sensitivity"}


def test_what_shows_scores_takes_the_studys_metric_and_names_no_other(study):
    """But for the expected PCC, which is one by what a method expects."""
    by_rank = read(metrics={"headline": "spearman"})
    for product, _, _ in jobs(by_rank):
        texts = [product.label, product.shows, product.not_done, getattr(product, "group", "")]
        told = " ".join(product.told(text, by_rank) for text in texts)
        if product.name == "expected_pcc":
            continue
        assert "PCC" not in told, product.name
        shows_it = "Spearman" in told.replace("medians, Spearman correlation", "")
        assert ("metric" in product.settings) is shows_it, product.name
        if shows_it:
            assert product.settings_of(by_rank)["metric"] == "spearman"
            assert product.settings_of(study)["metric"] == "pcc"


def test_the_report_names_split_section_and_method(study):
    assert FIGURES["gene_maps"].labels("section_out/A1", study) == {
        "figure": "maps of genes",
        "split": "leave one section out",
        "section": "A1",
    }
    assert FIGURES["expected_pcc"].labels("patient_out/sprig", study)["figure"].endswith(", SPRIG")
    assert FIGURES["leakage"].labels("all", study) == {"figure": FIGURES["leakage"].label}
