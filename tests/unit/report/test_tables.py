"""Tables: the numbers they show, their order, and the formats they are written in."""

import json
import re
from html import unescape

import numpy as np
import pandas as pd
import pytest

from reg2st.evaluation.aggregate import summarise
from reg2st.evaluation.metrics import MSE
from reg2st.report.labels import in_fixed_order, method_label
from reg2st.report.tables.comparison import comparison
from reg2st.report.tables.cost import cost_table, read_run_records
from reg2st.report.tables.experiment_tables import ablation, sensitivity
from reg2st.report.tables.gene_table import gene_table
from reg2st.report.tables.region_table import region_table
from reg2st.report.tables.section_table import section_table
from reg2st.report.tables.significance import significance
from reg2st.report.writers import (
    Table,
    as_html,
    as_latex,
    as_markdown,
    as_text,
    number,
    signed,
    write_table,
)
from released import released_pcc, released_scores

SECTIONS = {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}
GENES = ["G0", "G1", "G2", "G3", "G4", "G5"]


def scores_of(
    methods=("reg2st", "train_mean", "ridge"),
    variants=("full",),
    dataset="her2st",
    splits=("patient_out", "section_out"),
    preset="published",
    seeds=(0,),
):
    """Tidy scores with a PCC that is known for each method, section and gene."""
    levels = {"train_mean": np.nan, "ridge": 0.1, "reg2st": 0.2}
    index = pd.MultiIndex.from_product(
        [splits, methods, variants, seeds, SECTIONS, range(len(GENES))],
        names=["split", "method", "variant", "seed", "section", "gene"],
    )
    scores = index.to_frame(index=False)
    section = scores["section"].map(list(SECTIONS).index)
    pcc = scores["method"].map(levels) + 0.01 * scores["gene"] + 0.005 * section
    pcc -= 0.05 * (scores["split"] == "patient_out")
    pcc -= 0.01 * scores["variant"].map(list(variants).index)
    pcc += 0.001 * scores["seed"]
    pcc[(scores["gene"] == 0) & (scores["section"] == "B1")] = np.nan
    return scores.assign(
        dataset=dataset,
        target="paper",
        preset=preset,
        fold=scores["section"],
        patient=scores["section"].map(SECTIONS),
        pcc=pcc,
        spearman=pcc,
        mse=0.25,
        n_spots=200,
        n_expressing=10 * (1 + scores["gene"]),
        mean_expression=0.1 * scores["gene"],
        gene=[GENES[number] for number in scores["gene"]],
    )


@pytest.fixture
def published():
    columns = ("dataset", "method", "source", "mean_pcc", "median_pcc")
    rows = [
        ("her2st", "Reg2ST", "reg2st_paper", 0.1741, 0.1616),
        ("her2st", "HGGEP", "hggep_released_arrays", 0.1943, 0.1855),
        ("cscc", "Reg2ST", "reg2st_paper", 0.2021, 0.1911),
    ]
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.fixture
def limits():
    """Limits and a reference of every section and gene; the last section was not simulated."""
    index = pd.MultiIndex.from_product(
        [SECTIONS, GENES, ["split_half", "linear_reference", "noiseless_means"]],
        names=["section", "gene", "limit"],
    )
    rows = index.to_frame(index=False).assign(dataset="her2st")
    level = {"noiseless_means": 0.5, "split_half": 0.6, "linear_reference": 0.15}
    return rows.assign(pcc=rows["limit"].map(level))


def test_comparison_orders_splits_and_methods(published, limits):
    table = comparison(scores_of(), published=published, limits=limits)
    assert table.shown["Split"].tolist()[0] == "leave one section out"
    assert table.shown["Method"].tolist() == [
        "Training mean",
        "Ridge",
        "HGGEP, published (released arrays)",
        "Reg2ST",
        "Reg2ST, published (Reg2ST paper)",
        "Limit: noiseless means",
        "Limit: noise ceiling (split half)",
        "Reference: linear, from half the genes",
        "Training mean",
        "Ridge",
        "Reg2ST",
        "Limit: noiseless means",
        "Limit: noise ceiling (split half)",
        "Reference: linear, from half the genes",
    ]


