"""The configuration of a dataset: where its files are, and which sections and genes are used."""

from typing import Annotated, Literal, get_args
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

    file: FilePath = Field(description="Panel file, one gene a line, or HEST-Bench's JSON.")


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


class VariablePanel(ConfigModel):
    """The most variable genes of the training sections of each fold."""

    variable: PositiveInt = Field(
        description=(
            "Number of most variable genes on the training sections of each fold (HEST-Bench: 50)."
        )
    )


class HighestMeansPanel(ConfigModel):
    """The most expressed genes of the training sections of each fold."""

    highest_means: PositiveInt = Field(
        description=(
            "Number of genes with the highest means on the training sections of each fold "
            "(TRIPLEX: 250)."
        )
    )


Panel = FrozenPanel | RecipePanel | VariablePanel | HighestMeansPanel


class FileGenes(ConfigModel):
    """A list of genes."""

    file: FilePath = Field(description="File of the genes, one a line.")


class VariableGenes(ConfigModel):
    """The genes of the panel that vary most."""

    variable: PositiveInt = Field(
        description=(
            "Number of genes with the highest normalised dispersion (scanpy's flavour `seurat`), "
            "mean over all sections."
        )
    )


class SpatialGenes(ConfigModel):
    """The genes of the panel with the clearest spatial pattern."""

    spatial: PositiveInt = Field(
        description="Number of genes with the highest Moran's I, mean over all sections."
    )


GeneSet = FileGenes | VariableGenes | SpatialGenes
GeneSetName = matching("[A-Za-z0-9_]+", "use letters, digits and '_' only")


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
            "all. A fold always trains on all other sections, or on those that `folds_file` says."
        ),
    )
    folds_file: FilePath | None = Field(
        None,
        description=(
            "Folds of one's own for the split `own`: a table with the columns `section`, `fold` "
            "and `role` (`train`, `test`, `validation` or `unused`), separated by tabs. A section "
            "that a fold does not list, or lists for validation, is unused in it. Or HEST-Bench's "
            "folder of splits (`train_0.csv`, `test_0.csv`, ...)."
        ),
    )
    panel: Annotated[Panel, chosen_by_key(*get_args(Panel))] = Field(
        description=(
            "Which genes are predicted: one of `file`, `recipe`, `variable` and `highest_means`."
        )
    )
    gene_sets: Annotated[
        dict[GeneSetName, Annotated[GeneSet, chosen_by_key(*get_args(GeneSet))]], WithoutNulls
    ] = Field(
        {},
        description=(
            "Sets of genes whose scores a table tells apart, by a name of one's own. Each is one "
            "of `file`, `variable` and `spatial`. They are chosen from the panel on all sections, "
            "tested ones too, and only the report sees them."
        ),
    )
    target: Literal["paper", "log_normalised", "log_counts"] = Field(
        "paper",
        description=(
            "What is predicted of a gene with count c: `paper` is log10(1 + 10,000 c / the spot's "
            "counts of the panel), `log_normalised` ln(1 + 10,000 c / the spot's counts of all "
            "genes), `log_counts` ln(1 + c), as in HEST-Bench."
        ),
    )

    licence: Name = Field(
        "not stated", description="Licence of the data, for the cards of models trained on them."
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
