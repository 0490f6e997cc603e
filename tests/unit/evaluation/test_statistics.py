"""Aggregates, intervals and tests, on the published arrays and on simulated ones."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from reg2st.evaluation.aggregate import over_seeds, per_gene, per_section, summarise
from reg2st.evaluation.intervals import patient_interval, section_interval
from reg2st.evaluation.statistics import compare, paired_wilcoxon
from reg2st.study.sheets import read_sheet
from released import released_pcc, released_scores


@pytest.fixture(scope="module")
def folder(root):
    return root / "resources" / "published"


@pytest.fixture(scope="module")
def patients(root):
    sheets = {name: read_sheet(root / f"config/sections/{name}.tsv") for name in ("her2st", "cscc")}
    return {name: sheet["patient"].to_dict() for name, sheet in sheets.items()}


@pytest.fixture(scope="module")
def released(folder, patients):
    """Both released arrays of both datasets as tidy scores."""
    return pd.concat(
        released_scores(folder, dataset, method, patients[dataset])
        for dataset, method in itertools.product(patients, ("reg2st", "hggep"))
    )


def published(folder, name):
    return pd.read_csv(folder / f"{name}.tsv", sep="\t")


@pytest.fixture
def scores():
    """Tidy scores of 2 methods, 2 seeds, 6 sections of 3 patients and 5 genes."""
    rng = np.random.default_rng(0)
    levels = [("ridge", "reg2st"), (0, 1), ("A1", "A2", "A3", "B1", "B2", "C1"), "vwxyz"]
    rows = pd.DataFrame(
        itertools.product(*levels), columns=["method", "seed", "section", "gene"]
    ).assign(dataset="demo", split="section_out", variant="full", preset="published")
    rows["fold"] = rows["section"]
    rows["patient"] = rows["section"].str[0]
    rows["pcc"] = rng.uniform(-0.2, 0.6, len(rows)) + 0.3 * (rows["method"] == "reg2st")
    rows["spearman"] = rows["pcc"] / 2
    rows["mse"] = rng.uniform(0.1, 1, len(rows))
    return rows.assign(n_spots=50, n_expressing=20, mean_expression=0.4)


@pytest.mark.parametrize(
    ("dataset", "mean", "median"), [("her2st", 0.1741, 0.1616), ("cscc", 0.2021, 0.1911)]
)
def test_the_released_arrays_give_the_published_figures(released, folder, dataset, mean, median):
    ours = summarise(released).query("dataset == @dataset and method == 'reg2st'").iloc[0]
    assert round(ours["mean_pcc"], 4) == mean
    assert round(ours["median_pcc"], 4) == median
    printed = (
        published(folder, "results").query("dataset == @dataset and method == 'Reg2ST'").iloc[0]
    )
    assert (printed["mean_pcc"], printed["median_pcc"]) == (mean, median)


@pytest.mark.parametrize(("dataset", "n_pairs"), [("her2st", 32 * 785), ("cscc", 12 * 171)])
def test_hggeps_released_arrays_give_the_figures_in_the_table(released, folder, dataset, n_pairs):
    theirs = summarise(released).query("dataset == @dataset and method == 'hggep'").iloc[0]
    printed = published(folder, "results").query(
        "dataset == @dataset and source == 'hggep_released_arrays'"
    )
    assert round(theirs["mean_pcc"], 4) == printed["mean_pcc"].item()
    assert round(theirs["median_pcc"], 4) == printed["median_pcc"].item()
    assert theirs["n_pairs"] == n_pairs


def test_the_published_tables_hold_what_the_paper_varies(folder):
    assert set(published(folder, "ablation")["variant"]) == {
        *("full", "without_contrastive", "without_phikon", "without_dynamic_graph"),
    }
    values = published(folder, "sensitivity").groupby("parameter")["value"].agg(set)
    assert values["hidden"] == {128, 256, 512, 1024}
    assert values["graph_neighbours"] == {4, 6, 8, 10}


@pytest.mark.parametrize("dataset", ["her2st", "cscc"])
def test_the_papers_test_on_released_arrays_equals_scipys(released, folder, dataset):
    row = compare(released.query("dataset == @dataset"), "reg2st").iloc[0]
    reg2st, hggep = (released_pcc(folder, dataset, name) for name in ("reg2st", "hggep"))
    expected = wilcoxon(
        reg2st.median(axis=1), hggep.median(axis=1), zero_method="pratt", alternative="greater"
    )
    assert row["p"] == expected.pvalue
    assert row["other_method"] == "hggep"
    assert row["n_sections"] == len(reg2st)
    reverse = compare(released.query("dataset == @dataset"), "hggep").iloc[0]
    assert reverse["difference"] == pytest.approx(-row["difference"])
    assert reverse["rank_biserial"] == pytest.approx(-row["rank_biserial"])


@pytest.mark.parametrize(
    ("dataset", "label", "digits"), [("her2st", "HER2+", 4), ("cscc", "cSCC", 2)]
)
def test_the_docs_report_our_test_on_the_released_arrays(released, root, dataset, label, digits):
    mine = released.query("dataset == @dataset")
    ours, theirs = (compare(mine, method).iloc[0] for method in ("reg2st", "hggep"))
    cells = [
        label,
        f"{ours['p']:.{digits}f}",
        f"{theirs['p']:.{digits}f}",
        f"{ours['rank_biserial']:.2f}",
        f"{ours['difference']:.4f}",
        f"{ours['patient_low']:.4f} to {ours['patient_high']:.4f}",
    ]
    page = (root / "docs" / "concepts" / "intervals.md").read_text(encoding="utf-8")
    assert f"| {' | '.join(cells)} |" in page


def test_seeds_are_averaged_before_anything_else(scores):
    averaged = over_seeds(scores)
    assert len(averaged) == len(scores) / 2
    assert (averaged["n_seeds"] == 2).all()
    row = summarise(scores).query("method == 'ridge'").iloc[0]
    matrix = (
        scores.query("method == 'ridge'")
        .groupby(["section", "gene"])["pcc"]
        .mean()
        .to_numpy()
        .reshape(6, 5)
    )
    assert row["mean_pcc"] == pytest.approx(matrix.mean())
    assert row["median_pcc"] == pytest.approx(np.median(matrix, axis=0).mean())
    assert row["mean_spearman"] == pytest.approx(matrix.mean() / 2)
    assert row[["n_sections", "n_patients", "n_genes", "n_seeds"]].tolist() == [6, 3, 5, 2]


def test_undefined_genes_are_counted_and_never_filled(scores):
    undefined = scores["section"].eq("A1") & scores["gene"].isin(["v", "w"])
    half_defined = scores["section"].eq("B1") & scores["gene"].eq("v") & scores["seed"].eq(0)
    scores.loc[undefined | half_defined, "pcc"] = np.nan
    row = summarise(scores).query("method == 'ridge'").iloc[0]
    assert row["n_undefined"] == 2
    assert row["n_pairs"] == 30
    sections = per_section(scores).query("method == 'ridge'").set_index("section")
    kept = scores.query("method == 'ridge' and section == 'A1' and gene in ['x', 'y', 'z']")
    assert sections.loc["A1", "mean_pcc"] == pytest.approx(kept["pcc"].mean())
    assert sections.loc["A1", "n_undefined"] == 2
    assert row["mean_pcc"] == pytest.approx(sections["mean_pcc"].mean())
    genes = per_gene(scores).query("method == 'ridge'").set_index("gene")
    assert genes["n_undefined"].tolist() == [1, 1, 0, 0, 0]
    assert genes.loc["v", "n_expressing"] == 6 * 20


def test_a_method_without_any_pcc_keeps_its_row_and_its_error(scores):
    scores.loc[scores["method"] == "ridge", ["pcc", "spearman"]] = np.nan
    row = summarise(scores).query("method == 'ridge'").iloc[0]
    assert row["n_undefined"] == row["n_pairs"] == 30
    assert row[["mean_pcc", "median_pcc", "section_low", "patient_low"]].isna().all()
    assert row["mean_mse"] > 0
    test = compare(scores, "reg2st").iloc[0]
    assert test["n_sections"] == 0
    assert test[["p", "p_bonferroni", "difference"]].isna().all()


def test_bonferroni_counts_the_tests_that_were_made(scores):
    third = scores.query("method == 'ridge'").assign(method="brightness")
    nothing = third.assign(method="train_mean", pcc=np.nan)
    table = compare(pd.concat([scores, third, nothing]), "reg2st").set_index("other_method")
    assert table.loc["ridge", "p_bonferroni"] == pytest.approx(min(1, 2 * table.loc["ridge", "p"]))
    assert np.isnan(table.loc["train_mean", "p_bonferroni"])


def test_methods_are_compared_on_the_sections_and_genes_both_have(scores):
    scores = scores[~(scores["method"].eq("ridge") & scores["section"].eq("C1"))]
    scores.loc[scores["method"].eq("reg2st") & scores["gene"].eq("v"), "pcc"] = np.nan
    row = compare(scores, "reg2st").iloc[0]
    means = scores.query("section != 'C1' and gene != 'v'").pivot_table(
        "pcc", index="section", columns="method"
    )
    assert row["difference"] == pytest.approx((means["reg2st"] - means["ridge"]).mean())
    assert (row["n_sections"], row["n_patients"]) == (5, 2)
    assert np.isnan(row["patient_low"])


def test_other_splits_and_datasets_are_not_mixed(scores):
    other = scores.assign(split="patient_out", pcc=scores["pcc"] - 0.3)
    table = compare(pd.concat([scores, other]), "reg2st")
    assert sorted(table["split"]) == ["patient_out", "section_out"]
    assert table["difference"].iloc[0] == pytest.approx(table["difference"].iloc[1])
    assert compare(scores, "thitogene").empty


def test_the_effect_size_says_how_many_ranks_favour_the_first():
    assert paired_wilcoxon([1, 2, 3], [0, 0, 0]).rank_biserial == 1
    assert paired_wilcoxon([0, 0, 0], [1, 2, 3]).rank_biserial == -1
    test = paired_wilcoxon([1, 2, -3, np.nan], [0, 0, 0, 0])
    assert (test.rank_biserial, test.n) == (0, 3)
    tied = paired_wilcoxon([5, 6, 7], [5, 6, 7])
    assert np.isnan([tied.p, tied.rank_biserial]).all()
    single = paired_wilcoxon([0.5, np.nan], [0.2, 0.1])
    assert np.isnan([single.p, single.rank_biserial]).all()
    assert single.n == 1


def test_zeros_are_ranked_as_pratt_does():
    first, second = [0.1, 0.2, 0.5, 0.3, 0.9, 0.4], [0.1, 0.1, 0.2, 0.4, 0.2, 0.4]
    expected = wilcoxon(first, second, zero_method="pratt", alternative="greater").pvalue
    assert paired_wilcoxon(first, second).p == expected


def test_the_patient_interval_draws_whole_patients():
    values, patients = np.array([0.1, 0.3, 0.2, 0.6, 0.7, 0.5]), np.array(list("AABBBC"))
    by_patient = [values[patients == name] for name in "ABC"]
    draws = [
        np.concatenate([by_patient[i] for i in drawn]).mean()
        for drawn in itertools.product(range(3), repeat=3)
    ]
    # With three patients the widened tails lie beyond the rarest of the 27 draws.
    low, high = patient_interval(values, patients)
    assert low == pytest.approx(min(draws))
    assert high == pytest.approx(max(draws))


def test_intervals_repeat_with_their_seed_and_leave_out_nan():
    rng = np.random.default_rng(0)
    values, patients = rng.normal(size=24), np.repeat(list("ABCDEFGH"), 3)
    interval = patient_interval(values, patients, seed=1)
    assert interval == patient_interval(values, patients, seed=1)
    assert interval != patient_interval(values, patients, seed=2)
    with_gap = np.append(values, np.nan), np.append(patients, "I")
    assert patient_interval(*with_gap, seed=1) == interval
    assert section_interval(with_gap[0]) == section_interval(values)


def test_too_few_to_say_have_no_interval():
    assert np.isnan(patient_interval([0.1, 0.2, 0.3], ["A", "A", "B"])).all()
    assert np.isnan(section_interval([0.1])).all()


def test_coverage_with_related_sections():
    """With 8 patients the patient interval covers as it says; taking sections alone does not."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(8), [6, 6, 6, 6, 3, 3, 3, 3])
    covered = np.zeros(2)
    repeats = 600
    for seed in range(repeats):
        effect = rng.normal(scale=0.08, size=8)
        values = effect[patients] + rng.normal(scale=0.05, size=len(patients))
        intervals = (
            patient_interval(values, patients, resamples=2000, seed=seed),
            section_interval(values),
        )
        covered += [low <= 0 <= high for low, high in intervals]
    by_patient, by_section = covered / repeats
    assert 0.92 <= by_patient <= 0.98
    assert by_section < 0.8
