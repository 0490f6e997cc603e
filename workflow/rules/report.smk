# Tables, figures, and the report that holds them: reg2st.report.contents lists them all.
from reg2st.report.captions import about
from reg2st.report.contents import FIGURES, TABLES
from reg2st.report.contents import files as report_files

# For captions. It is not in params, so that a changed caption reruns nothing.
config["about"] = about(STUDY)
SECTIONS = [
    LAYOUT.section(dataset, section)
    for dataset in STUDY.datasets
    for section in STUDY.sections_of(dataset)
]
REPORT = f"{LAYOUT.results}/report.html"


report: "../report/workflow.rst"


rule comparison:
    input:
        report_files(STUDY),


rule ablation:
    input:
        report_files(STUDY, "ablation"),


rule sensitivity:
    input:
        report_files(STUDY, "sensitivity"),


rule tabulate:
    input:
        unpack(lambda wildcards: TABLES[wildcards.table].files(STUDY)),
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
            labels=lambda wildcards: {"table": TABLES[wildcards.table].label},
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
            subcategory=lambda wildcards: figure_of(wildcards).group,
            labels=lambda wildcards: figure_of(wildcards).labels(wildcards.of),
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
            subcategory=lambda wildcards: figure_of(wildcards).group,
            labels=lambda wildcards: figure_of(wildcards).labels(wildcards.of),
        ),
    log:
        LAYOUT.log("draw_on_slide", "{dataset}", "{figure}", "{of}"),
    benchmark:
        LAYOUT.benchmark("draw_on_slide", "{dataset}", "{figure}", "{of}")
    wildcard_constraints:
        figure=one_of(name for name, figure in FIGURES.items() if figure.on_slide),


onsuccess:
    if Path(LAYOUT.start_page).is_file():
        print(f"Look at the slides: open {LAYOUT.start_page} in a browser.")
    table = Path(LAYOUT.table("txt", "comparison"))
    if table.is_file():
        print(table.read_text(encoding="utf-8"))
        if "--report-after-run" in sys.argv:
            given = [each for each in sys.argv if each.startswith("--report=")]
            given += sys.argv[sys.argv.index("--report") + 1 :] if not given else []
            print("Report:", given[0].removeprefix("--report="))
        else:
            command = shlex.join(["snakemake", *sys.argv[1:], "--report", REPORT])
            print(f"Write the report with: {command}")
