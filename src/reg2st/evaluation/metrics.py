"""Every metric by which predicted is compared with observed expression, as data.

A new metric is a function of its own and an entry in ``METRICS``; its name is added to the names
that the config takes (``reg2st.study.metrics_config``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg2st.evaluation.correlations import pearson, pearson_or_zero, spearman
from reg2st.evaluation.deviations import (
    mean_absolute_error,
    mean_squared_error,
    normalised_error,
    root_mean_squared_error,
)
from reg2st.evaluation.matrices import alike
from reg2st.evaluation.mutual_information import normalised_mutual_information
from reg2st.evaluation.spatial_patterns import (
    Places,
    moran_difference,
    pearson_with_smoothed,
    structural_similarity,
)

GENES_AT_A_TIME = 64
"""Genes whose values are ranked and correlated at once: memory does not grow with the others."""

CORRELATES = "of predicted with observed"
DEVIATES = "between predicted and observed"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How predicted and observed expression of a gene are compared over the spots of a section.

    Attributes:
        name: its column in the tidy scores.
        label: what tables and figures call it.
        heading: title of the table that compares methods by it.
        meaning: what it is, without an article, such as "mean squared error".
        sides: how it relates what it compares: ``CORRELATES`` or ``DEVIATES``.
        function: observed and predicted ``[n, G]``, and the :class:`Places` of the spots if it
            ``needs_places``, to a value of each gene, float64 ``[G]``; NaN where it is undefined.
        better: which values are the better ones.
        unit: empty if it has none.
        undefined: which genes have none, a sentence; empty if every gene has it.
        observed: what is compared: the target, or raw counts.
        needs_places: whether it depends on where the spots are.
    """

    name: str
    label: str
    heading: str
    meaning: str
    sides: str
    function: Callable[..., NDArray[np.float64]]
    better: Literal["higher", "lower"]
    unit: str = ""
    undefined: str = ""
    observed: Literal["target", "counts"] = "target"
    needs_places: bool = False

    @property
    def mean(self) -> str:
        """The column of its mean in tables."""
        return f"mean_{self.name}"

    @property
    def median(self) -> str:
        """The column of its median in tables."""
        return f"median_{self.name}"

    @property
    def with_unit(self) -> str:
        """Its label for an axis."""
        return f"{self.label} ({self.unit or 'no unit'})"

    def ranked(self, values: Iterable[float]) -> NDArray[np.float64]:
        """Values turned so that higher ones are better."""
        values = np.asarray(values, dtype=np.float64)
        return values if self.better == "higher" else -values


def _left_out(label: str, which: str = "constant") -> str:
    return (
        f"Genes that are {which} in a section have no {label}. They are left out, never filled in."
    )


