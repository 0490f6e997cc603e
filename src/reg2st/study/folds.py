"""Folds: which sections are for training and which for testing."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest

Split = Literal["section_out", "patient_out"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Fold:
    """One fold, named after its held-out section or patient."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def assign_folds(
    sheet: pd.DataFrame,
    split: str,
    exclude: Collection[str] = (),
    only: Collection[str] | None = None,
) -> list[Fold]:
    """The folds of a split, sorted by name.

    Args:
        sheet: sections by row, with their patients.
        split: ``section_out`` leaves one section out and trains on all others, including serial
            sections of the same patient (the published protocol); ``patient_out`` leaves out all
            sections of one patient.
        exclude: sections that are used neither for training nor for testing.
        only: names of the folds to return, all by default; their training sections stay the same.

    Raises:
        UserError: fewer than two sections or patients, or an unknown fold in ``only``.
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
