"""The values of a page for other programs: a TissUUmaps project beside an h5ad, GeoJSON for QuPath.

TissUUmaps 3 reads a ``.tmap`` (its JSON schema 1.3) and values of an h5ad by their paths in the
file. QuPath 0.4 and later imports a GeoJSON feature collection as detections with measurements.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reg2st.base.files import written_whole
from reg2st.report.style import REGION_COLOURS
from reg2st.report.viewer.page import Page, best_genes
from reg2st.sections.slides import open_slide

MOST_MEASURED_GENES = 20
"""Genes that a detection of QuPath has as measurements: JSON of all would not open."""

MARKER_SHARE = 0.0038
"""Diameter of TissUUmaps' marker of scale 1, as a share of the slide's width (measured, 3.2.1)."""

CORNERS = 16
"""Of a spot as a polygon."""


def export_page(page: Page, folder: str | os.PathLike) -> None:
    """Write ``spots.h5ad``, ``spots.tmap`` and ``spots.geojson`` into a folder.

    The slide stays where it is; the project names it by its path relative to the folder.
    """
    with written_whole(folder) as temporary:
        temporary.mkdir()
        _write_h5ad(page, temporary / "spots.h5ad")
        slide = Path(os.path.relpath(page.image, folder)).as_posix()
        project = json.dumps(_project(page, slide), indent=1)
        (temporary / "spots.tmap").write_text(project, encoding="utf-8")
        _write_geojson(page, temporary / "spots.geojson")


def _write_h5ad(page: Page, path: Path) -> None:
    """X is the reference's prediction, or the first layer; the others are layers of their names."""
    from anndata import AnnData

    obs = pd.DataFrame(index=page.barcodes.astype(object))
    if page.labels is not None:
        obs["region"] = pd.Categorical(page.labels)
    if page.distance is not None:
        obs["distance"] = page.distance
    values = {layer.name: layer.read(page.genes) for layer in page.layers}
    adata = AnnData(
        X=values.pop(_first(page)),
        obs=obs,
        var=pd.DataFrame(index=pd.Index(page.genes, dtype=object)),
        layers=values,
        obsm={"spatial": page.pixel_xy},
    )
    adata.write_h5ad(path)


def _first(page: Page) -> str:
    return page.reference or page.layers[0].name


def _project(page: Page, slide: str) -> dict[str, Any]:
    """A TissUUmaps project: the slide, a set of markers a layer, and one of the regions."""
    with open_slide(page.image) as opened:
        size = page.spot_px / (MARKER_SHARE * opened.size_px[0])
    markers = []
    for layer in page.layers:
        place = "/X" if layer.name == _first(page) else f"/layers/{layer.name}"
        genes = [
            {
                "optionName": gene,
                "name": f"{layer.label}: {gene}",
                "expectedHeader.cb_col": f"{place};{number}",
            }
            for number, gene in enumerate(page.genes)
        ]
        markers.append(_markers(layer.label, size, by_value=True) | {"dropdownOptions": genes})
    if page.labels is not None:
        markers.append(_markers("Regions", size, gb_col="/obs/region"))
    return {
        "schemaVersion": "1.3",
        "filename": page.name,
        "layers": [{"name": page.name, "tileSource": f"{slide}.dzi"}],
        "mpp": page.um_per_px,
        "markerFiles": markers,
    }


def _markers(title: str, size: float, *, by_value: bool = False, **header: str) -> dict[str, Any]:
    return {
        "title": title,
        "name": title,
        "uid": title,
        "path": "spots.h5ad",
        "hideSettings": True,
        "expectedHeader": {
            "X": "/obsm/spatial;0",
            "Y": "/obsm/spatial;1",
            "cb_cmap": "interpolateViridis",
            "shape_fixed": "disc",
            "scale_factor": size,
            **header,
        },
        "expectedRadios": {
            "cb_col": by_value,
            "cb_gr": not by_value,
            "cb_gr_key": not by_value,
            "shape_gr": False,
            "shape_gr_rand": False,
            "shape_fixed": True,
        },
    }


def _write_geojson(page: Page, path: Path) -> None:
    """A detection for each spot, with its region and the values of the best genes."""
    genes = best_genes(page.genes, page.scores.get(page.reference), MOST_MEASURED_GENES)
    values = {layer.label: layer.read(genes) for layer in page.layers}
    regions = sorted(set(page.labels.tolist()) - {""}) if page.labels is not None else []
    colours = dict(zip(regions, REGION_COLOURS * len(regions), strict=False))
    outline = _outline(page)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"type":"FeatureCollection","features":[')
        for spot, centre in enumerate(page.pixel_xy):
            properties: dict[str, Any] = {
                "objectType": "detection",
                "name": str(page.barcodes[spot]),
                "measurements": {
                    f"{gene}, {label}": float(f"{of_layer[spot, column]:.5g}")
                    for label, of_layer in values.items()
                    for column, gene in enumerate(genes)
                    if np.isfinite(of_layer[spot, column])
                },
            }
            if page.distance is not None:
                properties["measurements"]["Distance from training"] = float(page.distance[spot])
            if page.labels is not None and page.labels[spot]:
                region = str(page.labels[spot])
                rgb = [int(colours[region][place : place + 2], 16) for place in (1, 3, 5)]
                properties["classification"] = {"name": region, "color": rgb}
            corners = np.round(centre + outline, 2).tolist()
            feature = {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[*corners, corners[0]]]},
                "properties": properties,
            }
            file.write(("," if spot else "") + json.dumps(feature, allow_nan=False))
        file.write("]}\n")


def _outline(page: Page) -> np.ndarray:
    """Corners of a spot around its centre, px ``[corners, 2]``."""
    radius = page.spot_px / 2
    if page.square:
        return radius * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    angles = 2 * math.pi * np.arange(CORNERS) / CORNERS
    return radius * np.column_stack([np.cos(angles), np.sin(angles)])
