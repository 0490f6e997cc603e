"""Figures: nothing overlaps at the printed size, text is legible, files are reproducible."""

import itertools
import json
import xml.etree.ElementTree as ET

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from reg2st.base.errors import UserError
from reg2st.evaluation.correlations import pearson
from reg2st.evaluation.metrics import MSE
from reg2st.models import registry
from reg2st.report.figures.ablation import ablation_bars
from reg2st.report.figures.expected_pcc import expected_pcc
from reg2st.report.figures.expression_level import expression_level
from reg2st.report.figures.gene_maps import gene_maps, genes_to_map
from reg2st.report.figures.leakage import leakage
from reg2st.report.figures.region_maps import region_maps
from reg2st.report.figures.section_boxes import section_boxes
from reg2st.report.figures.sensitivity import sensitivity_curves
from reg2st.report.figures.training_curves import training_curves
from reg2st.report.figures.wilcoxon import wilcoxon_boxes
from reg2st.report.sources import read_histories
from reg2st.report.style import (
    COLUMN_IN,
    FONT_PT,
    PAGE_IN,
    NothingToShow,
    method_colours,
    page_that_says,
    save,
)
from reg2st.sections.section_file import load_section_arrays, write_section
from sections import about, log_expression

METHODS = (*(name for name in registry.METHODS if name != "train_mean"), "foundation_ridge")
LONG_VARIANTS = ("full", "without_contrastive_learning_at_all", "positions_augmented_by_shifting")
SECTIONS_OF = dict.fromkeys("ABCD", 6) | dict.fromkeys("EFGH", 3)
HER2ST = [f"{patient}{n + 1}" for patient, count in SECTIONS_OF.items() for n in range(count)]
MANY = {"methods": METHODS, "sections": HER2ST}
FEW = {"methods": ("ridge", "reg2st"), "sections": ["B4", "C2"]}
LONG_NAMES = {
    "methods": ("train_mean", "ridge", "a_new_method_with_a_long_name", "reg2st"),
    "sections": [f"P{patient}_replicate_{n}" for patient in (2, 5, 10) for n in "123"],
    "variants": LONG_VARIANTS,
}
NO_PCC = {"methods": ("train_mean",), "sections": ["B4"]}
SIZES = pytest.mark.parametrize("study", [MANY, FEW, LONG_NAMES], ids=["many", "few", "long names"])


def scores_of(
    methods: tuple[str, ...],
    sections: list[str],
    variants: tuple[str, ...] = ("full",),
    n_genes: int = 40,
) -> pd.DataFrame:
    """Tidy scores of both splits: later methods are better; every fiftieth PCC is undefined."""
    random = np.random.default_rng(1)
    index = pd.MultiIndex.from_product(
        [["section_out", "patient_out"], methods, variants, sections, range(n_genes)],
        names=["split", "method", "variant", "section", "gene"],
    )
    scores = index.to_frame(index=False)
    patient = scores["section"].str.replace(r"(\D*\d*)_.*|\d+$", r"\1", regex=True)
    level = 0.05 + 0.04 * scores["method"].map(list(methods).index)
    level = level * np.where(scores["split"] == "patient_out", 0.6, 1.0)
    pcc = np.clip(random.normal(level, 0.12), -1, 1)
    pcc[::50] = np.nan
    pcc[scores["method"] == "train_mean"] = np.nan
    number = scores["gene"]
    return scores.assign(
        dataset="her2st",
        target="paper",
        preset="quick",
        seed=0,
        fold=scores["section"],
        patient=patient,
        gene="G" + number.astype(str),
        pcc=pcc,
        spearman=pcc,
        mse=0.1,
        n_spots=300,
        n_expressing=5 + 7 * number,
        mean_expression=0.01 + 0.03 * number,
    )


