"""Select a gene panel on the training sections of a fold."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.sections.panels import Recipe, apply_recipe, read_section_counts, write_panel

    recipe = Recipe(**snakemake.params.recipe)
    sections = [read_section_counts(path) for path in snakemake.input]
    genes = apply_recipe(recipe, sections[0], sections, sections)
    provenance = {
        "chosen": "recipe fitted on the training sections",
        **snakemake.params.recipe,
        "reference": sections[0].section,
        "sections": [section.section for section in sections],
    }
    write_panel(snakemake.output.panel, genes, provenance)
    log.info("%d genes chosen on %d training sections.", len(genes), len(sections))
