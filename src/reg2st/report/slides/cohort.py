"""Tables of all slides: what was predicted of each, and which ones failed."""

import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import pandas as pd

from reg2st.base.files import written_whole

COLUMNS = ("slide", "model", "spots", "tissue_mm2", "far_share", "flagged")
FAILED_COLUMNS = ("slide", "model", "reason")
ERROR = "Error: "
MOST_TOLD = 5

SlideKey = tuple[str, str]
"""A slide and a model, by their names."""


def write_cohort(
    predictions: Mapping[SlideKey, str | os.PathLike],
    logs: Mapping[SlideKey, str | os.PathLike],
    summary: str | os.PathLike,
    failed: str | os.PathLike,
) -> int:
    """Write the two tables of a cohort, of whatever was predicted so far.

    Args:
        predictions: the file of each prediction, whether it exists or not.
        logs: the log of each prediction's job.
        summary: TSV of one row a prediction: slide, model, number of spots, area of the tissue,
            share of the spots that are far from training, whether the slide is flagged for that
            (yes or no), and the mean of each gene over the slide, in units of the target.
        failed: TSV of one row a failure: slide, model and the reason.

    Returns:
        The number of failures.
    """
    rows, failures = [], []
    for (slide, model), path in predictions.items():
        if Path(path).is_file():
            rows.append({"slide": slide, "model": model, **_summary(path)})
        elif reason := _reason(logs[slide, model]):
            failures.append((slide, model, reason))
    table = pd.DataFrame(rows, columns=None if rows else COLUMNS)
    with written_whole(summary) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    with written_whole(failed) as temporary:
        pd.DataFrame(failures, columns=FAILED_COLUMNS).to_csv(temporary, sep="\t", index=False)
    return len(failures)


def _summary(path: str | os.PathLike) -> dict[str, object]:
    from anndata.io import read_elem  # slow to import, and the Snakefile imports this module

    with h5py.File(path) as file:
        about = file["uns/slide"]
        return {
            "spots": file["X"].shape[0],
            "tissue_mm2": float(about["tissue_mm2"][()]),
            "far_share": float(about["far_share"][()]),
            "flagged": "yes" if about["flagged"][()] else "no",
            **read_elem(file["var"])["mean"].to_dict(),
        }


def _reason(log: str | os.PathLike) -> str | None:
    """Why a job failed, by its log; None if it did not run."""
    if not Path(log).is_file():
        return None
    lines = Path(log).read_text(encoding="utf-8").splitlines()
    reasons = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    return reasons[-1] if reasons else f"see {log}"


def told(folder: str | os.PathLike) -> str:
    """What a terminal shows of the slides whose tables lie in a folder."""
    folder = Path(folder)
    summary, failed = (
        pd.read_csv(folder / f"{name}.tsv", sep="\t", dtype=str, keep_default_na=False)
        for name in ("summary", "failed")
    )
    lines = [f"Slides: {len(summary)} predicted, {len(failed)} failed: {folder / 'summary.tsv'}"]
    lines += [
        f"  failed: slide {row.slide}, model {row.model}: {row.reason}"
        for row in failed.head(MOST_TOLD).itertuples()
    ]
    if len(failed) > MOST_TOLD:
        lines.append(f"  ... all in {folder / 'failed.tsv'}")
    flagged = summary.loc[summary.get("flagged", "") == "yes", "slide"].unique()
    if len(flagged):
        shown = ", ".join(flagged[:MOST_TOLD]) + (" ..." if len(flagged) > MOST_TOLD else "")
        lines.append(f"  unlike the training sections, do not trust: {shown}")
    for row in summary.itertuples():
        truth = folder / row.model / row.slide / "truth.tsv"
        if truth.is_file():
            scores = pd.read_csv(truth, sep="\t")
            lines.append(
                f"  slide {row.slide}, model {row.model}: mean PCC {scores['pcc'].mean():.2f} with "
                f"the noiseless truth; the model expected {scores['expected_pcc'].mean():.2f} with "
                "measured counts"
            )
    return "\n".join(lines)
