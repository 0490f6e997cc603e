"""Folds of both splits, on the real sheets."""

import pandas as pd
import pytest

from reg2st.base.errors import UserError
from reg2st.study.folds import assign_folds, fold_table
from reg2st.study.sheets import read_sheet


@pytest.mark.parametrize(
    ("dataset", "split", "exclude", "folds"),
    [
        ("her2st", "section_out", ["A1", "H1", "H2", "H3"], 32),
        ("her2st", "patient_out", [], 8),
        ("cscc", "section_out", [], 12),
        ("cscc", "patient_out", [], 4),
    ],
)
def test_the_published_folds(root, dataset, split, exclude, folds):
    sheet = read_sheet(root / "config" / "sections" / f"{dataset}.tsv")
    assigned = assign_folds(sheet, split, exclude)
    assert len(assigned) == folds
    for fold in assigned:
        assert not set(fold.train) & set(fold.test)
        assert not (set(fold.train) | set(fold.test)) & set(exclude)
        assert len(fold.train) + len(fold.test) == len(sheet) - len(exclude)
    if split == "patient_out":
        patients = sheet["patient"]
        for fold in assigned:
            assert not set(patients[list(fold.train)]) & set(patients[list(fold.test)])


def test_every_section_is_tested_once(root):
    sheet = read_sheet(root / "config" / "sections" / "cscc.tsv")
    for split in ("section_out", "patient_out"):
        tested = [section for fold in assign_folds(sheet, split) for section in fold.test]
        assert sorted(tested) == sorted(sheet.index)


def test_some_folds_of_a_split_train_as_they_do_among_all(root):
    sheet = read_sheet(root / "config" / "sections" / "cscc.tsv")
    every = assign_folds(sheet, "section_out")
    names = [every[3].name, every[0].name]
    assert assign_folds(sheet, "section_out", only=names) == [every[0], every[3]]


def test_a_fold_that_is_not_there_is_named(root):
    sheet = read_sheet(root / "config" / "sections" / "her2st.tsv")
    with pytest.raises(UserError, match=r"'patient_out' has no fold 'A1' \(did you mean 'A'\?\)"):
        assign_folds(sheet, "patient_out", only=["A1"])
    with pytest.raises(UserError, match="no fold 'A1'"):
        assign_folds(sheet, "section_out", exclude=["A1"], only=["A1"])


def test_the_table_names_every_role():
    sheet = pd.DataFrame(
        {"section": ["A1", "A2", "B1"], "patient": ["A", "A", "B"]}, index=["A1", "A2", "B1"]
    )
    table = fold_table(sheet, assign_folds(sheet, "section_out", ["A2"]))
    assert len(table) == 6
    first = table[table["fold"] == "A1"].set_index("section")["role"]
    assert first.to_dict() == {"A1": "test", "A2": "unused", "B1": "train"}
    assert set(table["patient_in_both"]) == {"no"}


def test_the_table_says_which_patients_stand_on_both_sides():
    sheet = pd.DataFrame(
        {"section": ["A1", "A2", "B1"], "patient": ["A", "A", "B"]}, index=["A1", "A2", "B1"]
    )
    folds = assign_folds(sheet, "section_out")
    assert [fold.patients_in_both(sheet["patient"]) for fold in folds] == [["A"], ["A"], []]
    first = fold_table(sheet, folds[:1]).set_index("section")["patient_in_both"]
    assert first.to_dict() == {"A1": "yes", "A2": "yes", "B1": "no"}


def test_one_patient_cannot_be_split():
    sheet = pd.DataFrame({"section": ["A1", "A2"], "patient": ["A", "A"]}, index=["A1", "A2"])
    with pytest.raises(UserError, match="at least two patients, got 1"):
        assign_folds(sheet, "patient_out")
