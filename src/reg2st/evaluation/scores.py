"""Score the predictions of a method against the observed expression."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import anndata
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.evaluation.metrics import metrics_of, score_section
from reg2st.evaluation.spatial_patterns import Places
from reg2st.evaluation.tidy import read_tidy
from reg2st.sections.panels import read_genes
from reg2st.sections.section_file import load_section_arrays
from reg2st.sections.targets import TARGETS
from reg2st.study.specification import RunSpec


def score_folds(runs: Sequence[RunSpec], predictions: Path, out: Path) -> None:
    """Write the tidy scores of a method: one row a fold, test section and gene.

    Args:
        runs: one a fold, each with its panel and its test sections, whose observed counts are read
            here for the first time.
        predictions: what :func:`reg2st.training.predict.predict_folds` wrote of these runs.
        out: TSV to write; its columns are the run's key, target, section, patient, gene, pcc,
            spearman, mse, further metrics of the runs, n_spots, n_expressing (spots with a count
            above 0) and mean_expression (of the target).
    """
    adata = anndata.read_h5ad(predictions)
    rows = []
    for run in runs:
        genes = read_genes(run.panel)
        columns = adata.var_names.get_indexer(genes)
        for files in run.sections:
            observed = load_section_arrays(files.section, genes)
            expression = TARGETS[run.target].expression(observed.counts, observed.totals)
            tested = (adata.obs["fold"] == run.key.fold) & (adata.obs["section"] == observed.name)
            predicted = adata.X[tested.to_numpy()][:, columns]
            rows.append(
                pd.DataFrame(
                    {
                        **run.key.model_dump(),
                        "target": run.target,
                        "section": observed.name,
                        "patient": observed.patient,
                        "gene": genes,
                        **score_section(
                            expression,
                            predicted,
                            counts=observed.counts,
                            places=Places.of(observed),
                            metrics=metrics_of(run.metrics or ()),
                        ),
                        "n_spots": len(expression),
                        "n_expressing": (observed.counts > 0).sum(axis=0),
                        "mean_expression": expression.mean(axis=0),
                    }
                )
            )
    with written_whole(out) as temporary:
        pd.concat(rows).to_csv(temporary, sep="\t", index=False, float_format="%.7g")


def collected(paths: Iterable[str | os.PathLike]) -> pd.DataFrame:
    """The scores of all runs of a dataset.

    Raises:
        UserError: there is none, since no fold has a panel.
    """
    scores = pd.concat(map(read_tidy, paths), ignore_index=True)
    if scores.empty:
        raise UserError(
            "No run has a score, since every fold lacks sections to train on; see the logs of "
            "select_panel."
        )
    return scores
