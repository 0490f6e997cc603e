"""Tidy scores to tables: by method, by section, by gene."""

import pandas as pd

from reg2st.evaluation.intervals import patient_interval, section_interval
from reg2st.evaluation.metrics import METRICS, PCC, Metric

GROUP = ["dataset", "split", "method", "variant", "preset"]
"""The columns that identify what is compared; seeds, folds, sections and genes lie within."""


def metrics_in(scores: pd.DataFrame) -> list[Metric]:
    """The metrics that tidy scores have."""
    return [metric for name, metric in METRICS.items() if name in scores]


def over_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of every section and gene.

    Args:
        scores: tidy scores, one row a run, section and gene.

    Returns:
        One row for each of ``GROUP``, section, patient and gene: every metric (means of the seeds
        in which it is defined, NaN where it is in none), fold (which tested the section), n_spots,
        n_expressing, mean_expression and n_seeds.
    """
    return (
        scores.groupby([*GROUP, "section", "patient", "gene"], sort=False, observed=True)
        .agg(
            **{metric.name: (metric.name, "mean") for metric in metrics_in(scores)},
            fold=("fold", "first"),
            n_spots=("n_spots", "first"),
            n_expressing=("n_expressing", "first"),
            mean_expression=("mean_expression", "first"),
            n_seeds=("seed", "nunique"),
        )
        .reset_index()
    )


def per_section(scores: pd.DataFrame, metric: Metric = PCC) -> pd.DataFrame:
    """Scores of each section, seeds averaged first.

    Returns:
        One row for each of ``GROUP``, section and patient: mean and median of the metric and the
        mean of every other, over the genes where they are defined, n_genes, n_undefined (genes
        without the metric), fold, n_spots and n_seeds.
    """
    return (
        over_seeds(scores)
        .assign(undefined=lambda rows: rows[metric.name].isna())
        .groupby([*GROUP, "section", "patient"], sort=False, observed=True)
        .agg(
            **_averages(scores, metric),
            n_genes=("gene", "size"),
            n_undefined=("undefined", "sum"),
            fold=("fold", "first"),
            n_spots=("n_spots", "first"),
            n_seeds=("n_seeds", "max"),
        )
        .reset_index()
    )


def per_gene(scores: pd.DataFrame, metric: Metric = PCC) -> pd.DataFrame:
    """Scores of each gene, seeds averaged first.

    Returns:
        One row for each of ``GROUP`` and gene: mean and median of the metric and the mean of every
        other, over the sections where they are defined, n_sections, n_undefined (sections without
        the metric), n_expressing and n_spots (sums over sections) and mean_expression (over
        sections).
    """
    return (
        over_seeds(scores)
        .assign(undefined=lambda rows: rows[metric.name].isna())
        .groupby([*GROUP, "gene"], sort=False, observed=True)
        .agg(
            **_averages(scores, metric),
            n_sections=("section", "size"),
            n_undefined=("undefined", "sum"),
            n_expressing=("n_expressing", "sum"),
            n_spots=("n_spots", "sum"),
            mean_expression=("mean_expression", "mean"),
        )
        .reset_index()
    )


def summarise(scores: pd.DataFrame, metric: Metric = PCC, seed: int = 0) -> pd.DataFrame:
    """One row a method as in the papers' tables, with its intervals.

    Seeds are averaged first. All sections have the same weight, however many of their genes
    have the metric.

    Args:
        scores: tidy scores, one row a run, section and gene.
        metric: the one that has a median and intervals.
        seed: of the bootstrap over patients.

    Returns:
        One row for each of ``GROUP``: ``mean_pcc`` (with the metric's name), the mean over
        sections of the mean over genes; ``median_pcc``, the median over sections of each gene,
        then the mean over genes; the mean of every other metric; the 95 % intervals of mean_pcc
        ``section_low`` to ``section_high`` (sections taken as independent) and ``patient_low``
        to ``patient_high`` (patients resampled); ``n_sections``, ``n_patients``, ``n_genes``,
        ``n_seeds``, ``n_pairs`` of section and gene, and those without the metric,
        ``n_undefined``.
    """
    sections = per_section(scores, metric)
    genes = per_gene(scores, metric).groupby(GROUP, sort=False, observed=True)
    rows = []
    for key, group in sections.groupby(GROUP, sort=False, observed=True):
        means = group[metric.mean]
        section_low, section_high = section_interval(means)
        patient_low, patient_high = patient_interval(means, group["patient"], seed=seed)
        of_genes = genes.get_group(key)
        rows.append(
            {
                **dict(zip(GROUP, key, strict=True)),
                metric.mean: means.mean(),
                metric.median: of_genes[metric.median].mean(),
                **{other.mean: group[other.mean].mean() for other in others_in(scores, metric)},
                "section_low": section_low,
                "section_high": section_high,
                "patient_low": patient_low,
                "patient_high": patient_high,
                "n_sections": len(group),
                "n_patients": group["patient"].nunique(),
                "n_genes": len(of_genes),
                "n_seeds": group["n_seeds"].max(),
                "n_pairs": group["n_genes"].sum(),
                "n_undefined": group["n_undefined"].sum(),
            }
        )
    return pd.DataFrame(rows)


def _averages(scores: pd.DataFrame, metric: Metric) -> dict[str, tuple[str, str]]:
    """Mean and median of a metric and the means of all others, as ``agg`` takes them."""
    return {
        metric.mean: (metric.name, "mean"),
        metric.median: (metric.name, "median"),
        **{other.mean: (other.name, "mean") for other in others_in(scores, metric)},
    }


def others_in(scores: pd.DataFrame, metric: Metric) -> list[Metric]:
    """The metrics that tidy scores have, but for one."""
    return [other for other in metrics_in(scores) if other != metric]
