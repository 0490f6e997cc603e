"""Folds: which sections are for training and which for testing."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest

Split = Literal["section_out", "patient_out", "own"]


@dataclass(frozen=True)
class Fold:
    """One fold, named after its held-out section or patient, or as its file names it."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def without(self, sections: Collection[str]) -> "Fold":
        """The same fold, in which some sections are unused."""
        train, test = (
            tuple(section for section in role if section not in sections)
            for role in (self.train, self.test)
        )
        return Fold(self.name, train, test)

    def patients_in_both(self, patients: pd.Series) -> list[str]:
        """Patients with both training and test sections, sorted.

        Args:
            patients: by section.
        """
        return sorted(set(patients[list(self.train)]) & set(patients[list(self.test)]))


def assign_folds(
    sheet: pd.DataFrame,
    split: str,
    exclude: Collection[str] = (),
    only: Collection[str] | None = None,
) -> list[Fold]:
    """The folds of a split by section or by patient, sorted by name.

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
    folds = [
        Fold(
            name,
            train=tuple(sorted(used.index[group != name])),
            test=tuple(sorted(used.index[group == name])),
        )
        for name in names
    ]
    return chosen_folds(folds, split, only)


def chosen_folds(folds: list[Fold], split: str, only: Collection[str] | None) -> list[Fold]:
    """The folds of some names; all without names.

    Raises:
        UserError: there is no fold of a name.
    """
    names = [fold.name for fold in folds]
    for name in only or ():
        if name not in names:
            raise UserError(f"Split '{split}' has no fold '{name}'{closest(name, names)}.")
    return [fold for fold in folds if only is None or fold.name in only]


def fold_table(sheet: pd.DataFrame, folds: list[Fold]) -> pd.DataFrame:
    """Folds as a tidy table.

    Columns: fold, section, patient, role (train, test or unused), and patient_in_both: whether
    the fold has both training and test sections of the patient (yes or no).
    """
    rows = []
    for fold in folds:
        roles = dict.fromkeys(fold.train, "train") | dict.fromkeys(fold.test, "test")
        in_both = fold.patients_in_both(sheet["patient"])
        for section, patient in sheet["patient"].items():
            shared = "yes" if patient in in_both else "no"
            rows.append((fold.name, section, patient, roles.get(section, "unused"), shared))
    columns = ["fold", "section", "patient", "role", "patient_in_both"]
    return pd.DataFrame(rows, columns=columns)
