"""Sheets of slides without counts: where their images are, and what is known of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from reg2st.base.names import closest
from reg2st.base.validation import Mistake, refusal
from reg2st.sections.simulate import simulated_sheet
from reg2st.study.layout import Layout
from reg2st.study.sheets import is_inside, is_name, read_text_sheet
from reg2st.study.slides_config import SlidesConfig

COLUMNS = ("slide", "image", "um_per_px", "tissue")
NEEDED = ("slide", "image")
MISSING_FILES_SHOWN = 5


@dataclass(frozen=True)
class SlideSource:
    """A slide to predict.

    Attributes:
        image: its file.
        um_per_px: of level 0; None where the file says it.
        tissue: contours that the user drew; None without any.
    """

    name: str
    image: str
    um_per_px: float | None = None
    tissue: str | None = None


SIMULATED = "slides"
"""Name of the dataset that simulated slides are files of."""


def read_slides(config: SlidesConfig | None, layout: Layout) -> dict[str, SlideSource]:
    """The slides of a study by name, in the order of the sheet.

    Raises:
        UserError: the sheet is wrong, or a slide or file does not exist; lists all mistakes.
    """
    if config is None:
        return {}
    if config.source is not None:
        slides = _simulated(config, layout)
    else:
        slides = _listed(Path(config.sheet), Path(config.root))
    place = ("slides", "slides")
    unknown = [
        Mistake(place, f"the sheet has no slide '{name}'{closest(name, slides)}.")
        for name in config.slides or ()
        if name not in slides
    ]
    if unknown:
        raise refusal("Config", unknown)
    return {name: slides[name] for name in config.slides or slides}


def _simulated(config: SlidesConfig, layout: Layout) -> dict[str, SlideSource]:
    names = simulated_sheet(config.source.simulation.model_dump())["section"]
    return {name: SlideSource(name, layout.simulated("image", SIMULATED, name)) for name in names}


def _listed(sheet: Path, root: Path) -> dict[str, SlideSource]:
    rows = read_text_sheet(sheet, "slide")
    unknown = [name for name in NEEDED if name not in rows]
    if unknown:
        lacks = (f"the header has no column '{name}'{closest(name, rows)}." for name in unknown)
        raise refusal(str(sheet), list(lacks))
    rows = rows.reindex(columns=[*COLUMNS], fill_value="")
    mistakes = [
        f"line {line}: {mistake}"
        for line, row in zip(rows.index, rows.to_dict("records"), strict=True)
        for mistake in _wrong(row)
    ]
    repeated = rows["slide"].duplicated()
    mistakes += [
        f"line {line}: slide '{rows.loc[line, 'slide']}' is listed twice; delete one row."
        for line in rows.index[repeated]
    ]
    if mistakes:
        raise refusal(str(sheet), mistakes)
    slides = {
        row["slide"]: SlideSource(
            row["slide"],
            str(root / row["image"]),
            float(row["um_per_px"]) if row["um_per_px"] else None,
            str(root / row["tissue"]) if row["tissue"] else None,
        )
        for row in rows.to_dict("records")
    }
    missing = list(_missing_files(slides.values()))
    if missing:
        raise refusal(str(sheet), missing)
    return slides


def _missing_files(slides: Iterable[SlideSource]) -> Iterator[str]:
    missing = [
        f"slide {slide.name}: its {kind} {file} does not exist; correct the sheet or `root`."
        for slide in slides
        for kind, file in (("image", slide.image), ("tissue", slide.tissue))
        if file and not Path(file).is_file()
    ]
    yield from missing[:MISSING_FILES_SHOWN]
    if missing[MISSING_FILES_SHOWN:]:
        yield f"{len(missing) - MISSING_FILES_SHOWN} further files of the sheet do not exist."


def _wrong(row: Mapping[str, str]) -> Iterator[str]:
    if not is_name(row["slide"]):
        yield (
            f"slide '{row['slide']}' must be a name of letters, digits, '_', '-' and '.' that "
            "begins with a letter, a digit or '_'; correct it."
        )
    if not row["image"]:
        yield "'image' is missing; fill it in."
    for column in ("image", "tissue"):
        if not is_inside(row[column]):
            yield f"{column} '{row[column]}' must be a plain file below `root`; correct it."
    if row["um_per_px"] and not 0 < pd.to_numeric(row["um_per_px"], errors="coerce") < np.inf:
        yield (
            f"um_per_px is '{row['um_per_px']}'; give a positive number such as 0.5, or leave it "
            "empty if the slide file has it."
        )
