"""Figures: nothing overlaps at the printed size, text is legible, files are reproducible."""

import itertools
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
from reg2st.evaluation.metrics import pearson
from reg2st.evaluation.statistics import compare
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
from reg2st.report.style import COLUMN_IN, FONT_PT, PAGE_IN, method_colours, save
from reg2st.sections.section_file import load_section_arrays, write_section
from reg2st.sections.targets import log_expression

METHODS = (
    *("brightness", "ridge", "sister_section", "histogene", "hist2st", "thitogene", "hggep"),
    *("foundation_ridge", "reg2st"),
)
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
SIZES = pytest.mark.parametrize(
    "study", [MANY, FEW, LONG_NAMES, NO_PCC], ids=["many", "few", "long names", "no PCC"]
)


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
    comparisons = compare(scores, "reg2st")
    variants = study.get("variants", ("full",))
    figure = wilcoxon_boxes(scores, comparisons, split="patient_out", variants=variants)
    assert_readable(figure)


@SIZES
def test_expression_level(study):
    scores = scores_of(**study)
    figure = expression_level(
        scores, split="section_out", variants=study.get("variants", ("full",))
    )
    assert_readable(figure)


@SIZES
def test_expected_pcc(study):
    scores = scores_of(**study)
    mine = scores[scores["method"].eq(study["methods"][-1]) & scores["variant"].eq("full")]
    mine = mine[mine["split"] == "patient_out"]
    noise = np.random.default_rng(0).normal(0, 0.05, len(mine))
    table = mine.assign(expected=mine["pcc"].fillna(0) + noise)
    figure = expected_pcc(table, dataset="her2st", split="patient_out", method=study["methods"][-1])
    assert_readable(figure)
    genes, sections = (axes.get_title(loc="left") for axes in figure.axes)
    if study is not NO_PCC:
        assert genes == f"40 genes in {len(study['sections'])} sections"
        assert sections.startswith("Mean correlation 0.9")


@pytest.mark.parametrize("with_published", [True, False])
@pytest.mark.parametrize("split", ["section_out", "patient_out"])
def test_ablation_bars(split, with_published):
    scores = scores_of(**LONG_NAMES)
    published = pd.DataFrame(
        {
            "dataset": "her2st",
            "method": "reg2st",
            "variant": LONG_VARIANTS,
            "mean_pcc": 0.1,
            "median_pcc": 0.09,
        }
    )
    figure = ablation_bars(
        scores,
        split=split,
        variants=LONG_VARIANTS,
        published=published if with_published else None,
    )
    assert_readable(figure)
    printed = with_published and split == "section_out"
    assert len(figure.axes[0].patches) == len(LONG_VARIANTS) * (1 + printed)


@pytest.mark.parametrize("split", ["section_out", "patient_out"])
def test_sensitivity_curves(split):
    sizes = {f"hidden_dim_{size}": size for size in (128, 512, 1024)}
    neighbours = {f"graph_neighbours_{number}": number for number in (4, 8, 10)}
    scores = scores_of(("reg2st",), MANY["sections"], ("full", *sizes, *neighbours), n_genes=10)
    curves = {
        "hidden_dim": {**sizes, "full": 256},
        "graph_neighbours": {**neighbours, "full": 6},
    }
    published = pd.DataFrame(
        {
            "dataset": "her2st",
            "method": "reg2st",
            "parameter": "hidden_dim",
            "value": [128, 256, 512, 1024],
            "mean_pcc": 0.15,
            "median_pcc": 0.14,
        }
    )
    figure = sensitivity_curves(scores, split=split, curves=curves, published=published)
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
        "ridge": (),
    }
    histories = {}
    for method, losses in parts.items():
        epochs = np.arange(1, 101 if losses else 1)
        history = pd.DataFrame({"epoch": epochs, "learning_rate": 1e-4})
        for rank, loss in enumerate(losses):
            history[f"loss_{loss}"] = scale * (rank + 1) * np.exp(-epochs / (40 * (rank + 1)))
        history["loss_total"] = history.filter(like="loss_").sum(axis=1)
        history.to_csv(tmp_path / f"{method}.tsv", sep="\t", index=False)
        histories[method, "full", "quick"] = [tmp_path / f"{method}.tsv"] * 2
    figure = training_curves("her2st, section out: 32 sections of 7 patients", histories)
    assert_readable(figure)
    titles = [axes.get_title(loc="left").split(" ")[0] for axes in figure.axes]
    assert titles == ["HisToGene", "Hist2ST", "THItoGene", "Reg2ST"]


