"""Count tables: every unambiguous way to write them, and what is said of the others."""

import gzip
import logging
import tracemalloc

import numpy as np
import pytest

from reg2st.base.errors import UserError
from reg2st.sections.count_tables import read_counts

COUNTS = "\tACTB\tERBB2\tKRT5\n1x2\t3\t0\t1\n1x3\t0\t7\t0\n2x2\t1\t1\t1\n2x3\t0\t0\t9\n"
VALUES = [[3, 0, 1], [0, 7, 0], [1, 1, 1], [0, 0, 9]]
HALVES = (COUNTS[:20], COUNTS[20:])
GENES, SPOTS = ["ACTB", "ERBB2", "KRT5"], ["1x2", "1x3", "2x2", "2x3"]


def turned(text: str = COUNTS, corner: str = "") -> str:
    """The table with spots in columns."""
    columns = zip(*(line.split("\t") for line in text.splitlines()), strict=True)
    return corner + "\n".join("\t".join(column) for column in columns) + "\n"


@pytest.fixture
def read(tmp_path):
    """Read counts from a file of some bytes."""

    def write_and_read(content: bytes, name: str = "counts.tsv"):
        path = tmp_path / name
        path.write_bytes(content)
        return read_counts(path)

    return write_and_read


def renamed(pattern: str) -> str:
    """The table with its spots written in another way."""
    header, *lines = COUNTS.splitlines()
    rows = []
    for line in lines:
        spot, _, values = line.partition("\t")
        x, y = spot.split("x")
        rows.append(f"{pattern.format(x=x, y=y)}\t{values}")
    return "\n".join([header, *rows]) + "\n"


KINDS = {
    "tabs": COUNTS,
    "commas": COUNTS.replace("\t", ","),
    "semicolons": COUNTS.replace("\t", ";"),
    "blanks": COUNTS.replace("\t", " "),
    "many blanks": COUNTS.removeprefix("\t").replace("\t", "   "),
    "quotes of R": COUNTS.replace("\t", ",").replace("1x2", '"1x2"').replace("ACTB", '"ACTB"'),
    "no corner": COUNTS.removeprefix("\t"),
    "named corner": f"spot{COUNTS}",
    "trailing tab everywhere": COUNTS.replace("\n", "\t\n"),
    "trailing tab in the rows": COUNTS.replace("\n", "\t\n").replace("KRT5\t", "KRT5"),
    "trailing tab in the header": COUNTS.replace("KRT5", "KRT5\t"),
    "trailing tab, no corner": COUNTS.removeprefix("\t").replace("\n", "\t\n"),
    "Windows": COUNTS.replace("\n", "\r\n"),
    "old Mac": COUNTS.replace("\n", "\r"),
    "no last line end": COUNTS.removesuffix("\n"),
    "blank lines": COUNTS.replace("\n", "\n\n") + "\t\t\t\n",
    "comments first": f"# made by a pipeline\n#version\t2\n{COUNTS}",
    "header behind #": f"#spot{COUNTS}",
    "a total row": f"{COUNTS}Total\t4\t8\t11\n",
    "a total gene": "".join(
        f"{line}\t{total}\n"
        for line, total in zip(COUNTS.splitlines(), ["total", 4, 7, 3, 9], strict=True)
    ),
    "10.02x13.98": renamed("{x}.02x{y}.04"),
    "6_4": renamed("{x}_{y}"),
    "6X4": renamed("{x}X{y}"),
    "X6x4": renamed("X{x}x{y}"),
    "6x4_1": renamed("{x}x{y}_1"),
    "spots in columns": turned(),
    "spots in columns, X6x4": turned(renamed("X{x}x{y}")),
    "spots in columns, no corner": turned().removeprefix("\t"),
    "spots in columns, commas": turned().replace("\t", ","),
    "spots in columns, a total column": turned(f"{COUNTS}total\t4\t8\t11\n"),
    "spots in columns, a total row": f"{turned()}total\t4\t7\t3\t9\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_the_same_however_they_are_written(read, kind):
    counts = read(KINDS[kind].encode())
    assert (counts.genes, counts.spots) == (GENES, SPOTS)
    assert counts.matrix.toarray().tolist() == VALUES
    assert counts.matrix.dtype == np.float32
    assert counts.matrix.format == "csr"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("byte order mark.tsv", COUNTS.encode("utf-8-sig")),
        ("byte order mark, no corner.tsv", COUNTS.removeprefix("\t").encode("utf-8-sig")),
        ("UTF-16.tsv", COUNTS.encode("utf-16")),
        ("UTF-16.tsv.gz", gzip.compress(COUNTS.encode("utf-16"))),
        ("gzip without gz.tsv", gzip.compress(COUNTS.encode())),
        ("gz without gzip.tsv.gz", COUNTS.encode()),
        (
            "two parts.tsv.gz",
            gzip.compress(COUNTS[:20].encode()) + gzip.compress(COUNTS[20:].encode()),
        ),
    ],
    ids=["BOM", "BOM, no corner", "UTF-16", "UTF-16 gz", "gzip", "no gzip", "two parts"],
)
def test_encoding_and_compression_are_told_by_the_content(read, name, content):
    counts = read(content, name)
    assert (counts.genes, counts.spots) == (GENES, SPOTS)
    assert counts.matrix.toarray().tolist() == VALUES


