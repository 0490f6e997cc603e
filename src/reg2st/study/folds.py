"""Folds: which sections train and which are tested."""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest

SPLITS = ("section_out", "patient_out")


@dataclass(frozen=True)
class Fold:
    """One fold, named after the section or patient that it holds out."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def assign_folds(
    sheet: pd.DataFrame,
    split: str,
    exclude: Collection[str] = (),
    only: Collection[str] | None = None,
) -> list[Fold]:
    """The folds of a split, in sorted order of what they hold out.

    Args:
        sheet: sections by row, with their patients.
        split: ``section_out`` holds out one section and trains on all others, sister
            sections of the same patient included (the published way); ``patient_out`` holds
            out every section of a patient.
        exclude: sections that are neither trained on nor tested.
        only: names of the folds to return, all by default. What they train on stays the same.

    Raises:
        UserError: fewer than two sections or patients to split, or no fold of a name in ``only``.
    """
    used = sheet[~sheet.index.isin(exclude)]
    group = used["section"] if split == "section_out" else used["patient"]
    names = sorted(group.unique())
    if len(names) < 2:
        what = "sections" if split == "section_out" else "patients"
        raise UserError(
            f"Split '{split}' needs at least two {what}, got {len(names)}; add sections or leave "
            "the split out of `splits`."
        )
    for name in only or ():
        if name not in names:
            raise UserError(f"Split '{split}' has no fold '{name}'{closest(name, names)}.")
    return [
        Fold(
            name,
            train=tuple(sorted(used.index[group != name])),
            test=tuple(sorted(used.index[group == name])),
        )
        for name in names
        if only is None or name in only
    ]


def fold_table(sheet: pd.DataFrame, folds: list[Fold]) -> pd.DataFrame:
    """Folds as a tidy table: fold, section, patient, role (train, test or unused)."""
    rows = []
    for fold in folds:
        roles = dict.fromkeys(fold.train, "train") | dict.fromkeys(fold.test, "test")
        for section, patient in sheet["patient"].items():
            rows.append((fold.name, section, patient, roles.get(section, "unused")))
    return pd.DataFrame(rows, columns=["fold", "section", "patient", "role"])