def test_what_a_method_may_exceed_is_a_reference_and_no_limit(limits):
    table = comparison(scores_of(), limits=limits)
    kinds = table.values.drop_duplicates("method").set_index("method")["kind"]
    assert kinds[["noiseless_means", "split_half"]].tolist() == ["limit", "limit"]
    assert kinds["linear_reference"] == "reference"
    reg2st = table.values.query("method == 'reg2st' and split == 'section_out'").iloc[0]
    assert reg2st["mean_pcc"] > 0.15
    assert reg2st["share"] == pytest.approx(reg2st["mean_pcc"] / 0.5)


def test_comparison_shows_what_summarise_gives(published, limits):
    scores = scores_of(seeds=(0, 1))
    table = comparison(scores, published=published, limits=limits)
    summary = summarise(scores)
    expected = summary.query("split == 'section_out' and method == 'reg2st'").iloc[0]
    row = table.shown[table.shown["Method"] == "Reg2ST"].iloc[0]
    assert row["Mean PCC"] == f"{expected.mean_pcc:.3f}"
    assert row["Median PCC"] == f"{expected.median_pcc:.3f}"
    assert row["95 % over patients"] == (
        f"{expected.patient_low:.3f} to {expected.patient_high:.3f}"
    )
    assert row["Share of limit"] == f"{100 * expected.mean_pcc / 0.5:.0f} %"
    assert row["Undefined"] == "1 / 24"
    assert row["Sections / patients / genes / seeds"] == "4 / 3 / 6 / 2"
    raw = table.values[table.values["kind"] == "method"].iloc[2]
    assert raw["mean_pcc"] == pytest.approx(expected.mean_pcc)
    assert raw["runs"] == "runs/her2st/section_out/reg2st/full"


def test_methods_without_pcc_have_a_dash_and_their_error():
    table = comparison(scores_of())
    row = table.shown[table.shown["Method"] == "Training mean"].iloc[0]
    assert (row["Mean PCC"], row["MSE"], row["Undefined"]) == ("–", "0.250", "24 / 24")
    assert "Share of limit" not in table.shown


def test_variants_have_rows_and_columns_of_their_own():
    scores = scores_of(variants=("full", "without_positions"))
    assert "Reg2ST, without positions" in as_text(comparison(scores))
    assert "Reg2ST, without positions" in section_table(scores).shown


def test_a_method_whose_mse_is_above_that_of_the_training_mean_is_named():
    scores = scores_of()
    off = (scores["method"] == "ridge") & (scores["split"] == "patient_out")
    scores.loc[off, "mse"] = 0.3
    (told,) = (
        note for note in comparison(scores).notes if "above that of the training mean" in note
    )
    assert told.startswith("her2st, leave one patient out: the MSE of Ridge is above")
    assert not [note for note in comparison(scores_of()).notes if "above that of the" in note]


def test_tables_of_another_metric_take_its_column_name_and_direction():
    scores = scores_of()
    scores["mse"] = 0.3 - scores["pcc"].fillna(0)
    table = comparison(scores, metric=MSE)
    assert {"Mean MSE", "Median MSE"} <= set(table.shown)
    row = table.values.query("method == 'reg2st' and split == 'section_out'").iloc[0]
    assert row["mean_mse"] == pytest.approx(summarise(scores, MSE)["mean_mse"].min())
    genes = gene_table(scores, reference="reg2st", count=2, metric=MSE)
    assert genes.shown["Gene"].tolist()[0] == "G5"
    tests = significance(scores, reference="reg2st", metric=MSE)
    ridge = tests.shown[tests.shown["Against"] == "Ridge"].iloc[0]
    assert (ridge["Difference"], ridge["p"]) == ("-0.096", "0.062")


