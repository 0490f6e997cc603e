# Inputs of models: patches (for networks trained on pixels), graphs and image features.


rule cut_patches:
    input:
        section=LAYOUT.section(),
        image=raw_image,
    output:
        LAYOUT.patches(),
    log:
        LAYOUT.log("cut_patches", "{view}", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("cut_patches", "{view}", "{dataset}", "{section}")
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=reading_image(1500, per_mb=2),
        runtime=growing(20, per_mb=1, of="section"),
    params:
        view=view_of,
    message:
        "Cutting patches ({wildcards.view}) of {wildcards.section}"
    script:
        "../../scripts/features/cut_patches.py"


rule build_graph:
    input:
        LAYOUT.section(),
    output:
        LAYOUT.graph(),
    log:
        LAYOUT.log("build_graph", "{graph}", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("build_graph", "{graph}", "{dataset}", "{section}")
    conda:
        "../../envs/data.yaml"
    params:
        graph=lambda wildcards: STUDY.config.graphs[wildcards.graph].model_dump(exclude_none=True),
    message:
        "Building the graph {wildcards.graph} of {wildcards.section}"
    script:
        "../../scripts/features/build_graph.py"


rule fetch_weights:
    output:
        LAYOUT.weights(),
    log:
        LAYOUT.log("fetch_weights", "{weights}"),
    benchmark:
        LAYOUT.benchmark("fetch_weights", "{weights}")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        downloads=1,
    params:
        lock=LAYOUT.weights_lock,
    message:
        "Downloading the weights of {wildcards.weights}"
    script:
        "../../scripts/features/fetch_weights.py"


rule embed_section:
    input:
        section=LAYOUT.section(),
        image=raw_image,
        weights=weights_input,
    output:
        LAYOUT.features(),
    log:
        LAYOUT.log("embed_section", "{encoder}", "{view}", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("embed_section", "{encoder}", "{view}", "{dataset}", "{section}")
    wildcard_constraints:
        encoder=one_of(name for name, each in STUDY.encoders.items() if each.weights),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=reading_image(4000, per_mb=2),
        runtime=growing(60, per_mb=1, of="section"),
        gpu=1,
    params:
        view=view_of,
    message:
        "Embedding {wildcards.section} ({wildcards.view}) with {wildcards.encoder}"
    script:
        "../../scripts/features/embed_section.py"


# Encoders without a network need no GPU.
use rule embed_section as measure_section with:
    input:
        section=LAYOUT.section(),
        image=raw_image,
    log:
        LAYOUT.log("measure_section", "{encoder}", "{view}", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("measure_section", "{encoder}", "{view}", "{dataset}", "{section}")
    wildcard_constraints:
        encoder=one_of(name for name, each in STUDY.encoders.items() if not each.weights),
    resources:
        mem_mb=reading_image(2000, per_mb=2),
        runtime=growing(60, per_mb=1, of="section"),
    message:
        "Computing {wildcards.encoder} of {wildcards.section} ({wildcards.view})"


use rule embed_section as embed_tiles with:
    output:
        LAYOUT.tiles(),
    log:
        LAYOUT.log("embed_tiles", "{tiles}", "{encoder}", "{view}", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("embed_tiles", "{tiles}", "{encoder}", "{view}", "{dataset}", "{section}")
    wildcard_constraints:
        encoder=one_of(STUDY.encoders),
    resources:
        mem_mb=reading_image(4000, per_mb=2),
        runtime=growing(240, per_mb=10, of="section"),
        gpu=1,
    params:
        view=view_of,
        tiles=tiles_of,
    message:
        "Embedding the {wildcards.tiles} of the spots of {wildcards.section} ({wildcards.view}) "
        "with {wildcards.encoder}"
