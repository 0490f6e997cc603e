"""From the files of a section to the tensors that a model reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reg2st.base.errors import UserError
from reg2st.features.encoders import read_embeddings
from reg2st.features.graphs import read_graph
from reg2st.features.patches import read_mean_grey, read_patches
from reg2st.models.interface import FeatureBlock, Inputs, SectionTensors, Settings
from reg2st.sections.section_file import SectionArrays, load_section_arrays
from reg2st.sections.targets import log_expression


@dataclass(frozen=True)
class SectionFiles:
    """The files that describe one section; None for what a method does not read."""

    section: Path
    embeddings: tuple[Path, ...] = ()
    patches: Path | None = None
    graph: Path | None = None

    def all(self) -> list[Path]:
        """Every file, in a fixed order."""
        return [self.section, *self.embeddings, *filter(None, (self.patches, self.graph))]


def section_files(
    sections: Sequence[str],
    embeddings: Sequence[str] = (),
    patches: Sequence[str] = (),
    graphs: Sequence[str] = (),
) -> list[SectionFiles]:
    """Files of several sections, from lists in the order of the sections.

    ``embeddings`` lists all embeddings of the first section, then of the second, and so on.
    """
    each = len(embeddings) // len(sections)
    return [
        SectionFiles(
            section=Path(section),
            embeddings=tuple(map(Path, embeddings[index * each : (index + 1) * each])),
            patches=Path(patches[index]) if patches else None,
            graph=Path(graphs[index]) if graphs else None,
        )
        for index, section in enumerate(sections)
    ]


def load_section(
    files: SectionFiles,
    genes: list[str],
    needs: Inputs,
    standardise: str = "none",
    *,
    with_targets: bool,
) -> SectionTensors:
    """One section as tensors on the CPU.

    Args:
        files: where the section is.
        genes: the panel; read only ``with_targets``.
        needs: what the method reads.
        standardise: ``none``, or ``section`` for zero mean and unit variance of each feature
            over the section's spots.
        with_targets: whether counts and expression are read; a section to predict has none.

    Raises:
        UserError: files of the section disagree about its spots.
    """
    arrays = load_section_arrays(files.section, genes if with_targets else None)
    parts: dict[str, torch.Tensor] = {}
    blocks: tuple[FeatureBlock, ...] = ()
    if needs.embedding:
        features, blocks = _embedding(files, arrays, standardise)
        parts["embedding"] = torch.from_numpy(features)
    if needs.patches:
        patches = read_patches(files.patches)
        _check_same_spots(arrays, patches.barcodes, files.patches)
        parts["patches"] = torch.from_numpy(patches.images)
    if needs.mean_grey:
        barcodes, mean_grey = read_mean_grey(files.patches)
        _check_same_spots(arrays, barcodes, files.patches)
        parts["mean_grey"] = torch.from_numpy(mean_grey)
    if needs.graph is not None:
        parts["edge_index"] = torch.from_numpy(read_graph(files.graph, len(arrays.barcodes)))
    if with_targets:
        parts["counts"] = torch.from_numpy(arrays.counts)
        parts["expression"] = torch.from_numpy(log_expression(arrays.counts))
    return SectionTensors(
        name=arrays.name,
        patient=arrays.patient,
        array_xy=torch.from_numpy(arrays.array_xy),
        blocks=blocks,
        **parts,
    )


def _embedding(
    files: SectionFiles, arrays: SectionArrays, standardise: str
) -> tuple[np.ndarray, tuple[FeatureBlock, ...]]:
    """Embeddings side by side, float32 ``[n, d]``, and what their columns are."""
    parts, blocks = [], []
    for path in files.embeddings:
        embeddings = read_embeddings(path)
        _check_same_spots(arrays, embeddings.barcodes, path)
        parts.append(embeddings.embeddings)
        groups = embeddings.attributes.get("groups", [embeddings.embeddings.shape[1]])
        blocks.append(FeatureBlock(embeddings.attributes["encoder"], tuple(map(int, groups))))
    features = np.concatenate(parts, axis=1)
    if standardise == "section":
        spread = features.std(axis=0)
        features = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return features.astype(np.float32, copy=False), tuple(blocks)


def _check_same_spots(arrays: SectionArrays, barcodes: np.ndarray, path: Path) -> None:
    if list(arrays.barcodes) != list(barcodes):
        raise UserError(
            f"{path} has other spots than section {arrays.name}: delete it, and it is made anew."
        )


def check_positions(section: SectionTensors, settings: Settings) -> None:
    """Refuse array coordinates that a method's position tables do not hold.

    Raises:
        UserError: a coordinate below 0, or at or beyond the table's rows.
    """
    rows = getattr(settings, "position_rows", None)
    if rows is None or getattr(settings, "positions", "") in ("none", "relative"):
        return
    low, high = int(section.array_xy.min()), int(section.array_xy.max())
    if low < 0 or high >= rows:
        wrong = low if low < 0 else high
        raise UserError(
            f"Section {section.name} has array coordinate {wrong}, but position tables have rows 0 "
            f"to {rows - 1}: set position_rows to {high + 1} or more in the method's settings "
            "(Visium needs 128)."
        )