def test_limits_and_published_numbers_stand_beside_their_own_metric_only(published, limits):
    scores = scores_of()
    table = comparison(scores, published=published, limits=limits, metric=MSE)
    assert set(table.values["kind"]) == {"method"}
    assert "Share of limit" not in table.shown
    assert {"Mean MSE", "PCC"} <= set(table.shown)
    assert not any("imit" in note or "Published" in note for note in table.notes)
    for each in (
        section_table(scores, limits=limits, metric=MSE),
        gene_table(scores, reference="reg2st", limits=limits, metric=MSE),
    ):
        assert not [column for column in each.shown if "imit" in column]
        assert not any("imit" in note for note in each.notes)


def test_every_further_metric_has_its_own_column_and_note():
    scores = scores_of().assign(pcc_counts=0.33, ssim=0.12)
    table = comparison(scores)
    assert {"Mean PCC", "MSE", "SSIM", "PCC with raw counts"} <= set(table.shown)
    assert "Spearman correlation" not in table.shown
    assert set(table.shown["PCC with raw counts"]) == {"0.330"}
    assert table.values["mean_ssim"].tolist() == pytest.approx([0.12] * 6)
    (note,) = [note for note in table.notes if note.startswith("PCC with raw counts")]
    assert "no other PCC compares with it" in note


def test_reduced_settings_are_marked_and_explained():
    table = comparison(scores_of(preset="quick"))
    assert "Reg2ST (quick)" in table.shown["Method"].tolist()
    assert any("(quick)" in note and "demonstration" in note for note in table.notes)
    assert not any("demonstration" in note for note in comparison(scores_of()).notes)


def test_published_rows_of_other_datasets_stay_away(published):
    table = comparison(scores_of(dataset="mine"), published=published)
    assert set(table.values["kind"]) == {"method"}


def test_several_datasets_stay_apart(published):
    scores = pd.concat([scores_of(), scores_of(dataset="cscc")])
    table = comparison(scores, published=published)
    assert table.values["dataset"].unique().tolist() == ["her2st", "cscc"]
    cscc = table.values[table.values["dataset"] == "cscc"]
    assert cscc[cscc["kind"] == "published"]["mean_pcc"].tolist() == [0.2021]


def test_ablation_tells_the_change_and_the_published_bars(limits):
    variants = ("full", "without_phikon", "without_contrastive")
    printed = {"dataset": "her2st", "method": "reg2st", "mean_pcc": 0.1, "median_pcc": 0.09}
    published = [{**printed, "variant": variant} for variant in variants]
    scores = scores_of(variants=variants)
    shown = {"variants": variants[1:], "method": "reg2st"}
    table = ablation(scores, **shown, published=published, limits=limits)
    first = table.shown.head(3)
    assert first["Variant"].tolist() == ["full", "without phikon", "without contrastive"]
    assert first["Change"].tolist() == ["+0.000", "-0.010", "-0.020"]
    assert first["Published mean"].tolist() == ["0.100"] * 3
    assert table.shown["Published mean"].tolist()[3:] == ["–"] * 3
    full = table.values.iloc[0]
    assert full["share"] == pytest.approx(full["mean_pcc"] / 0.5)
    assert first["Share of limit"].iloc[0] == f"{200 * full['mean_pcc']:.0f} %"
    assert any("first limit of the same split, noiseless means." in note for note in table.notes)
    alone = ablation(scores, **shown)
    assert not {"Share of limit", "Published mean"} & set(alone.shown)
    assert not any("Published" in note for note in alone.notes)


def test_what_was_published_of_one_method_does_not_stand_beside_another():
    printed = {"dataset": "her2st", "method": "reg2st", "mean_pcc": 0.1, "median_pcc": 0.09}
    published = [{**printed, "variant": "full"}]
    table = ablation(scores_of(), variants=[], method="ridge", published=published)
    assert len(table.shown)
    assert "Published mean" not in table.shown


