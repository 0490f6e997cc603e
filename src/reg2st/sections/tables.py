"""Text tables as users have them: any encoding mark, separator and line end, gzipped or not.

Every cell is text: ``NA``, ``001`` and ``1e5`` are names like others.
"""

import codecs
import csv
import gzip
import io
import itertools
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reg2st.base.errors import UserError

SEPARATORS = "\t;,"
"""The first of these in the header separates the columns; blanks do if there is none."""

BLANK = " "
GZIP = b"\x1f\x8b"
COMMENT = "#"

FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; export it as tab-separated text",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; export it as tab-separated text",
    b"\x89HDF": "an HDF5 file; export it as tab-separated text",
    b"PAR1": "a Parquet file; export it as tab-separated text",
    b"BZh": "packed by bzip2; unpack it, or pack it by gzip",
    b"\xfd7zXZ": "packed by xz; unpack it, or pack it by gzip",
    b"\x28\xb5\x2f\xfd": "packed by zstandard; unpack it, or pack it by gzip",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file by `git lfs pull`",
    b"<!doctype html": "a web page; fetch the file itself",
    b"<html": "a web page; fetch the file itself",
}
"""What a file is that begins so, and what to do. Letters count as small ones."""

CELLS_AT_ONCE = 1 << 21
"""Numbers that are dense at a time, at some 50 bytes each while they are read."""


class Row(NamedTuple):
    """One row of a table: its line in the file, and its cells without outer blanks."""

    line: int
    cells: list[str]


class Layout(NamedTuple):
    """How a table is written.

    Attributes:
        separator: what separates the columns; a blank stands for any number of them.
        start: lines before the header, comments and blank ones.
        header: cells of the header; none in an empty file.
        below: lines before the first row.
        first: cells of the first row; none if there is no row.
    """

    separator: str
    start: int
    header: list[str]
    below: int
    first: list[str]


@contextmanager
def open_text(path: str | os.PathLike, kind: str) -> Iterator[io.TextIOBase]:
    """Open a text file as UTF-8, or as UTF-16 where a byte order mark says so; gunzip it if packed.

    Args:
        kind: what the file is ("count file"), for errors.

    Raises:
        UserError: the file does not exist, is no such text, is cut short, or is no table; also when
            the block finds that out while it reads.
    """
    name = f"The {kind} {path}"
    try:
        with open(path, "rb") as stored:
            packed = stored.read(len(GZIP)) == GZIP
        with gzip.open(path) if packed else open(path, "rb") as file:
            start = file.read(max(map(len, FOREIGN)))
            file.seek(0)
            _refuse_foreign(start, name)
            utf_16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            yield io.TextIOWrapper(file, encoding="utf-16" if utf_16 else "utf-8-sig")
    except EOFError as error:
        raise UserError(f"{name} is cut short; fetch it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{name} is damaged ({error}); fetch it again.") from error
    except UnicodeError as error:
        raise _no_text(name) from error
    except FileNotFoundError as error:
        raise UserError(f"{name} does not exist; check the sample sheet.") from error
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}.") from error
    except csv.Error as error:
        raise UserError(f"{name}, {error}.") from error
    except pd.errors.ParserError as error:
        raise UserError(f"{name} {_complaint(error)}.") from error


def read_rows(path: str | os.PathLike, kind: str) -> list[Row]:
    """The rows of a table, the header first; comments before it and blank rows are left out.

    Raises:
        UserError: see ``open_text``.
    """
    with open_text(path, kind) as file:
        text = file.read()
        if "\0" in text:
            raise _no_text(f"The {kind} {path}")
        layout = find_layout(io.StringIO(text))
        lines = itertools.islice(io.StringIO(text), layout.start, None)
        rows = list(_read_csv(lines, layout.separator, layout.start))
    if rows:
        rows[0] = Row(rows[0].line, layout.header)
    return [row for row in rows if any(row.cells)]


def read_columns(
    path: str | os.PathLike, kind: str, columns: Sequence[str], optional: Sequence[str] = ()
) -> pd.DataFrame:
    """A table with named columns, all text, indexed by line; cells that a row lacks are empty.

    A header of one cell less than every row has no name for the first column, which is then "".

    Args:
        columns: those that must be there.
        optional: further ones that are used; they must not occur twice either.

    Raises:
        UserError: see ``open_text``; or the file has no rows, lacks a column, has one twice, or
            has a row longer than its header.
    """
    name = f"The {kind} {path}"
    rows = read_rows(path, kind)
    if not rows:
        raise UserError(f"{name} is empty; it must have the columns {', '.join(columns)}.")
    header, *rows = rows
    names = _without_empty_end(header.cells)
    width = len(names)
    if (
        rows
        and all(len(row.cells) == width + 1 for row in rows)
        and any(row.cells[width] for row in rows)
    ):
        names = ["", *names]
    for column in columns:
        if column not in names:
            raise UserError(
                f"{name} lacks the column {column}; it must have {', '.join(columns)}, and its "
                f"header, line {header.line}, has {_shortened(', '.join(names))}."
            )
    for column in (*columns, *optional):
        if names.count(column) > 1:
            raise UserError(f"{name} has the column {column} twice; rename one.")
    if not rows:
        raise UserError(f"{name} holds no rows below its header.")
    width = len(names)
    for row in rows:
        if any(row.cells[width:]):
            raise UserError(f"{name}, line {row.line} has more cells than the header; correct it.")
    cells = [[*row.cells, *[""] * width][:width] for row in rows]
    return pd.DataFrame(cells, columns=names, index=[row.line for row in rows], dtype=str)


