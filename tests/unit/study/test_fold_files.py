"""Files of folds: the real one of a benchmark, and files that are wrong."""

import pytest

from reg2st.base.errors import UserError
from reg2st.study.fold_files import read_folds
from reg2st.study.sheets import read_sheet

SECTIONS = ["001", "A1", "B1"]
RIGHT = "section\tfold\trole\n001\tNA\ttrain\nA1\tNA\ttest\nB1\tNA\tunused\n"


def test_the_folds_of_a_benchmark_keep_patients_apart(root, shared):
    sheet = read_sheet(root / "config/sections/her2st.tsv")
    folds = read_folds(shared / "folds/her2st_miso.tsv", sheet.index)
    assert [fold.name for fold in folds] == ["0", "1", "2", "3"]
    tested = sorted(section for fold in folds for section in fold.test)
    assert tested == sorted(sheet.index)
    of_validation = [36 - len(fold.train) - len(fold.test) for fold in folds]
    assert of_validation == [3, 6, 3, 3]
    for fold in folds:
        assert not fold.patients_in_both(sheet["patient"])


@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        "\ufeff" + RIGHT.replace("\n", "\r\n"),
        RIGHT.replace("\nA1", "\n\nA1"),
        RIGHT.replace("\t", ";"),
    ],
)
def test_names_are_text_however_the_file_was_saved(tmp_path, text):
    (tmp_path / "folds.tsv").write_bytes(text.encode())
    (fold,) = read_folds(tmp_path / "folds.tsv", SECTIONS)
    assert (fold.name, fold.train, fold.test) == ("NA", ("001",), ("A1",))


def test_columns_may_stand_in_any_order_beside_others(tmp_path):
    text = "role\tpatient\tfold\tsection\ntrain\tX\t1\t001\ntest\tY\t1\tB1\n"
    (tmp_path / "folds.tsv").write_text(text)
    assert read_folds(tmp_path / "folds.tsv", SECTIONS)[0].test == ("B1",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "do not exist"),
        ("", "is empty; it must have the columns section, fold, role"),
        (
            RIGHT.replace("fold", "split"),
            "lacks the column fold; it must have section, fold, role, and its",
        ),
        (RIGHT.replace("A1", "A2"), r"line 3: the sample sheet has no section 'A2' .*A1"),
        (RIGHT.replace("train", "trian"), r"line 2: 'trian' is no role \(did you mean 'train'"),
        (RIGHT + "A1\tNA\ttrain\n", "line 5: fold 'NA' has section 'A1' in line 3 too"),
        (RIGHT.replace("test", "train"), "line 2: fold 'NA' has no section to test"),
        (RIGHT.replace("train", "unused"), "line 2: fold 'NA' has no section to train"),
        (RIGHT + "001\t2\ttrain\nA1\t2\ttest\n", "line 6: section 'A1' is tested by fold 'NA' too"),
        (RIGHT.replace("NA", "a/b", 1), "line 2: fold 'a/b' must be a name"),
        ("section\tfold\trole\n", "holds no rows below its header"),
        (b"section\tfold\trole\n\xff\t1\ttest\n", "is not UTF-8 text"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "folds.tsv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=sentence) as error:
        read_folds(path, SECTIONS)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_all_mistakes_are_listed_at_once(tmp_path):
    (tmp_path / "folds.tsv").write_text(RIGHT.replace("A1", "A9").replace("train", "learn"))
    with pytest.raises(UserError, match="has 2 mistakes"):
        read_folds(tmp_path / "folds.tsv", SECTIONS)