def drawn_texts(figure: Figure) -> list[Text]:
    """Texts that leave ink: not empty, not hidden, ticks within their axis only."""
    figure.canvas.draw()
    ticks = {}
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-6 * (high - low)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            inside = low - slack <= tick.get_loc() <= high + slack
            shown = axis.axes.axison and axis.get_visible() and inside
            ticks[tick.label1] = shown and tick.label1.get_visible()
            ticks[tick.label2] = shown and tick.label2.get_visible()
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    return [text for text in texts if text.get_visible() and ticks.get(text, True)]


def assert_readable(figure: Figure) -> None:
    """No two texts overlap, none leaves the page, none is smaller than 7 pt."""
    texts = drawn_texts(figure)
    assert texts
    boxes = [text.get_window_extent() for text in texts]
    page = figure.bbox
    for text, box in zip(texts, boxes, strict=True):
        assert text.get_fontsize() >= FONT_PT - 1e-9, f"'{text.get_text()}' is too small"
        assert box.x0 >= page.x0 - 1, f"'{text.get_text()}' leaves the page at the left"
        assert box.x1 <= page.x1 + 1, f"'{text.get_text()}' leaves the page at the right"
        assert box.y0 >= page.y0 - 1, f"'{text.get_text()}' leaves the page below"
        assert box.y1 <= page.y1 + 1, f"'{text.get_text()}' leaves the page above"
    for (one, first), (other, second) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert width <= 0.5 or height <= 0.5, f"'{one.get_text()}' overlaps '{other.get_text()}'"
    width_in = figure.get_size_inches()[0]
    assert width_in in (COLUMN_IN, PAGE_IN)


def test_readable_catches_overlaps():
    figure = Figure()
    figure.text(0.5, 0.5, "one", fontsize=9)
    figure.text(0.51, 0.5, "other", fontsize=9)
    with pytest.raises(AssertionError, match="'one' overlaps 'other'"):
        assert_readable(figure)


@SIZES
def test_section_boxes(study):
    scores = scores_of(**study)
    variants = study.get("variants", ("full",))
    figure = section_boxes(scores, split="section_out", variants=variants)
    assert_readable(figure)
    labels = [tick.get_text() for axes in figure.axes for tick in axes.get_xticklabels()]
    assert labels == [*study["sections"], "Mean", "Median"]
    defined = len(set(study["methods"]) - {"train_mean"}) * len(variants)
    boxes = [patch for axes in figure.axes for patch in axes.patches if patch.get_zorder() > 0]
    assert len(boxes) == defined * len(labels)


def test_section_boxes_show_quartiles_of_genes():
    scores = scores_of(**FEW)
    figure = section_boxes(scores, split="section_out")
    mine = scores[(scores["split"] == "section_out") & (scores["section"] == "B4")]
    expected = mine[mine["method"] == "ridge"]["pcc"].quantile([0.25, 0.75]).to_numpy()
    box = figure.axes[0].patches[0].get_path().vertices[:, 1]
    np.testing.assert_allclose([box.min(), box.max()], expected)


@SIZES
def test_leakage(study):
    scores = scores_of(**study)
    figure = leakage(scores, variants=study.get("variants", ("full",)))
    assert_readable(figure)


@pytest.mark.parametrize(
    "draw",
    [
        lambda scores: section_boxes(scores, split="section_out"),
        lambda scores: wilcoxon_boxes(scores, split="section_out", reference="train_mean"),
        lambda scores: expression_level(scores, split="section_out"),
        leakage,
    ],
    ids=["section_boxes", "wilcoxon", "expression_level", "leakage"],
)
def test_methods_without_a_score_are_nothing_to_show(draw):
    with pytest.raises(NothingToShow, match="no method has a PCC for any gene"):
        draw(scores_of(**NO_PCC))


def test_splits_without_a_common_section_are_nothing_to_show():
    scores = scores_of(**FEW)
    apart = (scores["split"] == "section_out") == (scores["section"] == "B4")
    with pytest.raises(NothingToShow, match="test no section in common"):
        leakage(scores[apart])


