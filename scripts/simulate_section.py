"""Simulate one section."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    from pathlib import Path

    from reg2st.simulate.section import SectionPaths, simulate_section

    simulate_section(
        snakemake.params.simulation,
        snakemake.wildcards.section,
        SectionPaths(**{name: Path(path) for name, path in snakemake.output.items()}),
    )
