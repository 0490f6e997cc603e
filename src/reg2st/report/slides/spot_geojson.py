"""Spots of a predicted slide as GeoJSON that QuPath opens: one detection a spot."""

import json
import os

import numpy as np
import shapely

from reg2st.base.files import written_whole
from reg2st.report.slides.predicted_slide import PredictedSlide
from reg2st.sections.section_file import load_section_arrays

SIDES_OF_A_QUARTER = 4


def write_spots(
    slide: PredictedSlide, predictions: str | os.PathLike, out: str | os.PathLike
) -> None:
    """Write the spots as circles in px of level 0, with the predicted genes as measurements."""
    section = load_section_arrays(predictions)
    radius = section.spot_diameter_px / 2
    circles = shapely.buffer(shapely.points(section.pixel_xy), radius, quad_segs=SIDES_OF_A_QUARTER)
    circles = shapely.set_precision(circles, 0.1)
    with written_whole(out) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [\n')
        for index, circle in enumerate(circles):
            measurements = {"distance from training": _short(slide.distance[index])}
            for gene, value in zip(slide.genes.index, slide.expression[index], strict=True):
                measurements[f"{gene} ({slide.target.unit})"] = _short(value)
            feature = {
                "type": "Feature",
                "geometry": json.loads(shapely.to_geojson(circle)),
                "properties": {
                    "objectType": "detection",
                    "name": str(section.barcodes[index]),
                    "measurements": measurements,
                },
            }
            file.write((",\n" if index else "") + json.dumps(feature))
        file.write("\n]}\n")


def _short(value: np.floating) -> float:
    return float(f"{value:.5g}")
