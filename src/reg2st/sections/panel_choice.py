"""Gene panels chosen on the training sections of a fold, one section in memory at a time."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.failures import FAILED
from reg2st.sections.panels import (
    Recipe,
    SectionCounts,
    apply_recipe,
    read_section_counts,
    variability,
)
from reg2st.sections.section_file import load_section_index
from reg2st.sections.targets import LIBRARY

LEAST_EXPRESSING = 0.1
"""Share of a section's spots that must express a variable gene: the dispersion of rarer genes is
that of a few counts."""


def choose_panel(
    how: Mapping[str, Any], paths: Sequence[str | Path]
) -> tuple[list[str], dict[str, Any]]:
    """The genes of a panel, sorted by name, and how they were chosen.

    Args:
        how: one of ``recipe`` (fields of :class:`reg2st.sections.panels.Recipe`), ``variable`` and
            ``highest_means`` (number of genes).
        paths: files of the training sections.

    Returns:
        The genes, and what to record; no gene where there is no section to train on.

    Raises:
        UserError: sections have no gene in common, or too few genes qualify.
    """
    ((kind, value),) = how.items()
    indices = {path: load_section_index(path) for path in paths}
    paths = [path for path, index in indices.items() if index.unfit is None]
    if not paths:
        lacks = ", ".join(f"{each.name} has {each.unfit}" for each in indices.values())
        return [], {FAILED: f"there is no section to train on ({lacks})."}
    names = [indices[path].name for path in paths]
    if kind == "recipe":
        sections = [read_section_counts(path) for path in paths]
        genes = apply_recipe(Recipe(**value), sections[0], sections, sections)
        chosen = {"chosen": "recipe fitted on the training sections", **value}
        return genes, {**chosen, "reference": names[0], "sections": names}
    choose, chosen = {
        "variable": (most_variable, "most variable genes of the training sections"),
        "highest_means": (highest_means, "genes with the highest means on the training sections"),
    }[kind]
    genes = choose(map(read_section_counts, paths), value)
    return genes, {"chosen": chosen, kind: value, "sections": names}


def most_variable(sections: Iterable[SectionCounts], number: int) -> list[str]:
    """The most variable genes of all sections together, sorted by name.

    In each section, scanpy's normalised dispersion (flavour "seurat") of ln(1 + counts scaled to
    the section's median library size) ranks genes against others of similar mean. The genes with
    the highest mean over the sections are chosen, of those that every section has, and that at
    least ``LEAST_EXPRESSING`` of the spots of every section express. Ties go by name.

    Raises:
        UserError: fewer genes qualify.
    """
    columns = []
    for section in sections:
        expressing = np.asarray((section.counts > 0).sum(axis=0)).ravel()
        often = expressing >= LEAST_EXPRESSING * section.counts.shape[0]
        dispersion = variability(section)["dispersions_norm"].fillna(-np.inf)
        columns.append(dispersion[often])
    mean = pd.concat(columns, axis=1, join="inner").mean(axis=1)
    qualify = f"are expressed in {LEAST_EXPRESSING:.0%} of the spots of every training section"
    return _first(mean, number, "variable", qualify)


def highest_means(sections: Iterable[SectionCounts], number: int) -> list[str]:
    """The genes with the highest means over the spots of all sections, sorted by name.

    The mean is of counts per 10,000 of a spot's counts, over all spots with counts, so that a deep
    section does not outweigh the others; only genes that every section has. Ties go by name.

    Raises:
        UserError: fewer genes qualify.
    """
    columns, spots = [], 0
    for section in sections:
        library = np.asarray(section.counts.sum(axis=1)).ravel().astype(np.float64)
        scale = np.divide(LIBRARY, library, out=np.zeros_like(library), where=library > 0)
        columns.append(pd.Series(section.counts.T @ scale, index=section.genes))
        spots += int((library > 0).sum())
    mean = pd.concat(columns, axis=1, join="inner").sum(axis=1) / max(spots, 1)
    return _first(mean[mean > 0], number, "highest_means", "have counts and are in every section")


def _first(values: pd.Series, number: int, key: str, qualify: str) -> list[str]:
    if len(values) < number:
        raise UserError(
            f"The panel asks for {number} genes, but only {len(values)} {qualify}; lower `{key}` "
            "of the dataset's panel."
        )
    ranked = values.sort_index().sort_values(ascending=False, kind="stable")
    return sorted(ranked.index[:number])