PCC = Metric(
    name="pcc",
    label="PCC",
    heading="Correlation of predicted with observed expression",
    meaning="Pearson correlation",
    sides=CORRELATES,
    function=pearson,
    better="higher",
    undefined=_left_out("PCC"),
)
SPEARMAN = Metric(
    name="spearman",
    label="Spearman correlation",
    heading="Rank correlation of predicted with observed expression",
    meaning="Pearson correlation of ranks",
    sides=CORRELATES,
    function=spearman,
    better="higher",
    undefined=_left_out("Spearman correlation"),
)
MSE = Metric(
    name="mse",
    label="MSE",
    heading="Squared error of predicted expression",
    meaning="mean squared error",
    sides=DEVIATES,
    function=mean_squared_error,
    better="lower",
    unit="squared units of the target",
)
RMSE = Metric(
    name="rmse",
    label="RMSE",
    heading="Error of predicted expression",
    meaning="root of the mean squared error",
    sides=DEVIATES,
    function=root_mean_squared_error,
    better="lower",
    unit="units of the target",
)
NRMSE = Metric(
    name="nrmse",
    label="NRMSE",
    heading="Error of predicted expression by the range of the observed",
    meaning="root of the mean squared error, divided by the range of the observed values,",
    sides=DEVIATES,
    function=normalised_error,
    better="lower",
    undefined=_left_out("NRMSE"),
)
MAE = Metric(
    name="mae",
    label="MAE",
    heading="Absolute error of predicted expression",
    meaning="mean absolute error",
    sides=DEVIATES,
    function=mean_absolute_error,
    better="lower",
    unit="units of the target",
)
SSIM = Metric(
    name="ssim",
    label="SSIM",
    heading="Structural similarity of predicted and observed expression",
    meaning="structural similarity on the array grid",
    sides=CORRELATES,
    function=structural_similarity,
    better="higher",
    undefined=(
        "Genes that are constant in a section, and sections without an array, have no SSIM. They "
        "are left out, never filled in."
    ),
    needs_places=True,
)
MORAN = Metric(
    name="moran",
    label="Moran's I difference",
    heading="Difference of the spatial autocorrelation of predicted and observed expression",
    meaning="absolute difference of Moran's I (neighbours at most 1.5 pitches apart)",
    sides=DEVIATES,
    function=moran_difference,
    better="lower",
    undefined=_left_out("Moran's I"),
    needs_places=True,
)
MUTUAL_INFORMATION = Metric(
    name="mutual_information",
    label="Mutual information",
    heading="Mutual information of predicted and observed expression",
    meaning="normalised mutual information (bins of equally many spots)",
    sides=CORRELATES,
    function=normalised_mutual_information,
    better="higher",
    undefined=_left_out("mutual information"),
)
PCC_COUNTS = Metric(
    name="pcc_counts",
    label="PCC with raw counts",
    heading="Correlation of predicted expression with raw counts",
    meaning="Pearson correlation",
    sides=CORRELATES,
    function=pearson_or_zero,
    better="higher",
    undefined=(
        "It is of raw counts, which hold the depth of a spot, and 0 for genes that are constant in "
        "a section, as in MISO's benchmark: no other PCC compares with it."
    ),
    observed="counts",
)
PCC_SMOOTHED = Metric(
    name="pcc_smoothed",
    label="PCC with smoothed labels",
    heading="Correlation of predicted with smoothed observed expression",
    meaning=(
        "Pearson correlation with the observed values averaged over each spot and those at most "
        "1.5 pitches from it"
    ),
    sides=CORRELATES,
    function=pearson_with_smoothed,
    better="higher",
    undefined=(
        "Smoothing removes noise from what is called the truth: no PCC of labels as measured "
        "compares with it."
    ),
    needs_places=True,
)

METRICS = {
    metric.name: metric
    for metric in (
        *(PCC, SPEARMAN, MSE, RMSE, NRMSE, MAE),
        *(SSIM, MORAN, MUTUAL_INFORMATION, PCC_COUNTS, PCC_SMOOTHED),
    )
}
"""Every metric by name."""

STANDARD = (PCC, SPEARMAN, MSE)
"""Those that every study computes."""


def metrics_of(more: Iterable[str]) -> tuple[Metric, ...]:
    """The standard metrics and those of some names, each once, in the order of ``METRICS``."""
    names = {*(metric.name for metric in STANDARD), *more}
    return tuple(metric for name, metric in METRICS.items() if name in names)


def score_section(
    observed: ArrayLike,
    predicted: ArrayLike,
    *,
    counts: ArrayLike | None = None,
    places: Places | None = None,
    metrics: Iterable[Metric] = STANDARD,
) -> dict[str, NDArray[np.float64]]:
    """Score one section by some metrics.

    Args:
        observed: target expression, ``[n, G]``, spots by genes.
        predicted: predicted expression in the same units, ``[n, G]``. A method that is not
            available for the section predicts NaN throughout, and scores NaN.
        counts: raw counts, ``[n, G]``; only for metrics that compare with them.
        places: of the spots; only for metrics that need them.
        metrics: those to compute.

    Returns:
        A value of each gene, float64 ``[G]``, by the metric's name; nothing is filled in where it
        is undefined.

    Raises:
        ValueError: the matrices differ in shape.
    """
    truth = {"target": observed, "counts": counts}
    return {
        metric.name: _by_gene(metric, *alike(truth[metric.observed], predicted), places)
        for metric in metrics
    }


def _by_gene(
    metric: Metric, observed: NDArray, predicted: NDArray, places: Places | None
) -> NDArray[np.float64]:
    also = (places,) if metric.needs_places else ()
    starts = range(0, max(observed.shape[1], 1), GENES_AT_A_TIME)
    some = (slice(start, start + GENES_AT_A_TIME) for start in starts)
    return np.concatenate(
        [metric.function(observed[:, genes], predicted[:, genes], *also) for genes in some]
    )
