"""The page of a study's section, from its section file, slide, predictions and scores."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reg2st.evaluation.predictions import StoredPredictions, stored_predictions
from reg2st.evaluation.regions import is_labelled
from reg2st.evaluation.tidy import read_tidy
from reg2st.report.labels import counted, method_label, method_order, split_label
from reg2st.report.viewer.page import Layer, Page, best_genes, spot_sizes_px
from reg2st.sections.annotations import load_labels
from reg2st.sections.panels import read_panel
from reg2st.sections.section_file import load_counts, load_section_arrays
from reg2st.sections.targets import TARGETS, Target

WITHOUT_A_PANEL = "log_normalised"
"""Target of sections without a panel, where the study's target is scaled by the panel's counts."""


def page_of_section(
    section: str | os.PathLike,
    image: str | os.PathLike,
    *,
    study: str,
    target: str,
    reference: str,
    split: str = "",
    panel: str | os.PathLike | None = None,
    predictions: Mapping[str, str | os.PathLike] | None = None,
    scores: Mapping[str, str | os.PathLike] | None = None,
    records: Mapping[str, str | os.PathLike] | None = None,
    labels: str | os.PathLike | None = None,
    genes: Sequence[str] = (),
    most_genes: int = 1000,
) -> Page:
    """What the page of a section shows.

    Args:
        section: the section file.
        image: its slide.
        study: name of the study.
        target: name of what the study predicts.
        reference: the method that ranks the genes, if it predicts the section.
        split: how the section was held out; empty if it is tested nowhere.
        panel: the panel of the section's fold; None if it is tested nowhere.
        predictions, scores, records: a file a method; none if it is tested nowhere.
        labels: file of its labels, if it has any.
        genes: genes to show beside those of the panel.
        most_genes: how many genes of the panel at most: those with the highest score, or in a
            section without a panel with the highest counts.

    Raises:
        UserError: a file is damaged or belongs to other spots.
    """
    arrays = load_section_arrays(section)
    counts = _Counts(section, read_panel(panel) if panel else None, target)
    stored = {
        method: stored_predictions(path, arrays.name, arrays.barcodes)
        for method, path in (predictions or {}).items()
    }
    shown = [method for method in method_order(stored) if stored[method].genes]
    pcc = {method: _pcc(scores[method], arrays.name) for method in shown if method in scores}
    if reference not in shown:
        reference = shown[-1] if shown else ""
    ranked = pcc[reference].reindex(counts.panel).to_numpy() if reference else None
    names = best_genes(counts.panel, ranked, most_genes)
    names += [gene for gene in genes if gene not in names and gene in counts]
    layers = [Layer("observed", "Observed", "expression", counts.target.unit, counts.read)]
    for method in shown:
        layers += _layers(method, stored[method], counts.target.unit)
    runs = {
        method: json.loads(Path(path).read_text(encoding="utf-8"))
        for method, path in (records or {}).items()
        if method in shown
    }
    size, pitch, square = spot_sizes_px(arrays.spot_diameter_px, arrays.spot_pitch_px)
    of_spots = load_labels(labels, arrays.barcodes) if labels else None
    facts = {"dataset": arrays.dataset, "patient": arrays.patient, "platform": arrays.platform}
    if split:
        facts["split"] = split_label(split)
    return Page(
        name=arrays.name,
        facts=facts,
        image=Path(image),
        barcodes=arrays.barcodes,
        pixel_xy=arrays.pixel_xy,
        um_per_px=arrays.um_per_px,
        spot_px=size,
        pitch_px=pitch,
        square=square,
        genes=names,
        layers=layers,
        scores={method: each.reindex(names).to_numpy() for method, each in pcc.items()},
        reference=reference,
        labels=of_spots if of_spots is not None and is_labelled(of_spots).any() else None,
        summary=_summary(reference, pcc),
        provenance=[("Study", study), *_provenance(runs, counts, len(names))],
        commits=sorted({run["git_commit"] for run in runs.values() if run["git_commit"]}),
        warnings=arrays.warnings,
    )


def page_of_inputs(files: Mapping[str, Any], *, methods: Sequence[str], **settings: Any) -> Page:
    """The page of a section from the inputs of a job.

    Args:
        files: section, image, and labels, panel, predictions, scores and records where it has
            them; of the last three a file for each of the methods.
        methods: those that test the section.
        settings: further arguments of :func:`page_of_section`.
    """
    of_methods = {
        kind: dict(zip(methods, files.get(kind, []), strict=True))
        for kind in ("predictions", "scores", "records")
    }
    return page_of_section(
        files["section"],
        files["image"],
        panel=files.get("panel"),
        labels=files.get("labels") or None,
        **of_methods,
        **settings,
    )


class _Counts:
    """The observed counts of a section, and their target.

    Attributes:
        panel: the genes of the section's fold; without a fold all, from the highest counts down.
        target: what is shown of the counts.
    """

    def __init__(self, section: str | os.PathLike, panel: list[str] | None, target: str) -> None:
        counts, genes = load_counts(section)
        self._column = {gene: column for column, gene in reversed(list(enumerate(genes)))}
        totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
        self._counts = counts.tocsc()
        self.target: Target = TARGETS[target]
        if panel is None:
            of_genes = np.asarray(self._counts.sum(axis=0)).ravel()
            panel = [genes[column] for column in np.argsort(-of_genes, kind="stable")]
            panel = list(dict.fromkeys(panel))
            if self.target.scaled_by == "panel":
                self.target = TARGETS[WITHOUT_A_PANEL]
        self.panel = panel
        in_panel = np.zeros(len(genes))
        in_panel[[self._column[gene] for gene in panel if gene in self]] = 1
        of_panel = self._counts @ in_panel
        self._library = self.target.library(of_panel[:, None], totals)[:, None]

    def __contains__(self, gene: str) -> bool:
        return gene in self._column

    def read(self, genes: Sequence[str]) -> NDArray[np.float32]:
        """The target of some genes, float32 ``[n, genes]``; a gene without counts is zero."""
        counts = np.zeros((self._counts.shape[0], len(genes)))
        for place, gene in enumerate(genes):
            if gene in self:
                column = self._column[gene]
                stored = slice(*self._counts.indptr[column : column + 2])
                counts[self._counts.indices[stored], place] = self._counts.data[stored]
        return self.target.of_counts(counts, self._library).astype(np.float32)


def _layers(method: str, stored: StoredPredictions, unit: str) -> list[Layer]:
    """A method's prediction, and its predictive standard deviation if it has one."""
    label = method_label(method)
    layers = [Layer(method, label, "expression", unit, stored.read)]
    if stored.has_spread:
        read = _spread_of(stored)
        layers.append(Layer(f"{method}.sd", f"{label}, SD", "spread", unit, read, of=method))
    return layers


