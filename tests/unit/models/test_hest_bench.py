"""HEST-Bench: a folder in its layout is read as it is, and its ridge is fitted as it fits it."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from bench_folder import GENES, PANEL, SAMPLES, SLIDE_UM_PER_PX, make_task
from reg2st.base.errors import UserError
from reg2st.evaluation.correlations import pearson
from reg2st.features.fields import View, open_fields
from reg2st.models import registry
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.report.viewer.pyramid import write_pyramid
from reg2st.sections.assembly import read_section
from reg2st.sections.panels import read_panel
from reg2st.sections.readers import reader
from reg2st.sections.section_file import load_section_arrays, write_section
from reg2st.sections.section_row import SectionRow
from reg2st.sections.slides import open_slide
from reg2st.sections.targets import TARGETS
from reg2st.study.fold_files import read_folds

COMPONENTS = 40
"""HEST-Bench takes 256 of thousands of spots."""


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return make_task(tmp_path_factory.mktemp("bench") / "TASK")


def row_of(sample):
    return SectionRow(sample, f"patient of {sample}", "hest_bench", folder=".")


@pytest.fixture(scope="module")
def sections(task, tmp_path_factory):
    """Section files by sample."""
    made = {}
    for sample in SAMPLES:
        files = reader("hest_bench").files(row_of(sample), task)
        made[sample] = tmp_path_factory.mktemp("sections") / f"{sample}.h5ad"
        write_section(read_section(row_of(sample), files, "bench"), made[sample])
    return made


def embedding(images):
    """Mean colours of 8 x 8 squares of each patch, float32 ``[n, 192]``."""
    blocks = images.reshape(len(images), 8, 28, 8, 28, 3).astype(np.float32) / 255
    return blocks.mean(axis=(2, 4)).reshape(len(images), -1)


def test_fields_of_view_are_the_stored_patches(task, sections):
    for sample, section in sections.items():
        path = task / "patches" / f"{sample}.h5"
        with h5py.File(path) as file, open_fields(path, section, View(um_per_px=0.5)) as fields:
            assert fields.barcodes.tolist() == file["barcode"].asstr()[:, 0].tolist()
            assert fields.um_per_px == pytest.approx(0.5)
            np.testing.assert_array_equal(fields[0 : len(fields)], file["img"][()])


def test_a_section_has_its_sizes_and_the_spots_with_a_patch(sections):
    arrays = load_section_arrays(sections["S1"], PANEL)
    assert arrays.um_per_px == pytest.approx(SLIDE_UM_PER_PX)
    assert arrays.spot_pitch_um == pytest.approx(100)
    assert arrays.dropped["without a patch"] == 1
    assert len(arrays.barcodes) == 7 * 6 - 1


def test_another_field_of_view_is_refused(task, sections):
    with (
        open_fields(task / "patches/S1.h5", sections["S1"], View(field_px=224)) as fields,
        pytest.raises(UserError, match=r"um_per_px: 0\.5"),
    ):
        fields[0:2]


def test_the_slide_of_patches_can_be_looked_at(task, tmp_path):
    with open_slide(task / "patches/S1.h5") as slide:
        picture = slide.thumbnail(200)
        assert max(picture.shape) == 200
        assert (picture != 255).any()
        write_pyramid(slide, tmp_path / "tiles")
    assert (tmp_path / "tiles/thumbnail.jpg").is_file()
    assert list((tmp_path / "tiles").glob("*/0_0.jpg"))


def test_splits_and_genes_are_those_of_the_folder(task):
    folds = read_folds(task / "splits", SAMPLES)
    assert [(fold.name, fold.test) for fold in folds] == [("0", SAMPLES[:2]), ("1", SAMPLES[2:])]
    assert read_panel(task / "var_50genes.json") == PANEL


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda task: (task / "adata/S1.h5ad").unlink(), r"has no adata/S1\.h5ad"),
        (lambda task: (task / "patches/S1.h5").write_text("no"), "no file of patches"),
    ],
)
def test_what_is_missing_is_one_sentence(tmp_path, spoil, sentence):
    task = make_task(tmp_path / "TASK", columns=3, rows=2)
    spoil(task)
    with pytest.raises(UserError, match=sentence):
        reader("hest_bench").read(reader("hest_bench").files(row_of("S1"), task), row_of("S1"))


def test_wrong_splits_and_genes_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"has no splits train_0\.csv"):
        read_folds(tmp_path, SAMPLES)
    path = tmp_path / "genes.json"
    for genes, sentence in (({"names": []}, "no list `genes`"), ({"genes": ["A", "A"]}, "twice")):
        path.write_text(json.dumps(genes))
        with pytest.raises(UserError, match=sentence):
            read_panel(path)


def as_hest_bench(task, fold):
    """Predictions and targets of a fold by HEST-Bench's own steps, from its files alone."""
    import anndata

    sides = []
    for role in ("train", "test"):
        split = pd.read_csv(task / "splits" / f"{role}_{fold}.csv")
        features, targets = [], []
        for place in split.itertuples():
            with h5py.File(task / place.patches_path) as file:
                features.append(embedding(file["img"][()]))
                barcodes = file["barcode"].asstr()[:, 0].tolist()
            table = anndata.read_h5ad(task / place.expr_path)[barcodes][:, PANEL]
            targets.append(np.log1p(table.X.toarray().astype(np.float64)))
        sides += [np.concatenate(features), np.concatenate(targets)]
    x_train, y_train, x_test, y_test = sides
    pca = PCA(n_components=COMPONENTS, random_state=1)
    pipe = Pipeline([("scaler", StandardScaler()), ("PCA", pca)])
    x_train, x_test = (
        torch.Tensor(pipe.fit_transform(x_train)),
        torch.Tensor(pipe.transform(x_test)),
    )
    alpha = 100 / (x_train.shape[1] * y_train.shape[1])
    ridge = Ridge(solver="lsqr", alpha=alpha, random_state=1, fit_intercept=False, max_iter=1000)
    ridge.fit(x_train, y_train)
    return ridge.predict(x_test), y_test, alpha


