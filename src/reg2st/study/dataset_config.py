"""The configuration of a dataset: where its files are, and which sections and genes are used."""

from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from reg2st.sections.simulate import SimulationSettings
from reg2st.study.config_model import (
    ConfigModel,
    FilePath,
    Listed,
    Name,
    Unique,
    WithoutNulls,
    chosen_by_key,
    matching,
)
from reg2st.study.folds import Split

ArchiveName = matching(
    r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    "use letters, digits, '_', '-' and '.' only, and begin with a letter, a digit or '_'",
)
Address = matching("https?://.+", "write an address that begins with https:// or http://")
FolderAddress = matching(
    "https?://.+/", "write an address that begins with https:// or http:// and ends with a slash"
)


class UrlSource(ConfigModel):
    """Single files below one address."""

    base: FolderAddress = Field(
        description="Address before each file name of the sheet; it ends with a slash."
    )

    def address(self, file: str) -> str:
        """The address of a file of the sheet; blanks, "#" and the like are encoded."""
        return self.base + quote(file)


class Archive(ConfigModel):
    """An archive to download."""

    url: Address = Field(description="Address of the archive.")
    holds: Unique[Literal["image", "counts", "spots", "labels"]] = Field(
        description="Columns of the sheet whose files are in the archive."
    )
    passwords: tuple[Name, ...] = Field((), description="Passwords to try, for encrypted zips.")


class ArchivesSource(ConfigModel):
    """Members of archives."""

    archives: Annotated[dict[ArchiveName, Archive], WithoutNulls] = Field(
        min_length=1, description="The archives by file name."
    )


class SimulationSource(ConfigModel):
    """Simulated sections."""

    simulation: Annotated[SimulationSettings, WithoutNulls] = Field(
        SimulationSettings(), description="Settings of the simulation."
    )


class FrozenPanel(ConfigModel):
    """A list of genes that is the same for all folds."""

    file: FilePath = Field(description="Panel file, one gene a line.")


class PanelRecipe(ConfigModel):
    """The published recipe, applied to the training sections of each fold."""

    variable_genes: PositiveInt = Field(
        1500, description="Number of most variable genes of the first section to start from."
    )
    min_spots: PositiveInt = Field(
        1000, description="Minimum number of training spots that express a gene."
    )


class RecipePanel(ConfigModel):
    """A panel selected on the training sections of each fold."""

    recipe: PanelRecipe = Field(
        PanelRecipe(), description="The published recipe on the training sections of each fold."
    )


class DatasetConfig(ConfigModel):
    """A dataset: its files, sections, folds and genes."""

    source: (
        Annotated[
            UrlSource | ArchivesSource | SimulationSource,
            chosen_by_key(UrlSource, ArchivesSource, SimulationSource),
        ]
        | None
    ) = Field(
        None,
        description="Where the files come from: one of `base`, `archives` and `simulation`.",
    )
    root: FilePath | None = Field(
        None,
        validate_default=True,
        description=(
            "A folder that already holds the files; then nothing is downloaded. Absolute, relative "
            "to the working directory of the workflow, or below the home folder (`~`)."
        ),
    )
    sheet: FilePath | None = Field(
        None,
        validate_default=True,
        description="Sample sheet, see below. A simulated dataset needs none.",
    )
    sections: Listed[Name] | None = Field(
        None, description="Sections to use; by default all of the sheet."
    )
    exclude: Annotated[dict[Split, Unique[Name]], WithoutNulls] = Field(
        {}, description="By split, sections to use neither for training nor for testing."
    )
    folds: Annotated[dict[Split, Listed[Name]], WithoutNulls] = Field(
        {},
        description=(
            "By split, the folds to run, named after the held-out section or patient; by default "
            "all. A fold always trains on all other sections."
        ),
    )
    panel: Annotated[FrozenPanel | RecipePanel, chosen_by_key(FrozenPanel, RecipePanel)] = Field(
        description="Which genes are predicted: `file` or `recipe`."
    )

    @field_validator("root")
    @classmethod
    def _files_are_somewhere(cls, root: str | None, info: ValidationInfo) -> str | None:
        if root is None and "source" in info.data and info.data["source"] is None:
            raise ValueError("is missing; say where the files are, by `root` or `source`")
        return root

    @field_validator("sheet")
    @classmethod
    def _sheet_is_named(cls, sheet: str | None, info: ValidationInfo) -> str | None:
        source = info.data.get("source", SimulationSource())
        if sheet is None and not isinstance(source, SimulationSource):
            raise ValueError("is missing; name the sample sheet")
        return sheet
