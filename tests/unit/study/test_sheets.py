"""Sample sheets: what is read, and what is said of a mistake."""

import re

import pytest

from reg2st.base.errors import UserError
from reg2st.sections.section_row import SectionRow
from reg2st.study.sheets import read_sheet, section_row

SHEET = """section\tpatient\timage\tcounts\tspots\tum_per_px
A1\tA\tA1.jpg\tA1.tsv\tA1_spots.tsv\t0.7
B1\tB\tB1.jpg\tB1.tsv\tB1_spots.tsv\t
"""


@pytest.fixture
def read(tmp_path):
    """Read a sheet of some bytes."""

    def write_and_read(content):
        path = tmp_path / "sheet.tsv"
        path.write_bytes(content)
        return read_sheet(path)

    return write_and_read


def test_a_sheet_has_every_column(read):
    sheet = read(SHEET.encode())
    assert list(sheet.index) == list(sheet["section"]) == ["A1", "B1"]
    assert sheet.at["A1", "um_per_px"] == 0.7
    assert sheet["um_per_px"].isna()["B1"]
    assert list(sheet["labels"]) == ["", ""]


@pytest.mark.parametrize(
    "content",
    [
        SHEET.encode("utf-8-sig"),
        SHEET.encode("utf-16"),
        SHEET.encode("utf-16-be").join([b"\xfe\xff", b""]),
        SHEET.replace("\n", "\r\n").encode(),
        SHEET.replace("\n", "\r").encode(),
        SHEET.replace("\t", ",").encode(),
        SHEET.replace("\t", ";").encode(),
        SHEET.replace("\t", " \t ").encode(),
        SHEET.replace("\n", "\t\t\n").encode(),
        SHEET.replace("\n", "\n\t\t\n\n").encode(),
        SHEET.replace("A1.jpg", '"A1.jpg"').encode(),
        SHEET.removesuffix("\n").encode(),
        SHEET.removesuffix("\t\n").encode(),
    ],
    ids=[
        *("byte order mark", "UTF-16", "UTF-16 the other way round", "CRLF", "CR", "commas"),
        *("semicolons", "blanks", "trailing tabs", "blank lines", "quotes", "no last newline"),
        "short row",
    ],
)
def test_a_sheet_is_read_however_it_is_saved(read, content):
    assert read(content).equals(read(SHEET.encode()))


@pytest.mark.parametrize("name", ["NA", "nan", "null", "None", "001", "1e5", "TRUE", "Müller"])
def test_names_are_text_whatever_they_look_like(read, name):
    sheet = read(SHEET.replace("A1\tA", f"{name}\t{name}").encode())
    assert list(sheet.index) == [name, "B1"]
    assert sheet.at[name, "patient"] == name