def tensors(task, section, sample):
    """What the workflow gives a model of a section, with the test's embedding."""
    arrays = load_section_arrays(section, PANEL)
    with open_fields(task / "patches" / f"{sample}.h5", section, View(um_per_px=0.5)) as fields:
        features = embedding(fields[0 : len(fields)])
    target = TARGETS["log_counts"].expression(arrays.counts, arrays.totals)
    return SectionTensors(
        name=sample,
        patient=arrays.patient,
        array_xy=torch.from_numpy(arrays.array_xy),
        embedding=torch.from_numpy(features),
        expression=torch.from_numpy(target),
    )


@pytest.mark.parametrize("fold", [0, 1])
def test_our_ridge_is_that_of_hest_bench(task, sections, fold):
    predicted, observed, alpha = as_hest_bench(task, fold)
    settings = registry.parse_settings(
        "ridge", "published", {"recipe": "hest_bench", "components": COMPONENTS}
    )
    split = read_folds(task / "splits", SAMPLES)[fold]
    known = {name: tensors(task, path, name) for name, path in sections.items()}
    sizes = Sizes(genes=len(PANEL), features=192)
    model = registry.method("ridge")(settings, sizes)
    model.fit([known[name] for name in split.train])
    ours = torch.cat([model(known[name].without_targets()) for name in split.test]).numpy()
    assert float(model.alpha) == pytest.approx(alpha)
    np.testing.assert_allclose(ours, predicted, atol=1e-6 * np.abs(predicted).max())
    expected = [pearsonr(observed[:, g], predicted[:, g]).statistic for g in range(len(PANEL))]
    np.testing.assert_allclose(pearson(observed, ours), expected, atol=1e-6)
    assert np.mean(expected) > 0.2
    assert len(GENES) > len(PANEL)