GENES = ["FN1", "SCD", "GENE-WITH-LONG-NAME", "CONSTANT"]


REGIONS = ("invasive cancer", "connective tissue", "immune infiltrate", "breast glands")


def section_file(folder, um_per_px=2.0, n_columns=12, n_rows=8):
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
                "label": pd.Categorical(
                    [REGIONS[x // 3] if x else "undetermined" for x in columns]
                ),
            },
            index=[f"{x}x{y}" for x, y in zip(columns, rows, strict=True)],
        ),
        var=pd.DataFrame(index=GENES),
        obsm={"spatial": np.column_stack([100 + 60 * columns, 80 + 60 * rows]).astype(float)},
    )
    section.X[:, GENES.index("CONSTANT")] = 0
    section.X = scipy.sparse.csr_matrix(section.X)
    metadata = {"source_image_path": "slide.tif"}
    if um_per_px:
        metadata["um_per_px"] = um_per_px
    section.uns["spatial"] = {
        "S1": {
            "images": {"hires": random.integers(0, 255, (150, 220, 3), dtype=np.uint8)},
            "scalefactors": {"tissue_hires_scalef": 0.25, "spot_diameter_fullres": 30.0},
            "metadata": metadata,
        }
    }
    section.uns["section"] = {"dataset": "demo", "patient": "P1", "name": "S1", "dropped": {}}
    write_section(section, folder / "S1.h5ad")
    return folder / "S1.h5ad"


def prediction_file(folder, section, name, noise):
    """A run's predictions of the section, in another order of spots, beside another section's."""
    random = np.random.default_rng(3)
    arrays = load_section_arrays(section, GENES)
    expression = log_expression(arrays.counts)
    predicted = expression + noise * random.normal(size=expression.shape)
    order = random.permutation(len(expression))
    obs = pd.DataFrame(
        {
            "section": ["S0", *["S1"] * len(order)],
            "barcode": ["0x0", *arrays.barcodes[order]],
        }
    )
    obs.index = obs["section"] + "_" + obs["barcode"]
    values = np.vstack([np.zeros(len(GENES)), predicted[order]]).astype(np.float32)
    path = folder / f"{name}.h5ad"
    anndata.AnnData(X=values, obs=obs, var=pd.DataFrame(index=GENES)).write_h5ad(path)
    return path, predicted


@pytest.mark.parametrize("n_methods", [1, 9])
def test_gene_maps(tmp_path, n_methods):
    section = section_file(tmp_path)
    names = ("reg2st", *METHODS[:7], "a_new_method_with_a_long_name")[:n_methods]
    predictions = {
        (name, "full", "quick"): prediction_file(tmp_path, section, name, 0.1)[0] for name in names
    }
    figure = gene_maps(section, predictions, GENES, split="section_out")
    assert_readable(figure)
    names = [axes.get_ylabel().replace("\n", "") for axes in figure.axes if axes.get_ylabel()]
    assert names == GENES
    assert "500 µm" in {axes.get_xlabel() for axes in figure.axes}


def test_gene_maps_show_each_methods_pcc_and_values(tmp_path):
    section = section_file(tmp_path)
    path, predicted = prediction_file(tmp_path, section, "reg2st", 0.3)
    figure = gene_maps(
        section, {("reg2st", "full", "published"): path}, ["SCD", "CONSTANT"], split="patient_out"
    )
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
    figure = gene_maps(
        section, {("reg2st", "full", "published"): path}, ["SCD"], split="patient_out"
    )
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
    figure = gene_maps(section, predictions, ["SCD", "FN1"], split="section_out")
    assert_readable(figure)
    titles = " ".join(axes.get_title(loc="center") for axes in figure.axes)
    assert "Ridge" in titles
    assert ("Sister section" in titles) is (noise == 0.3)


