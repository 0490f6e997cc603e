"""Load the files of a section into the tensors that a model reads."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from reg2st.base.errors import UserError
from reg2st.features.encoders import read_embeddings, read_tiles
from reg2st.features.graphs import read_graph
from reg2st.features.patches import read_patches
from reg2st.models.interface import FeatureBlock, SectionTensors, Tiles
from reg2st.models.on_demand import OnDemand
from reg2st.sections.fitness import unfit
from reg2st.sections.panels import read_panel
from reg2st.sections.positions import numbered_xy, pitch_xy
from reg2st.sections.section_file import load_section_arrays
from reg2st.sections.targets import TARGETS
from reg2st.study.specification import FeatureSource, RunSpec, SectionFiles

log = logging.getLogger(__name__)

Scale = tuple[np.ndarray, np.ndarray]
"""What is subtracted from each column of features, and what it is then divided by."""


def load_sections(run: RunSpec, *, with_targets: bool) -> list[SectionTensors]:
    """The sections of a run as tensors on the CPU.

    Args:
        run: the run and the files of its sections.
        with_targets: whether to read counts and expression, for training: sections with too few
            spots or without counts are then left out. Predictions do not read them.

    Raises:
        UserError: files of a section have different spots, or there is none to train on.
    """
    genes = read_panel(run.panel) if with_targets else None
    sections = [_load_section(files, genes, run) for files in run.sections]
    return _fit_to_train(sections) if with_targets else sections


def _fit_to_train(sections: list[SectionTensors]) -> list[SectionTensors]:
    lacks = {
        section.name: lack
        for section in sections
        if (lack := unfit(section.n_spots, bool(section.counts.any())))
    }
    said = ", ".join(f"{name} has {lack}" for name, lack in lacks.items())
    if len(lacks) == len(sections):
        raise UserError(f"There is no section to train on: of the genes of the panel, {said}.")
    if lacks:
        log.info("Left out of training: of the genes of the panel, %s.", said)
    return [section for section in sections if section.name not in lacks]


def _load_section(files: SectionFiles, genes: list[str] | None, run: RunSpec) -> SectionTensors:
    arrays = load_section_arrays(files.section, genes)
    needs, spots = run.needs(), arrays.barcodes
    parts: dict[str, torch.Tensor | OnDemand] = {}
    blocks: tuple[FeatureBlock, ...] = ()
    tiles: dict[str, Tiles] = {}
    if needs.embedding:
        features, blocks = _features(files, spots, run.features)
        scale = scale_of(features) if run.standardise == "section" else None
        parts["embedding"] = scaled(features, scale)
        tiles = {name: _tiles(of_grid, spots, scale) for name, of_grid in files.tiles.items()}
    if needs.patches:
        parts["patches"] = OnDemand(read_patches(files.patches, spots).images.__getitem__)
    if needs.graph is not None:
        parts["edge_index"] = torch.from_numpy(read_graph(files.graph, len(spots)))
    if genes is not None:
        parts["counts"] = torch.from_numpy(arrays.counts)
        parts["totals"] = torch.from_numpy(arrays.totals.astype(np.float32))
        expression = TARGETS[run.target].expression(arrays.counts, arrays.totals)
        parts["expression"] = torch.from_numpy(expression)
    return SectionTensors(
        name=arrays.name,
        patient=arrays.patient,
        array_xy=torch.from_numpy(numbered_xy(arrays)),
        pitch_xy=torch.from_numpy(pitch_xy(arrays)),
        blocks=blocks,
        target=run.target,
        tiles=tiles,
        **parts,
    )


def _features(
    files: SectionFiles, spots: np.ndarray, sources: Sequence[FeatureSource]
) -> tuple[np.ndarray, tuple[FeatureBlock, ...]]:
    """Concatenated features, float32 ``[n, d]``, and the blocks of their columns."""
    parts, blocks = [], []
    for path, source in zip(files.features, sources, strict=True):
        embeddings = read_embeddings(path, spots)
        parts.append(embeddings.embeddings)
        groups = embeddings.attributes.get("groups", [embeddings.embeddings.shape[1]])
        blocks.append(FeatureBlock(source.encoder, tuple(map(int, groups)), source.view))
    return np.concatenate(parts, axis=1), tuple(blocks)


def _tiles(files: Sequence[Path], spots: np.ndarray, scale: Scale | None) -> Tiles:
    """The tiles of a grid, their features standardised as those of the spots' own patches."""
    stored, on_slide = zip(*(read_tiles(path, spots) for path in files), strict=True)

    def read(rows: slice | np.ndarray) -> np.ndarray:
        return scaled(np.concatenate([each[rows] for each in stored], axis=2), scale).numpy()

    return Tiles(OnDemand(read), torch.from_numpy(np.logical_and.reduce(on_slide)))


def scale_of(features: np.ndarray) -> Scale:
    """Mean and standard deviation of each column ``[d]``; 1 in place of a deviation of 0."""
    spread = features.std(axis=0)
    return features.mean(axis=0), np.where(spread > 0, spread, 1)


def scaled(features: np.ndarray, scale: Scale | None) -> torch.Tensor:
    """Features minus the mean and divided by the deviation of each column, float32."""
    if scale is not None:
        features = (features - scale[0]) / scale[1]
    return torch.from_numpy(features.astype(np.float32, copy=False))