def test_one_section_with_one_gene_is_drawn():
    scores = scores_of(("ridge",), ["B4"], n_genes=2)
    scores = scores[scores["gene"] == "G1"]
    assert_readable(section_boxes(scores, split="section_out"))
    assert_readable(wilcoxon_boxes(scores, split="section_out", reference="ridge"))
    assert_readable(expression_level(scores, split="section_out"))
    assert_readable(leakage(scores))


def test_a_page_says_why_there_is_nothing_to_show():
    reason = "her2st, leave one section out: no method has a PCC for any gene. " * 3
    figure = page_that_says(reason)
    assert_readable(figure)
    (text,) = drawn_texts(figure)
    assert " ".join(text.get_text().split()) == reason.strip()


def test_figures_of_another_metric_take_its_column_and_name():
    scores = scores_of(**FEW)
    scores["mse"] = 2 + scores["pcc"]
    figure = section_boxes(scores, split="section_out", metric=MSE)
    assert figure.axes[0].get_ylabel() == "MSE of a gene"
    mine = scores[(scores["split"] == "section_out") & (scores["section"] == "B4")]
    expected = mine[mine["method"] == "ridge"]["mse"].quantile([0.25, 0.75]).to_numpy()
    box = figure.axes[0].patches[0].get_path().vertices[:, 1]
    np.testing.assert_allclose([box.min(), box.max()], expected)


def test_leakage_compares_the_same_sections():
    scores = scores_of(**MANY)
    only_once = (scores["section"] == "A1") & (scores["split"] == "section_out")
    some, neither, both = (
        [text.get_text() for text in drawn_texts(leakage(each))]
        for each in (scores[~only_once], scores[scores["section"] != "A1"], scores)
    )
    assert some == neither != both


@SIZES
def test_wilcoxon_boxes(study):
    scores = scores_of(**study)
    variants = study.get("variants", ("full",))
    figure = wilcoxon_boxes(scores, split="patient_out", reference="reg2st", variants=variants)
    assert_readable(figure)


@SIZES
def test_expression_level(study):
    scores = scores_of(**study)
    figure = expression_level(
        scores, split="section_out", variants=study.get("variants", ("full",))
    )
    assert_readable(figure)


@SIZES
def test_expected_pcc(tmp_path, study):
    method = study["methods"][-1]
    scores = scores_of(**study)
    mine = scores[scores["method"].eq(method) & scores["variant"].eq("full")]
    mine = mine[mine["split"] == "patient_out"]
    noise = np.random.default_rng(0).normal(0, 0.05, len(mine))
    expected = mine.assign(expected=mine["pcc"].fillna(0) + noise)
    expected = expected.pivot_table("expected", "gene", "section")
    obs = pd.DataFrame({"section": expected.columns, "fold": expected.columns})
    table = anndata.AnnData(
        obs=obs.set_axis(list(expected.columns)),
        var=expected[[]],
        varm={"expected_pcc": expected},
    )
    table.write_h5ad(tmp_path / "predictions.h5ad")
    predictions = {(method, "full", "quick"): tmp_path / "predictions.h5ad"}
    figure = expected_pcc(scores, predictions, split="patient_out", method=method)
    assert_readable(figure)
    genes, sections = (axes.get_title(loc="left") for axes in figure.axes)
    assert genes == f"40 genes in {len(study['sections'])} sections"
    assert sections.startswith("Mean correlation 0.9")
    without = scores.assign(pcc=np.nan)
    with pytest.raises(NothingToShow, match="has no PCC for any gene"):
        expected_pcc(without, predictions, split="patient_out", method=method)


@pytest.mark.parametrize("with_published", [True, False])
@pytest.mark.parametrize("split", ["section_out", "patient_out"])
def test_ablation_bars(split, with_published):
    scores = scores_of(**LONG_NAMES)
    printed = {"dataset": "her2st", "method": "reg2st", "mean_pcc": 0.1, "median_pcc": 0.09}
    published = [{**printed, "variant": variant} for variant in LONG_VARIANTS]
    figure = ablation_bars(
        scores,
        split=split,
        method="reg2st",
        variants=LONG_VARIANTS,
        published=published if with_published else [],
    )
    assert_readable(figure)
    printed = with_published and split == "section_out"
    assert len(figure.axes[0].patches) == len(LONG_VARIANTS) * (1 + printed)


