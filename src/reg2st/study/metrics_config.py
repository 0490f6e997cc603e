"""The configuration of metrics: which are computed, and which one compares the methods."""

from typing import Literal, get_args

from pydantic import Field

from reg2st.study.config_model import ConfigModel, Unique

StandardMetric = Literal["pcc", "spearman", "mse"]
FurtherMetric = Literal[
    "rmse", "nrmse", "mae", "ssim", "moran", "mutual_information", "pcc_counts", "pcc_smoothed"
]


class MetricsConfig(ConfigModel):
    """Which metrics are computed, and which one compares the methods."""

    headline: StandardMetric | FurtherMetric = Field(
        "pcc",
        description=(
            "The metric by which tables and figures compare the methods. Limits and published "
            "numbers are PCC, so they stand beside no other."
        ),
    )
    more: Unique[FurtherMetric] = Field(
        (),
        description=(
            "Metrics to compute beyond `pcc`, `spearman`, `mse` and the headline: `rmse`, `nrmse` "
            "(by the range of the observed values), `mae`, `ssim` (on the array grid), `moran` "
            "(absolute difference of Moran's I), `mutual_information` (normalised), `pcc_counts` "
            "(with raw counts, 0 where undefined, as MISO's benchmark counts), and `pcc_smoothed` "
            "(with labels averaged over a spot and its neighbours, as TRIPLEX scores)."
        ),
    )

    @property
    def beyond_the_standard(self) -> tuple[str, ...] | None:
        """Names of the metrics that not every study computes; None if there are none."""
        names = dict.fromkeys([*self.more, self.headline])
        return tuple(name for name in names if name in get_args(FurtherMetric)) or None
