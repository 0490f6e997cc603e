"""Paths of all files of a study.

Each method returns the path of one kind of file: a pattern with Snakemake's wildcards without
arguments, the path itself with arguments. Rules, jobs and tools share this one source.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from reg2st.features.encoders import path_name
from reg2st.sections.simulate import SIMULATED_FILES

RAW = "resources/raw"
WEIGHTS = "resources/weights"
LOCKS = "resources/locks"


@dataclass(frozen=True)
class Layout:
    """Paths of a study, relative to the working directory of the workflow.

    Attributes:
        name: of the study.
    """

    name: str

    @property
    def results(self) -> str:
        return f"results/{self.name}"

    # Raw files

    def simulated(self, kind: str, dataset: str = "{dataset}", section: str = "{section}") -> str:
        """A file of a simulated section; ``kind`` is a column of the sample sheet, or truth."""
        return f"{self.simulated_folder(dataset)}/{SIMULATED_FILES[kind].format(section=section)}"

    def simulated_folder(self, dataset: str = "{dataset}") -> str:
        return f"{self.results}/simulated/{dataset}"

    def raw_folder(self, dataset: str = "{dataset}") -> str:
        """Downloads of a dataset, shared by all studies."""
        return f"{RAW}/{dataset}"

    def archive(self, dataset: str = "{dataset}", archive: str = "{archive}") -> str:
        return f"{RAW}/{dataset}/archives/{archive}"

    def weights(self, weights: str = "{weights}") -> str:
        """Weights of an encoder, shared by all studies."""
        return f"{WEIGHTS}/{path_name(weights)}.safetensors"

    def lock(self, dataset: str) -> str:
        """Checksums that downloads of a dataset must match."""
        return f"{LOCKS}/{dataset}.tsv"

    @property
    def weights_lock(self) -> str:
        """Commits and hashes that weights must match."""
        return f"{LOCKS}/weights.json"

    # Sections and files made from them

    def section(self, dataset: str = "{dataset}", section: str = "{section}") -> str:
        return f"{self.results}/sections/{dataset}/{section}.h5ad"

    def spatialdata(self, dataset: str = "{dataset}", section: str = "{section}") -> str:
        """A section and its slide for other tools."""
        return f"{self.results}/spatialdata/{dataset}/{section}.zarr"

    def labels(self, dataset: str = "{dataset}", section: str = "{section}") -> str:
        """The pathologist's labels of a section's spots; a separate file, as no model reads it."""
        return f"{self.results}/labels/{dataset}/{section}.tsv"

    def folds(self, dataset: str = "{dataset}", split: str = "{split}") -> str:
        return f"{self.results}/folds/{dataset}/{split}.tsv"

    def frozen_panel(self, dataset: str = "{dataset}") -> str:
        return f"{self.results}/panels/{dataset}/paper.txt"

    def fold_panel(
        self, dataset: str = "{dataset}", split: str = "{split}", fold: str = "{fold}"
    ) -> str:
        return f"{self.results}/panels/{dataset}/train_only/{split}/fold-{fold}.txt"

    def provenance(self, panel: str) -> str:
        """How a panel was chosen, beside it."""
        return str(PurePosixPath(panel).with_suffix(".json"))

    def patches(
        self, view: str = "{view}", dataset: str = "{dataset}", section: str = "{section}"
    ) -> str:
        return f"{self.results}/patches/{view}/{dataset}/{section}.h5"

    def features(
        self,
        encoder: str = "{encoder}",
        view: str = "{view}",
        dataset: str = "{dataset}",
        section: str = "{section}",
    ) -> str:
        return f"{self.results}/features/{path_name(encoder)}/{view}/{dataset}/{section}.h5"

    def tiles(
        self,
        tiles: str = "{tiles}",
        encoder: str = "{encoder}",
        view: str = "{view}",
        dataset: str = "{dataset}",
        section: str = "{section}",
    ) -> str:
        """Embeddings of the tiles of a grid around each spot."""
        return f"{self.results}/tiles/{tiles}/{path_name(encoder)}/{view}/{dataset}/{section}.h5"

    def is_read_on_demand(self, path: str) -> bool:
        """Whether a file holds patches or tiles, of which a job reads those of a batch."""
        folders = (f"{self.results}/{each}/" for each in ("patches", "tiles"))
        return any(folder in path for folder in folders)

    def graph(
        self, graph: str = "{graph}", dataset: str = "{dataset}", section: str = "{section}"
    ) -> str:
        return f"{self.results}/graphs/{graph}/{dataset}/{section}.npz"

    # Runs

    def cross_validation(
        self,
        file: str = "",
        dataset: str = "{dataset}",
        split: str = "{split}",
        method: str = "{method}",
        variant: str = "{variant}",
        seed: int | str = "{seed}",
    ) -> str:
        """The folder of all folds of a method in a split, or a file in it."""
        folder = f"{self.results}/runs/{dataset}/{split}/{method}/{variant}/seed-{seed}"
        return f"{folder}/{file}" if file else folder

    def model(self, file: str = "", fold: str = "{fold}", **method: int | str) -> str:
        """The folder of one fold's model, or a file in it."""
        folder = f"{self.cross_validation(**method)}/fold-{fold}"
        return f"{folder}/{file}" if file else folder

    # Models to take away, and slides without counts

    def fitted_model(
        self, file: str = "", dataset: str = "{dataset}", method: str = "{method}"
    ) -> str:
        """The model folder of a method on all sections of a dataset, or a file in it."""
        folder = f"{self.results}/models/{dataset}/{method}"
        return f"{folder}/{file}" if file else folder

    def hub_model(self, file: str = "", model: str = "{hub_model}") -> str:
        """A model folder of a hub, shared by all studies, or a file in it."""
        folder = f"resources/models/{model}"
        return f"{folder}/{file}" if file else folder

    def slide(self, file: str, slide: str = "{slide}", model: str = "{model}") -> str:
        """A file of what a model predicts of a slide."""
        return f"{self.results}/slides/{model}/{slide}/{file}"

    def slides(self, file: str) -> str:
        """A table of all slides."""
        return f"{self.results}/slides/{file}"

    # Evaluation

    def scores(self, dataset: str = "{dataset}", part: str = "{part}") -> str:
        """Tidy scores of the comparison, or of an experiment (``part`` is ``_ablation``)."""
        return f"{self.results}/scores/{dataset}{part}.parquet"

    def limits(self, dataset: str = "{dataset}", section: str = "{section}") -> str:
        return f"{self.results}/limits/{dataset}/{section}.tsv"

    def gene_set(self, dataset: str = "{dataset}", gene_set: str = "{gene_set}") -> str:
        """The genes of a set whose scores are told apart."""
        return f"{self.results}/gene_sets/{dataset}/{gene_set}.tsv"

    def agreement(self, dataset: str = "{dataset}", section: str = "{section}") -> str:
        """Agreement of predicted clusters with the labelled regions of a section."""
        return f"{self.results}/regions/{dataset}/{section}.tsv"

    # Report

    def table(self, kind: str, table: str = "{table}") -> str:
        """A table; ``kind`` is its suffix."""
        return f"{self.results}/tables/{table}.{kind}"

    def figure(
        self, kind: str, dataset: str = "{dataset}", figure: str = "{figure}", of: str = "{of}"
    ) -> str:
        """A figure; ``kind`` is its suffix, ``of`` what it shows (a split, a section)."""
        return f"{self.results}/figures/{dataset}/{figure}/{of}.{kind}"

    def complete(self, target: str = "{target}") -> str:
        """Says that everything of a target is made, and that none of its runs failed."""
        return f"{self.results}/complete/{target}.txt"

    # Viewer

    @property
    def viewer(self) -> str:
        """The folder of all pages, which can be moved and zipped as a whole."""
        return f"{self.results}/viewer"

    @property
    def start_page(self) -> str:
        return f"{self.viewer}/index.html"

    @property
    def start_page_files(self) -> str:
        """What the start page loads."""
        return f"{self.viewer}/start"

    def page(self, dataset: str = "{dataset}", section: str = "{section}") -> str:
        """The page of a section, a folder."""
        return f"{self.viewer}/sections/{dataset}/{section}"

    def page_summary(self, dataset: str = "{dataset}", section: str = "{section}") -> str:
        """What the start page says of a section."""
        return f"{self.viewer}/summaries/{dataset}/{section}.json"

    def slide_page(self, slide: str = "{slide}", model: str = "{model}") -> str:
        """The page of a slide without counts, a folder."""
        return f"{self.viewer}/slides/{model}/{slide}"

    def slide_page_summary(self, slide: str = "{slide}", model: str = "{model}") -> str:
        """What the start page says of a slide without counts."""
        return f"{self.viewer}/summaries/slides/{model}/{slide}.json"

    def exported(self, dataset: str = "{dataset}", section: str = "{section}") -> str:
        """The values of a page for other viewers, a folder."""
        return f"{self.results}/export/{dataset}/{section}"

    # Logs and benchmarks

    def log(self, rule: str, *parts: str) -> str:
        return self._beside(rule, parts, "log")

    def benchmark(self, rule: str, *parts: str) -> str:
        return self._beside(rule, parts, "tsv")

    def _beside(self, rule: str, parts: tuple[str, ...], suffix: str) -> str:
        return str(PurePosixPath("logs", self.name, rule, *parts)) + f".{suffix}"
