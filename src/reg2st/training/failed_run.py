"""The folder of a run that failed on its data."""

import json
from pathlib import Path

import pandas as pd
from safetensors import safe_open
from safetensors.torch import save_file

from reg2st.base.failures import FAILED
from reg2st.base.files import written_whole
from reg2st.study.specification import RunSpec
from reg2st.training import record
from reg2st.training.train import EMPTY_HISTORY


def write_failed_run(run: RunSpec, out: Path, reason: str) -> None:
    """Write the folder of a run without a model: the reason stands in record and weights."""
    with written_whole(out / "history.tsv") as temporary:
        pd.DataFrame(columns=EMPTY_HISTORY).to_csv(temporary, sep="\t", index=False)
    written = {
        **record.identity(run),
        FAILED: reason,
        "panel": run.panel.as_posix(),
        "versions": record.versions(),
        "git_commit": record.git_commit(),
        "sha256": record.hashes_of(run.files()),
    }
    with written_whole(out / "run.json") as temporary:
        temporary.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    with written_whole(out / "model.safetensors") as temporary:
        save_file({}, temporary, {FAILED: reason})


def has_failed(model: Path) -> bool:
    """Whether the weights of a run say that it failed."""
    return failure(model) is not None


def failure(model: Path) -> str | None:
    """Why a run failed, by its weights; None if it did not."""
    with safe_open(model, framework="pt") as file:
        return (file.metadata() or {}).get(FAILED)
