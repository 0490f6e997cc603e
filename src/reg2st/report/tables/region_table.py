"""The table of agreement with the pathologist's regions."""

import numpy as np
import pandas as pd

from reg2st.report.labels import in_fixed_order, method_labels, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.writers import Table, number, whole


def region_table(agreement: pd.DataFrame) -> Table:
    """ARI and NMI of clusters of predicted expression with labelled regions, by section.

    Args:
        agreement: columns dataset, split, fold, section, patient, method, variant, preset,
            seed, ari, nmi, n_labelled, n_regions
            (:func:`reg2st.evaluation.regions.section_agreements`); the method ``observed`` is the
            observed expression, clustered in the same way. Seeds are averaged.

    Returns:
        ``values`` has the means over seeds, and runs; for the observed expression that is the
        section's file.
    """
    keys = ["dataset", "split", "fold", "section", "patient", "method", "variant", "preset"]
    values = agreement.groupby(keys, sort=False, as_index=False).agg(
        ari=("ari", "mean"),
        nmi=("nmi", "mean"),
        n_labelled=("n_labelled", "first"),
        n_regions=("n_regions", "first"),
        n_seeds=("seed", "nunique"),
    )
    sections = in_fixed_order(values).groupby(["dataset", "split", "section"], sort=False)
    values = pd.concat([rows for _, rows in sections], ignore_index=True)
    observed = "sections/" + values["dataset"] + "/" + values["section"] + ".h5ad"
    values["runs"] = np.where(values["method"] == "observed", observed, run_folders(values))
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            "Section": values["section"],
            "Method": method_labels(values),
            "ARI": values["ari"].map(number),
            "NMI": values["nmi"].map(number),
            "Labelled spots": values["n_labelled"].map(whole),
            "Regions": values["n_regions"].map(whole),
        }
    )
    notes = (
        "ARI: adjusted Rand index, 0 by chance, 1 for the same regions. NMI: normalised mutual "
        "information, 0 to 1. k-means on the first 20 principal components, as many clusters as "
        "regions; spots without a label are left out.",
    )
    title = "Agreement with the pathologist's regions"
    return Table("regions", title, values, shown, ("Dataset", "Split", "Section"), notes)
