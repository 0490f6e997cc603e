"""Sections of a dataset beside each other, and a list of genes beside the genes that they have."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reg2st.base.errors import UserError
from reg2st.sections.fitness import LEAST_SPOTS
from reg2st.sections.section_file import SectionIndex

log = logging.getLogger(__name__)

GENES_LOGGED = 20


@dataclass(frozen=True)
class MatchedPanel:
    """A list of genes under the names that the sections use.

    Attributes:
        genes: those that at least one section has, in the order of the list.
        renamed: names by the identifiers that the list has instead.
        left_out: entries of the list that no section has.
        repeated: entries that name a gene again, by another name.
        lacking: by gene, the sections that lack it, where there are any.
    """

    genes: list[str]
    renamed: dict[str, str]
    left_out: list[str]
    repeated: list[str]
    lacking: dict[str, list[str]]

    def provenance(self) -> dict[str, Any]:
        """What differs from the list, for the record beside the panel."""
        parts = ("renamed", "left_out", "repeated", "lacking")
        return {name: getattr(self, name) for name in parts if getattr(self, name)}


def match_panel(
    listed: Sequence[str], sections: Sequence[SectionIndex], origin: str
) -> MatchedPanel:
    """Match a list of symbols or identifiers with the genes of sections.

    Args:
        listed: names or identifiers of genes.
        sections: those of the dataset.
        origin: the file of the list, for errors.

    Raises:
        UserError: no section has any of the genes.
    """
    has = {section.name: set(section.genes) for section in sections}
    known = set().union(*has.values())
    by_id = {
        identifier: gene
        for section in reversed(sections)
        for identifier, gene in zip(section.gene_ids or (), section.genes, strict=False)
        if identifier
    }
    genes: dict[str, str] = {}
    left_out, repeated = [], []
    for entry in listed:
        name = entry if entry in known else by_id.get(entry)
        if name is None:
            left_out.append(entry)
        elif name in genes:
            repeated.append(entry)
        else:
            genes[name] = entry
    if not genes:
        raise UserError(
            f"Panel {origin}: no section has any of its {len(listed)} genes (the first is "
            f"'{listed[0]}', that of section {sections[0].name} is '{sections[0].genes[0]}'); "
            "list genes of the same species, by the sections' names or identifiers."
        )
    lacking = {
        gene: missing
        for gene in genes
        if (missing := [name for name, theirs in has.items() if gene not in theirs])
    }
    if left_out:
        log.warning(
            "%d of %d genes of the panel are left out, since no section has them: %s",
            len(left_out),
            len(listed),
            _some(left_out),
        )
    if lacking:
        log.warning(
            "%d genes of the panel are absent from some sections and count as zero there: %s",
            len(lacking),
            _some([f"{gene} ({len(names)} sections)" for gene, names in lacking.items()]),
        )
    renamed = {entry: name for name, entry in genes.items() if entry != name}
    return MatchedPanel(list(genes), renamed, left_out, repeated, lacking)


def check_sections(sections: Sequence[SectionIndex]) -> None:
    """Refuse sections that cannot stand beside each other in a dataset.

    Raises:
        UserError: no section can be trained on, a section has no gene in common with the others, or
            two sections hold the same counts.
    """
    if all(section.unfit for section in sections):
        lacks = ", ".join(f"{section.name} has {section.unfit}" for section in sections)
        raise UserError(
            f"There is no section to train on: {lacks}; a section needs {LEAST_SPOTS} spots with "
            "counts. Check the files, or add sections."
        )
    first: dict[str, SectionIndex] = {}
    for section in sections:
        twin = first.setdefault(section.checksum, section)
        if twin is not section and section.unfit is None:
            raise UserError(
                f"Sections {twin.name} (patient {twin.patient}) and {section.name} (patient "
                f"{section.patient}) hold the same counts, so one would be tested by a model that "
                "was trained on it; correct the sample sheet, or leave one out by `sections`."
            )
    of_one, of_more = set(), set()
    for section in sections:
        genes = set(section.genes)
        of_more |= of_one & genes
        of_one |= genes
    # Of two sections that share nothing, the second is named: it comes later in the sheet.
    for section in reversed(sections) if len(sections) > 1 else ():
        if of_more.isdisjoint(section.genes):
            raise UserError(
                f"Section {section.name} has no gene in common with the other sections (its first "
                f"is '{section.genes[0]}'); check that all sections are of one species and name "
                "genes alike (symbols or Ensembl ids), or leave it out by `sections`."
            )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - GENES_LOGGED} more" if len(names) > GENES_LOGGED else ""
    return ", ".join(names[:GENES_LOGGED]) + more
