"""The page of a slide without counts, from the predictions of a trained model."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from numpy.typing import NDArray

from reg2st.base.errors import UserError
from reg2st.report.labels import method_label
from reg2st.report.viewer.page import Layer, Page, best_genes, spot_sizes_px
from reg2st.sections.section_file import SPOTS_AT_A_TIME
from reg2st.sections.targets import TARGETS

OUTSIDE = 1.0
"""Distance from training above which a model extrapolates."""


def page_of_slide(
    predictions: str | os.PathLike,
    image: str | os.PathLike,
    *,
    study: str,
    genes: Sequence[str] = (),
    most_genes: int = 1000,
) -> Page:
    """What the page of a predicted slide shows.

    Args:
        predictions: AnnData: X ``[n, G]`` predicted expression, layers["spread"] its standard
            deviation, var["expected_pcc"], obs["distance"] from training, obsm["spatial"] px of
            level 0, uns["section"] as in a section file, uns["target"], uns["model"].
        image: the slide.
        study: name of the study.
        genes: genes to show whatever their expected score.
        most_genes: how many of the others at most: those with the highest expected PCC.

    Raises:
        UserError: the file is no such file.
    """
    with _opened(predictions) as file:
        spots, about = read_elem(file["obs"]), read_elem(file["uns/section"])
        var = read_elem(file["var"])
        pixel_xy = np.asarray(file["obsm/spatial"], dtype=np.float64)
        target = TARGETS.get(str(read_elem(file["uns/target"]))) if "uns/target" in file else None
        model = read_elem(file["uns/model"]) if "uns/model" in file else {}
        has_spread = "layers/spread" in file
        notes = read_elem(file["uns/slide/notes"]).tolist() if "uns/slide/notes" in file else []
    known = var.index.astype(str).tolist()
    expected = var["expected_pcc"].to_numpy() if "expected_pcc" in var else None
    chosen = set(best_genes(known, expected, most_genes)) | set(genes)
    names = [gene for gene in known if gene in chosen]
    model = model if isinstance(model, Mapping) else {"sha256": str(model)}
    label = method_label(str(model.get("method", "prediction")))
    unit = target.unit if target else "units of the model's target"
    layers = [Layer("predicted", label, "expression", unit, _read(predictions, known, "X"))]
    if has_spread:
        read = _read(predictions, known, "layers/spread")
        layers.append(Layer("predicted.sd", f"{label}, SD", "spread", unit, read, of="predicted"))
    um_per_px, pitch_um, diameter_um = (
        float(about[name]) if name in about else None
        for name in ("um_per_px", "spot_pitch_um", "spot_diameter_um")
    )
    size, pitch, square = spot_sizes_px(
        diameter_um / um_per_px if diameter_um and um_per_px else None,
        pitch_um / um_per_px if pitch_um and um_per_px else None,
    )
    distance = spots["distance"].to_numpy(dtype=float) if "distance" in spots else None
    scores = {} if expected is None else {"predicted": expected[var.index.isin(names)]}
    return Page(
        name=str(about.get("name", Path(predictions).parent.name)),
        facts={
            "kind": "slide without counts: every value is predicted",
        },
        image=Path(image),
        barcodes=spots.index.to_numpy(dtype=str),
        pixel_xy=pixel_xy,
        um_per_px=um_per_px,
        spot_px=size,
        pitch_px=pitch,
        square=square,
        genes=names,
        layers=layers,
        score_label="expected PCC",
        scores=scores,
        reference="predicted",
        distance=distance,
        summary=_summary(expected, distance),
        warnings=notes,
        provenance=[
            ("Study", study),
            ("Values", unit),
            *((f"Model, {name}", str(value)) for name, value in model.items()),
        ],
    )


def _opened(path: str | os.PathLike) -> h5py.File:
    try:
        file = h5py.File(path)
    except OSError as error:
        raise UserError(f"{path} is missing or damaged; predict the slide again.") from error
    lacks = [
        part for part in ("X", "obs", "var", "obsm/spatial", "uns/section") if part not in file
    ]
    if lacks:
        file.close()
        raise UserError(f"{path} lacks {', '.join(lacks)}; predict the slide again.")
    return file


def _read(
    path: str | os.PathLike, known: Sequence[str], part: str
) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """A reader of some genes of a part of the file."""
    index = pd.Index(known)

    def read(genes: Sequence[str]) -> NDArray[np.float32]:
        columns = index.get_indexer(list(genes))
        first, last = columns.min(), columns.max()
        with h5py.File(path) as file:
            values = file[part]
            blocks = [
                values[start : start + SPOTS_AT_A_TIME, first : last + 1][:, columns - first]
                for start in range(0, len(values), SPOTS_AT_A_TIME)
            ]
        return np.concatenate(blocks).astype(np.float32)

    return read


def _summary(expected: NDArray | None, distance: NDArray | None) -> str:
    told = []
    if expected is not None:
        told.append(f"expected PCC {np.nanmean(expected):.3f} (mean over genes)")
    if distance is not None:
        told.append(f"{100 * np.mean(distance > OUTSIDE):.0f} % of the spots unlike the training")
    return "; ".join(told)
