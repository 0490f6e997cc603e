# Slides without counts: a model folder and an image give predictions, maps and files for viewers.
# One job predicts a slide, because reading, embedding and predicting are one stream.


checkpoint fetch_model:
    output:
        [LAYOUT.hub_model(file) for file in (*MODEL_FILES, MODEL_SCORES, MODEL_CARD)],
    log:
        LAYOUT.log("fetch_model", "{hub_model}"),
    benchmark:
        LAYOUT.benchmark("fetch_model", "{hub_model}")
    conda:
        "../../envs/torch.yaml"
    resources:
        downloads=1,
    params:
        lock=LAYOUT.weights_lock,
    message:
        "Downloading the model {wildcards.hub_model}"
    script:
        "../../scripts/slides/fetch_model.py"


rule predict_slide:
    input:
        unpack(slide_files),
        model=slide_model_files,
        weights=slide_weights,
    output:
        predictions=LAYOUT.slide("predictions.h5ad"),
        tissue=LAYOUT.slide("tissue.geojson"),
    log:
        LAYOUT.log("predict_slide", "{model}", "{slide}"),
    benchmark:
        LAYOUT.benchmark("predict_slide", "{model}", "{slide}")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=reading_image(6000, per_mb=2),
        runtime=lambda wildcards, attempt: 240 * attempt,
        gpu=1,
    params:
        row=slide_row,
        weights=slide_weight_names,
    message:
        "Predicting slide {wildcards.slide} with {wildcards.model}"
    script:
        "../../scripts/slides/predict_slide.py"


rule draw_slide:
    input:
        predictions=LAYOUT.slide("predictions.h5ad"),
        scores=lambda wildcards: slide_model_file(wildcards.model, MODEL_SCORES),
    output:
        spots=LAYOUT.slide("spots.geojson"),
        maps=report(
            LAYOUT.slide("maps.jpg"),
            caption="../report/slide.rst",
            category="Slides",
            labels={"slide": "{slide}", "model": "{model}"},
        ),
    log:
        LAYOUT.log("draw_slide", "{model}", "{slide}"),
    benchmark:
        LAYOUT.benchmark("draw_slide", "{model}", "{slide}")
    conda:
        "../../envs/report.yaml"
    params:
        genes=STUDY.config.figures.genes,
        best_genes=STUDY.config.figures.best_genes,
    message:
        "Drawing slide {wildcards.slide} as predicted by {wildcards.model}"
    script:
        "../../scripts/slides/draw_slide.py"


# Only on request: name the folder as a target.
use rule export_spatialdata as export_slide with:
    input:
        section=LAYOUT.slide("predictions.h5ad"),
        image=lambda wildcards: slide_files(wildcards)["image"],
    output:
        directory(LAYOUT.slide("spatialdata.zarr")),
    log:
        LAYOUT.log("export_slide", "{model}", "{slide}"),
    benchmark:
        LAYOUT.benchmark("export_slide", "{model}", "{slide}")
    params:
        table="predictions",
    message:
        "Writing slide {wildcards.slide} as predicted by {wildcards.model} as SpatialData"


# The truth of a simulated slide is read here for the first time.
rule score_slide:
    input:
        predictions=LAYOUT.slide("predictions.h5ad"),
        truth=lambda wildcards: LAYOUT.simulated("truth", SIMULATED_SLIDES, wildcards.slide),
        spots=lambda wildcards: LAYOUT.simulated("spots", SIMULATED_SLIDES, wildcards.slide),
    output:
        LAYOUT.slide("truth.tsv"),
    log:
        LAYOUT.log("score_slide", "{model}", "{slide}"),
    benchmark:
        LAYOUT.benchmark("score_slide", "{model}", "{slide}")
    conda:
        "../../envs/report.yaml"
    message:
        "Comparing the predictions of the simulated slide {wildcards.slide} with its truth"
    script:
        "../../scripts/slides/score_slide.py"


rule summarise_slides:
    input:
        SLIDE_PREDICTIONS.values(),
    output:
        summary=LAYOUT.slides("summary.tsv"),
        failed=LAYOUT.slides("failed.tsv"),
    log:
        LAYOUT.log("summarise_slides"),
    benchmark:
        LAYOUT.benchmark("summarise_slides")
    conda:
        "../../envs/report.yaml"
    params:
        slides=list(SLIDE_PREDICTIONS),
    message:
        "Summarising all slides"
    script:
        "../../scripts/slides/summarise_slides.py"


rule slides:
    input:
        [LAYOUT.slide("maps.jpg", *key) for key in SLIDE_PREDICTIONS],
        LAYOUT.slides("summary.tsv") if SLIDE_PREDICTIONS else [],
        [LAYOUT.slide("truth.tsv", *key) for key in SLIDE_PREDICTIONS if SLIDES_ARE_SIMULATED],