def test_sensitivity_runs_along_the_values():
    scores = scores_of(variants=("full", "hidden_512", "hidden_128"))
    curve = {"dataset": "her2st", "method": "reg2st", "parameter": "hidden"}
    published = [
        {**curve, "value": 128, "mean_pcc": 0.1583, "median_pcc": 0.1465},
        {**curve, "value": 512, "mean_pcc": 0.1582, "median_pcc": 0.146},
    ]
    curves = {"hidden": {"full": 256, "hidden_512": 512, "hidden_128": 128}}
    table = sensitivity(scores, curves=curves, method="reg2st", published=published)
    first = table.values[table.values["split"] == "section_out"]
    assert first["value"].tolist() == [128, 256, 512]
    assert first["variant"].tolist() == ["hidden_128", "full", "hidden_512"]
    assert table.shown["Published mean"].tolist() == ["0.158", "–", "0.158", "–", "–", "–"]


def test_sections_have_a_column_a_method():
    ceiling = {"dataset": "her2st", "section": "B1", "limit": "split_half"}
    limits = pd.DataFrame({**ceiling, "gene": GENES, "pcc": np.linspace(0.35, 0.45, len(GENES))})
    table = section_table(scores_of(), limits=limits)
    row = table.shown[table.shown["Section"] == "B1"].iloc[1]
    name = "Limit: noise ceiling (split half)"
    assert list(table.shown)[5:] == ["Training mean", "Ridge", "Reg2ST", name]
    assert row["Reg2ST"] == "0.240 (60 %)"
    assert row["Training mean"] == "–"
    assert row[name] == "0.400"
    mine = table.values.query("section == 'B1' and label == 'Ridge' and split == 'section_out'")
    assert mine["share"].item() == pytest.approx(mine["mean_pcc"].item() / 0.4)
    assert mine["runs"].item() == "runs/her2st/section_out/ridge/full/seed-*/fold-B1"
    assert table.values["runs"].iloc[-1] == "limits/her2st/B1.tsv"


def test_genes_are_ranked_from_both_ends():
    limits = pd.DataFrame({"gene": ["G5", "G5", "G1"], "pcc": [0.4, 0.6, 0.4]})
    limits = limits.assign(dataset="her2st", limit="split_half")
    table = gene_table(scores_of(), reference="reg2st", count=2, limits=limits)
    first = table.shown.head(4)
    assert first["Gene"].tolist() == ["G5", "G4", "G1", "G0"]
    assert first["Expressing spots"].tolist() == ["240", "200", "80", "40"]
    assert first["Of all"].tolist() == ["30 %", "25 %", "10 %", "5 %"]
    assert first["Limit: noise ceiling (split half)"].tolist() == ["0.500", "–", "0.400", "–"]
    assert len(table.values) == 2 * 3 * len(GENES)


def test_significance_shows_the_tests():
    table = significance(scores_of(), reference="reg2st")
    row = table.shown[table.shown["Against"] == "Ridge"].iloc[0]
    assert row["Difference"] == "+0.100"
    assert row["Sections"] == "4"
    assert row["p"] == "0.062"
    assert table.shown[table.shown["Against"] == "Training mean"].iloc[0]["p"] == "–"
    raw = table.values[table.values["other_method"] == "ridge"].iloc[0]
    assert raw["runs"] == "runs/her2st/section_out/reg2st/full"
    assert raw["other_runs"] == "runs/her2st/section_out/ridge/full"


def test_regions_average_seeds():
    rows = [("ridge", 0, 0.2), ("ridge", 1, 0.4), ("observed", 0, 0.5)]
    agreements = pd.DataFrame(rows, columns=["method", "seed", "ari"]).assign(
        dataset="her2st",
        split="patient_out",
        fold="B",
        section="B1",
        patient="B",
        variant="full",
        preset="published",
        nmi=0.3,
        n_labelled=100,
        n_regions=4,
    )
    table = region_table(agreements)
    assert table.shown["Method"].tolist() == ["Observed", "Ridge"]
    assert table.shown["ARI"].tolist() == ["0.500", "0.300"]
    assert table.values["runs"].tolist() == [
        "sections/her2st/B1.h5ad",
        "runs/her2st/patient_out/ridge/full/seed-*/fold-B",
    ]


