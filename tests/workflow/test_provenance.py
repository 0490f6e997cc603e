"""From any number of a table to the runs that it came from."""

import json
import re

import numpy as np
import pandas as pd
import pytest

OF_A_FOLD = ("run.json", "history.tsv", "model.safetensors")
OF_ALL_FOLDS = ("scores.tsv", "predictions.h5ad")


@pytest.fixture(scope="module")
def tables(finished):
    return {
        path.stem: pd.read_csv(path, sep="\t", dtype={"fold": str, "section": str})
        for path in (finished.results / "tables").glob("*.tsv")
    }


def scores_of(finished, pattern):
    """The scores of the runs that a table names."""
    found = [path for path in finished.results.glob(pattern) if path.is_dir()]
    of_folds = [folder.parent for folder in found if folder.name.startswith("fold-")]
    files = {file for folder in of_folds or found for file in folder.rglob("scores.tsv")}
    assert files, pattern
    return pd.concat(pd.read_csv(file, sep="\t", dtype={"fold": str}) for file in files)


def test_every_row_leads_to_its_files(finished, tables):
    assert len(tables) == 8
    for name, table in tables.items():
        for column in ["runs", *(["other_runs"] if "other_runs" in table else [])]:
            published = table.get("kind", pd.Series("", index=table.index)) == "published"
            assert table.loc[~published, column].notna().all(), name
            for pattern in table.loc[~published, column].unique():
                found = list(finished.results.glob(pattern))
                assert found, (name, pattern)
                if pattern.startswith("runs/"):
                    runs = [path.parent for folder in found for path in folder.rglob("run.json")]
                    assert runs, (name, pattern)
                    for run in runs:
                        assert all((run / file).is_file() for file in OF_A_FOLD)
                        assert all((run.parent / file).is_file() for file in OF_ALL_FOLDS)


def test_mean_pcc_of_every_table_is_that_of_its_runs(finished, tables):
    for name in ("comparison", "ablation", "sensitivity"):
        table = tables[name]
        for row in table[table["runs"].str.startswith("runs/")].itertuples():
            by_hand = scores_of(finished, row.runs).groupby("section")["pcc"].mean().mean()
            assert row.mean_pcc == pytest.approx(by_hand, rel=1e-5), row.runs


def test_a_section_and_a_gene_lead_to_their_scores(finished, tables):
    sections = tables["sections"]
    for row in sections[sections["runs"].str.startswith("runs/")].itertuples():
        mine = scores_of(finished, row.runs).query("section == @row.section")
        assert row.mean_pcc == pytest.approx(mine["pcc"].mean(), rel=1e-5)
    for row in tables["genes"].head(20).itertuples():
        mine = scores_of(finished, row.runs).query("gene == @row.gene")
        assert row.mean_pcc == pytest.approx(mine["pcc"].mean(), rel=1e-5, nan_ok=True)


def test_a_difference_leads_to_both_sides(finished, tables):
    for row in tables["significance"].itertuples():
        ours, other = (
            scores_of(finished, runs).set_index(["section", "gene"])["pcc"]
            for runs in (row.runs, row.other_runs)
        )
        by_hand = (ours - other).groupby("section").mean().mean()
        assert row.difference == pytest.approx(by_hand, rel=1e-4, nan_ok=True)


def test_cost_and_regions_name_single_runs(finished, tables):
    for row in tables["cost"].itertuples():
        record = json.loads((finished.results / row.runs / "run.json").read_text())
        assert (record["method"], record["fold"]) == (row.method, row.fold)
        assert row.seconds_training == pytest.approx(record["seconds_training"], rel=1e-4)
    regions = tables["regions"]
    for row in regions[regions["method"] != "observed"].itertuples():
        assert row.section in set(scores_of(finished, row.runs)["section"])
    observed = regions[regions["method"] == "observed"]
    assert np.isfinite(observed["ari"]).all()


def test_the_worked_example_of_the_docs(finished, root, capsys, monkeypatch):
    text = (root / "docs" / "reference" / "tables-and-figures.md").read_text()
    section = text[text.index("### From a number to its runs") :]
    example = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL).group(1)
    monkeypatch.chdir(finished.folder)
    exec(example.replace("results/demo", "results/tiny"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "runs/simulated/section_out/ridge/full"
    in_table, by_hand = re.fullmatch(r"(\S+) in the table, (\S+) from 2 runs", second).groups()
    assert in_table == by_hand
