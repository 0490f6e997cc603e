"""Agreement of clusters of predicted expression with the pathologist's regions."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from reg2st.sections import load_section_arrays
from reg2st.targets import log_expression

if TYPE_CHECKING:
    import pandas as pd

COMPONENTS = 20
"""Principal components that are clustered."""

RESTARTS = 10
NOT_A_REGION = ("", "undetermined")
"""Labels that name no region, besides a missing one."""


@dataclass(frozen=True)
class RegionAgreement:
    """How well clusters of predicted expression match labelled regions in one section.

    Attributes:
        ari: adjusted Rand index, 0 by chance, 1 for the same partition.
        nmi: normalised mutual information (arithmetic mean), 0 to 1.
        n_regions: different labels, and so clusters asked for.
        n_labelled: spots compared.
        n_unlabelled: spots left out for want of a label.
    """

    ari: float
    nmi: float
    n_regions: int
    n_labelled: int
    n_unlabelled: int


def region_agreement(
    predicted: ArrayLike, labels: Sequence[str | float | None], seed: int = 0
) -> RegionAgreement:
    """Cluster the labelled spots by expression, as many clusters as regions, and compare.

    k-means on the first principal components, as Hist2ST's paper evaluates it.

    Args:
        predicted: expression ``[n, G]``.
        labels: region of each spot, ``[n]``; missing, empty or "undetermined" is no label.
        seed: of k-means.

    Returns:
        The agreement; ari and nmi are NaN with fewer than two regions or without a prediction.
    """
    import pandas as pd
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    labels = pd.Series(labels, dtype=object)
    labelled = (labels.notna() & ~labels.isin(NOT_A_REGION)).to_numpy()
    regions = labels[labelled].astype(str)
    n_regions = len(regions.unique())
    predicted = np.asarray(predicted, dtype=np.float64)[labelled]
    ari = nmi = np.nan
    if n_regions > 1 and np.isfinite(predicted).all():
        if not np.ptp(predicted, axis=0).any():
            clusters = np.zeros(len(regions), dtype=int)
        else:
            components = min(COMPONENTS, *predicted.shape)
            reduced = PCA(components, svd_solver="full").fit_transform(predicted)
            clusters = KMeans(n_regions, n_init=RESTARTS, random_state=seed).fit_predict(reduced)
        ari = float(adjusted_rand_score(regions, clusters))
        nmi = float(normalized_mutual_info_score(regions, clusters))
    return RegionAgreement(
        ari=ari,
        nmi=nmi,
        n_regions=n_regions,
        n_labelled=int(labelled.sum()),
        n_unlabelled=int((~labelled).sum()),
    )


def section_agreements(
    section: str | os.PathLike,
    runs: Sequence[Mapping[str, str | int]],
    predictions: Sequence[str | os.PathLike],
) -> "pd.DataFrame":
    """Agreement of every run that tested a section, and of the observed expression.

    Args:
        section: section file with labels.
        runs: the columns that identify each run.
        predictions: the prediction file of each run.

    Returns:
        A row a run: its columns, section, patient and those of :class:`RegionAgreement`. For each
        fold there is a row of the method ``observed`` besides: the observed expression of the
        same panel, clustered alike.
    """
    import anndata
    import pandas as pd

    arrays = load_section_arrays(section)
    place = {"section": arrays.name, "patient": arrays.patient}
    observed: dict[tuple, dict] = {}
    rows = []
    for key, path in zip(runs, predictions, strict=True):
        table = anndata.read_h5ad(path)
        fold = (key["split"], key["fold"])
        if fold not in observed:
            counts = load_section_arrays(section, list(table.var_names)).counts
            agreement = region_agreement(log_expression(counts), arrays.labels)
            name = {"method": "observed", "variant": "full", "preset": "published", "seed": 0}
            observed[fold] = {**key, **name, **place, **asdict(agreement)}
        predicted = table.X[(table.obs["section"] == arrays.name).to_numpy()]
        agreement = region_agreement(predicted, arrays.labels)
        rows.append({**key, **place, **asdict(agreement)})
    return pd.DataFrame([*observed.values(), *rows])
