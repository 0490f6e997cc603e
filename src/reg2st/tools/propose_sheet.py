"""Propose a sample sheet from a folder of sections.

``python -m reg2st.tools.propose_sheet FOLDER > sections.tsv``

It finds outs folders of Space Ranger (Visium and Visium HD), HEST-1k folders and h5ad files. It
does not know the patients: each section gets its own name, to be corrected.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from reg2st.base.errors import UserError
from reg2st.sections.json_file import read_object
from reg2st.sections.slides import open_slide
from reg2st.sections.spaceranger import PICTURES, SCALEFACTORS, scale_factor

COLUMNS = ("section", "patient", "platform", "folder", "counts", "image", "picture", "bin_um")
IMAGES = (".tif", ".tiff", ".btf", ".svs", ".ndpi", ".mrxs", ".jpg", ".jpeg", ".png")
WIDTH_TOLERANCE = 0.02
"""Share by which an image's width may differ from the one that the scale factors ask for."""

GENERIC = ("outs", "spatial", "binned_outputs")
"""Names of folders that say nothing of the section."""


def propose(root: Path) -> list[dict[str, str]]:
    """One row for each section found below a folder, with the columns ``COLUMNS``.

    Raises:
        UserError: there is no such folder, or nothing in it.
    """
    if not root.is_dir():
        raise UserError(f"The folder {root} does not exist; name the folder of your sections.")
    rows = [*_spaceranger(root), *_hest(root), *_h5ad(root)]
    if not rows:
        raise UserError(
            f"{root} holds no outs folder of Space Ranger, no HEST-1k folder and no h5ad file; see "
            "docs/reference/platforms/README.md for what is read."
        )
    return [dict.fromkeys(COLUMNS, "") | row for row in rows]


def _spaceranger(root: Path) -> Iterator[dict[str, str]]:
    for file in sorted(root.rglob(f"spatial/{SCALEFACTORS}")):
        matrix = file.parent.parent
        hd = matrix.parent.name == "binned_outputs"
        outs = matrix.parent.parent if hd else matrix
        name = _name(outs, root)
        row = {"section": name, "patient": name, "folder": str(outs.relative_to(root))}
        row |= _picture(file, outs, root)
        if hd:
            bin_um = matrix.name.removeprefix("square_").removesuffix("um").lstrip("0")
            row |= {"section": f"{name}_{bin_um}um", "platform": "visium_hd", "bin_um": bin_um}
        elif (outs / "binned_outputs").is_dir():
            continue
        else:
            row["platform"] = "visium"
        yield row


def _name(folder: Path, root: Path) -> str:
    parts = [part for part in folder.relative_to(root).parts if part not in GENERIC]
    return parts[-1] if parts else root.resolve().name


def _picture(scalefactors: Path, outs: Path, root: Path) -> dict[str, str]:
    """The full-resolution image, by its width, else Space Ranger's own picture."""
    spatial = scalefactors.parent
    small = next((kind for kind in PICTURES if (spatial / PICTURES[kind]).is_file()), None)
    if small is None:
        return {}
    scale = scale_factor(read_object(scalefactors), f"tissue_{small}_scalef", scalefactors)
    with open_slide(spatial / PICTURES[small]) as picture:
        width = picture.size_px[0] / scale
    for image in _images(outs, root):
        if abs(_width(image) / width - 1) < WIDTH_TOLERANCE:
            return {"image": str(image.relative_to(root))}
    return {"picture": small}


def _images(outs: Path, root: Path) -> Iterator[Path]:
    """Images in the section's folder, and those beside it that bear its name."""
    name = _name(outs, root)
    section = outs.parent if outs.name in GENERIC and outs != root else outs
    beside = () if section == root else section.parent.iterdir()
    named = (each for each in beside if each.stem.startswith(name))
    for file in sorted({*outs.iterdir(), *section.iterdir(), *named}):
        if file.suffix.lower() in IMAGES:
            yield file


def _width(image: Path) -> float:
    try:
        with open_slide(image) as slide:
            return slide.size_px[0]
    except UserError:
        return float("nan")


def _hest(root: Path) -> Iterator[dict[str, str]]:
    for file in sorted(root.rglob("metadata/*.json")):
        folder = file.parent.parent
        if (folder / "st" / f"{file.stem}.h5ad").is_file():
            name = file.stem
            place = str(folder.relative_to(root))
            yield {"section": name, "patient": name, "platform": "hest", "folder": place}


def _h5ad(root: Path) -> Iterator[dict[str, str]]:
    for file in sorted(root.rglob("*.h5ad")):
        if file.parent.name == "st":
            continue
        images = [each for each in sorted(file.parent.iterdir()) if each.suffix.lower() in IMAGES]
        named = [each for each in images if each.stem.startswith(file.stem)]
        named = named or (images if len(images) == 1 else [])
        yield {
            "section": file.stem,
            "patient": file.stem,
            "platform": "h5ad",
            "counts": str(file.relative_to(root)),
            "image": str(named[0].relative_to(root)) if named else "",
        }


def main() -> None:
    """Print the proposed sheet, and on the terminal what is left to fill in."""
    parser = argparse.ArgumentParser(prog="python -m reg2st.tools.propose_sheet")
    parser.add_argument("folder", type=Path, help="the folder that holds the sections")
    folder = parser.parse_args().folder
    try:
        rows = propose(folder)
    except UserError as error:
        sys.exit(f"Error: {error}")
    used = [column for column in COLUMNS if any(row[column] for row in rows)]
    writer = csv.DictWriter(sys.stdout, used, "", "ignore", delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    print(
        f"{len(rows)} sections below {folder}, which is the dataset's `root`. Correct the column "
        "patient: sections of one patient must bear the same name.",
        file=sys.stderr,
    )
    for row in rows:
        if not (row["image"] or row["picture"] or row["platform"] == "hest"):
            print(f"{row['section']}: no image found; fill in `image`.", file=sys.stderr)
        if row["picture"]:
            print(
                f"{row['section']}: no full-resolution image found; Space Ranger's "
                f"{row['picture']} picture is named instead.",
                file=sys.stderr,
            )


if __name__ == "__main__":
    main()
