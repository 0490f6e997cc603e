"""Score the predictions of one run against the observed expression."""

from pathlib import Path

import anndata
import pandas as pd

from reg2st.base.files import written_whole
from reg2st.evaluation.metrics import score_section
from reg2st.sections.section_file import load_section_arrays
from reg2st.sections.targets import log_expression


def score_run(
    key: dict[str, str | int], predictions: Path, sections: list[Path], out: Path
) -> None:
    """Write the tidy scores of a run: one row per test section and gene.

    Args:
        key: columns that identify the run.
        predictions: the run's predictions; the observed counts are read here for the first time.
        sections: section files of the test sections.
        out: TSV to write; its columns are ``key``'s, section, patient, gene, pcc, spearman, mse,
            n_spots, n_expressing (spots with a count above 0) and mean_expression (of the target).
    """
    adata = anndata.read_h5ad(predictions)
    genes = list(adata.var_names)
    rows = []
    for path in sections:
        observed = load_section_arrays(path, genes)
        expression = log_expression(observed.counts)
        predicted = adata.X[(adata.obs["section"] == observed.name).to_numpy()]
        rows.append(
            pd.DataFrame(
                {
                    **key,
                    "section": observed.name,
                    "patient": observed.patient,
                    "gene": genes,
                    **score_section(expression, predicted),
                    "n_spots": len(expression),
                    "n_expressing": (observed.counts > 0).sum(axis=0),
                    "mean_expression": expression.mean(axis=0),
                }
            )
        )
    with written_whole(out) as temporary:
        pd.concat(rows).to_csv(temporary, sep="\t", index=False, float_format="%.7g")
