"""The configuration: how it is read, and what is said of a mistake."""

import re
import subprocess
import sys
from contextlib import suppress
from copy import deepcopy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.utils import update_config

from reg2st.base.errors import UserError
from reg2st.models.registry import METHODS
from reg2st.study.config import GRAPHS, read_config
from reg2st.study.dataset_config import (
    ArchivesSource,
    FrozenPanel,
    RecipePanel,
    SimulationSource,
    UrlSource,
)

STUDY = {
    "name": "study",
    "datasets": {"mine": {"root": ".", "sheet": "sheet.tsv", "panel": {"file": "panel.txt"}}},
}


def study(**keys):
    return {**deepcopy(STUDY), **keys}


def dataset(**keys):
    return study(datasets={"mine": {**STUDY["datasets"]["mine"], **keys}})


def reg2st(**keys):
    return study(methods={"reg2st": keys})


def curve(variants, setting="hidden", curves=("full", "wide")):
    return {
        **reg2st(preset="quick", variants=variants),
        "sensitivity": {"curves": {setting: list(curves)}},
    }


def from_command_line(*entries):
    """What ``--config`` makes of its arguments, over a whole study."""
    config = deepcopy(STUDY)
    update_config(config, parse_config(list(entries)))
    return read_config(config)


def test_defaults_are_filled_in():
    raw = study()
    config = read_config(raw)
    assert config.seeds == (0,)
    assert [(each.encoder, each.view) for each in config.inputs.embeddings] == [
        ("phikon_v2", "native")
    ]
    assert set(config.methods) == {"train_mean", "brightness", "ridge", "reg2st"}
    assert config.graphs["nearest_4_within_2"].within == 2
    assert config.settings_of("reg2st").hidden == 256
    assert raw == STUDY, "the caller's mapping is left alone"


@pytest.fixture(scope="module")
def shipped(root):
    files = (root / "config").rglob("*.yaml")
    configs = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}
    update_config(experiments := deepcopy(configs["config.yaml"]), configs["experiments.yaml"])
    return {**configs, "experiments.yaml": experiments}


