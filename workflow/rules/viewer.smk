# Interactive pages of the slides, to look at observed and predicted expression in a browser.
from reg2st.report.captions import sources
from reg2st.report.contents import TABLES


rule viewer:
    input:
        LAYOUT.start_page,


rule build_page:
    input:
        unpack(page_files),
        section=LAYOUT.section(),
        image=raw_image,
        labels=page_labels,
    output:
        page=directory(LAYOUT.page()),
        summary=LAYOUT.page_summary(),
    log:
        LAYOUT.log("build_page", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("build_page", "{dataset}", "{section}")
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=reading_image(2000, per_mb=20, of="section"),
    params:
        settings=page_settings,
    message:
        "Rendering the page of section {wildcards.section} of {wildcards.dataset}"
    script:
        "../../scripts/report/build_page.py"


rule build_slide_page:
    input:
        unpack(slide_files),
        predictions=LAYOUT.slide("predictions.h5ad"),
    output:
        page=directory(LAYOUT.slide_page()),
        summary=LAYOUT.slide_page_summary(),
    log:
        LAYOUT.log("build_slide_page", "{model}", "{slide}"),
    benchmark:
        LAYOUT.benchmark("build_slide_page", "{model}", "{slide}")
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=reading_image(2000, per_mb=20),
    params:
        settings={"study": STUDY.config.name, **STUDY.config.viewer.model_dump(mode="json")},
    message:
        "Rendering the page of slide {wildcards.slide} as predicted by {wildcards.model}"
    script:
        "../../scripts/report/build_slide_page.py"


# Only on request: name the folder as a target.
rule export_page:
    input:
        unpack(page_files),
        section=LAYOUT.section(),
        image=raw_image,
        labels=page_labels,
    output:
        directory(LAYOUT.exported()),
    log:
        LAYOUT.log("export_page", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("export_page", "{dataset}", "{section}")
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(2000, per_mb=40),
    params:
        settings=page_settings,
    message:
        "Writing section {wildcards.section} of {wildcards.dataset} for TissUUmaps and QuPath"
    script:
        "../../scripts/report/export_page.py"


rule viewer_index:
    input:
        unpack(lambda wildcards: TABLES["comparison"].files(STUDY) if STUDY.shown() else {}),
        summaries=[
            LAYOUT.page_summary(dataset, section)
            for dataset in STUDY.datasets
            for section in STUDY.sections_of(dataset)
        ]
        + [LAYOUT.slide_page_summary(*key) for key in SLIDE_PREDICTIONS],
    output:
        page=LAYOUT.start_page,
        files=directory(LAYOUT.start_page_files),
    log:
        LAYOUT.log("viewer_index"),
    benchmark:
        LAYOUT.benchmark("viewer_index")
    conda:
        "../../envs/report.yaml"
    params:
        settings=TABLES["comparison"].settings_of(STUDY),
        provenance=sources(STUDY),
        study=STUDY.config.name,
    message:
        "Listing the pages of the viewer"
    script:
        "../../scripts/report/viewer_index.py"
