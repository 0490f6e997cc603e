"""Limits on the PCC that any predictor can reach on a section, and a reference, for every score."""

import os
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from reg2st.evaluation.ceiling import linear_reference, split_half_ceiling
from reg2st.evaluation.correlations import pearson
from reg2st.evaluation.metrics import Metric
from reg2st.evaluation.tidy import read_tidy
from reg2st.sections.section_file import SectionArrays, load_section_arrays
from reg2st.sections.targets import Target

LIMITS = {
    "noiseless_means": (
        "PCC of the observed expression with the noiseless means that it was simulated from, their "
        "library size held at its expected value"
    ),
    "split_half": (
        "Counts split in two by binomial thinning, PCC of the halves, Spearman-Brown, square root: "
        "the noise of the counts allows no more"
    ),
}
"""What no predictor can be expected to exceed, in words, the preferred one first."""

REFERENCES = {
    "linear_reference": (
        "A linear predictor, trained on the other sections, that sees the true library size of a "
        "spot and half of its genes, and predicts the other half; a method may exceed it"
    ),
}
"""What a score can be compared with, in words."""

DEFINITIONS = LIMITS | REFERENCES


MOST_SPOTS = 20_000
"""Spots that limits are estimated on: the standard error of a PCC is then at most 0.007."""


def section_limits(
    section: Path, others: list[Path], genes: list[str], target: Target, truth: Path | None
) -> pd.DataFrame:
    """Limits and references of one section by gene: columns dataset, section, gene, limit, pcc.

    A section of more than ``MOST_SPOTS`` spots (bins of Visium HD) is represented by so many.

    Args:
        section: section file.
        others: the other sections of the dataset, on which the linear reference is trained.
        genes: the panel.
        target: what is scored.
        truth: file of the noiseless means of a simulated section; else None.
    """
    arrays = load_section_arrays(section, genes)
    counts, totals = _sample(arrays)
    limits = {
        "split_half": split_half_ceiling(counts, totals, target),
        "linear_reference": linear_reference(
            counts, totals, [_sample(load_section_arrays(other, genes)) for other in others], target
        ),
    }
    if truth is not None:
        means = _noiseless_means(truth, _evenly_spaced(arrays.barcodes))
        if target.scaled_by is None:
            means *= totals.mean()
        limits["noiseless_means"] = pearson(
            target.expression(counts, totals),
            target.expression(means[genes], means.sum(axis=1)),
        )
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "dataset": arrays.dataset,
                    "section": arrays.name,
                    "gene": genes,
                    "limit": name,
                    "pcc": pcc,
                }
            )
            for name, pcc in limits.items()
        ],
        ignore_index=True,
    )


def _sample(section: SectionArrays) -> tuple[np.ndarray, np.ndarray]:
    """Counts and totals of the spots that represent a section."""
    return _evenly_spaced(section.counts), _evenly_spaced(section.totals)


def _evenly_spaced(spots: np.ndarray) -> np.ndarray:
    """All rows, or of more than ``MOST_SPOTS`` so many, evenly spaced in their order."""
    n = len(spots)
    if n <= MOST_SPOTS:
        return spots
    return spots[np.linspace(0, n - 1, MOST_SPOTS).astype(np.int64)]


def read_limits(paths: Iterable[str | os.PathLike]) -> pd.DataFrame:
    """Rows of ``section_limits`` of several sections, from the files that hold them."""
    return pd.concat(map(read_tidy, paths), ignore_index=True)


def limits_of(metric: Metric, limits: pd.DataFrame | None) -> pd.DataFrame | None:
    """Rows of ``section_limits`` if they are of a metric (its name is a column); else None."""
    return limits if limits is not None and metric.name in limits else None


def summarise_limits(limits: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Mean limits over the sections and genes that a split tests.

    Args:
        limits: rows of ``section_limits`` of every tested section.
        scores: tidy scores of the study.

    Returns:
        Columns dataset, split, limit, mean_pcc, kind ("limit" or "reference"), definition; the
        preferred limit first.
    """
    tested = scores[["dataset", "split", "section", "gene"]].drop_duplicates()
    mean = _mean_pcc(tested.merge(limits, on=["dataset", "section", "gene"]), ["dataset", "split"])
    kind = mean["limit"].map(lambda name: "limit" if name in LIMITS else "reference")
    return mean.assign(kind=kind, definition=mean["limit"].map(DEFINITIONS))


def limits_by_section(limits: pd.DataFrame) -> pd.DataFrame:
    """Mean limits over genes: columns dataset, section, limit, mean_pcc; the preferred first."""
    return _mean_pcc(limits, ["dataset", "section"])


def limits_by_gene(limits: pd.DataFrame) -> pd.DataFrame:
    """Mean limits over sections: columns dataset, gene, limit, mean_pcc; the preferred first."""
    return _mean_pcc(limits, ["dataset", "gene"])


def _mean_pcc(limits: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean limits grouped by ``keys``, the preferred limit first in each group."""
    mean = limits.groupby([*keys, "limit"], as_index=False)["pcc"].mean()
    preference = mean["limit"].map(list(DEFINITIONS).index)
    order = mean.assign(preference=preference).sort_values([*keys, "preference"])
    return (
        order.drop(columns="preference").rename(columns={"pcc": "mean_pcc"}).reset_index(drop=True)
    )


def _noiseless_means(truth: Path, barcodes: np.ndarray) -> pd.DataFrame:
    """Noiseless mean share of every gene in a spot's counts, a row a spot."""
    with h5py.File(truth) as handle:
        means = pd.DataFrame(
            handle["mean"][:],
            index=handle["barcode"].asstr()[:],
            columns=handle["gene"].asstr()[:],
        )
    return means.loc[barcodes].astype(np.float64)
