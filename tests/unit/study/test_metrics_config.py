"""The metrics of a study: what the job that scores is told of them."""

import pytest

from reg2st.base.errors import UserError
from reg2st.study.specification import dump
from reg2st.study.study import Study

SIMULATED = {
    "source": {"simulation": {"patients": 2, "sections_per_patient": 2, "spots": 40}},
    "panel": {"recipe": {}},
}
RUN = {"dataset": "simulated", "split": "section_out", "method": "ridge", "variant": "full"}


def runs(**metrics):
    """What the jobs that train and that predict with one method have in their params."""
    study = Study.read(
        {
            "name": "small",
            "datasets": {"simulated": SIMULATED},
            "inputs": {"embeddings": [{"encoder": "efficientnet_lite0"}]},
            "methods": {"ridge": {}},
            "metrics": metrics,
        }
    )
    return dump([study.training(**RUN, fold="A1", seed="0")]), dump(
        study.predictions(**RUN, seed="0")
    )


def test_only_the_job_that_scores_depends_on_the_metrics():
    training, predicting = runs()
    assert not any("metrics" in run for run in (*training, *predicting))
    trained, scored = runs(headline="ssim", more=["mae"])
    assert trained == training
    assert [run.pop("metrics") for run in scored] == [["mae", "ssim"]] * len(scored)
    assert scored == predicting
    assert runs(headline="spearman") == (training, predicting)


def test_an_unknown_metric_is_told():
    with pytest.raises(UserError, match=r"metrics\.more\[0\]"):
        runs(more=["psnr"])
