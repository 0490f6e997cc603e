"""What methods, variants and splits are called in tables and figures, and their fixed order."""

from collections.abc import Iterable

import pandas as pd

from reg2st.sections.targets import TARGETS

MethodKey = tuple[str, str, str]
"""Method, variant and preset."""

METHOD_LABELS = {
    "observed": "Observed",
    "train_mean": "Training mean",
    "brightness": "Brightness",
    "ridge": "Ridge",
    "sister_section": "Sister section",
    "stnet": "ST-Net",
    "histogene": "HisToGene",
    "hist2st": "Hist2ST",
    "thitogene": "THItoGene",
    "bleep": "BLEEP",
    "triplex": "TRIPLEX",
    "mclstexp": "mclSTExp",
    "hggep": "HGGEP",
    "deepspot": "DeepSpot",
    "miso": "MISO",
    "sprig": "SPRIG",
    "reg2st": "Reg2ST",
}
"""The truth and controls first, then the published methods by year; new methods follow by name."""

SETTING_LABELS = {
    "hidden": "Hidden size (features of a spot)",
    "graph_neighbours": "Graph neighbours of a spot",
}

SPLIT_LABELS = {
    "section_out": "leave one section out",
    "patient_out": "leave one patient out",
    "own": "own folds",
}

LIMIT_LABELS = {
    "noiseless_means": "Limit: noiseless means",
    "split_half": "Limit: noise ceiling (split half)",
    "linear_reference": "Reference: linear, from half the genes",
}

SOURCE_LABELS = {
    "reg2st_paper": "Reg2ST paper",
    "hggep_released_arrays": "released arrays",
}


def method_label(method: str, variant: str = "full", preset: str = "published") -> str:
    """A method's name, with its variant and any preset but the published one."""
    label = METHOD_LABELS.get(method, method.replace("_", " "))
    if variant != "full":
        label += f", {variant.replace('_', ' ')}"
    return label + _preset(preset)


def method_labels(values: pd.DataFrame, prefix: str = "") -> list[str]:
    """What the method of each row is called, from its columns method, variant and preset.

    Args:
        values: the rows.
        prefix: of the columns (``other_`` in comparisons).
    """
    columns = [f"{prefix}{name}" for name in ("method", "variant", "preset")]
    return [method_label(*key) for key in values[columns].itertuples(index=False)]


def variant_label(variant: str, preset: str = "published") -> str:
    """A variant's name, with any preset but the published one."""
    return variant.replace("_", " ") + _preset(preset)


def _preset(preset: str) -> str:
    return "" if preset == "published" else f" ({preset})"


def setting_label(setting: str) -> str:
    """What a setting is called, with what it counts where that is known."""
    return SETTING_LABELS.get(setting, setting.replace("_", " ").capitalize())


def split_label(split: str) -> str:
    """How sections are held out."""
    return SPLIT_LABELS.get(split, split)


def target_units(scores: pd.DataFrame) -> str:
    """What tidy scores are of: the unit of the target, by dataset where those differ."""
    of_dataset = scores.drop_duplicates("dataset").set_index("dataset")["target"]
    units = of_dataset.map(lambda name: TARGETS[name].unit)
    if len(set(units)) == 1:
        return units.iloc[0]
    return "; ".join(f"{unit} ({dataset})" for dataset, unit in units.items())


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 run``, ``6 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def method_order(methods: Iterable[str]) -> list[str]:
    """Each method once, in the fixed order."""
    known = list(METHOD_LABELS)
    return sorted(set(methods), key=lambda name: (known.index(name) if name in known else 99, name))


def in_fixed_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by dataset, split, method and variant (``full`` first, the others as they come)."""
    variants = list(dict.fromkeys(["full", *table["variant"].dropna()]))
    names = {
        "dataset": table["dataset"].unique() if "dataset" in table else (),
        "split": SPLIT_LABELS,
        "method": method_order(table["method"]),
        "variant": variants,
    }
    ranks = {
        column: table[column].map({name: rank for rank, name in enumerate(ordered)})
        for column, ordered in names.items()
        if column in table
    }
    order = pd.DataFrame(ranks).sort_values(list(ranks), kind="stable").index
    return table.loc[order].reset_index(drop=True)