NAMES = ["NA", "nan", "null", "1e5", "001", "None", "TRUE", "inf", "N/A"]


@pytest.mark.parametrize("orientation", ["spots in rows", "spots in columns"])
def test_genes_keep_their_names_whatever_they_look_like(read, orientation):
    lines = ["\t".join(["", *NAMES]), *(f"{x}x1\t" + "\t".join(map(str, range(9))) for x in (1, 2))]
    text = "\n".join(lines) + "\n"
    counts = read((text if orientation == "spots in rows" else turned(text)).encode())
    assert counts.genes == NAMES
    assert counts.matrix.toarray().tolist() == [list(range(9))] * 2


def test_a_total_is_said_in_the_log(read, caplog):
    with caplog.at_level(logging.INFO):
        read(KINDS["a total row"].encode())
        read(KINDS["a total gene"].encode())
    assert "the last row, 'Total', is left out" in caplog.text
    assert "'total', the sum of all genes, is left out" in caplog.text


def test_a_last_gene_named_sum_that_is_none_stays(read):
    assert read(COUNTS.replace("KRT5", "SUM").encode()).genes == ["ACTB", "ERBB2", "SUM"]


@pytest.mark.parametrize("order", [("ids", "symbols"), ("symbols", "ids")])
def test_symbols_beside_ensembl_ids_name_the_genes(read, order):
    columns = {"ids": ["ENSG01", "ENSG02.3", "ENSG03", "ENSG04"], "symbols": ["A", "B", "", "B"]}
    first, second = (columns[name] for name in order)
    rows = [f"{a}\t{b}\t{n}\t{n + 1}" for n, (a, b) in enumerate(zip(first, second, strict=True))]
    counts = read("\n".join([f"{order[0]}\t{order[1]}\t1x1\t1x2", *rows]).encode())
    assert counts.genes == ["A", "ENSG02.3", "ENSG03", "ENSG04"]
    assert counts.matrix.toarray().tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]


def test_a_symbol_joined_with_its_ensembl_id_is_the_symbol(read):
    names = "ACTB_ENSG0001\tERBB2_ENSG0002\tHLA-A_ENSG0003.4"
    assert read(COUNTS.replace("\t".join(GENES), names).encode()).genes == [
        "ACTB",
        "ERBB2",
        "HLA-A",
    ]
    twice = COUNTS.replace("\t".join(GENES), "ACTB_ENSG0001\tACTB_ENSG0002\tKRT5")
    assert read(twice.encode()).genes == ["ACTB_ENSG0001", "ACTB_ENSG0002", "KRT5"]


def test_names_that_a_spreadsheet_turned_into_dates_are_said(read, caplog):
    assert read(COUNTS.replace("KRT5", "1-Mar").encode()).genes[-1] == "1-Mar"
    assert "1 gene names are dates that a spreadsheet made of names: 1-Mar" in caplog.text