def test_other_columns_are_ignored(read):
    more = SHEET.replace("um_per_px", "um_per_px\tage\tage\tdate").replace("0.7", "0.7\t60\t6\tx")
    assert read(more.encode()).equals(read(SHEET.encode()))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("B1\tB\t", "A1\tB\t", "line 3: section 'A1' is listed twice"),
        ("B1\tB\t", "B1\t\t", "line 3: 'patient' is missing"),
        ("\nB1\tB\t", "\n\nB1\t\t", "line 4: 'patient' is missing"),
        ("\tpatient\t", "\tpatinet\t", "the header has no column 'patient' (did you mean 'patinet"),
        (
            "\tum_per_px",
            "\tum_per_pixel",
            "a column 'um_per_pixel'; rename it, for example to 'um_per_px'",
        ),
        ("\tum_per_px", "\timage", "the header has the column 'image' twice"),
        ("0.7", "-0.7", "line 2: um_per_px is '-0.7'"),
        ("0.7", "0,7", "line 2: um_per_px is '0,7'"),
        ("0.7", "inf", "line 2: um_per_px is 'inf'"),
        ("0.7", "nan", "line 2: um_per_px is 'nan'"),
        ("B1.tsv", "../B1.tsv", "line 3: counts '../B1.tsv'"),
        ("B1.jpg", "/B1.jpg", "line 3: image '/B1.jpg'"),
        ("B1\tB\t", "B/1\tB\t", "line 3: section 'B/1'"),
        ("0.7", "0.7\tmore", "line 2 has more cells than the header"),
        (SHEET.split("\n", 1)[1], "", "it lists no section"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(read, old, new, sentence):
    with pytest.raises(UserError) as error:
        read(SHEET.replace(old, new).encode())
    assert re.search(rf"sheet\.tsv, .*{re.escape(sentence)}", str(error.value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; list one section a row"),
        (b"\n\t\n", "is empty; list one section a row"),
        (SHEET.replace("A1\tA", "A1\tMüller").encode("latin-1"), "is not UTF-8 text"),
        (SHEET.encode("utf-16-le"), "is not UTF-8 text"),
        (SHEET.encode("utf-16")[:-1], "is not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not UTF-8 text"),
        (b"section\t" + b"x" * 200_000, "line 1: field larger than"),
    ],
    ids=["empty", "blank", "Latin-1", "UTF-16 without mark", "cut short", "picture", "long"],
)
def test_what_is_no_sheet_is_one_sentence_with_the_file(read, content, sentence):
    with pytest.raises(UserError) as error:
        read(content)
    assert "sheet.tsv" in str(error.value)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sheet_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.tsv does not exist"):
        read_sheet(tmp_path / "nowhere.tsv")


def test_every_mistake_is_reported_at_once(read):
    wrong = SHEET.replace("B1\tB\tB1.jpg", "A1\t\t/B1.jpg").replace("0.7", "x")
    with pytest.raises(UserError) as error:
        read(wrong.encode())
    heading, *lines = str(error.value).splitlines()
    assert heading.endswith("sheet.tsv has 4 mistakes:")
    assert [line.split(":")[0].strip() for line in lines] == [
        "line 2",
        "line 3",
        "line 3",
        "line 3",
    ]


PLATFORMS = """section\tpatient\tplatform\tfolder\timage\tcounts\tspots\tbin_um\tpicture\
\tspot_pitch_um
S1\tA\t\t\tS1.jpg\tS1.tsv\tS1_spots.tsv\t\t\t150
S2\tA\tvisium\tS2/outs\tS2.tif\t\t\t\t\t
S3\tB\tvisium\tS3\t\t\t\t\thires\t
S4\tB\tvisium_hd\tS4\tS4.tif\t\t\t8\t\t
S5\tC\th5ad\t\tS5.tif\tS5.h5ad\t\t\t\t
S6\tC\thest\thest\t\t\t\t\t\t
"""


def test_a_sheet_may_mix_platforms(read):
    sheet = read(PLATFORMS.encode())
    rows = {name: section_row(sheet, name) for name in sheet.index}
    assert [row.platform for row in rows.values()] == [
        *("st", "visium", "visium", "visium_hd", "h5ad", "hest")
    ]
    assert rows["S1"].spot_pitch_um == 150
    assert rows["S1"].um_per_px is None
    assert (rows["S2"].folder, rows["S2"].picture) == ("S2/outs", "full")
    assert (rows["S3"].image, rows["S3"].picture) == ("", "hires")
    assert rows["S4"].bin_um == 8
    assert rows["S2"].bin_um is None
    assert rows["S5"].counts == "S5.h5ad"
    assert rows["S6"] == SectionRow("S6", "C", "hest", folder="hest")


def test_the_header_needs_only_what_the_platforms_of_its_rows_need(read):
    sheet = read(b"section\tpatient\tplatform\tfolder\nS1\tA\thest\thest\n")
    assert list(sheet["image"]) == [""]
    with pytest.raises(UserError, match=r"sheet\.tsv, the header has no column 'image'"):
        read(b"section\tpatient\tplatform\tfolder\nS1\tA\tvisium\tS1\n")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("S2\tA\tvisium", "S2\tA\tvisum", "line 3: platform 'visum' is not one (did you mean 'vi"),
        ("S2/outs", "", "line 3: 'folder' is missing, which platform visium needs; fill it in."),
        (
            "S2.tif",
            "",
            "line 3: 'image' is missing, which platform visium needs; fill it in, or",
        ),
        ("S4.tif\t\t\t8", "S4.tif\t\t\t", "line 5: 'bin_um' is missing, which platform visium_hd"),
        ("S4.tif\t\t\t8", "S4.tif\t\t\t8.5", "line 5: bin_um is '8.5'; give whole µm such as 8"),
        ("S2.tif\t\t\t", "S2.tif\t\t\t8", "line 3: platform visium takes no 'bin_um'; leave it"),
        ("\thires", "\tlow", "line 4: picture 'low' is not one (did you mean 'lowres'?)."),
        ("S5.h5ad", "", "line 6: 'counts' is missing, which platform h5ad needs; fill it in."),
        ("\t150", "\t-1", "line 2: spot_pitch_um is '-1'; give a positive number such as 200"),
        ("S2/outs", "../outs", "line 3: folder '../outs' must be a plain folder below"),
        ("\tfolder", "\tfoldr", "the header has no column 'folder' (did you mean 'foldr'?)"),
        ("\tpicture", "\tpictur", "a column 'pictur'; rename it, for example to 'picture'"),
    ],
)
def test_a_mistake_of_a_platform_is_one_sentence_with_its_line(read, old, new, sentence):
    assert old in PLATFORMS
    with pytest.raises(UserError) as error:
        read(PLATFORMS.replace(old, new).encode())
    assert sentence in str(error.value)
