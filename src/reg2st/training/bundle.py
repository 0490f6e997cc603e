"""Make a model folder of a training on all sections of a dataset."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reg2st.base.errors import UserError
from reg2st.base.files import sha256, written_whole
from reg2st.features.encoders import Embeddings, encoder, read_embeddings
from reg2st.features.training_distance import TrainingDistance
from reg2st.models.model_folder import (
    DISTANCE,
    FORMAT_VERSION,
    WEIGHTS,
    ModelDescription,
    TrainedBlock,
    TrainedGraph,
    TrainedGrid,
    TrainedOn,
    write_description,
)
from reg2st.sections.colours import spot_colours
from reg2st.sections.geometry import HEXAGONAL
from reg2st.sections.panels import read_panel
from reg2st.sections.section_file import SectionArrays, load_section_arrays, load_thumbnail
from reg2st.study.specification import FeatureSource, ModelSpec
from reg2st.training import record
from reg2st.training.failed_run import failure, has_failed
from reg2st.training.saved_model import chosen_settings


def bundle_model(spec: ModelSpec, weights: Path, out: Path) -> None:
    """Write the files of a model folder that predictions depend on.

    Args:
        spec: the training, whose sections and features are read again.
        weights: the trained weights.
        out: the folder.

    Raises:
        UserError: a size in µm is unknown, or the sections were embedded with different weights.
    """
    run = spec.run
    if has_failed(weights):
        raise UserError(f"The training of {run.key.method} failed: {failure(weights)}")
    sections = [load_section_arrays(files.section) for files in run.sections]
    grid = _grid(sections)
    embedded = [
        [read_embeddings(path, section.barcodes) for path in files.features]
        for files, section in zip(run.sections, sections, strict=True)
    ]
    names = [section.name for section in sections]
    blocks = [
        _block(source, names, [of_section[index] for of_section in embedded])
        for index, source in enumerate(run.features)
    ]
    colours = [
        spot_colours(*load_thumbnail(files.section), each.pixel_xy, each.spot_pitch_px)
        for files, each in zip(run.sections, sections, strict=True)
    ]
    distance = TrainingDistance.fit(
        [np.concatenate([each.embeddings for each in parts], axis=1) for parts in embedded],
        colours,
        [section.patient for section in sections],
    )
    with written_whole(out / WEIGHTS) as temporary:
        shutil.copyfile(weights, temporary)
    distance.write(out / DISTANCE)
    graph = None
    if spec.neighbours is not None:
        graph = TrainedGraph(neighbours=spec.neighbours, within=spec.within)
    description = ModelDescription(
        format_version=FORMAT_VERSION,
        method=run.key.method,
        preset=run.key.preset,
        settings={**run.settings, **chosen_settings(weights)},
        seed=run.key.seed,
        genes=read_panel(run.panel),
        target=run.target,
        blocks=blocks,
        standardise=run.standardise,
        graph=graph,
        window_spots=run.window_spots,
        grid=grid,
        trained_on=TrainedOn(
            dataset=run.key.dataset,
            licence=spec.licence,
            platforms=sorted({section.platform for section in sections}),
            sections=names,
            patients=sorted({section.patient for section in sections}),
            spots=sum(len(section.barcodes) for section in sections),
        ),
        versions=record.versions(),
        git_commit=record.git_commit(),
        sha256={name: sha256(out / name) for name in (WEIGHTS, DISTANCE)},
    )
    write_description(description, out)


def _block(
    source: FeatureSource, sections: Sequence[str], embedded: Sequence[Embeddings]
) -> TrainedBlock:
    attributes = [each.attributes for each in embedded]
    for section, each in zip(sections, attributes, strict=True):
        if "field_um" not in each:
            raise UserError(
                f"The pixel size of section {section} is unknown, so a model cannot know how much "
                "of a slide to show; give um_per_px in the sample sheet."
            )
        if each["sha256"] != attributes[0]["sha256"]:
            raise UserError(
                f"Sections {sections[0]} and {section} were embedded with different weights of "
                f"{source.encoder}; delete the features of one, and the next run makes them again."
            )
    about = encoder(source.encoder)
    first = attributes[0]
    return TrainedBlock(
        encoder=source.encoder,
        weights=about.weights,
        view=source.view,
        field_um=float(np.median([each["field_um"] for each in attributes])),
        groups=[int(width) for width in first["groups"]],
        revision=str(first["revision"]),
        sha256=str(first["sha256"]),
        licence=about.licence,
    )


def _grid(sections: Sequence[SectionArrays]) -> TrainedGrid:
    for section in sections:
        if section.spot_pitch_um is None or section.spot_diameter_um is None:
            raise UserError(
                f"The spot pitch or diameter of section {section.name} is unknown; give "
                "spot_pitch_um and spot_diameter_um in the sample sheet."
            )
    hexagonal = sum(section.lattice == HEXAGONAL for section in sections)
    return TrainedGrid(
        grid="hexagonal" if 2 * hexagonal > len(sections) else "square",
        pitch_um=float(np.median([section.spot_pitch_um for section in sections])),
        diameter_um=float(np.median([section.spot_diameter_um for section in sections])),
    )
