# Figures, each as PDF and PNG.


rule draw_section_boxes:
    input:
        scores=f"{RESULTS}/scores/{{dataset}}.parquet",
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/section_boxes/{{split}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/section_boxes/{{split}}.png",
            caption="../report/section_boxes.rst",
            category="{dataset}",
            subcategory="PCC",
            labels={"figure": "PCC by section", "split": "{split}"},
        ),
    log:
        f"{LOGS}/draw_section_boxes/{{dataset}}/{{split}}.log",
    benchmark:
        f"{LOGS}/draw_section_boxes/{{dataset}}/{{split}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
    message:
        "Drawing PCC by section of {wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/draw_section_boxes.py"


rule draw_wilcoxon:
    input:
        scores=f"{RESULTS}/scores/{{dataset}}.parquet",
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/wilcoxon/{{split}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/wilcoxon/{{split}}.png",
            caption="../report/wilcoxon.rst",
            category="{dataset}",
            subcategory="PCC",
            labels={"figure": "tests between methods", "split": "{split}"},
        ),
    log:
        f"{LOGS}/draw_wilcoxon/{{dataset}}/{{split}}.log",
    benchmark:
        f"{LOGS}/draw_wilcoxon/{{dataset}}/{{split}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        reference=config["reference"],
    message:
        "Drawing the tests between methods of {wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/draw_wilcoxon.py"


rule draw_leakage:
    input:
        scores=f"{RESULTS}/scores/{{dataset}}.parquet",
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/leakage.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/leakage.png",
            caption="../report/leakage.rst",
            category="{dataset}",
            subcategory="PCC",
            labels={"figure": "section-out against patient-out", "split": "both"},
        ),
    log:
        f"{LOGS}/draw_leakage/{{dataset}}.log",
    benchmark:
        f"{LOGS}/draw_leakage/{{dataset}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
    message:
        "Drawing section-out against patient-out of {wildcards.dataset}"
    script:
        "../../scripts/draw_leakage.py"


rule draw_expression_level:
    input:
        scores=f"{RESULTS}/scores/{{dataset}}.parquet",
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/expression_level/{{split}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/expression_level/{{split}}.png",
            caption="../report/expression_level.rst",
            category="{dataset}",
            subcategory="PCC",
            labels={"figure": "PCC against expression level", "split": "{split}"},
        ),
    log:
        f"{LOGS}/draw_expression_level/{{dataset}}/{{split}}.log",
    benchmark:
        f"{LOGS}/draw_expression_level/{{dataset}}/{{split}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
    message:
        "Drawing PCC against expression level of {wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/draw_expression_level.py"


rule draw_experiment:
    input:
        scores=f"{RESULTS}/scores/{{dataset}}_{{experiment}}.parquet",
        published=f"{PUBLISHED}/{{experiment}}.tsv",
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/{{experiment}}/{{split}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/{{experiment}}/{{split}}.png",
            caption="../report/experiment_figure.rst",
            category="{dataset}",
            subcategory="Experiments",
            labels={"figure": "{experiment}", "split": "{split}"},
        ),
    log:
        f"{LOGS}/draw_experiment/{{dataset}}/{{experiment}}/{{split}}.log",
    benchmark:
        f"{LOGS}/draw_experiment/{{dataset}}/{{experiment}}/{{split}}.tsv"
    wildcard_constraints:
        experiment=one_of(EXPERIMENTS),
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        points=points_of,
    message:
        "Drawing the {wildcards.experiment} on {wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/draw_experiment.py"


rule draw_training:
    input:
        histories=lambda wildcards: [
            f"{RESULTS}/{run.directory}/history.tsv" for run in trained_runs(wildcards)
        ],
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/training/{{split}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/training/{{split}}.png",
            caption="../report/training_curves.rst",
            category="{dataset}",
            subcategory="Training",
            labels={"figure": "training curves", "split": "{split}"},
        ),
    log:
        f"{LOGS}/draw_training/{{dataset}}/{{split}}.log",
    benchmark:
        f"{LOGS}/draw_training/{{dataset}}/{{split}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        runs=lambda wildcards: [
            [run.method, run.variant, run.preset] for run in trained_runs(wildcards)
        ],
    message:
        "Drawing the training curves of {wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/draw_training.py"


rule draw_gene_maps:
    input:
        section=f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
        scores=f"{RESULTS}/scores/{{dataset}}.parquet",
        predictions=lambda wildcards: [
            f"{RESULTS}/{run.directory}/predictions.h5ad" for run in runs_testing(wildcards)
        ],
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/gene_maps/{{split}}/{{section}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/gene_maps/{{split}}/{{section}}.png",
            caption="../report/gene_maps.rst",
            category="{dataset}",
            subcategory="Maps of genes",
            labels={"figure": "maps of genes", "split": "{split}", "section": "{section}"},
        ),
    log:
        f"{LOGS}/draw_gene_maps/{{dataset}}/{{split}}/{{section}}.log",
    benchmark:
        f"{LOGS}/draw_gene_maps/{{dataset}}/{{split}}/{{section}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        runs=lambda wildcards: [
            [run.method, run.variant, run.preset] for run in runs_testing(wildcards)
        ],
        genes=config["figures"]["genes"],
        best_genes=config["figures"]["best_genes"],
    message:
        "Mapping genes on {wildcards.section}, {wildcards.split}"
    script:
        "../../scripts/draw_gene_maps.py"


rule draw_expected_pcc:
    input:
        scores=f"{RESULTS}/scores/{{dataset}}.parquet",
        predictions=lambda wildcards: [
            f"{RESULTS}/{run.directory}/predictions.h5ad" for run in expecting_runs(wildcards)
        ],
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/expected_pcc/{{split}}/{{method}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/expected_pcc/{{split}}/{{method}}.png",
            caption="../report/expected_pcc.rst",
            category="{dataset}",
            subcategory="PCC",
            labels={"figure": "expected against true PCC, {method}", "split": "{split}"},
        ),
    log:
        f"{LOGS}/draw_expected_pcc/{{dataset}}/{{split}}/{{method}}.log",
    benchmark:
        f"{LOGS}/draw_expected_pcc/{{dataset}}/{{split}}/{{method}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        seed=config["seeds"][0],
    message:
        "Drawing expected against true PCC of {wildcards.method} on {wildcards.dataset}, "
        "{wildcards.split}"
    script:
        "../../scripts/draw_expected_pcc.py"


rule draw_region_maps:
    input:
        section=f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
        predictions=lambda wildcards: [
            f"{RESULTS}/{run.directory}/predictions.h5ad" for run in runs_testing(wildcards)
        ],
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/region_maps/{{split}}/{{section}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/region_maps/{{split}}/{{section}}.png",
            caption="../report/region_maps.rst",
            category="{dataset}",
            subcategory="Regions",
            labels={"figure": "regions", "split": "{split}", "section": "{section}"},
        ),
    log:
        f"{LOGS}/draw_region_maps/{{dataset}}/{{split}}/{{section}}.log",
    benchmark:
        f"{LOGS}/draw_region_maps/{{dataset}}/{{split}}/{{section}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        runs=lambda wildcards: [
            [run.method, run.variant, run.preset] for run in runs_testing(wildcards)
        ],
    message:
        "Mapping regions and clusters on {wildcards.section}, {wildcards.split}"
    script:
        "../../scripts/draw_region_maps.py"
