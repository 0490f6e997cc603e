"""The datasets of a study: their sample sheets, limited to the sections in use."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.base.validation import Mistake, Place, refusal
from reg2st.sections.readers import reader
from reg2st.sections.simulate import simulated_sheet
from reg2st.study.config import StudyConfig
from reg2st.study.dataset_config import (
    ArchivesSource,
    DatasetConfig,
    FrozenPanel,
    SimulationSource,
    UrlSource,
)
from reg2st.study.fold_files import read_folds
from reg2st.study.folds import Fold, Split, assign_folds, chosen_folds
from reg2st.study.sheets import FILE_COLUMNS, check_sheet, read_sheet, section_row

MISSING_FILES_SHOWN = 5


@dataclass(frozen=True)
class Dataset:
    """A dataset of a study.

    Attributes:
        sheet: its sample sheet, indexed by section, limited to the sections in use.
        config: its configuration.
        own_folds: those of its ``folds_file``, limited in the same way.
        impossible: by split of the study that it has no folds of, why.
    """

    name: str
    sheet: pd.DataFrame
    config: DatasetConfig
    own_folds: tuple[Fold, ...] = ()
    impossible: Mapping[Split, str] = field(default_factory=dict)

    @property
    def kind(self) -> Literal["local", "url", "archives", "simulation"]:
        """Where its files come from."""
        if self.config.root is not None:
            return "local"
        kinds = {UrlSource: "url", ArchivesSource: "archives", SimulationSource: "simulation"}
        return kinds[type(self.config.source)]

    def folds(self, split: Split) -> list[Fold]:
        """The folds of a split, as configured.

        Raises:
            UserError: the split has too few sections or patients, or lacks a fold that is named.
        """
        exclude, only = self.config.exclude.get(split, ()), self.config.folds.get(split)
        if split != "own":
            return assign_folds(self.sheet, split, exclude, only)
        folds = [fold.without(exclude) for fold in self.own_folds]
        for fold in folds:
            for role in ("train", "test"):
                if not getattr(fold, role):
                    raise UserError(
                        f"Fold '{fold.name}' of {self.config.folds_file} has no section left to "
                        f"{role}; use more of its sections, or delete the fold."
                    )
        return chosen_folds(folds, split, only)


def read_datasets(config: StudyConfig) -> dict[str, Dataset]:
    """The datasets of a configuration, limited to the selected sections.

    Raises:
        UserError: a sheet is wrong, a section or fold is unknown, or a file is missing; lists
            every mistake of every dataset.
    """
    datasets: dict[str, Dataset] = {}
    mistakes: list[Mistake] = []
    for name, settings in config.datasets.items():
        place = ("datasets", name)
        try:
            sheet = _sheet(name, settings)
        except UserError as error:
            mistakes.append(Mistake((*place, "sheet"), str(error)))
            continue
        used = sheet if settings.sections is None else sheet[sheet.index.isin(settings.sections)]
        dataset = Dataset(name, used, settings)
        found = [*_unknown_sections(dataset, sheet), *_missing_files(dataset)]
        found += _wrong_folds_file(settings, config.splits)
        if not found:
            try:
                datasets[name] = _with_folds(dataset, sheet, config.splits)
            except UserError as error:
                found = [Mistake((), str(error))]
        mistakes += [Mistake((*place, *inner), sentence) for inner, sentence in found]
    if not mistakes and all(len(each.sheet) == 1 for each in datasets.values()):
        sentence = "it has one section, so nothing can be tested; add sections."
        mistakes = [Mistake(("datasets", name), sentence) for name in datasets]
    if mistakes:
        raise refusal("Config", mistakes)
    return datasets


def _sheet(name: str, settings: DatasetConfig) -> pd.DataFrame:
    if settings.sheet is not None:
        return read_sheet(settings.sheet)
    assert isinstance(settings.source, SimulationSource), "validated by DatasetConfig"
    return check_sheet(simulated_sheet(settings.source.simulation.model_dump()), name)


def _unknown_sections(dataset: Dataset, sheet: pd.DataFrame) -> Iterator[Mistake]:
    """Sections that the configuration names but the sheet does not list."""
    config = dataset.config
    named: dict[Place, Iterable[str]] = {("sections",): config.sections or ()}
    named |= {("exclude", split): sections for split, sections in config.exclude.items()}
    for place, sections in named.items():
        for section in sections:
            if section in sheet.index:
                continue
            quoted = [known for known in sheet.index if known.lstrip("0") == section]
            known = closest(section, sheet.index)
            if quoted:
                known = f" (did you mean '{quoted[0]}'? Then write it in quotes)"
            yield Mistake(place, f"the sample sheet has no section '{section}'{known}.")


def _missing_files(dataset: Dataset) -> Iterator[Mistake]:
    config, sheet = dataset.config, dataset.sheet
    if isinstance(config.panel, FrozenPanel) and not Path(config.panel.file).is_file():
        yield Mistake(("panel", "file"), f"{config.panel.file} does not exist; correct the path.")
    if config.root is not None:
        yield from _missing_below(Path(config.root), sheet)
        return
    for section in sheet.index[sheet["folder"].ne("")]:
        sentence = f"section {section}: its platform reads a folder; say by `root` where it is."
        yield Mistake(("root",), sentence)
    if isinstance(config.source, ArchivesSource):
        held = {column for each in config.source.archives.values() for column in each.holds}
        for column in FILE_COLUMNS:
            if column not in held and sheet[column].any():
                sentence = (
                    f"no archive holds the column '{column}' of the sheet; add it to `holds`."
                )
                yield Mistake(("source", "archives"), sentence)


def _missing_below(root: Path, sheet: pd.DataFrame) -> Iterator[Mistake]:
    if not root.is_dir():
        yield Mistake(("root",), f"the folder {root} does not exist; correct the path.")
        return
    missing = [
        f"section {section}: {sentence}"
        for section in sheet.index
        for sentence in _missing_of_section(root, sheet, section)
    ]
    for sentence in missing[:MISSING_FILES_SHOWN]:
        yield Mistake(("root",), sentence)
    if missing[MISSING_FILES_SHOWN:]:
        further = len(missing) - MISSING_FILES_SHOWN
        yield Mistake(("root",), f"{further} further files of the sample sheet do not exist.")


def _missing_of_section(root: Path, sheet: pd.DataFrame, section: str) -> Iterator[str]:
    row = section_row(sheet, section)
    try:
        files = reader(row.platform).files(row, root)
    except UserError as error:
        yield str(error)
        return
    if sheet["labels"][section]:
        files["labels"] = root / sheet["labels"][section]
    for name, file in files.items():
        if not file.is_file():
            yield (
                f"its {name} file {file} does not exist; correct the sample sheet, or leave the "
                "section out by `sections`."
            )


def _wrong_folds_file(config: DatasetConfig, splits: Collection[Split]) -> Iterator[Mistake]:
    if "own" in splits and config.folds_file is None:
        yield Mistake(("folds_file",), "is missing, which the split 'own' needs; name the file.")
    if "own" not in splits and config.folds_file is not None:
        yield Mistake(("folds_file",), "is not used; add 'own' to `splits`, or delete this key.")


def _with_folds(dataset: Dataset, sheet: pd.DataFrame, splits: Sequence[Split]) -> Dataset:
    """The dataset with the folds of its file, and without splits that it cannot have.

    A dataset of one section has none, one of one patient has no leave-one-patient-out.

    Raises:
        UserError: there are no folds of a split, and it is not that.
    """
    if dataset.config.folds_file is not None:
        unused = sheet.index.difference(dataset.sheet.index)
        folds = read_folds(dataset.config.folds_file, sheet.index)
        own = tuple(fold.without(unused) for fold in folds)
        dataset = dataclasses.replace(dataset, own_folds=own)
    impossible: dict[Split, str] = {}
    for split in splits:
        exclude = dataset.config.exclude.get(split, ())
        patients = dataset.sheet.loc[~dataset.sheet.index.isin(exclude), "patient"]
        if len(dataset.sheet) == 1:
            impossible[split] = (
                f"Dataset {dataset.name} has one section: it is read and drawn, nothing is trained."
            )
        elif split == "patient_out" and len(set(patients)) == 1 and len(splits) > 1:
            impossible[split] = (
                f"Dataset {dataset.name} has one patient, so there is no 'patient_out' for it; its "
                "other splits run."
            )
        else:
            dataset.folds(split)
    return dataclasses.replace(dataset, impossible=impossible)
