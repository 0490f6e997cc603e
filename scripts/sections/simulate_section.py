"""Simulate one section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from pathlib import Path

    from reg2st.sections.simulate.simulated_section import SectionPaths, simulate_section

    simulate_section(
        snakemake.params.simulation,
        snakemake.wildcards.section,
        SectionPaths(**{name: Path(path) for name, path in snakemake.output.items()}),
    )