def run_record(folder, method, seconds, **changes):
    record = {
        "dataset": "her2st",
        "split": "section_out",
        "method": method,
        "variant": "full",
        "preset": "published",
        "seed": 0,
        "fold": "B1",
        "settings": {"epochs": 400},
        "parameters": 9_351_000,
        "device": "cpu",
        "threads": 2,
        "seconds_training": seconds,
        "seconds_an_epoch": seconds / 400,
        "peak_memory_bytes": 2**30,
        "peak_device_memory_bytes": 0,
        "training_spots": 1000,
    }
    path = folder / method / f"{seconds}" / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record | changes))
    return path


def test_cost_is_the_median_over_runs(tmp_path):
    paths = [run_record(tmp_path, "reg2st", seconds) for seconds in (100, 200, 600)]
    control = {"settings": {}, "parameters": 0, "seconds_an_epoch": None}
    paths.append(run_record(tmp_path, "ridge", 1.5, **control))
    table = cost_table(read_run_records(paths))
    ridge, reg2st = table.shown.to_dict("records")
    assert reg2st["Parameters"] == "9.351 M"
    assert (reg2st["Seconds a run"], reg2st["Slowest run, s"]) == ("200", "600")
    assert reg2st["Seconds an epoch"] == "0.500"
    assert reg2st["Peak memory, GiB"] == "1.00"
    assert reg2st["Peak device memory, GiB"] == "–"
    assert reg2st["Runs"] == "3"
    assert (ridge["Parameters"], ridge["Epochs"], ridge["Seconds a run"]) == ("–", "–", "1.5")
    runs = "runs/her2st/section_out/{}/full/seed-0/fold-B1"
    assert table.values["runs"].tolist() == [runs.format(path.parts[-3]) for path in paths]


@pytest.fixture
def awkward():
    text = "50 % of a_b & c | d <e> #1 {x} ~ ^ $ \\"
    shown = pd.DataFrame({"Name_1": [text], "n": ["1.000"]})
    values = pd.DataFrame({"name": [text], "n": [1 / 3]})
    return Table("awkward", "Title & 100 %", values, shown, notes=("Note_1 <b>",))


def test_latex_is_escaped(awkward):
    latex = as_latex(awkward)
    for escaped in (r"50 \% of a\_b \& c", r"\#1 \{x\}", r"Name\_1", r"Title \& 100 \%"):
        assert escaped in latex
    assert r"Note\_1 \textless{}b\textgreater{}" in latex
    assert r"\toprule" in latex
    assert r"\bottomrule" in latex


def test_markdown_keeps_pipes_inside_cells(awkward):
    row = as_markdown(awkward).splitlines()[4]
    assert row.replace("\\|", "").count("|") == 3


def test_html_is_escaped(awkward):
    page = as_html(awkward)
    assert "&lt;e&gt;" in page
    assert "Note_1 &lt;b&gt;" in page
    assert "<e>" not in page


def test_written_files(tmp_path, awkward):
    paths = [tmp_path / f"table.{suffix}" for suffix in ("tsv", "md", "tex", "html", "txt")]
    write_table(awkward, *paths)
    tsv, *readable = (path.read_text() for path in paths)
    assert pd.read_csv(paths[0], sep="\t")["n"].tolist() == pytest.approx([1 / 3], rel=1e-5)
    assert tsv.startswith("name\tn\n")
    assert readable == [write(awkward) for write in (as_markdown, as_latex, as_html, as_text)]


def test_all_formats_hold_the_same_rows(published, limits):
    table = comparison(scores_of(), published=published, limits=limits)
    apart = table.shown.drop(columns=list(table.leading))
    rows = apart.to_numpy().tolist()
    pages = {
        "markdown": [line for line in as_markdown(table).splitlines() if line.startswith("|")][2:],
        "latex": as_latex(table).split("\\midrule")[1].split("\\bottomrule")[0].split("\\\\")[:-1],
        "html": as_html(table).split("<tbody>")[1].split("</tr>")[:-1],
    }
    for name, lines in pages.items():
        assert len(lines) == len(rows), name
        for line, cells in zip(lines, rows, strict=True):
            plain = unescape(line).replace("\\%", "%")
            assert all(cell in plain for cell in cells), (name, line)
    means = table.values["mean_pcc"].map(number)
    assert table.shown["Mean PCC"].tolist() == means.tolist()


