"""Write a table: raw numbers as TSV; for readers as text, Markdown, LaTeX and HTML."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import pandas as pd
from tabulate import tabulate

from reg2st.base.files import written_whole

MISSING = "–"
COUNTS = "Sections / patients / genes / seeds"

PAGE_STYLE = """
body { font: 14px/1.4 Arial, "DejaVu Sans", sans-serif; margin: 1.5em; color: #222; }
h1 { font-size: 1.1em; }
p { max-width: 60em; margin: 0.4em 0; }
table { border-collapse: collapse; margin-bottom: 1em; }
th, td { padding: 0.2em 0.7em; white-space: nowrap; }
thead { border-top: 2px solid; border-bottom: 1px solid; }
tbody { border-bottom: 2px solid; font-variant-numeric: tabular-nums; }
tbody tr:hover { background: #f0f0f0; }
"""


@dataclass(frozen=True)
class Table:
    """A table in two forms.

    Attributes:
        name: short name, used as the LaTeX label.
        title: one sentence: what is shown.
        values: raw numbers, one row each, for machines.
        shown: the same rows as text, for readers.
        leading: the first columns of ``shown``, by which its rows are grouped.
        notes: sentences that stand below the table.
        brief: further columns that a terminal or a first page has room for; all, if none are named.
    """

    name: str
    title: str
    values: pd.DataFrame
    shown: pd.DataFrame
    leading: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    brief: tuple[str, ...] = ()

    @property
    def brief_columns(self) -> list[str]:
        """Columns of ``shown`` that a terminal or a first page has room for."""
        named = (*self.leading, *self.brief)
        return [column for column in self.shown if not self.brief or column in named]


def write_table(table: Table, *paths: str | os.PathLike) -> None:
    """Write a table; each path's suffix is its format.

    ``tsv`` has the raw numbers, ``txt``, ``md``, ``tex`` (needs booktabs) and ``html`` the
    readable form.
    """
    for path in paths:
        text = FORMATS[os.fspath(path).rsplit(".", 1)[-1]](table)
        with written_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def as_tsv(table: Table) -> str:
    """The raw numbers."""
    return table.values.to_csv(sep="\t", index=False, float_format="%.6g")


def as_html(table: Table) -> str:
    """The readable form as one self-contained page.

    The report's front page shows its body in an element of class ``brief``, which hides columns
    that a terminal has no room for.
    """
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in table.notes)
    title = escape(table.title)
    hidden = ", ".join(
        f".brief :is(th, td):nth-child({number})"
        for number, column in enumerate(table.shown, start=1)
        if column not in table.brief_columns
    )
    style = f"<style>{hidden} {{ display: none }}</style>\n" if hidden else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n<body>\n"
        f"{style}<h1>{title}</h1>\n{_tabulated(_grouped(table), 'html')}\n{notes}</body>\n</html>\n"
    )


def as_markdown(table: Table) -> str:
    """The readable form as a pipe table between its title and its notes."""
    escaped = _grouped(table).map(lambda text: text.replace("|", "\\|"))
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return f"**{table.title}**\n\n{_tabulated(escaped, 'pipe')}\n{notes}"


def as_latex(table: Table) -> str:
    """The readable form as a LaTeX float; needs the package booktabs."""
    notes = "\n\n".join(_latex_escaped(note) for note in table.notes)
    return (
        "\\begin{table*}\n\\centering\n\\footnotesize\n"
        f"\\caption{{{_latex_escaped(table.title)}}}\n\\label{{tab:{table.name}}}\n"
        f"{_tabulated(_grouped(table), 'latex_booktabs')}\n"
        f"\\par\\smallskip\n{notes}\n\\end{{table*}}\n"
    )


def as_text(table: Table) -> str:
    """The readable form for a terminal: each group under its name, its brief columns, no notes."""
    columns = [column for column in table.brief_columns if column not in table.leading]
    head, rule, *rows = _tabulated(table.shown[columns], "simple").splitlines()
    lines = [table.title, f"  {head}", f"  {rule}"]
    last = ""
    for names, row in zip(table.shown[list(table.leading)].to_numpy(), rows, strict=True):
        if (group := ", ".join(names)) != last:
            lines.append(group)
        lines.append(f"  {row}")
        last = group
    return "\n".join(lines) + "\n"


def number(value: float, decimals: int = 3) -> str:
    """A number with fixed decimals, or a dash where there is none."""
    return MISSING if pd.isna(value) else f"{round(value, decimals) + 0.0:.{decimals}f}"


def signed(value: float, decimals: int = 3) -> str:
    """A number with its sign, or a dash where there is none."""
    return MISSING if pd.isna(value) else f"{round(value, decimals) + 0.0:+.{decimals}f}"


def whole(value: float) -> str:
    """A whole number with thousands apart, or a dash where there is none."""
    return MISSING if pd.isna(value) else f"{int(value):,}"


def interval(low: float, high: float, decimals: int = 3) -> str:
    """An interval, or a dash where there is none."""
    if pd.isna(low) or pd.isna(high):
        return MISSING
    return f"{number(low, decimals)} to {number(high, decimals)}"


def percent(fraction: float) -> str:
    """A fraction in percent, or a dash where there is none."""
    return MISSING if pd.isna(fraction) else f"{100 * fraction:.0f} %"


def counts(values: pd.DataFrame, *columns: str) -> list[str]:
    """Whole numbers of some columns, side by side."""
    return [
        MISSING if row.isna().any() else " / ".join(map(whole, row))
        for _, row in values[list(columns)].iterrows()
    ]


def intervals(values: pd.DataFrame, unit: str) -> list[str]:
    """The intervals over patients or sections as text."""
    return [
        interval(low, high)
        for low, high in zip(values[f"{unit}_low"], values[f"{unit}_high"], strict=True)
    ]


def _grouped(table: Table) -> pd.DataFrame:
    """The readable form; leading columns of a row are blank where they repeat the row above."""
    shown, leading = table.shown.copy(), list(table.leading)
    repeats = (shown[leading] == shown[leading].shift()).all(axis=1)
    shown.loc[repeats.to_numpy(), leading] = ""
    return shown


def _tabulated(shown: pd.DataFrame, style: str) -> str:
    right = [all(_is_figure(text) for text in shown[column]) for column in shown]
    return tabulate(
        shown,
        headers="keys",
        tablefmt=style,
        showindex=False,
        disable_numparse=True,
        colalign=["right" if figures else "left" for figures in right] if len(shown) else None,
    )


def _is_figure(text: str) -> bool:
    return not text or text == MISSING or text[0] in "0123456789+-"


FORMATS: dict[str, Callable[[Table], str]] = {
    "tsv": as_tsv,
    "txt": as_text,
    "md": as_markdown,
    "tex": as_latex,
    "html": as_html,
}
"""How a table is written, by the suffix of its file."""

_LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def _latex_escaped(text: str) -> str:
    return text.translate(str.maketrans(_LATEX))
