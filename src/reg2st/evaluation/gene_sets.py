"""Sets of genes whose scores are told apart: highly variable, spatially variable, or one's own.

They serve the report alone: no model sees them, and no choice rests on them. So they may be chosen
on tested sections too, as in the benchmark of Wang et al. 2025 (10.1038/s41467-025-56618-y), which
reports 30 highly variable genes (HVG; scran's ``modelGeneVar`` on all spots) and 40 spatially
variable ones (SVG; its method is not in its code). Its lists are in neither its repository nor
MISO's; who has them names them as files.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.evaluation.spatial_patterns import Places, morans_i
from reg2st.evaluation.tidy import read_tidy
from reg2st.sections.panels import read_panel, read_section_counts, variability
from reg2st.sections.section_file import load_section_arrays
from reg2st.sections.targets import TARGETS


def choose_gene_set(
    how: Mapping[str, Any], panel: Sequence[str], sections: Sequence[str | os.PathLike]
) -> list[str]:
    """The genes of a set, sorted by name.

    Args:
        how: one of ``file`` (its path), ``variable`` and ``spatial`` (number of genes).
        panel: the genes that are predicted; others are left out.
        sections: files of all sections of the dataset.

    Raises:
        UserError: the file has no gene of the panel, or the panel has fewer genes that qualify.
    """
    ((kind, value),) = how.items()
    if kind == "file":
        genes = sorted(set(read_panel(value)) & set(panel))
        if not genes:
            raise UserError(f"No gene of {value} is predicted; check `gene_sets` of the dataset.")
        return genes
    ranks = pd.concat([RANKS[kind](section, panel) for section in sections], axis=1)
    mean = ranks.mean(axis=1).dropna().sort_index()
    if len(mean) < value:
        raise UserError(
            f"The gene set asks for {value} genes, but only {len(mean)} vary; lower `{kind}` of "
            "the dataset's `gene_sets`."
        )
    return sorted(mean.sort_values(ascending=False, kind="stable").index[:value])


def _dispersion(section: str | os.PathLike, panel: Sequence[str]) -> pd.Series:
    """scanpy's normalised dispersion (flavour "seurat") of each gene in a section."""
    table = variability(read_section_counts(section))
    return table["dispersions_norm"].reindex(panel)


def _autocorrelation(section: str | os.PathLike, panel: Sequence[str]) -> pd.Series:
    """Moran's I of each gene's ln(1 + 1e4 c / counts of all genes) in a section."""
    arrays = load_section_arrays(section, list(panel))
    expression = TARGETS["log_normalised"].expression(arrays.counts, arrays.totals)
    values = morans_i(expression.astype(np.float64), Places.of(arrays).neighbours)
    return pd.Series(values, index=list(panel))


RANKS: dict[str, Callable[[str | os.PathLike, Sequence[str]], pd.Series]] = {
    "variable": _dispersion,
    "spatial": _autocorrelation,
}
"""What ranks the genes of a section, by the key of the config; the mean over sections counts."""


def read_gene_sets(paths: Iterable[str | os.PathLike]) -> pd.DataFrame:
    """Gene sets of several datasets: columns dataset, gene_set and gene."""
    return pd.concat(map(read_tidy, paths), ignore_index=True)