def test_terminal_shows_brief_columns_under_the_name_of_each_group(limits, published):
    table = comparison(scores_of(), limits=limits, published=published)
    text = as_text(table)
    assert "Mean PCC" in text
    assert "MSE" not in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    groups = [line for line in lines[1:] if not line.startswith(" ")]
    assert groups == ["her2st, leave one section out", "her2st, leave one patient out"]
    assert len(lines) == 3 + len(table.shown) + len(groups)


def test_rows_of_a_group_name_it_once():
    table = comparison(scores_of())
    rows = [line.split("|")[1:3] for line in as_markdown(table).splitlines()[4:10]]
    shown = [[cell.strip() for cell in row] for row in rows]
    assert shown == [
        ["her2st", "leave one section out"],
        *[["", ""]] * 2,
        ["her2st", "leave one patient out"],
        *[["", ""]] * 2,
    ]


def test_the_front_page_hides_the_columns_that_a_terminal_has_no_room_for():
    table = comparison(scores_of())
    hidden = re.findall(r"\.brief :is\(th, td\):nth-child\((\d+)\)", as_html(table))
    assert [table.shown.columns[int(number) - 1] for number in hidden] == [
        "95 % over sections",
        "MSE",
        "Sections / patients / genes / seeds",
    ]


@pytest.mark.parametrize(
    "make",
    [
        comparison,
        section_table,
        lambda scores, **limits: gene_table(scores, reference="train_mean", **limits),
        lambda scores, **limits: significance(scores, reference="train_mean"),
        lambda scores, **limits: ablation(scores, variants=[], method="train_mean", **limits),
    ],
    ids=["comparison", "sections", "genes", "significance", "ablation"],
)
def test_a_study_of_the_training_mean_alone_has_its_tables(tmp_path, limits, make):
    table = make(scores_of(("train_mean",)), limits=limits)
    paths = [tmp_path / f"table.{kind}" for kind in ("tsv", "txt", "md", "tex", "html")]
    write_table(table, *paths)
    assert all(path.read_text() for path in paths)
    if "Method" in table.shown and "Mean PCC" in table.shown:
        assert table.shown.set_index("Method").loc["Training mean", "Mean PCC"].eq("–").all()


def test_a_method_without_a_score_ranks_no_genes():
    table = gene_table(scores_of(("train_mean", "ridge")), reference="train_mean")
    assert table.shown.empty
    assert table.notes == ("Training mean has no PCC, so it ranks no genes.",)
    assert len(table.values) == 2 * 2 * len(GENES)


@pytest.mark.parametrize(
    ("value", "shown", "with_sign"),
    [
        (0.17449, "0.174", "+0.174"),
        (-0.0004, "0.000", "+0.000"),
        (-0.0306, "-0.031", "-0.031"),
        (np.nan, "–", "–"),
    ],
)
def test_numbers(value, shown, with_sign):
    assert number(value) == shown
    assert signed(value) == with_sign


def test_unknown_methods_follow_by_name():
    table = pd.DataFrame({"method": ["zeta", "reg2st", "alpha", "ridge"], "variant": "full"})
    assert in_fixed_order(table)["method"].tolist() == ["ridge", "reg2st", "alpha", "zeta"]
    assert method_label("my_method", "no_graph", "quick") == "my method, no graph (quick)"


def test_published_arrays_give_the_published_numbers(root):
    """The table's Reg2ST row over the released arrays is the paper's, to four digits."""
    folder = root / "resources/published"
    for dataset, expected in {"her2st": (0.1741, 0.1616), "cscc": (0.2021, 0.1911)}.items():
        patients = {name: name[:2] for name in released_pcc(folder, dataset, "reg2st").index}
        scores = released_scores(folder, dataset, "reg2st", patients)
        row = comparison(scores).values.iloc[0]
        assert (round(row["mean_pcc"], 4), round(row["median_pcc"], 4)) == expected
