"""Write Snakemake's own HTML report of the figures and tables of a study."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import tempfile
    from pathlib import Path

    import yaml
    from snakemake.cli import main

    from reg2st.base.files import written_whole

    with (
        tempfile.TemporaryDirectory() as folder,
        written_whole(snakemake.output[0]) as report,
    ):
        configfile = Path(folder) / "config.yaml"
        configfile.write_text(yaml.safe_dump(snakemake.params.config))
        try:
            # In this process, so that nobody goes on writing when it is killed.
            main(
                [
                    *("--snakefile", snakemake.params.snakefile),
                    *("--workflow-profile", "none", "--configfile", str(configfile)),
                    *("--cores", "1", "--nolock", "--report", str(report)),
                    snakemake.params.target,
                ]
            )
        except SystemExit as end:
            if end.code:
                raise RuntimeError("Snakemake did not write the report.") from None