@pytest.mark.parametrize("split", ["section_out", "patient_out"])
def test_sensitivity_curves(split):
    sizes = {f"hidden_{size}": size for size in (128, 512, 1024)}
    neighbours = {f"graph_neighbours_{number}": number for number in (4, 8, 10)}
    scores = scores_of(("reg2st",), MANY["sections"], ("full", *sizes, *neighbours), n_genes=10)
    curves = {
        "hidden": {**sizes, "full": 256},
        "graph_neighbours": {**neighbours, "full": 6},
    }
    printed = {"dataset": "her2st", "method": "reg2st", "mean_pcc": 0.15, "median_pcc": 0.14}
    published = [
        {**printed, "parameter": "hidden", "value": value} for value in (128, 256, 512, 1024)
    ]
    figure = sensitivity_curves(
        scores, split=split, method="reg2st", curves=curves, published=published
    )
    assert_readable(figure)
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["128", "256", "512", "1024"]


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e4])
def test_training_curves(tmp_path, scale):
    parts = {
        "reg2st": ("mse", "alignment", "contrastive", "zinb"),
        "hist2st": ("mse", "zinb", "distillation"),
        "histogene": ("mse",),
        "thitogene": ("mse",),
        "triplex": ("fusion", "target", "neighbour", "section", "distil_target", "distil_section"),
    }
    files = []
    for method, losses in parts.items():
        for fold in "AB":
            epochs = np.arange(1, 101)
            history = pd.DataFrame({"epoch": epochs, "learning_rate": 1e-4})
            for rank, loss in enumerate(losses):
                history[f"loss_{loss}"] = scale * (rank + 1) * np.exp(-epochs / (40 * (rank + 1)))
            history["loss_total"] = history.filter(like="loss_").sum(axis=1)
            folder = tmp_path / method / fold
            folder.mkdir(parents=True)
            run = {"dataset": "her2st", "split": "section_out", "method": method, "fold": fold}
            run |= {"variant": "full", "preset": "quick", "seed": 0}
            files += [folder / "run.json", folder / "history.tsv"]
            files[-2].write_text(json.dumps(run))
            history.to_csv(files[-1], sep="\t", index=False)
    figure = training_curves(read_histories(files), split="section_out")
    assert_readable(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    names = ("HisToGene", "Hist2ST", "THItoGene", "TRIPLEX", "Reg2ST")
    assert titles == [f"{name} (quick), 2 runs" for name in names]
    assert [len(axes.lines) for axes in figure.axes] == [1, 4, 1, 7, 5]
    for lines in (*(axes.lines for axes in figure.axes), figure.legends[0].get_lines()):
        looks = {(line.get_color(), line.get_linestyle()) for line in lines}
        assert len(looks) == len(lines)


GENES = ["FN1", "SCD", "GENE-WITH-LONG-NAME", "CONSTANT"]


REGIONS = ("invasive cancer", "connective tissue", "immune infiltrate", "breast glands")


def section_file(folder, um_per_px=2.0, n_columns=12, n_rows=8, diameter=30.0):
    """A section with a noisy picture, counts, and regions from left to right, as it is written."""
    random = np.random.default_rng(2)
    columns, rows = np.meshgrid(np.arange(n_columns), np.arange(n_rows))
    columns, rows = columns.ravel(), rows.ravel()
    counts = random.poisson(3 + columns[:, None], (len(columns), len(GENES))).astype(np.float32)
    section = anndata.AnnData(
        X=counts,
        obs=pd.DataFrame(
            {
                "array_row": rows,
                "array_col": columns,
            },
            index=[f"{x}x{y}" for x, y in zip(columns, rows, strict=True)],
        ),
        var=pd.DataFrame(index=GENES),
        obsm={"spatial": np.column_stack([100 + 60 * columns, 80 + 60 * rows]).astype(float)},
    )
    section.X[:, GENES.index("CONSTANT")] = 0
    section.X = scipy.sparse.csr_matrix(section.X)
    sizes = {"um_per_px": um_per_px} if um_per_px else {}
    if len(columns) > 1:
        sizes["spot_pitch_px"] = 60.0
    section.uns["spatial"] = {
        "S1": {
            "images": {"hires": random.integers(0, 255, (150, 220, 3), dtype=np.uint8)},
            "scalefactors": {"tissue_hires_scalef": 0.25, "spot_diameter_fullres": diameter},
            "metadata": {"source_image_path": "slide.tif"},
        }
    }
    section.uns["section"] = about("S1", "demo", "P1", **sizes)
    write_section(section, folder / "S1.h5ad")
    return folder / "S1.h5ad"


def label_file(folder, section, labels=None):
    """Labels of a section's spots, by default its regions from left to right."""
    arrays = load_section_arrays(section)
    if labels is None:
        columns = arrays.array_xy[:, 0]
        labels = [REGIONS[x // 3] if x else "undetermined" for x in columns]
    table = pd.DataFrame({"barcode": arrays.barcodes, "label": labels})
    table.to_csv(folder / "S1.tsv", sep="\t", index=False)
    return folder / "S1.tsv"


def prediction_file(folder, section, name, noise):
    """Predictions of the section, in another order of spots, after another section's."""
    random = np.random.default_rng(3)
    arrays = load_section_arrays(section, GENES)
    expression = log_expression(arrays.counts)
    predicted = expression + noise * random.normal(size=expression.shape)
    order = random.permutation(len(expression))
    obs = pd.DataFrame(
        {
            "fold": ["S0", *["S1"] * len(order)],
            "section": ["S0", *["S1"] * len(order)],
            "barcode": ["0x0", *arrays.barcodes[order]],
        }
    )
    obs.index = obs["section"] + "_" + obs["barcode"]
    values = np.vstack([np.zeros(len(GENES)), predicted[order]]).astype(np.float32)
    path = folder / f"{name}.h5ad"
    target = {"target": "paper"}
    anndata.AnnData(X=values, obs=obs, var=pd.DataFrame(index=GENES), uns=target).write_h5ad(path)
    return path, predicted


def mapped(section, predictions, genes, split="section_out"):
    """Maps of some genes."""
    return gene_maps(
        scores_of(("ridge",), ["S1"], n_genes=2),
        section,
        predictions,
        split=split,
        section="S1",
        genes=genes,
        best_genes=0,
    )


@pytest.mark.parametrize("n_methods", [1, 6, 7, 16])
def test_gene_maps(tmp_path, n_methods):
    section = section_file(tmp_path)
    names = ("a_new_method_with_a_long_name", *METHODS)[:n_methods]
    predictions = {
        (name, "full", "quick"): prediction_file(tmp_path, section, name, 0.1)[0] for name in names
    }
    figure = mapped(section, predictions, GENES)
    assert_readable(figure)
    names = [axes.get_ylabel().replace("\n", "") for axes in figure.axes if axes.get_ylabel()]
    assert names == GENES
    assert "500 µm" in {axes.get_xlabel() for axes in figure.axes}


def test_gene_maps_show_each_methods_pcc_and_values(tmp_path):
    section = section_file(tmp_path)
    path, predicted = prediction_file(tmp_path, section, "reg2st", 0.3)
    predictions = {("reg2st", "full", "published"): path}
    figure = mapped(section, predictions, ["SCD", "CONSTANT"], split="patient_out")
    observed = log_expression(load_section_arrays(section, GENES).counts)
    pcc = pearson(observed, predicted)[1]
    _, observed_map, predicted_map, _, constant, _, _ = figure.axes
    title = predicted_map.get_title(loc="center")
    assert title == f"Reg2ST\nPCC {pcc:.2f}\nSD {predicted[:, 1].std():.2f}"
    assert constant.get_title(loc="center") == "SD 0.00"
    drawn = observed_map.collections[0].get_array()
    standardised = (observed[:, 1] - observed[:, 1].mean()) / observed[:, 1].std()
    np.testing.assert_allclose(drawn, standardised, rtol=1e-5)
    assert observed_map.collections[0].norm.vmax == predicted_map.collections[0].norm.vmax


def test_gene_maps_of_unknown_pixel_size_have_no_scale_bar(tmp_path):
    section = section_file(tmp_path, um_per_px=None)
    path, _ = prediction_file(tmp_path, section, "reg2st", 0.3)
    figure = mapped(section, {("reg2st", "full", "published"): path}, ["SCD"])
    assert not any("µm" in axes.get_xlabel() for axes in figure.axes)


@pytest.mark.parametrize("noise", [np.nan, 0.3])
def test_gene_maps_leave_out_methods_that_predict_nothing(tmp_path, noise):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "sister_section", noise)
    other, _ = prediction_file(tmp_path, section, "ridge", 0.3)
    predictions = {
        ("sister_section", "full", "published"): path,
        ("ridge", "full", "published"): other,
    }
    figure = mapped(section, predictions, ["SCD", "FN1"])
    assert_readable(figure)
    titles = " ".join(axes.get_title(loc="center") for axes in figure.axes)
    assert "Ridge" in titles
    assert ("Sister section" in titles) is (noise == 0.3)


def test_gene_maps_draw_a_gene_that_one_method_predicts_as_constant(tmp_path):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "ridge", 0.0)
    predictions = {("ridge", "full", "published"): path}
    figure = mapped(section, predictions, ["SCD", "CONSTANT"])
    blank = figure.axes[5]
    assert blank.get_title(loc="center") == "no PCC\nSD 0.00"
    assert not blank.collections[0].get_array().any()


@pytest.mark.parametrize("n_methods", [0, 1, 9, 16])
def test_region_maps(tmp_path, n_methods):
    section = section_file(tmp_path)
    names = ("a_new_method_with_a_long_name", *METHODS)[:n_methods]
    predictions = {
        (name, "full", "quick"): prediction_file(tmp_path, section, name, 0.1)[0] for name in names
    }
    if not predictions:
        predictions["train_mean", "full", "quick"], _ = prediction_file(
            tmp_path, section, "train_mean", np.nan
        )
    labels = label_file(tmp_path, section)
    figure = region_maps(section, labels, predictions, split="section_out", section="S1")
    assert_readable(figure)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 2 + (n_methods > 0) + n_methods
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {
        "invasive cancer, 16 spots",
        *(f"{name}, 24 spots" for name in REGIONS[1:]),
        "no region, 8 spots",
    }


def test_region_maps_match_clusters_to_regions(tmp_path):
    section = section_file(tmp_path)
    arrays = load_section_arrays(section, GENES)
    region = np.where(arrays.array_xy[:, 0] > 0, arrays.array_xy[:, 0] // 3, len(REGIONS))
    obs = pd.DataFrame({"fold": "P1", "section": "S1", "barcode": arrays.barcodes})
    table = anndata.AnnData(
        (region[:, None] * np.arange(1, 5)).astype(np.float32),
        obs.set_axis(arrays.barcodes),
        pd.DataFrame(index=GENES),
        uns={"target": "paper"},
    )
    table.write_h5ad(tmp_path / "ridge.h5ad")
    figure = region_maps(
        section,
        label_file(tmp_path, section),
        {("ridge", "full", "published"): tmp_path / "ridge.h5ad"},
        split="patient_out",
        section="S1",
    )
    _, regions, _, ridge = figure.axes
    assert ridge.get_title(loc="center") == "Ridge\nARI 1.00, NMI 1.00"
    np.testing.assert_array_equal(
        ridge.collections[0].get_facecolor(), regions.collections[0].get_facecolor()
    )


def test_regions_may_be_numbers_and_none_is_nothing_to_show(tmp_path):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "ridge", 0.3)
    predictions = {("ridge", "full", "published"): path}
    numbers = label_file(tmp_path, section, np.arange(96) // 48)
    figure = region_maps(section, numbers, predictions, split="section_out", section="S1")
    assert_readable(figure)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["0, 48 spots", "1, 48 spots"]
    empty = label_file(tmp_path, section, [""] * 96)
    with pytest.raises(NothingToShow, match="no spot has a region"):
        region_maps(section, empty, predictions, split="section_out", section="S1")


def test_no_gene_to_map_is_nothing_to_show(tmp_path, caplog):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "reg2st", 0.3)
    with pytest.raises(NothingToShow, match="there is no gene to map"):
        mapped(section, {("reg2st", "full", "published"): path}, ["NONE"])
    assert "the panel lacks NONE of figures.genes" in caplog.text


def test_no_prediction_is_nothing_to_show(tmp_path):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "sister_section", np.nan)
    with pytest.raises(NothingToShow, match="no method has a prediction"):
        mapped(section, {("sister_section", "full", "published"): path}, ["FN1"])