def test_gene_maps_draw_a_gene_that_one_method_predicts_as_constant(tmp_path):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "ridge", 0.0)
    predictions = {("ridge", "full", "published"): path}
    figure = gene_maps(section, predictions, ["SCD", "CONSTANT"], split="section_out")
    blank = figure.axes[5]
    assert blank.get_title(loc="center") == "no PCC\nSD 0.00"
    assert not blank.collections[0].get_array().any()


@pytest.mark.parametrize("n_methods", [0, 1, 9])
def test_region_maps(tmp_path, n_methods):
    section = section_file(tmp_path)
    names = ("reg2st", *METHODS[:7], "a_new_method_with_a_long_name")[:n_methods]
    predictions = {
        (name, "full", "quick"): prediction_file(tmp_path, section, name, 0.1)[0] for name in names
    }
    if not predictions:
        predictions["train_mean", "full", "quick"], _ = prediction_file(
            tmp_path, section, "train_mean", np.nan
        )
    figure = region_maps(section, predictions, split="section_out")
    assert_readable(figure)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 3 + n_methods
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {
        "invasive cancer, 16 spots",
        *(f"{name}, 24 spots" for name in REGIONS[1:]),
        "no region, 8 spots",
    }


def test_region_maps_match_clusters_to_regions(tmp_path):
    section = section_file(tmp_path)
    arrays = load_section_arrays(section, GENES)
    level = {name: number for number, name in enumerate([*REGIONS, "undetermined"])}
    predicted = np.array([level[label] for label in arrays.labels])[:, None] * np.arange(1, 5)
    obs = pd.DataFrame({"section": "S1", "barcode": arrays.barcodes}, index=arrays.barcodes)
    table = anndata.AnnData(predicted.astype(np.float32), obs, pd.DataFrame(index=GENES))
    table.write_h5ad(tmp_path / "ridge.h5ad")
    figure = region_maps(
        section, {("ridge", "full", "published"): tmp_path / "ridge.h5ad"}, split="patient_out"
    )
    _, regions, _, ridge = figure.axes
    assert ridge.get_title(loc="center") == "Ridge\nARI 1.00, NMI 1.00"
    np.testing.assert_array_equal(
        ridge.collections[0].get_facecolor(), regions.collections[0].get_facecolor()
    )


def test_gene_maps_refuse_to_draw_nothing(tmp_path):
    section = section_file(tmp_path)
    with pytest.raises(UserError, match=r"no gene to map on .*S1\.h5ad"):
        gene_maps(section, {}, [], split="section_out")


def test_gene_maps_refuse_an_unpredicted_gene(tmp_path):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "reg2st", 0.3)
    with pytest.raises(UserError, match=r"'FN2' was not predicted \(did you mean 'FN1'"):
        gene_maps(section, {("reg2st", "full", "published"): path}, ["FN2"], split="patient_out")


def test_gene_maps_refuse_predictions_of_other_sections(tmp_path):
    section = section_file(tmp_path)
    path, _ = prediction_file(tmp_path, section, "reg2st", 0.3)
    predictions = anndata.read_h5ad(path)
    predictions[predictions.obs["section"] == "S0"].copy().write_h5ad(path)
    with pytest.raises(UserError, match="no prediction of spot 0x0 of section S1"):
        gene_maps(section, {("reg2st", "full", "published"): path}, ["FN1"], split="patient_out")


def test_genes_to_map():
    scores = scores_of(**FEW)
    genes = genes_to_map(
        scores, split="patient_out", section="C2", named=["G7", "not in the panel"], best=2
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


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
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


def test_training_curves_of_controls_alone_are_an_empty_page(tmp_path):
    columns = ["epoch", "learning_rate", "loss_total", "seconds"]
    pd.DataFrame(columns=columns).to_csv(tmp_path / "ridge.tsv", sep="\t", index=False)
    histories = {("ridge", "full", "published"): [tmp_path / "ridge.tsv"]}
    figure = training_curves("her2st, section out", histories)
    assert_readable(figure)
    assert not figure.axes
