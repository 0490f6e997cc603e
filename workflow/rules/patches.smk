# Patches around the spots, a picture to check them by, and their embeddings.


rule cut_patches:
    input:
        section=f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
        image=lambda wildcards: raw_file(wildcards.dataset, wildcards.section, "image"),
    output:
        f"{RESULTS}/patches/{{view}}/{{dataset}}/{{section}}.h5",
    log:
        f"{LOGS}/cut_patches/{{view}}/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/cut_patches/{{view}}/{{dataset}}/{{section}}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500, per_mb=80),
        runtime=growing(20, per_mb=0.1),
    params:
        view=lambda wildcards: config["views"][wildcards.view],
    message:
        "Cutting patches ({wildcards.view}) of {wildcards.section}"
    script:
        "../../scripts/cut_patches.py"


rule draw_spots:
    input:
        section=f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
        patches=lambda wildcards: (
            f"{RESULTS}/patches/{config['inputs']['patches']}/{{dataset}}/{{section}}.h5"
        ),
    output:
        report(
            f"{RESULTS}/figures/{{dataset}}/spots/{{section}}.png",
            caption="../report/spots.rst",
            category="{dataset}",
            subcategory="Quality control",
            labels={"figure": "spots on the slide", "section": "{section}"},
        ),
    log:
        f"{LOGS}/draw_spots/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/draw_spots/{{dataset}}/{{section}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    message:
        "Drawing the spots of {wildcards.section} on its slide"
    script:
        "../../scripts/draw_spots.py"


rule fetch_weights:
    output:
        "resources/weights/{weights}.safetensors",
    log:
        f"{LOGS}/fetch_weights/{{weights}}.log",
    benchmark:
        f"{LOGS}/fetch_weights/{{weights}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        downloads=1,
    params:
        lock="resources/locks/weights.json",
    message:
        "Fetching the weights of {wildcards.weights}"
    script:
        "../../scripts/fetch_weights.py"


rule embed_patches:
    input:
        patches=f"{RESULTS}/patches/{{view}}/{{dataset}}/{{section}}.h5",
        weights=weights_file,
    output:
        f"{RESULTS}/embeddings/{{encoder}}/{{view}}/{{dataset}}/{{section}}.h5",
    log:
        f"{LOGS}/embed_patches/{{encoder}}/{{view}}/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/embed_patches/{{encoder}}/{{view}}/{{dataset}}/{{section}}.tsv"
    wildcard_constraints:
        encoder=one_of(name for name, each in ENCODERS.items() if each.weights),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000, per_mb=2),
        runtime=growing(60, per_mb=0.1),
        gpu=1,
    message:
        "Embedding the patches of {wildcards.section} with {wildcards.encoder}"
    script:
        "../../scripts/embed_patches.py"


# What no network computes needs no GPU.
use rule embed_patches as measure_patches with:
    log:
        f"{LOGS}/measure_patches/{{encoder}}/{{view}}/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/measure_patches/{{encoder}}/{{view}}/{{dataset}}/{{section}}.tsv"
    wildcard_constraints:
        encoder=one_of(name for name, each in ENCODERS.items() if not each.weights),
    resources:
        mem_mb=growing(4000, per_mb=2),
        runtime=growing(60, per_mb=0.1),
    message:
        "Measuring the patches of {wildcards.section}: {wildcards.encoder}"
