"""Gene panels: which genes are predicted, and how they were chosen."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from reg2st.base.errors import UserError
from reg2st.base.failures import FAILED
from reg2st.base.files import written_whole
from reg2st.sections.json_file import read_object
from reg2st.sections.tables import COMMENT, read_rows, repeated

HEADS = {"gene", "genes", "gene_name", "gene_symbol", "symbol", "symbols", "hgnc_symbol", "x"}
"""Heads of a column of genes; R writes "x" above a vector."""


@dataclass(frozen=True)
class Recipe:
    """The published recipe for the 785 HER2+ genes, with its numbers as fields.

    The most variable genes of one section (scanpy's flavour "seurat" on log1p of counts
    normalised to the median library size), of these the genes that every section lists, of these
    the genes with a count above 0 in at least ``min_spots`` spots.
    """

    variable_genes: int = 1500
    min_spots: int = 1000


@dataclass(frozen=True)
class SectionCounts:
    """Raw counts of one section: CSR ``[n, genes]`` and the genes' names."""

    section: str
    counts: sparse.csr_matrix
    genes: list[str]


def read_section_counts(path: str | Path) -> SectionCounts:
    """All raw counts of a section file."""
    import anndata

    adata = anndata.read_h5ad(path)
    return SectionCounts(adata.uns["section"]["name"], adata.X, list(adata.var_names))


def variable_genes(section: SectionCounts, number: int) -> list[str]:
    """The most variable genes of a section, in the section's order."""
    table = variability(section, number)
    return list(table.index[table["highly_variable"]])


def variability(section: SectionCounts, number: int = 1) -> pd.DataFrame:
    """What scanpy's flavour "seurat" says of each gene of a section, a row a gene.

    Among the columns: ``dispersions_norm``, NaN for a gene that does not vary, and
    ``highly_variable`` for the first ``number`` genes by it.
    """
    import anndata
    import scanpy

    adata = anndata.AnnData(
        section.counts.astype(np.float32), var=pd.DataFrame(index=section.genes)
    )
    scanpy.pp.normalize_total(adata)
    scanpy.pp.log1p(adata)
    scanpy.pp.highly_variable_genes(adata, flavor="seurat", n_top_genes=min(number, adata.n_vars))
    return adata.var


def apply_recipe(
    recipe: Recipe,
    reference: SectionCounts,
    present_in: list[SectionCounts],
    expressed_in: list[SectionCounts],
) -> list[str]:
    """The genes that a recipe chooses, sorted by name.

    Args:
        recipe: the recipe's numbers.
        reference: the section whose variance ranks the genes.
        present_in: sections that must all list a gene.
        expressed_in: sections over which the spots with a count above 0 are summed.

    Raises:
        UserError: sections have no gene in common, or no gene is left.
    """
    candidates = set(variable_genes(reference, recipe.variable_genes))
    for section in present_in:
        if candidates.isdisjoint(section.genes):
            raise UserError(
                f"Section {section.section} has none of the {len(candidates)} genes that section "
                f"{reference.section} and the sections before it share; check that all sections "
                "are of one species and name genes alike (symbols or Ensembl ids)."
            )
        candidates &= set(section.genes)
    spots = pd.Series(0, index=sorted(candidates))
    for section in expressed_in:
        expressing = np.asarray((section.counts > 0).sum(axis=0)).ravel()
        counted = pd.Series(expressing, index=section.genes).reindex(spots.index, fill_value=0)
        spots += counted
    panel = list(spots.index[spots >= recipe.min_spots])
    if not panel:
        raise UserError(
            f"The panel recipe leaves no gene: none of {len(candidates)} candidates is expressed "
            f"in {recipe.min_spots} spots; lower `min_spots` of the dataset's panel."
        )
    return panel


def read_panel(path: str | Path) -> list[str]:
    """The genes of a panel file: one a line, a table with a column of genes, or HEST-Bench's JSON.

    Lines that begin with "#" are comments; the head of the column is no gene.

    Raises:
        UserError: the file is missing, empty or no text, or lists a gene twice.
    """
    genes = read_genes(path)
    if not genes:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        reason = text.removeprefix(COMMENT).strip() if text.startswith(COMMENT) else ""
        raise UserError(f"Panel {path} lists no gene: {reason or 'write one a line.'}")
    return genes


def read_genes(path: str | Path) -> list[str]:
    """As :func:`read_panel`, of a panel that may hold no gene, since none could be chosen."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"Panel {path} does not exist; check `panel` in the config.")
    if path.suffix == ".json":
        return _genes_of_json(path)
    rows = [row for row in read_rows(path, "panel") if not row.cells[0].startswith(COMMENT)]
    listed = [(row.line, gene) for row in rows for cell in row.cells for gene in cell.split()]
    heads = [
        place
        for place, cell in enumerate(rows[0].cells if rows else [])
        if cell.casefold() in HEADS
    ]
    if heads:
        listed = [(row.line, row.cells[heads[0]]) for row in rows[1:] if row.cells[heads[0] :]]
    genes = [gene for _, gene in listed]
    if (gene := repeated(genes)) is not None:
        line = [line for line, other in listed if other == gene][1]
        raise UserError(f"Panel {path}, line {line}: gene '{gene}' is listed twice.")
    return genes


def _genes_of_json(path: Path) -> list[str]:
    """The list ``genes`` of a JSON file, as HEST-Bench writes its panels."""
    genes = read_object(path).get("genes")
    if not isinstance(genes, list) or not all(isinstance(gene, str) for gene in genes):
        raise UserError(f"Panel {path} has no list `genes` of names, as HEST-Bench writes it.")
    if (gene := repeated(genes)) is not None:
        raise UserError(f"Panel {path}: gene '{gene}' is listed twice.")
    return genes


def write_panel(path: str | Path, genes: list[str], provenance: dict) -> None:
    """Write a panel, and beside it a JSON file that records how it was chosen.

    Without any gene, the panel holds the reason, ``provenance["failed"]``, as a comment.
    """
    path = Path(path)
    lines = genes or [f"{COMMENT} {provenance[FAILED]}"]
    with written_whole(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with written_whole(path.with_suffix(".json")) as temporary:
        temporary.write_text(
            json.dumps({**provenance, "genes": len(genes)}, indent=2) + "\n", encoding="utf-8"
        )
