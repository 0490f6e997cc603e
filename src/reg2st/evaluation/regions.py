"""Agreement of clusters of predicted expression with the pathologist's regions."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg2st.evaluation.predictions import run_of, section_predictions, target_of
from reg2st.sections.annotations import load_labels
from reg2st.sections.section_file import load_section_arrays

if TYPE_CHECKING:
    import pandas as pd

COMPONENTS = 20
"""Principal components that are clustered."""

RESTARTS = 10
NOT_A_REGION = ("", "undetermined")
"""Labels that count as missing."""


@dataclass(frozen=True)
class RegionAgreement:
    """How well clusters of predicted expression match labelled regions in one section.

    Attributes:
        ari: adjusted Rand index, 0 by chance, 1 for the same partition.
        nmi: normalised mutual information (arithmetic mean), 0 to 1.
        n_regions: distinct labels, and so the number of clusters.
        n_labelled: spots compared.
        n_unlabelled: spots left out because they have no label.
    """

    ari: float
    nmi: float
    n_regions: int
    n_labelled: int
    n_unlabelled: int


def region_agreement(
    predicted: ArrayLike, labels: Sequence[str | float | None], seed: int = 0
) -> RegionAgreement:
    """Cluster the labelled spots by expression, with as many clusters as regions, and compare.

    Args:
        predicted: expression ``[n, G]``.
        labels: region of each spot, ``[n]``; missing, empty or "undetermined" means no label.
        seed: of k-means.

    Returns:
        The agreement; ari and nmi are NaN with fewer than two regions or without a prediction.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    labelled = is_labelled(labels)
    regions = np.asarray(labels, dtype=object)[labelled].astype(str)
    n_regions = len(np.unique(regions))
    clusters = clusters_of(np.asarray(predicted)[labelled], n_regions, seed)
    ari = nmi = np.nan
    if clusters is not None:
        ari = float(adjusted_rand_score(regions, clusters))
        nmi = float(normalized_mutual_info_score(regions, clusters))
    return RegionAgreement(
        ari=ari,
        nmi=nmi,
        n_regions=n_regions,
        n_labelled=int(labelled.sum()),
        n_unlabelled=int((~labelled).sum()),
    )


def is_labelled(labels: Sequence[str | float | None]) -> NDArray[np.bool_]:
    """Which spots have a region, ``[n]``."""
    import pandas as pd

    labels = pd.Series(labels, dtype=object)
    return (labels.notna() & ~labels.isin(NOT_A_REGION)).to_numpy()


def clusters_of(predicted: ArrayLike, n_clusters: int, seed: int = 0) -> NDArray[np.int_] | None:
    """Clusters of spots by expression: k-means on the first principal components, as in Hist2ST.

    Args:
        predicted: expression of the spots, ``[n, G]``.
        n_clusters: number of clusters.
        seed: of k-means.

    Returns:
        The cluster of each spot, ``[n]``, all 0 for a constant prediction; None for fewer than two
        clusters or without a prediction (no gene, or NaN).
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    predicted = np.asarray(predicted, dtype=np.float64)
    if n_clusters < 2 or not predicted.size or not np.isfinite(predicted).all():
        return None
    if not np.ptp(predicted, axis=0).any():
        return np.zeros(len(predicted), dtype=int)
    components = min(COMPONENTS, *predicted.shape)
    reduced = PCA(components, svd_solver="full").fit_transform(predicted)
    return KMeans(n_clusters, n_init=RESTARTS, random_state=seed).fit_predict(reduced)


def matched(clusters: ArrayLike, regions: ArrayLike) -> NDArray[np.str_]:
    """Clusters named after regions, one each, so that as many spots as possible agree.

    Args:
        clusters: cluster of each spot, ``[n]``.
        regions: region of each spot, ``[n]``.

    Returns:
        The name of each spot's cluster, ``[n]``.
    """
    import pandas as pd
    from scipy.optimize import linear_sum_assignment

    shared = pd.crosstab(np.asarray(clusters), np.asarray(regions))
    rows, columns = linear_sum_assignment(shared.to_numpy(), maximize=True)
    names = dict(zip(shared.index[rows], shared.columns[columns], strict=True))
    return np.array([names[cluster] for cluster in np.asarray(clusters)])


def section_agreements(
    section: str | os.PathLike,
    labels: str | os.PathLike,
    predictions: Sequence[str | os.PathLike],
) -> "pd.DataFrame":
    """Agreement of every run that tested a section, and of the observed expression.

    Args:
        section: section file.
        labels: file of its labels.
        predictions: files of the predictions of every method and seed that tested it.

    Returns:
        A row a run: its columns, section, patient and those of :class:`RegionAgreement`. Each
        split also has a row of the method ``observed``: the observed expression of the genes that
        the methods predict, clustered in the same way.
    """
    import pandas as pd

    arrays = load_section_arrays(section)
    regions = load_labels(labels, arrays.barcodes)
    place = {"section": arrays.name, "patient": arrays.patient}
    observed: dict[str, dict] = {}
    rows = []
    for path in predictions:
        predicted = section_predictions(path, arrays.name)
        key = {**run_of(path), "fold": predicted.fold}
        if predicted.genes and key["split"] not in observed:
            measured = load_section_arrays(section, predicted.genes)
            expression = target_of(path).expression(measured.counts, measured.totals)
            agreement = region_agreement(expression, regions)
            name = {"method": "observed", "variant": "full", "preset": "published", "seed": 0}
            observed[key["split"]] = {**key, **name, **place, **asdict(agreement)}
        agreement = region_agreement(predicted.of_spots(arrays.barcodes), regions)
        rows.append({**key, **place, **asdict(agreement)})
    return pd.DataFrame([*observed.values(), *rows])
