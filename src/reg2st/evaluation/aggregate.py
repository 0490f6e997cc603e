"""Tidy scores to tables: by method, by section, by gene."""

import pandas as pd

from reg2st.evaluation.intervals import patient_interval, section_interval

GROUP = ["dataset", "split", "method", "variant", "preset"]
"""The columns that identify what is compared; seeds, folds, sections and genes lie within."""

METRICS = ["pcc", "spearman", "mse"]


def over_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of every section and gene.

    Args:
        scores: tidy scores, one row a run, section and gene.

    Returns:
        One row for each of ``GROUP``, section, patient and gene: pcc, spearman, mse (means of
        the seeds in which they are defined, NaN where none is), fold (which tested the section),
        n_spots, n_expressing, mean_expression and n_seeds.
    """
    return (
        scores.groupby([*GROUP, "section", "patient", "gene"], sort=False, observed=True)
        .agg(
            **{metric: (metric, "mean") for metric in METRICS},
            fold=("fold", "first"),
            n_spots=("n_spots", "first"),
            n_expressing=("n_expressing", "first"),
            mean_expression=("mean_expression", "first"),
            n_seeds=("seed", "nunique"),
        )
        .reset_index()
    )


def per_section(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of each section, seeds averaged first.

    Returns:
        One row for each of ``GROUP``, section and patient: mean_pcc, median_pcc, mean_spearman
        and mean_mse over the genes where they are defined, n_genes, n_undefined (genes without
        a PCC), fold, n_spots and n_seeds.
    """
    return (
        over_seeds(scores)
        .assign(undefined=lambda rows: rows["pcc"].isna())
        .groupby([*GROUP, "section", "patient"], sort=False, observed=True)
        .agg(
            mean_pcc=("pcc", "mean"),
            median_pcc=("pcc", "median"),
            mean_spearman=("spearman", "mean"),
            mean_mse=("mse", "mean"),
            n_genes=("gene", "size"),
            n_undefined=("undefined", "sum"),
            fold=("fold", "first"),
            n_spots=("n_spots", "first"),
            n_seeds=("n_seeds", "max"),
        )
        .reset_index()
    )


def per_gene(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of each gene, seeds averaged first.

    Returns:
        One row for each of ``GROUP`` and gene: mean_pcc and median_pcc over the sections where
        it is defined, mean_spearman, mean_mse, n_sections, n_undefined (sections without a PCC),
        n_expressing and n_spots (sums over sections) and mean_expression (over sections).
    """
    return (
        over_seeds(scores)
        .assign(undefined=lambda rows: rows["pcc"].isna())
        .groupby([*GROUP, "gene"], sort=False, observed=True)
        .agg(
            mean_pcc=("pcc", "mean"),
            median_pcc=("pcc", "median"),
            mean_spearman=("spearman", "mean"),
            mean_mse=("mse", "mean"),
            n_sections=("section", "size"),
            n_undefined=("undefined", "sum"),
            n_expressing=("n_expressing", "sum"),
            n_spots=("n_spots", "sum"),
            mean_expression=("mean_expression", "mean"),
        )
        .reset_index()
    )


def summarise(scores: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """One row for each method as the papers report it, with its intervals.

    Seeds are averaged first. A section counts as much as any other, whatever number of its
    genes has a PCC.

    Args:
        scores: tidy scores, one row a run, section and gene.
        seed: of the bootstrap over patients.

    Returns:
        One row for each of ``GROUP``: ``mean_pcc``, the mean over sections of the mean over
        genes; ``median_pcc``, the median over sections of each gene, then the mean over genes;
        ``mean_spearman`` and ``mean_mse`` like mean_pcc; the 95 % intervals of mean_pcc
        ``section_low`` to ``section_high`` (sections taken as independent) and ``patient_low``
        to ``patient_high`` (patients drawn); ``n_sections``, ``n_patients``, ``n_genes``,
        ``n_seeds``, ``n_pairs`` of section and gene, and those without a PCC, ``n_undefined``.
    """
    sections = per_section(scores)
    genes = per_gene(scores).groupby(GROUP, sort=False, observed=True)
    rows = []
    for key, group in sections.groupby(GROUP, sort=False, observed=True):
        section_low, section_high = section_interval(group["mean_pcc"])
        patient_low, patient_high = patient_interval(group["mean_pcc"], group["patient"], seed=seed)
        of_genes = genes.get_group(key)
        rows.append(
            {
                **dict(zip(GROUP, key, strict=True)),
                "mean_pcc": group["mean_pcc"].mean(),
                "median_pcc": of_genes["median_pcc"].mean(),
                "mean_spearman": group["mean_spearman"].mean(),
                "mean_mse": group["mean_mse"].mean(),
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
