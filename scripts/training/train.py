"""Train a model on the training sections of a fold."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from contextlib import nullcontext
    from functools import partial
    from pathlib import Path

    from reg2st.base.devices import claim_device
    from reg2st.base.failures import noted
    from reg2st.base.memory import keep_freed_memory
    from reg2st.study.specification import load
    from reg2st.training.failed_run import write_failed_run
    from reg2st.training.train import train_run

    with claim_device() if snakemake.resources.get("gpu") else nullcontext("cpu") as device:
        if device == "cpu":
            keep_freed_memory()
        (run,) = load(snakemake.params.runs, snakemake.input)
        out = Path(snakemake.output.model).parent
        with noted(str(run.key), partial(write_failed_run, run, out)):
            train_run(
                run,
                out,
                device=device,
                checkpoint_seconds=snakemake.config["training"]["checkpoint_seconds"],
            )