@dataclass(frozen=True)
class NumberTable:
    """A large table of numbers, with names in its header and at the begin of each row.

    Attributes:
        columns: names of the columns, the first one "" if the header does not name it.
        spare: a separator ends each row.
    """

    path: Path
    kind: str
    layout: Layout
    columns: list[str]
    spare: bool

    @classmethod
    def of(cls, path: str | os.PathLike, kind: str) -> "NumberTable":
        """The table in a file.

        Raises:
            UserError: see ``open_text``; or it has no rows, or header and first row do not fit.
        """
        name = f"The {kind} {path}"
        with open_text(path, kind) as file:
            layout = find_layout(file)
        if "\0" in "".join(layout.header):
            raise _no_text(name)
        if not layout.first:
            raise UserError(
                f"{name} is empty{' below its header' if layout.header else ''}; check how it was "
                "made."
            )
        columns = _without_empty_end(layout.header)
        least, most = len(_without_empty_end(layout.first)), len(layout.first)
        if least <= len(columns) <= most:
            return cls(Path(path), kind, layout, columns, spare=len(columns) < most)
        if least <= len(columns) + 1 <= most and columns and columns[0]:
            return cls(Path(path), kind, layout, ["", *columns], spare=len(columns) + 1 < most)
        raise UserError(
            f"{name} has {len(columns)} columns in its header and {most} in its first row, line "
            f"{layout.below + 1}; each column needs a name, but the first may go without."
        )

    def chunks(self, named_by: int) -> Iterator[pd.DataFrame]:
        """The rows, some at a time: columns 0, 1, ...; missing numbers are NaN.

        Args:
            named_by: how many columns at the begin hold names; they are text.

        Raises:
            UserError: see ``open_text``; a row is longer than the header.
        """
        width = len(self.columns) + self.spare
        blank = self.layout.separator == BLANK
        with (
            open_text(self.path, self.kind) as file,
            pd.read_csv(
                file,
                sep=r"\s+" if blank else self.layout.separator,
                header=None,
                names=range(width),
                index_col=False,
                skiprows=self.layout.below,
                converters=dict.fromkeys(range(named_by), str.strip),
                chunksize=max(1, CELLS_AT_ONCE // width),
                low_memory=False,
            ) as chunks,
        ):
            for chunk in chunks:
                if self.spare:
                    more = chunk.pop(width - 1).notna()
                    if more.any():
                        raise UserError(
                            f"The {self.kind} {self.path} has more cells than its header in row "
                            f"{int(chunk.index[more][0]) + 1}; correct it."
                        )
                yield chunk


def find_layout(lines: Iterable[str]) -> Layout:
    """How a table is written, from its first lines.

    Lines that begin with "#" before the header are comments. The last of them is the header if it
    has as many cells as the line below, which holds numbers.
    """
    comment: tuple[int, str] | None = None
    found: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        if line.startswith(COMMENT) and not found:
            comment = (number, line.lstrip(COMMENT))
            continue
        found.append((number, line))
        if len(found) == 2:
            break
    if comment and found and _is_header(comment[1], found[0][1]):
        found = [comment, found[0]]
    if not found:
        return Layout(SEPARATORS[0], 0, [], 0, [])
    separator = _separator(*(line for _, line in found))
    header, *first = [(number, _cells(line, separator, number)) for number, line in found]
    below, cells = first[0] if first else (header[0] + 1, [])
    return Layout(separator, header[0], header[1], below, cells)


def _is_header(comment: str, below: str) -> bool:
    separator = _separator(comment)
    cells, first = _cells(comment, separator), _cells(below, separator)
    holds_numbers = any(re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in first)
    return holds_numbers and len(cells) == len(first) > 1


def _separator(header: str, first: str = "") -> str:
    for line in (header, first):
        for separator in SEPARATORS:
            if separator in line:
                return separator
    return BLANK


def _cells(line: str, separator: str, number: int = 0) -> list[str]:
    line = line.strip() if separator == BLANK else line.rstrip("\n")
    return next(_read_csv([line], separator, number)).cells


def _read_csv(lines: Iterable[str], separator: str, before: int) -> Iterator[Row]:
    """The rows of lines that follow after ``before`` others."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator == BLANK)
    try:
        for cells in reader:
            yield Row(before + reader.line_num, [cell.strip() for cell in cells])
    except csv.Error as error:
        raise csv.Error(f"line {before + reader.line_num}: {error}") from None


def _without_empty_end(cells: list[str]) -> list[str]:
    end = len(cells)
    while end and not cells[end - 1]:
        end -= 1
    return cells[:end]


def _refuse_foreign(start: bytes, name: str) -> None:
    for begin, what in FOREIGN.items():
        if start.startswith(begin) or start.lower().lstrip().startswith(begin):
            raise UserError(f"{name} is {what}.")


def _no_text(name: str) -> UserError:
    return UserError(f"{name} is not UTF-8 text; save it as tab-separated UTF-8.")


def _complaint(error: pd.errors.ParserError) -> str:
    """What pandas found wrong with a table, in words."""
    longer = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if longer:
        expected, line, saw = longer.groups()
        return f"has {saw} cells in line {line}, and {expected} before; correct it"
    return f"cannot be read as a table ({' '.join(str(error).split())}); check its quotes"


def _shortened(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def repeated(names: Iterable[str]) -> str | None:
    """The first name that occurs more than once; None if there is none."""
    return next((name for name, number in Counter(names).items() if number > 1), None)