@pytest.fixture(scope="module")
def shipped_demo(root):
    return yaml.safe_load((root / "config" / "demo.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name",
    [
        *("config.yaml", "demo.yaml", "experiments.yaml", "ceiling.yaml", "her2st_six.yaml"),
        *("her2st_six_experiments.yaml", "her2st_zenodo.yaml", "sections.yaml", "miso_folds.yaml"),
        *("hest_bench.yaml", "cross_dataset.yaml", "tuned_six.yaml", "tuned_visium.yaml"),
    ],
)
def test_shipped_configs_are_valid(shipped, name):
    read_config(shipped.pop(name))


def test_the_demo_shows_every_method_but_triplex(shipped_demo):
    assert {*shipped_demo["methods"], "triplex"} == METHODS.keys()


MISTAKES = {
    "unknown key": (study(methdos={}), "methdos: unknown key (did you mean 'methods'?)."),
    "unknown nested key": (
        study(views={"wide": {"fild_px": 448}}),
        "views.wide.fild_px: unknown key (did you mean 'field_px'?).",
    ),
    "missing key": (dataset(panel=None), "datasets.mine.panel: is missing; add it."),
    "no list": (study(seeds="0"), "seeds: must be a list, such as [a, b], got '0'."),
    "empty list": (study(seeds=[]), "seeds: must not be empty."),
    "no dataset": (
        study(datasets={"mine": None}),
        "datasets: must not be empty in a study without `slides`.",
    ),
    "repetition": (study(seeds=[1, 1]), "seeds: '1' is listed twice; delete one."),
    "no whole number": (
        study(seeds=["many"]),
        "seeds[0]: must be a whole number, got 'many'.",
    ),
    "unknown encoder to start from": (
        study(methods={"stnet": {"settings": {"backbone": "resnet18"}}}),
        "methods.stnet.settings: there is no encoder 'resnet18' (known are phikon_v2,",
    ),
    "no number": (
        study(training={"checkpoint_seconds": "often"}),
        "training.checkpoint_seconds: must be a number, got 'often'.",
    ),
    "not finite": (
        study(training={"checkpoint_seconds": float("nan")}),
        "training.checkpoint_seconds: must be a finite number, got NaN.",
    ),
    "too small": (study(seeds=[-1]), "seeds[0]: must be at least 0, got -1."),
    "no mapping": (
        study(graphs={"near": 4}),
        "graphs.near: must be keys with values, such as {key: value}, got 4.",
    ),
    "no text": (
        study(figures={"genes": [False]}),
        "figures.genes[0]: must be text; write it in quotes, got false.",
    ),
    "unknown value": (
        study(splits=["sections_out"]),
        "splits[0]: 'sections_out' is not one of its values (did you mean 'section_out'?).",
    ),
    "name in paths": (
        study(name="../elsewhere"),
        "name: '../elsewhere' cannot be used here; use letters, digits, '_' and '-' only.",
    ),
    "name of a dataset": (
        study(datasets={"her_2": STUDY["datasets"]["mine"]}),
        "datasets.her_2: 'her_2' cannot be used here; use letters and digits only.",
    ),
    "address": (
        dataset(source={"base": "ftp://host/"}),
        "datasets.mine.source.base: 'ftp://host/' cannot be used here; write an address",
    ),
    "two sources": (
        dataset(source={"base": "https://host/", "simulation": {}}),
        "datasets.mine.source: write one of base, archives, simulation, got base, simulation.",
    ),
    "key of a source": (
        dataset(source={"base": "https://host/", "file": 1}),
        "datasets.mine.source.file: unknown key",
    ),
    "setting of a simulation": (
        dataset(source={"simulation": {"patient": 3}}),
        "datasets.mine.source.simulation.patient: unknown key (did you mean 'patients'?).",
    ),
    "no files": (
        dataset(root=None),
        "datasets.mine.root: is missing; say where the files are, by `root` or `source`.",
    ),
    "no sheet": (dataset(sheet=None), "datasets.mine.sheet: is missing; name the sample sheet."),
    "two kinds of view": (
        study(views={"native": {"field_px": 224, "um_per_px": 0.5}}),
        "views.native: a view has either field_px or um_per_px.",
    ),
    "unknown encoder": (
        study(inputs={"embeddings": [{"encoder": "phikon"}]}),
        "inputs.embeddings[0].encoder: there is no encoder 'phikon' (did you mean 'phikon_v2'?).",
    ),
    "unknown view": (
        study(inputs={"patches": "wide"}),
        "inputs.patches: views has no 'wide' (known are native).",
    ),
    "unknown view of a method": (
        reg2st(inputs={"embeddings": [{"encoder": "phikon_v2", "view": "natve"}]}),
        "methods.reg2st.inputs.embeddings[0].view: views has no 'natve' (did you mean 'native'?).",
    ),
    "unknown view of a variant": (
        reg2st(variants={"wide": {"inputs": {"patches": "wide"}}}),
        "methods.reg2st.variants.wide.inputs.patches: views has no 'wide'",
    ),
    "unknown method": (
        study(methods={"ridge": {}, "reg2nd": {}}),
        "methods.reg2nd: there is no method 'reg2nd' (did you mean 'reg2st'?).",
    ),
    "unknown preset": (
        reg2st(preset="quik"),
        "methods.reg2st.preset: the method has no preset 'quik' (did you mean 'quick'?).",
    ),
    "values to choose from of a method in closed form": (
        study(methods={"ridge": {"tuned": {"components": [16, 64]}}, "reg2st": {}}),
        "methods.ridge.tuned: is for networks, and ridge is fitted in closed form.",
    ),
    "a wrong value to choose from": (
        reg2st(tuned={"hidden": [64, "wide"], "learning_rate": [0.001]}),
        "methods.reg2st.tuned.hidden: must be a whole number, got 'wide'.",
    ),
    "an unknown setting to choose": (
        reg2st(tuned={"hiden": [64]}),
        "methods.reg2st.tuned.hiden: unknown setting (did you mean 'hidden'?).",
    ),
    "epochs to choose from": (
        reg2st(tuned={"epochs": [10, 20]}),
        "methods.reg2st.tuned.epochs: must be left out: it is always chosen.",
    ),
    "values to choose from that read other files": (
        reg2st(tuned={"image_encoder": ["embedding", "patch_cnn"]}),
        "methods.reg2st.tuned.image_encoder: its values change which files the method reads.",
    ),
    "unknown setting": (
        reg2st(settings={"hiden": 128}),
        "methods.reg2st.settings.hiden: unknown setting (did you mean 'hidden'?).",
    ),
    "wrong setting": (
        reg2st(settings={"epochs": "many"}),
        "methods.reg2st.settings.epochs: must be a whole number, got 'many'.",
    ),
    "unknown setting of a variant": (
        reg2st(variants={"wide": {"hiden": 128}}),
        "methods.reg2st.variants.wide.hiden: unknown setting (did you mean 'hidden'?).",
    ),
    "settings of a variant": (
        reg2st(variants={"wide": {"settings": {"hidden": 128}}}),
        "methods.reg2st.variants.wide: write settings directly under the variant's name",
    ),
    "settings that do not fit": (
        reg2st(variants={"narrow": {"hidden": 100}}),
        "methods.reg2st.variants.narrow: hidden (100) must be a multiple of heads (8).",
    ),
    "variant named full": (
        reg2st(variants={"full": {}}),
        "methods.reg2st.variants.full: 'full' is the method as configured; rename the",
    ),
    "unknown graph": (
        study(methods={"thitogene": {"settings": {"graph": "nearest_5"}}}),
        "methods.thitogene.settings.graph: graphs has no 'nearest_5' (did you mean 'nearest_4'?).",
    ),
    "unknown reference": (
        study(reference="rigde"),
        "reference: methods has no 'rigde' (did you mean 'ridge'?).",
    ),
    "unknown method of an experiment": (
        study(ablation={"method": "reg2nd", "variants": ["wide"]}),
        "ablation.method: methods has no 'reg2nd' (did you mean 'reg2st'?).",
    ),
    "unknown variant of an ablation": (
        {**reg2st(variants={"wide": {}}), "ablation": {"variants": ["full", "wied"]}},
        "ablation.variants[1]: methods.reg2st.variants has no 'wied' (did you mean 'wide'?).",
    ),
    "unknown variant of a curve": (
        curve({"wide": {"hidden": 128}}, curves=("full", "wied")),
        "sensitivity.curves.hidden[1]: methods.reg2st.variants has no 'wied' (did you mean 'wide'",
    ),
    "split of an experiment": (
        study(splits=["section_out"], ablation={"variants": ["full"], "splits": ["patient_out"]}),
        "ablation.splits[0]: 'patient_out' is not among the splits of the study.",
    ),
    "curve of no setting": (
        curve({"wide": {"hidden": 128}}, setting="hidden_dim"),
        "sensitivity.curves.hidden_dim: 'reg2st' has no setting 'hidden_dim' (did you mean 'hid",
    ),
    "curve of one point": (
        curve({}, curves=["full"]),
        "sensitivity.curves.hidden: a curve needs at least two variants.",
    ),
    "curve of words": (
        curve({"wide": {"positions": "absolute"}}, setting="positions"),
        "sensitivity.curves.positions: its value in 'full' is 'none'; a curve needs numbers.",
    ),
    "curve without a difference": (
        curve({"wide": {"hidden": 64}}),
        "sensitivity.curves.hidden: it is 64 in both 'full' and 'wide';",
    ),
    "curve over another setting": (
        curve({"wide": {"hidden": 128, "blocks": 2}}),
        "sensitivity.curves.hidden: its variants also differ in 'blocks';",
    ),
    "curve over other inputs": (
        curve({"wide": {"hidden": 128, "inputs": {"standardise": "section"}}}),
        "sensitivity.curves.hidden: its variants also differ in their inputs;",
    ),
}


@pytest.mark.parametrize(("raw", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_with_its_place(raw, sentence):
    with pytest.raises(UserError) as error:
        read_config(raw)
    assert f"Config, {sentence}" in str(error.value)
    assert "\n" not in str(error.value), "nothing else is wrong"


def test_every_mistake_is_reported_at_once():
    wrong = {
        "datasets": {"mine": {"panel": {"fil": "panel.txt"}}},
        "seeds": [0, "one"],
        "methods": {
            "rigde": None,
            "reg2st": {
                "preset": "quik",
                "settings": {"hiden": 128},
                "inputs": {"patches": "wide", "pathces": "native"},
                "variants": {"wide": {"epochs": 0}},
            },
        },
        "reference": "ride",
        "ablation": {"method": "reg2st", "variants": ["wied"], "split": []},
        "figures": {"best_genes": -1},
    }
    with pytest.raises(UserError) as error:
        read_config(wrong)
    heading, *lines = str(error.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == [
        "name",
        "datasets.mine.root",
        "datasets.mine.sheet",
        "datasets.mine.panel",
        "seeds[1]",
        "methods.rigde",
        "methods.reg2st.inputs.pathces",
        "ablation.split",
        "figures.best_genes",
        "methods.reg2st.preset",
        "methods.reg2st.inputs.patches",
        "methods.reg2st.settings.hiden",
        "methods.reg2st.variants.wide.epochs",
        "reference",
        "ablation.variants[0]",
    ]
    assert heading == f"Config has {len(lines)} mistakes:"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "hidden", "base", "file", "", 7, None]), inner)
    ),
    max_leaves=4,
)


