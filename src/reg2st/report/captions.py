"""What captions and the report's front page say of a study."""

from typing import Any

from reg2st.evaluation.metrics import METRICS, Metric
from reg2st.report.contents import FIGURES, TABLES
from reg2st.report.labels import split_label
from reg2st.report.products import Product
from reg2st.sections.targets import TARGETS
from reg2st.study.dataset_config import FrozenPanel, HighestMeansPanel, Panel, VariablePanel
from reg2st.study.study import Study


def about(study: Study) -> dict[str, Any]:
    """Facts of a study and texts of its tables and figures, as plain values.

    The Snakefile keeps them in ``config["about"]``, where the templates of captions find them. So
    they are no ``params``, and a caption that changes makes no figure again.
    """
    runs = study.runs
    return {
        "study": study.config.name,
        "results": study.layout.results,
        "encoders": sorted(
            {f"{each.encoder} ({each.view})" for run in runs for each in run.features}
        ),
        "panels": {name: _panel(dataset.config.panel) for name, dataset in study.datasets.items()},
        "targets": {
            name: TARGETS[dataset.config.target].unit for name, dataset in study.datasets.items()
        },
        "presets": sorted({f"{run.method}: {run.preset}" for run in runs}),
        "seeds": list(study.config.seeds),
        "splits": {split: split_label(split) for split in study.config.splits},
        "tested": {
            name: {split: _tested(study, name, split) for split in study.splits_of(name)}
            for name in study.datasets
        },
        "metric": _texts_of(METRICS[study.config.metrics.headline]),
        "tables": {name: _texts(table, study) for name, table in TABLES.items()},
        "figures": {name: _texts(figure, study) for name, figure in FIGURES.items()},
    }


def sources(study: Study) -> dict[str, str]:
    """Where the numbers of a study come from, by name, for the start page of the viewer."""
    facts = about(study)
    named = {
        "Study": facts["study"],
        "Methods": "; ".join(f"{run} settings" for run in facts["presets"]),
        "Encoders": ", ".join(facts["encoders"]),
        "Genes": "; ".join(f"{name}: {panel}" for name, panel in facts["panels"].items()),
        "Values": "; ".join(f"{name}: {unit}" for name, unit in facts["targets"].items()),
    }
    return {name: text for name, text in named.items() if text}


def _panel(panel: Panel) -> str:
    """How the genes of a dataset are chosen, in words."""
    if isinstance(panel, FrozenPanel):
        return panel.file
    chosen = "the published recipe"
    if isinstance(panel, VariablePanel):
        chosen = f"the {panel.variable} most variable genes"
    elif isinstance(panel, HighestMeansPanel):
        chosen = f"the {panel.highest_means} genes with the highest means"
    return f"{chosen}, on the training sections of each fold"


def _tested(study: Study, dataset: str, split: str) -> str:
    """How many sections and patients a split tests, in words."""
    sections = study.tested(dataset, [split])
    patients = study.datasets[dataset].sheet.loc[sections, "patient"].nunique()
    return f"{len(sections)} sections of {patients} patients"


def _texts(product: Product, study: Study) -> dict[str, Any]:
    return {
        "shows": product.told(product.shows, study),
        "not_done": product.told(product.not_done, study),
        "of_scores": product.of_scores,
    }


def _texts_of(metric: Metric) -> dict[str, str]:
    """What the headline metric is, and of which genes it is undefined."""
    return {
        "what": f"{metric.label} is the {metric.meaning} {metric.sides}",
        "of_counts": "raw counts" if metric.observed == "counts" else "",
        "unit": f"its unit is {metric.unit}" if metric.unit else "it has no unit",
        "undefined": metric.undefined,
    }
