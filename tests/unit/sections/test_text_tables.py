"""Spot files, label files and panels: every unambiguous way to write them."""

import gzip
import os
import subprocess
import sys

import pytest

from locales import ASCII, latin_1
from reg2st.base.errors import UserError
from reg2st.sections.panels import read_panel
from reg2st.sections.readers.st import read_labels, read_spots
from reg2st.sections.tables import read_columns, read_rows

SPOTS = """x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected
1\t2\t1.02\t1.97\t100.5\t200.25\t1
1\t3\t1.01\t3.04\t101.5\t300.25\t0
"""
ALIGNMENT = "".join(f"{line.rpartition(chr(9))[0]}\n" for line in SPOTS.splitlines())
LABELS = "x\ty\tlabel\n1.02\t1.97\tin situ\n1.01\t3.04\tfat\n"


@pytest.fixture
def write(tmp_path):
    """Write a file of some text or bytes."""

    def written(content: str | bytes, name: str = "table.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


WAYS = {
    "tabs": lambda text: text,
    "commas": lambda text: text.replace("\t", ","),
    "semicolons": lambda text: text.replace("\t", ";"),
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "gzip without gz": lambda text: gzip.compress(text.encode()),
    "Windows": lambda text: text.replace("\n", "\r\n"),
    "old Mac": lambda text: text.replace("\n", "\r"),
    "trailing tab": lambda text: text.replace("\n", "\t\n"),
    "trailing tab in the rows": lambda text: text.replace("\n", "\t\n").replace("\t\n", "\n", 1),
    "comments first": lambda text: f"# made by hand\n\n{text}",
    "header behind #": lambda text: f"#{text}",
    "quotes": lambda text: text.replace("x\ty", '"x"\ty', 1).replace("1.97", '"1.97"'),
    "row names of R": lambda text: "".join(
        line if line.startswith("x") else f"{number}\t{line}"
        for number, line in enumerate(text.splitlines(keepends=True))
    ),
    "an index column": lambda text: "".join(
        f"{number or ''}\t{line}" for number, line in enumerate(text.splitlines(keepends=True))
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_spots_are_the_same_however_they_are_written(write, way):
    spots = read_spots(write(WAYS[way](SPOTS)))
    assert spots.loc["1x2"].tolist() == [1, 2, 100.5, 200.25, True]
    assert spots.loc["1x3"].tolist() == [1, 3, 101.5, 300.25, False]


@pytest.mark.parametrize("way", WAYS)
def test_labels_are_the_same_however_they_are_written(write, way):
    assert read_labels(write(WAYS[way](LABELS))).to_dict() == {"1x2": "in situ", "1x3": "fat"}


def test_a_spot_file_separated_by_blanks(write):
    assert read_spots(write(SPOTS.replace("\t", "  "))).loc["1x3", "pixel_y"] == 300.25


def test_an_alignment_table_selects_every_spot(write):
    spots = read_spots(write(ALIGNMENT))
    assert spots["selected"].tolist() == [True, True]
    assert spots.index.tolist() == ["1x2", "1x3"]


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("yes", "no"), ("TRUE", "FALSE"), ("True", "0")]
)
def test_selected_says_yes_or_no(write, yes, no):
    text = SPOTS.replace("25\t1\n", f"25\t{yes}\n").replace("25\t0\n", f"25\t{no}\n")
    assert read_spots(write(text))["selected"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (SPOTS.replace("25\t0\n", "25\tmaybe\n"), "has 'maybe' in column selected of row 2"),
        (SPOTS.replace("25\t0\n", "25\t\n"), "has no value in column selected of row 2"),
        (SPOTS.replace("300.25", "300,25"), "column pixel_y of row 2, but '300,25'"),
        (SPOTS.replace("25\t0\n", "25\t0\t7\n"), "line 3 has more cells than the header"),
        (SPOTS.replace("new_x", "x"), "has the column x twice"),
        (SPOTS.encode("utf-16-le"), "is not UTF-8 text"),
        (SPOTS.replace("1.02", "é").encode("latin-1"), "is not UTF-8 text"),
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        (gzip.compress(SPOTS.encode() * 99)[:-20], "is cut short; fetch it again"),
        ("pixels of the spots\n" * 3, "lacks the column x"),
    ],
    ids=[
        *("mixed words", "no word", "decimal comma", "longer row", "column twice"),
        *("UTF-16 without mark", "Latin-1", "empty", "only a comment", "gzip cut short", "prose"),
    ],
)
def test_what_is_no_spot_file_is_one_sentence(write, content, told):
    path = write(content)
    with pytest.raises(UserError) as caught:
        read_spots(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label", ["1", "001", "1e5", "TRUE", "null", "None", "0.5"])
def test_labels_are_text_whatever_they_look_like(write, label):
    assert read_labels(write(LABELS.replace("fat", label)))["1x3"] == label


@pytest.mark.parametrize("nothing", ["", "NA", "nan"])
def test_what_r_and_pandas_write_for_nothing_is_no_label(write, nothing, caplog):
    caplog.set_level("INFO")
    assert read_labels(write(LABELS.replace("fat", nothing))).index.tolist() == ["1x2"]
    assert "1 rows without position or label" in caplog.text


def test_a_label_at_no_position_is_one_sentence_with_its_line(write):
    with pytest.raises(UserError, match=r"table\.tsv, line 3: x 'left' and y '3.04'"):
        read_labels(write(LABELS.replace("1.01", "left")))


GENES = ["ACTB", "NA", "nan", "1e5", "001", "HLA-A"]
LISTED = "".join(f"{gene}\n" for gene in GENES)


@pytest.mark.parametrize(
    "content",
    [
        LISTED,
        LISTED.encode("utf-8-sig"),
        LISTED.encode("utf-16"),
        LISTED.replace("\n", "\r\n"),
        LISTED.replace("\n", "\r"),
        f"gene\n{LISTED}",
        f"# 6 genes of a paper\n{LISTED}# the end\n",
        LISTED.replace("\n", " "),
        LISTED.replace("\n", ", "),
        '"","x"\n' + "".join(f'"{number}","{gene}"\n' for number, gene in enumerate(GENES, 1)),
        "mean\tgene\n" + "".join(f"{number}\t{gene}\n" for number, gene in enumerate(GENES)),
    ],
    ids=[
        *("one a line", "byte order mark", "UTF-16", "Windows", "old Mac", "header", "comments"),
        *("blanks", "commas", "vector of R", "column of a table"),
    ],
)
def test_a_panel_is_the_same_however_it_is_written(write, content):
    assert read_panel(write(content)) == GENES


def test_a_gene_listed_twice_is_told_with_its_line(write):
    with pytest.raises(UserError, match="line 4: gene 'ACTB' is listed twice"):
        read_panel(write("# genes\nACTB\nKRT5\nACTB\n"))


def test_rows_know_their_lines(write):
    rows = read_rows(write("# one\n\na\tb\n1\t2\n\n3\t4\n"), "table")
    assert [(row.line, row.cells) for row in rows] == [
        (3, ["a", "b"]),
        (4, ["1", "2"]),
        (6, ["3", "4"]),
    ]


def test_a_folder_in_place_of_a_table_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"The fold file .* cannot be read: Is a directory"):
        read_columns(tmp_path, "fold file", ("section", "fold"))


ELSEWHERE = r"""
import sys
from reg2st.base.jobs import job
from reg2st.sections.panels import read_panel, write_panel
from reg2st.sections.readers.st import read_labels

with job(sys.argv[3]) as log:
    labels = read_labels(sys.argv[1])
    write_panel(sys.argv[2], ["TNF\u03b1", *labels], {"by": "M\u00fcller"})
    log.info(", ".join(read_panel(sys.argv[2])))
"""


@pytest.mark.parametrize("single_byte", [lambda folder: ASCII, latin_1], ids=["ASCII", "Latin-1"])
def test_text_is_utf_8_whatever_the_locale(write, tmp_path, single_byte):
    labels = write(LABELS.replace("in situ", "µ-Läsion"))
    panel, log = tmp_path / "panel.txt", tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, labels, panel, log],
        env={**os.environ, **single_byte(tmp_path)},
    )
    assert done.returncode == 0, log.read_text(encoding="utf-8")
    assert read_panel(panel) == ["TNFα", "µ-Läsion", "fat"]
    assert log.read_text(encoding="utf-8") == "TNFα, µ-Läsion, fat\n"
    assert panel.with_suffix(".json").read_text(encoding="utf-8").isascii()