def places_in(value, place=()):
    yield place
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(inner, (*place, key))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_stands_somewhere_is_read_or_refused(shipped_demo, data):
    config = deepcopy(shipped_demo)
    place = data.draw(st.sampled_from(list(places_in(config))[1:]))
    holder = config
    for key in place[:-1]:
        holder = holder[key]
    key = data.draw(st.sampled_from([place[-1], 7, None]))
    holder[place[-1] if isinstance(holder, list) else key] = data.draw(JUNK)
    with suppress(UserError):
        read_config(config)


def test_what_follows_from_a_mistake_is_not_one():
    """Wrong parts exist, so whoever names them is right."""
    wrong = {
        "views": {"native": {"field_px": 224}, "wide": {"field": 448}},
        "graphs": {"nearest_4": {"neighbours": "few"}},
        "methods": {"reg2st": {"inputs": {"patches": "wide"}}, "thitogene": {}, "sister": {}},
        "reference": "sister",
        "splits": ["patients"],
        "ablation": {"method": "sister", "variants": ["any"], "splits": ["patient_out"]},
    }
    with pytest.raises(UserError) as error:
        read_config(study(**wrong))
    places = [line.split(":")[0].strip() for line in str(error.value).splitlines()[1:]]
    wrong_parts = ["splits[0]", "views.wide.field", "graphs.nearest_4.neighbours"]
    assert places == [*wrong_parts, "methods.sister"]


