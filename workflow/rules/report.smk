# Tables, figures, and the report that holds them: reg2st.report.contents lists them all.
from reg2st.report.captions import about
from reg2st.report.contents import FIGURES, TABLES
from reg2st.report.contents import files as report_files
from reg2st.study.dataset_config import FrozenPanel

# For captions. It is not in params, so that a changed caption reruns nothing.
config["about"] = about(STUDY)
SECTIONS = [
    LAYOUT.section(dataset, section)
    for dataset in STUDY.datasets
    for section in STUDY.sections_of(dataset)
]
PANELS = [
    LAYOUT.provenance(LAYOUT.frozen_panel(name))
    for name, dataset in STUDY.datasets.items()
    if STUDY.splits_of(name) and isinstance(dataset.config.panel, FrozenPanel)
]
REPORT = f"{LAYOUT.results}/report.html"


report: "../report/workflow.rst"


rule comparison:
    input:
        files_for("comparison"),


rule ablation:
    input:
        files_for("ablation"),


rule sensitivity:
    input:
        files_for("sensitivity"),


# The last job of a target. It only waits for the tables and figures, and fails if a run did.
rule check_runs:
    input:
        runs=lambda wildcards: runs_for(wildcards.target),
        made=lambda wildcards: ancient(made_for(wildcards.target)),
    output:
        LAYOUT.complete(),
    log:
        LAYOUT.log("check_runs", "{target}"),
    wildcard_constraints:
        target="all|comparison|ablation|sensitivity",
    localrule: True
    conda:
        "../../envs/report.yaml"
    message:
        "Checking whether a run failed"
    script:
        "../../scripts/report/check_runs.py"


rule tabulate:
    input:
        unpack(lambda wildcards: TABLES[wildcards.table].files(STUDY)),
        runs=lambda wildcards: TABLES[wildcards.table].runs(STUDY),
        panels=PANELS,
        sections=SECTIONS,
    output:
        LAYOUT.table("tsv"),
        LAYOUT.table("txt"),
        LAYOUT.table("md"),
        LAYOUT.table("tex"),
        report(
            LAYOUT.table("html"),
            caption="../report/table.rst",
            category="Tables",
            labels=lambda wildcards: TABLES[wildcards.table].labels(STUDY),
        ),
    log:
        LAYOUT.log("tabulate", "{table}"),
    benchmark:
        LAYOUT.benchmark("tabulate", "{table}")
    wildcard_constraints:
        table=one_of(TABLES),
    conda:
        "../../envs/report.yaml"
    params:
        settings=lambda wildcards: TABLES[wildcards.table].settings_of(STUDY),
    message:
        "Tabulating {wildcards.table}"
    script:
        "../../scripts/report/tabulate.py"


rule draw:
    input:
        unpack(lambda wildcards: figure_of(wildcards).files(STUDY, wildcards.dataset, wildcards.of)),
    output:
        LAYOUT.figure("pdf"),
        report(
            LAYOUT.figure("png"),
            caption="../report/figure.rst",
            category="{dataset}",
            subcategory=lambda wildcards: figure_of(wildcards).told(
                figure_of(wildcards).group, STUDY
            ),
            labels=lambda wildcards: figure_of(wildcards).labels(wildcards.of, STUDY),
        ),
    log:
        LAYOUT.log("draw", "{dataset}", "{figure}", "{of}"),
    benchmark:
        LAYOUT.benchmark("draw", "{dataset}", "{figure}", "{of}")
    wildcard_constraints:
        figure=one_of(name for name, figure in FIGURES.items() if not figure.on_slide),
    conda:
        "../../envs/report.yaml"
    params:
        settings=lambda wildcards: figure_of(wildcards).settings_of(STUDY),
    message:
        "Drawing {wildcards.figure} of {wildcards.dataset}, {wildcards.of}"
    script:
        "../../scripts/report/draw.py"


# Figures on slides are JPEG files, which are small for photographs.
use rule draw as draw_on_slide with:
    output:
        LAYOUT.figure("pdf"),
        report(
            LAYOUT.figure("jpg"),
            caption="../report/figure.rst",
            category="{dataset}",
            subcategory=lambda wildcards: figure_of(wildcards).told(
                figure_of(wildcards).group, STUDY
            ),
            labels=lambda wildcards: figure_of(wildcards).labels(wildcards.of, STUDY),
        ),
    log:
        LAYOUT.log("draw_on_slide", "{dataset}", "{figure}", "{of}"),
    benchmark:
        LAYOUT.benchmark("draw_on_slide", "{dataset}", "{figure}", "{of}")
    wildcard_constraints:
        figure=one_of(name for name, figure in FIGURES.items() if figure.on_slide),


onsuccess:
    show_slides()
    show_comparison()


# A bad slide fails alone, and a run that failed stops the last job alone: the rest is there to show.
onerror:
    show_slides(write_tables=True)
    if was_checked():
        show_comparison(write_report=True)
