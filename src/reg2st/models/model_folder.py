"""A trained model to take away: a folder that holds all that predicting a slide needs.

``model.safetensors`` are the weights, ``training_distance.safetensors`` describes the features of
the training spots, and ``model.json`` says everything else. ``README.md`` is the model card, and
``scores.tsv`` the cross-validated score of each gene; they may change without the model.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from reg2st.base.errors import UserError
from reg2st.base.files import sha256, written_whole
from reg2st.base.validation import mistakes_of, refusal
from reg2st.models.interface import Model, Settings, Sizes
from reg2st.models.registry import method, parse_settings
from reg2st.sections.spot_grid import GridName

FORMAT_VERSION = 1
"""Of the model folder; raised whenever a reader of older folders would go wrong."""

DESCRIPTION = "model.json"
WEIGHTS = "model.safetensors"
DISTANCE = "training_distance.safetensors"
CARD = "README.md"
SCORES = "scores.tsv"
NEEDED = (DESCRIPTION, WEIGHTS, DISTANCE)
"""The files that predictions depend on."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainedBlock(_Part):
    """Features that the model reads: an encoder on a field of view.

    Attributes:
        encoder: its name.
        weights: name of the encoder's weights; None for an encoder without weights.
        view: name of the view in the study.
        field_um: side of the field in training, µm.
        groups: widths of the groups of columns.
        revision, sha256: of the encoder's weights.
        licence: of the encoder's weights.
    """

    encoder: str
    weights: str | None
    view: str
    field_um: float
    groups: tuple[int, ...]
    revision: str
    sha256: str
    licence: str


class TrainedGraph(_Part):
    """The graph that the model reads: nearest other spots, and their largest distance, pitches."""

    neighbours: int
    within: float | None = None


class TrainedGrid(_Part):
    """How the training spots lay: grid, and pitch and diameter of the spots, µm."""

    grid: GridName
    pitch_um: float
    diameter_um: float


class TrainedOn(_Part):
    """The training data."""

    dataset: str
    licence: str
    platforms: tuple[str, ...]
    sections: tuple[str, ...]
    patients: tuple[str, ...]
    spots: int


class ModelDescription(_Part):
    """What ``model.json`` says.

    Attributes:
        method, preset, settings: the method and all its settings.
        seed: of its initial weights.
        genes: in the order of the predictions.
        target: unit of the predictions, a key of ``reg2st.sections.targets.TARGETS``.
        blocks: its features, in the order of their columns.
        standardise: whether features are standardised within each slide.
        graph: None for a method without one.
        window_spots: most spots that the method sees at once; None for whole slides.
        grid: how the training spots lay.
        trained_on: the training data.
        versions, git_commit: of the software.
        sha256: of the folder's other files that predictions depend on.
    """

    format_version: int
    method: str
    preset: str
    settings: dict
    seed: int
    genes: tuple[str, ...]
    target: str
    blocks: tuple[TrainedBlock, ...]
    standardise: str
    graph: TrainedGraph | None
    window_spots: int | None
    grid: TrainedGrid
    trained_on: TrainedOn
    versions: dict[str, str]
    git_commit: str | None
    sha256: dict[str, str]

    @property
    def columns(self) -> int:
        """Number of features."""
        return sum(width for block in self.blocks for width in block.groups)

    def parsed_settings(self) -> Settings:
        """The settings as the method's own class."""
        return parse_settings(self.method, "published", self.settings)

    def build(self) -> Model:
        """The untrained model."""
        sizes = Sizes(genes=len(self.genes), features=self.columns)
        return method(self.method)(self.parsed_settings(), sizes)


def write_description(description: ModelDescription, folder: Path) -> None:
    """Write ``model.json``."""
    with written_whole(folder / DESCRIPTION) as temporary:
        temporary.write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_description(folder: str | os.PathLike) -> ModelDescription:
    """Read ``model.json`` of a model folder; its other files are not read.

    Raises:
        UserError: it is missing, damaged, or of a newer format.
    """
    path = Path(folder) / DESCRIPTION
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{folder} is no model folder: it has no {DESCRIPTION}; name a folder that "
            "`snakemake models` wrote."
        ) from None
    try:
        version = _Version.model_validate_json(text).format_version
        if version > FORMAT_VERSION:
            raise UserError(
                f"{path} has format version {version}, and this workflow reads version "
                f"{FORMAT_VERSION}; update the workflow."
            )
        return ModelDescription.model_validate_json(text)
    except ValidationError as error:
        raise refusal(str(path), mistakes_of(error, ModelDescription)) from None


def check_files(folder: str | os.PathLike, description: ModelDescription) -> None:
    """Refuse a model folder with a file missing or changed.

    Raises:
        UserError: one is.
    """
    for name, expected in description.sha256.items():
        path = Path(folder) / name
        if not path.is_file():
            raise UserError(f"The model folder {folder} lacks {name}; copy the whole folder again.")
        if sha256(path) != expected:
            raise UserError(
                f"{path} is not the file that {DESCRIPTION} describes (its SHA-256 differs); copy "
                "the whole folder again."
            )


class _Version(BaseModel):
    format_version: int