def test_a_table_in_several_chunks_is_whole(read, monkeypatch):
    monkeypatch.setattr("reg2st.sections.tables.CELLS_AT_ONCE", 4)
    counts = read(COUNTS.encode())
    assert counts.matrix.toarray().tolist() == VALUES
    with pytest.raises(UserError, match="'many' at spot 2x2, gene ERBB2"):
        read(COUNTS.replace("2x2\t1\t1", "2x2\t1\tmany").encode())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (COUNTS.encode("utf-16-le"), "is not UTF-8 text; save it"),
        (COUNTS.replace("ACTB", "Müller").encode("latin-1"), "is not UTF-8 text; save it"),
        (COUNTS.replace("2x3", "é").encode("latin-1"), "is not UTF-8 text; save it"),
        (b"PK\x03\x04" + bytes(50), "is a zip archive or an Excel workbook; export it"),
        (b"BZh91AY", "is packed by bzip2; unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"\n<!DOCTYPE html>\n<title>", "is a web page; fetch the file itself"),
        (gzip.compress(COUNTS.encode() * 99)[:-20], "is cut short; fetch it again"),
        (gzip.compress(COUNTS.encode())[:-8] + bytes(8), "is damaged"),
        (renamed("{x}x{y}_{x}").encode(), "has spots of 2 arrays (their names end in _1, _2)"),
        (turned(corner="a\t").encode(), "columns in its header and 5 in its first row"),
        (("a\tb" + turned()).replace("\nA", "\nx\ty\tA").encode(), "has the columns a, b before"),
        (COUNTS.split("\n", 1)[1].encode(), "has no header: its first line is of spot 1x2"),
        (f"# a comment\n{COUNTS.split(chr(10), 1)[1]}".encode(), "has no header"),
        (COUNTS.replace("1x3\t0\t7\t0", "1x3\t0\t7\t0\t5").encode(), "has 5 cells in line 3"),
        (
            COUNTS.replace("\n", "\t\n").replace("2x3\t0\t0\t9\t", "2x3\t0\t0\t9\t5").encode(),
            "row 4",
        ),
        (COUNTS.replace("2x2\t", '"2x2\t').encode(), "check its quotes"),
        (COUNTS.replace("\t7", "\t7,5").encode(), "'7,5' at spot 1x3, gene ERBB2"),
    ],
    ids=[
        *("UTF-16 without mark", "Latin-1 in the header", "Latin-1 in a row", "workbook"),
        *("bzip2", "LFS pointer", "web page", "gzip cut short", "gzip damaged", "two arrays"),
        *("header with one column more", "header with two columns more", "no header"),
        *("comment but no header", "a longer row", "a longer row behind trailing tabs"),
        *("an open quote", "decimal comma"),
    ],
)
def test_what_is_no_count_table_is_one_sentence_that_names_the_cause(read, content, told):
    with pytest.raises(UserError) as caught:
        read(content)
    assert told in str(caught.value)
    assert "counts.tsv" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_two_columns_of_names_without_ensembl_ids_are_refused(read):
    text = "a\tb\t1x1\t1x2\nACTB\tx\t1\t2\n"
    with pytest.raises(UserError, match="two columns of gene names, and none holds Ensembl"):
        read(text.encode())
    with pytest.raises(UserError, match="has the columns b, c before its first spot"):
        read(text.replace("\tb\t", "\tb\tc\t").replace("\tx\t", "\tx\ty\t").encode())


def test_a_wide_table_is_never_dense_as_a_whole(read, monkeypatch):
    spots, genes = 600, 1000
    monkeypatch.setattr("reg2st.sections.tables.CELLS_AT_ONCE", 50 * genes)
    line = "\t".join(["0"] * (genes - 1) + ["1"])
    header = "\t".join(f"G{gene}" for gene in range(genes))
    lines = [header, *(f"{x}x1\t{line}" for x in range(spots))]
    content = "\n".join(lines).encode()
    tracemalloc.start()
    counts = read(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts.matrix.shape == (spots, genes)
    assert counts.matrix.nnz == spots
    assert peak < spots * genes * np.dtype(np.float64).itemsize
