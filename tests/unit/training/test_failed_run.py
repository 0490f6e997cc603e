"""Runs that fail on their data: what is written of them, and what is made without them."""

import json
from functools import partial

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from reg2st.base.errors import UserError
from reg2st.base.failures import noted, refuse_failures
from reg2st.evaluation.limits import section_limits
from reg2st.evaluation.scores import collected, score_folds
from reg2st.report.run_notes import run_notes
from reg2st.report.tables.cost import cost_table, read_run_records
from reg2st.sections.panels import write_panel
from reg2st.sections.section_file import load_section_index, write_section
from reg2st.sections.targets import TARGETS
from reg2st.study.specification import RunSpec, SectionFiles
from reg2st.training.failed_run import write_failed_run
from reg2st.training.load import load_sections
from reg2st.training.predict import predict_folds
from reg2st.training.train import train_run
from sections import about

GENES = ["G0", "G1"]


def section_file(folder, name: str, spots: int, counted: bool = True) -> SectionFiles:
    xy = np.stack(np.divmod(np.arange(spots), 4), axis=1)
    counts = np.random.default_rng(0).poisson(5.0, (spots, 2)) * counted
    place = {
        "images": {"hires": np.zeros((4, 4, 3), np.uint8)},
        "scalefactors": {"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 80.0},
        "metadata": {"source_image_path": "slide.tif"},
    }
    adata = anndata.AnnData(
        X=scipy.sparse.csr_matrix(counts.astype(np.float32)),
        obs=pd.DataFrame({"array_row": xy[:, 1], "array_col": xy[:, 0]}, index=map(str, xy)),
        var=pd.DataFrame(index=GENES),
        obsm={"spatial": xy * 100.0},
        uns={"section": about(name, "made", name[0]), "spatial": {name: place}},
    )
    write_section(adata, folder / f"{name}.h5ad")
    return SectionFiles(section=folder / f"{name}.h5ad")


@pytest.fixture
def files(tmp_path):
    """A section to train on, one of three spots, and one without counts."""
    return {
        "A1": section_file(tmp_path, "A1", 12),
        "B1": section_file(tmp_path, "B1", 3),
        "C1": section_file(tmp_path, "C1", 12, counted=False),
    }


def a_run(folder, fold: str, sections, **given) -> RunSpec:
    key = {"dataset": "made", "split": "section_out", "method": "train_mean"}
    key |= {"variant": "full", "preset": "published", "seed": 0, "fold": fold}
    return RunSpec(
        key=key,
        settings={},
        features=(),
        standardise="none",
        target="paper",
        precision="float32",
        panel=given.pop("panel", folder / "panel.txt"),
        sections=sections,
        **given,
    )


def train(run: RunSpec, out) -> None:
    """As the job does."""
    out.mkdir(parents=True)
    with noted(str(run.key), partial(write_failed_run, run, out)):
        train_run(run, out, device="cpu", checkpoint_seconds=60)


def test_sections_too_small_or_without_counts_are_left_out_of_training(files, tmp_path):
    write_panel(tmp_path / "panel.txt", GENES, {})
    run = a_run(tmp_path, "X", files.values())
    assert [section.name for section in load_sections(run, with_targets=True)] == ["A1"]
    assert len(load_sections(run, with_targets=False)) == 3
    reasons = [load_section_index(each.section).unfit for each in files.values()]
    assert reasons == [None, "3 spots", "no counts"]


@pytest.mark.parametrize("genes", [GENES, []], ids=["a panel", "no panel"])
def test_what_failed_is_named_and_the_rest_is_made(files, tmp_path, caplog, genes):
    write_panel(tmp_path / "panel.txt", GENES, {})
    panel = tmp_path / "fold-A.txt"
    write_panel(panel, genes, {"failed": "there is no section to train on (B1 has 3 spots)."})
    failing = a_run(tmp_path, "A", [files["B1"], files["C1"]], panel=panel)
    good = a_run(tmp_path, "B", [files["A1"]])
    for run in (failing, good):
        train(run, tmp_path / run.key.fold)
    reason = "here is no section to train on"
    assert "train_mean (full) on made, section_out, fold A, seed 0 failed: " in caplog.text
    assert reason in caplog.text

    records = [tmp_path / fold / "run.json" for fold in "AB"]
    with pytest.raises(UserError, match=r"1 of 2 runs failed\..*delete its folder") as error:
        refuse_failures(records, "run")
    assert f"{tmp_path}/A: " in str(error.value)
    refuse_failures(records[1:], "run")
    failed, follows = run_notes(records)
    assert failed.startswith("Failed: Training mean on made, leave one section out, fold A (seed")
    assert reason in failed
    assert "are undefined" in follows
    assert list(cost_table(read_run_records(records)).values["fold"]) == ["B"]
    assert len(cost_table(read_run_records(records[:1])).shown) == 0

    tests = [
        a_run(tmp_path, "A", [files["A1"]], panel=panel, model=tmp_path / "A/model.safetensors"),
        a_run(tmp_path, "B", [files["B1"]], model=tmp_path / "B/model.safetensors"),
    ]
    predict_folds(tests, tmp_path / "predictions.h5ad")
    adata = anndata.read_h5ad(tmp_path / "predictions.h5ad")
    assert np.isnan(adata[adata.obs["fold"] == "A"].X).all()
    assert np.isfinite(adata[adata.obs["fold"] == "B"].X).all()
    score_folds(tests, tmp_path / "predictions.h5ad", tmp_path / "scores.tsv")
    scores = collected([tmp_path / "scores.tsv"])
    assert list(scores["gene"]) == [*genes, *GENES]
    assert scores["mse"].notna().tolist() == [False] * len(genes) + [True, True]


def test_a_dataset_without_any_panel_has_no_scores(files, tmp_path):
    write_panel(tmp_path / "panel.txt", [], {"failed": "there is no section to train on."})
    run = a_run(tmp_path, "A", [files["B1"]])
    train(run, tmp_path / "A")
    tests = [run.model_copy(update={"model": tmp_path / "A" / "model.safetensors"})]
    predict_folds(tests, tmp_path / "predictions.h5ad")
    score_folds(tests, tmp_path / "predictions.h5ad", tmp_path / "scores.tsv")
    with pytest.raises(UserError, match="No run has a score"):
        collected([tmp_path / "scores.tsv"])
    others = [files["A1"].section]
    assert section_limits(files["B1"].section, others, [], TARGETS["paper"], None).empty


def test_limits_of_a_section_beside_small_and_empty_ones(files):
    small, empty = files["B1"].section, files["C1"].section
    for others in ([small, empty], [empty]):
        limits = section_limits(files["A1"].section, others, GENES, TARGETS["paper"], None)
        assert limits.loc[limits["limit"] == "split_half", "pcc"].notna().all()


def test_a_crash_is_not_noted(tmp_path):
    with pytest.raises(MemoryError), noted("a run", lambda reason: json.loads(reason)):
        raise MemoryError


def test_a_refusal_lists_some_of_many(tmp_path):
    for number in range(12):
        (tmp_path / f"fold-{number}").mkdir()
        (tmp_path / f"fold-{number}" / "run.json").write_text('{"failed": "no counts."}')
    with pytest.raises(UserError, match="12 of 12 runs failed") as error:
        refuse_failures(sorted(tmp_path.glob("*/run.json")), "run")
    assert str(error.value).count("no counts.") == 10
    assert str(error.value).endswith("and 2 more.")