def test_null_is_not_written():
    nothing = {"preset": None, "settings": None, "inputs": None, "variants": None}
    config = read_config(
        study(methods={"ridge": None, "reg2st": nothing}, seeds=None, ablation=None, figures=None)
    )
    assert config == read_config(study(methods={"ridge": {}, "reg2st": {}}))
    variants = {"again": None, "wide": {"hidden": 512, "inputs": None}}
    method = read_config(reg2st(variants=variants)).methods["reg2st"]
    assert [each.settings for each in method.variants.values()] == [{}, {"hidden": 512}]


def test_a_setting_may_be_null():
    config = read_config(study(methods={"sprig": {"variants": {"raw": {"thinned_library": None}}}}))
    assert config.settings_of("sprig").thinned_library == 400
    assert config.settings_of("sprig", "raw").thinned_library is None


@pytest.mark.parametrize(
    ("methods", "reference"),
    [
        (["ridge", "reg2st", "sprig"], "reg2st"),
        (["ridge", "histogene", "sprig"], "sprig"),
        (["train_mean", "ridge"], "ridge"),
    ],
)
def test_the_reference_is_reg2st_or_the_last_method(methods, reference):
    config = read_config(study(methods=dict.fromkeys(methods)))
    assert config.reference == reference


def test_names_are_text_whatever_they_look_like():
    names = yaml.safe_load("[NA, nan, 'null', '001', 1e5, 7, 2026-11-25, 1-Mar]")
    written = ("NA", "nan", "null", "001", "1e5", "7", "2026-11-25", "1-Mar")
    config = read_config({**dataset(sections=names), "figures": {"genes": names}})
    assert config.datasets["mine"].sections == config.figures.genes == written


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"source": {"base": "https://host/data/"}}, UrlSource),
        (
            {"source": {"archives": {"a.zip": {"url": "https://host/a.zip", "holds": ["image"]}}}},
            ArchivesSource,
        ),
        ({"source": {"simulation": {"seed": 3}}, "sheet": None}, SimulationSource),
        ({"source": {"simulation": None}, "sheet": None}, SimulationSource),
        ({"source": {"base": None, "simulation": {}}, "sheet": None}, SimulationSource),
    ],
)
def test_a_source_is_known_by_its_key(keys, kind):
    config = read_config(dataset(root=None, **keys))
    assert isinstance(config.datasets["mine"].source, kind)


