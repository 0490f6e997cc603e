"""Refuse the runs of a target that failed, once everything else is made."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.base.failures import refuse_failures
    from reg2st.base.files import written_whole

    refuse_failures(snakemake.input.runs, "run")
    with written_whole(snakemake.output[0]) as temporary:
        temporary.write_text(f"{len(snakemake.input.runs)} runs, none failed.\n", encoding="utf-8")