@pytest.mark.parametrize("diameter", [30.0, np.nan])
def test_a_section_of_one_spot_is_mapped(tmp_path, diameter):
    section = section_file(tmp_path, n_columns=1, n_rows=1, diameter=diameter)
    path, _ = prediction_file(tmp_path, section, "ridge", 0.3)
    predictions = {("ridge", "full", "published"): path}
    assert_readable(mapped(section, predictions, ["FN1"]))
    labels = label_file(tmp_path, section, ["breast glands"])
    figure = region_maps(section, labels, predictions, split="section_out", section="S1")
    assert_readable(figure)


def test_gene_maps_refuse_predictions_of_other_sections(tmp_path):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "reg2st", 0.3)
    predictions = {("reg2st", "full", "published"): path}
    whole = anndata.read_h5ad(path)
    whole[whole.obs["barcode"] != "5x5"].copy().write_h5ad(path)
    with pytest.raises(UserError, match="no prediction of spot 5x5"):
        mapped(section, predictions, ["FN1"])
    whole[whole.obs["section"] == "S0"].copy().write_h5ad(path)
    with pytest.raises(UserError, match="no prediction of section S1"):
        mapped(section, predictions, ["FN1"])


def test_genes_to_map():
    scores = scores_of(**FEW)
    panel = sorted(set(scores["gene"]))
    genes = genes_to_map(
        scores, panel, split="patient_out", section="C2", named=["G7", "not in the panel"], best=2
    )
    mine = scores.query("split == 'patient_out' and section == 'C2' and method == 'reg2st'")
    best = mine[mine["gene"] != "G7"].nlargest(2, "pcc")["gene"].tolist()
    assert genes == ["G7", *best]


def test_known_methods_keep_their_colours():
    few = method_colours([("reg2st", "full", "published")])
    many = method_colours([(name, "full", "published") for name in METHODS])
    key = ("reg2st", "full", "published")
    assert few[key] == many[key]
    assert len(set(many.values())) == len(METHODS)


@pytest.mark.parametrize("suffix", ["png", "jpg", "svg", "pdf"])
def test_saved_files_are_reproducible(tmp_path, suffix):
    scores = scores_of(**FEW)
    for name in ("one", "two"):
        save(leakage(scores), tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


def test_saved_at_printed_size(tmp_path):
    save(leakage(scores_of(**FEW)), tmp_path / "a.png", tmp_path / "a.svg")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == round(COLUMN_IN * 300)
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    width = ET.parse(tmp_path / "a.svg").getroot().get("width")
    assert width == f"{COLUMN_IN * 72:g}pt"