@pytest.mark.parametrize(
    ("panel", "kind"),
    [
        ({"file": "panel.txt"}, FrozenPanel),
        ({"recipe": None}, RecipePanel),
        ({"file": None, "recipe": {"min_spots": 5}}, RecipePanel),
    ],
)
def test_a_panel_is_known_by_its_key(panel, kind):
    assert isinstance(read_config(dataset(panel=panel)).datasets["mine"].panel, kind)


def test_the_home_folder_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ana")
    config = read_config(dataset(root="~/her2st/", sheet="~/sheet.tsv", panel={"file": "~/p.txt"}))
    mine = config.datasets["mine"]
    found = (mine.root, mine.sheet, mine.panel.file)
    assert found == ("/home/ana/her2st", "/home/ana/sheet.tsv", "/home/ana/p.txt")


def test_inputs_are_overridden_key_by_key():
    raw = study(
        views={"native": {"field_px": 224}, "wide": {"field_px": 448}},
        inputs={"embeddings": [{"encoder": "efficientnet_lite0"}], "standardise": "section"},
        methods={
            "reg2st": {
                "inputs": {"patches": "wide"},
                "variants": {"plain": {"inputs": {"standardise": "none"}}},
            }
        },
    )
    config = read_config(raw)
    full, plain = (config.inputs_of("reg2st", variant) for variant in ("full", "plain"))
    assert (full.standardise, plain.standardise) == ("section", "none")
    for inputs in (full, plain):
        assert inputs.patches == "wide"
        assert inputs.embeddings[0].encoder == "efficientnet_lite0"


def test_the_command_line_gives_numbers_truth_and_null_as_text():
    config = from_command_line(
        "seeds=[0,1]",
        "training={checkpoint_seconds: 0.5}",
        "views={native: {field_px: null, um_per_px: 0.5}}",
        "graphs={nearest_4: null, mine: {neighbours: 8, within: 1.5}}",
        "datasets={mine: {sections: [001, 1e5], panel: {file: null, recipe: {min_spots: 5}}}}",
        "figures={genes: [NA], best_genes: 0}",
        "ablation=null",
        "methods={reg2st: {settings: {contrastive: false, dropout: 0.1, epochs: 9}}, ridge: null, "
        "sprig: {settings: {thinned_library: null, ring_weights: [1, 0.5], choices: {rank: [2]}}}}",
    )
    assert config.seeds == (0, 1)
    assert config.training.checkpoint_seconds == 0.5
    assert config.views["native"].um_per_px == 0.5
    assert set(config.graphs) == GRAPHS.keys() - {"nearest_4"} | {"mine"}
    assert config.graphs["mine"].within == 1.5
    assert config.datasets["mine"].sections == ("001", "1e5")
    assert config.datasets["mine"].panel.recipe.min_spots == 5
    assert (config.figures.genes, config.figures.best_genes) == (("NA",), 0)
    assert config.ablation is None
    network = config.settings_of("reg2st")
    assert (network.contrastive, network.dropout, network.epochs) == (False, 0.1, 9)
    regression = config.settings_of("sprig")
    assert regression.thinned_library is None
    assert (regression.ring_weights, regression.choices) == ((1.0, 0.5), {"rank": (2,)})


def test_the_command_line_of_the_page_plans_one_dataset(root, shipped):
    page = (root / "config" / "README.md").read_text(encoding="utf-8")
    (datasets,) = re.findall("--config '(datasets=.*)'", page)
    raw = yaml.safe_load((root / "config" / "config.yaml").read_text(encoding="utf-8"))
    update_config(raw, parse_config([datasets]))
    datasets = read_config(raw).datasets
    assert set(datasets) == {"her2st"}
    assert datasets["her2st"].sections == ("B4", "C2", "C3")
    assert not datasets["her2st"].root.startswith("~")


def test_reading_the_classes_is_quick():
    program = "import sys, reg2st.study.config, reg2st.study.datasets; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & {"torch", "anndata", "scanpy", "matplotlib", "tifffile"}
