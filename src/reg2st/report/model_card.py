"""The model card of a model folder, and the cross-validated score of each of its genes."""

from pathlib import Path

import pandas as pd

from reg2st.base.files import written_whole
from reg2st.models.model_folder import CARD, SCORES, ModelDescription, read_description
from reg2st.report.labels import counted, method_label
from reg2st.sections.targets import TARGETS

SPLIT = "patient_out"
"""The cross-validation that says what to expect of a new patient."""

BEST = 10

SCORE_COLUMNS = ("gene", "pcc", "sections")


def describe_model(folder: Path, scores: Path | None) -> None:
    """Write the card and the scores of a model folder.

    Args:
        folder: a model folder.
        scores: tidy scores of the comparison of its dataset, if it ran.
    """
    description = read_description(folder)
    of_genes = cross_validated(description, scores)
    with written_whole(folder / SCORES) as temporary:
        of_genes.to_csv(temporary, sep="\t", index=False, float_format="%.4f")
    with written_whole(folder / CARD) as temporary:
        temporary.write_text(card(description, of_genes), encoding="utf-8")


def cross_validated(description: ModelDescription, scores: Path | None) -> pd.DataFrame:
    """Mean PCC of each gene over held-out sections of leave-one-patient-out; no row without it.

    Columns: gene, pcc, and the number of sections where it is defined.
    """
    empty = pd.DataFrame(columns=SCORE_COLUMNS)
    if scores is None:
        return empty
    tidy = pd.read_parquet(scores)
    mine = tidy[
        (tidy["split"] == SPLIT)
        & (tidy["method"] == description.method)
        & (tidy["variant"] == "full")
        & (tidy["seed"] == description.seed)
        & tidy["gene"].isin(description.genes)
    ]
    if mine.empty:
        return empty
    by_gene = mine.groupby("gene")["pcc"].agg(pcc="mean", sections="count")
    return by_gene.reindex(description.genes).rename_axis("gene").reset_index()


def card(description: ModelDescription, scores: pd.DataFrame) -> str:
    """The model card as Markdown."""
    trained = description.trained_on
    target = TARGETS[description.target]
    title = f"{method_label(description.method)} trained on {trained.dataset}"
    fields = sorted({f"{block.field_um:.0f} µm" for block in description.blocks})
    licences = sorted({f"{block.encoder}: {block.licence}" for block in description.blocks})
    data = (
        f"{counted(len(trained.sections), 'section')} of "
        f"{counted(len(trained.patients), 'patient')}, {counted(trained.spots, 'spot')}, "
        f"platform {', '.join(trained.platforms)}"
    )
    grid = description.grid
    sections = [
        f"# {title}\n\nPredicts {counted(len(description.genes), 'gene')} from a stained slide.",
        "## Limits\n\n"
        + "\n".join(f"- {limit}" for limit in _limits(description, scores))
        + "\n\nFor research only. It is no medical device.",
        "## Score of each gene\n\n" + _scores_text(scores),
        "## Training\n\n"
        f"- Data: {data}. Licence: {trained.licence}.\n"
        f"- Sections: {', '.join(trained.sections)}.\n"
        f"- Method: `{description.method}`, preset {description.preset}, seed {description.seed}.\n"
        f"- Unit of the predictions: {target.unit}.",
        "## Input\n\n"
        f"- Fields of view: {', '.join(fields) or 'none'}, read from the slide at any resolution "
        "up to twice as coarse.\n"
        f"- Spots: a {grid.grid} grid with a pitch of {grid.pitch_um:g} µm.\n"
        + "".join(f"- Encoder and licence of its weights: {line}.\n" for line in licences),
        "## Use\n\nName this folder under `slides: models:` in a config and run\n"
        "`snakemake slides --cores all --configfile CONFIG`.",
        "## Software\n\n"
        + "\n".join(f"- {name} {version}" for name, version in description.versions.items())
        + f"\n- commit {description.git_commit or 'unknown'}",
    ]
    return "\n\n".join(section.rstrip() for section in sections) + "\n"


def _limits(description: ModelDescription, scores: pd.DataFrame) -> list[str]:
    trained = description.trained_on
    limits = []
    if scores.empty:
        limits.append(
            "It was not evaluated: no comparison with leave-one-patient-out ran. Nothing is known "
            "of its error in a new patient."
        )
    else:
        limits.append(
            f"Mean PCC in patients that were left out: {scores['pcc'].mean():.2f}. Most of what "
            "a gene does in a single spot is not predicted."
        )
        poor = int((scores["pcc"] < 0.1).sum())
        limits.append(
            f"{poor} of {counted(len(scores), 'gene')} have a PCC below 0.1: do not use them."
        )
    limits.append(
        "Predictions are means given the image. They vary less than real expression, and a "
        "patient's own level of a gene is not seen on the slide."
    )
    limits.append(
        f"It knows {counted(len(trained.patients), 'patient')} of one dataset. Another organ, "
        "stain or scanner is outside; `distance` above 1 in the predictions says where."
    )
    return limits


def _scores_text(scores: pd.DataFrame) -> str:
    if scores.empty:
        return "Not evaluated."
    best = scores.nlargest(BEST, "pcc")
    rows = "\n".join(
        f"| {gene} | {pcc:.2f} |" for gene, pcc in zip(best.gene, best.pcc, strict=True)
    )
    return (
        "Mean PCC over the sections of left-out patients; all genes are in `scores.tsv`. The "
        f"{len(best)} best:\n\n| gene | PCC |\n|---|---|\n{rows}"
    )