def _spread_of(stored: StoredPredictions) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    return lambda genes: stored.read(genes, "layers/spread")


def _pcc(path: str | os.PathLike, section: str) -> pd.Series:
    """The PCC of each gene of a section."""
    scores = read_tidy(path)
    return scores[scores["section"] == section].set_index("gene")["pcc"]


def _summary(reference: str, pcc: Mapping[str, pd.Series]) -> str:
    if not reference:
        return "observed only: no fold tests this section"
    of_genes = pcc[reference].dropna()
    if of_genes.empty:
        return f"{method_label(reference)}: no PCC"
    return f"{method_label(reference)}: mean PCC {of_genes.mean():.3f}".replace("-", "−")


def _provenance(
    runs: Mapping[str, Mapping[str, Any]], counts: _Counts, genes: int
) -> list[tuple[str, str]]:
    """Where the numbers of a page come from, of each method by the record of its run."""
    panels = sorted({run["panel"] for run in runs.values()})
    rows = [
        ("Values", counts.target.unit),
        ("Genes", ", ".join([f"{genes:,} of {len(counts.panel):,}", *panels])),
    ]
    for method, run in runs.items():
        trained = run["training_sections"]
        told = [
            f"{run['preset']} settings",
            f"trained on {counted(len(trained), 'section')} ({', '.join(trained)})",
            *sorted({f"features {each['encoder']}" for each in run["features"]}),
        ]
        rows.append((method_label(method), "; ".join(told)))
    return rows
