"""Write Snakemake's own HTML report of the figures and tables of a study."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    import subprocess
    import sys
    import tempfile
    from pathlib import Path

    import yaml

    from reg2st.files import written_whole

    with (
        tempfile.TemporaryDirectory() as folder,
        written_whole(snakemake.output[0]) as report,
    ):
        configfile = Path(folder) / "config.yaml"
        configfile.write_text(yaml.safe_dump(snakemake.params.config))
        subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--snakefile", snakemake.params.snakefile),
                *("--workflow-profile", "none", "--configfile", str(configfile)),
                *("--cores", "1", "--nolock", "--report", str(report), snakemake.params.target),
            ],
            check=True,
            stdout=sys.stdout,
            stderr=sys.stderr,
        )
