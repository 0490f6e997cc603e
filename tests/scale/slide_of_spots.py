"""Predict a made-up slide of many spots from features to h5ad; prints seconds and peak memory.

python tests/scale/slide_of_spots.py sprig 200000
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import shapely
import torch
from PIL import Image

from reg2st.base.memory import peak_memory_bytes
from reg2st.features.graphs import nearest_neighbours
from reg2st.models.interface import FeatureBlock, SectionTensors
from reg2st.models.model_folder import (
    FORMAT_VERSION,
    ModelDescription,
    TrainedBlock,
    TrainedGraph,
    TrainedGrid,
    TrainedOn,
)
from reg2st.sections.slide_section import lay_spots
from reg2st.training.spot_prediction import predict_spots, with_prediction

GENES = 785
GROUPS = (100, 55)


def fitted(description: ModelDescription):
    """The model, fitted to two made-up sections of 900 spots."""
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.arange(30), np.arange(30)), axis=-1).reshape(-1, 2)
    mixing = rng.normal(size=(sum(GROUPS), GENES)) / 20
    sections = []
    for name in ("A1", "B1"):
        features = rng.normal(size=(900, sum(GROUPS))).astype(np.float32)
        counts = rng.poisson(np.exp(features @ mixing)).astype(np.float32)
        sections.append(
            SectionTensors(
                name=name,
                patient=name[0],
                array_xy=torch.from_numpy(places),
                pitch_xy=torch.from_numpy(places.astype(float)),
                embedding=torch.from_numpy(features),
                edge_index=torch.from_numpy(nearest_neighbours(places, 8, 1.5)),
                counts=torch.from_numpy(counts),
                totals=torch.from_numpy(counts.sum(axis=1)),
                expression=torch.from_numpy(np.log10(1 + counts)),
                blocks=(FeatureBlock("made_up", GROUPS),),
            )
        )
    model = description.build()
    model.fit(sections)
    return model.eval()


def main(method: str, spots: int) -> None:
    block = TrainedBlock(
        encoder="tissue_statistics",
        weights=None,
        view="native",
        field_um=112.0,
        groups=GROUPS,
        revision="",
        sha256="",
        licence="",
    )
    description = ModelDescription(
        format_version=FORMAT_VERSION,
        method=method,
        preset="published",
        settings={},
        seed=0,
        genes=[f"GENE{index}" for index in range(GENES)],
        target="paper",
        blocks=[block],
        standardise="none",
        graph=TrainedGraph(neighbours=8, within=1.5),
        window_spots=None,
        grid=TrainedGrid(grid="square", pitch_um=8.0, diameter_um=8.0),
        trained_on=TrainedOn(
            dataset="made up", licence="", platforms=[], sections=[], patients=[], spots=1800
        ),
        versions={},
        git_commit=None,
        sha256={},
    )
    model = fitted(description)
    side = int(np.ceil(np.sqrt(spots)))
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "slide.png")
        Image.new("RGB", (side * 4, side * 4), (200, 120, 160)).save(image)
        regions = shapely.MultiPolygon([shapely.box(0, 0, side * 4, side * 4)])
        before = time.process_time()
        section = lay_spots(
            "S1", image, regions, grid="square", pitch_um=8.0, diameter_um=8.0, um_per_px=2.0
        )
        rng = np.random.default_rng(1)
        features = rng.normal(size=(section.n_obs, sum(GROUPS))).astype(np.float32)
        prediction = predict_spots(model, description, section, features, 8.0, "cpu")
        distance = np.ones(section.n_obs, np.float32)
        adata = with_prediction(section, description, prediction, distance)
        out = Path(folder, "predictions.h5ad")
        adata.write_h5ad(out, compression="gzip", compression_opts=1)
        seconds = time.process_time() - before
        print(
            f"{method}: {section.n_obs:,} spots, {seconds:.0f} CPU s, "
            f"{peak_memory_bytes() / 1e9:.1f} GB, file {out.stat().st_size / 1e9:.2f} GB"
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
