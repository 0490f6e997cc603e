"""The jobs of a study, as Snakemake plans them."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings
from snakemake_interface_common.exceptions import WorkflowError

from reg2st.base.errors import UserError
from reg2st.tools import ROOT
from reg2st.tools.rates import RECORD, Rate, measured_rates, traits_of

SILENT = OutputSettings(
    quiet={Quietness.RULES, Quietness.PROGRESS},
    log_level_override=logging.CRITICAL,
    skip_plugin_handlers=True,
    enable_file_logging=False,
)


class Job(NamedTuple):
    """A planned job.

    Attributes:
        traits: what its cost depends on, see :func:`reg2st.tools.rates.traits_of`.
        benchmark: its benchmark file, which need not exist; empty for a mere target.
        to_do: whether Snakemake would run it.
        gpu: whether it asks for a GPU.
    """

    rule: str
    traits: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    benchmark: str
    to_do: bool
    gpu: bool


class Plan(NamedTuple):
    """A study as planned.

    Attributes:
        config: its configuration, as the files have it.
        jobs: each after those that it waits for.
        rates: what jobs took in this folder.
    """

    config: dict[str, Any]
    jobs: list[Job]
    rates: list[Rate]


def plan(
    configfiles: Iterable[Path],
    targets: Iterable[str] = (),
    snakefile: Path = ROOT / "workflow" / "Snakefile",
) -> Plan:
    """Plan a study in this folder; runs nothing.

    Args:
        configfiles: the later ones override the earlier.
        targets: rules or files to make; the whole study without any.

    Raises:
        UserError: a file is missing, or Snakemake refuses the study.
    """
    try:
        config = ConfigSettings(configfiles=list(configfiles))
        with SnakemakeApi(SILENT) as api:
            planned = api.workflow(ResourceSettings(cores=1), config, snakefile=snakefile)
            planned.dag(DAGSettings(targets=frozenset(targets))).execute_workflow("dryrun")
    except (OSError, WorkflowError) as error:
        raise UserError(str(error)) from None
    workflow = planned._workflow  # the API has no public way to the jobs
    study, to_do = workflow.config["name"], set(workflow.dag.needrun_jobs())
    jobs = [
        _plain(job, study, job in to_do)
        for level in workflow.dag.toposorted()
        for job in sorted(level, key=lambda job: (job.rule.name, *job.output))
    ]
    return Plan(config.overwrite_config, jobs, list(measured_rates(workflow, study)))


def _plain(job: Any, study: str, to_do: bool) -> Job:
    trains = any(file.endswith(RECORD) for file in job.output)
    return Job(
        rule=job.rule.name,
        traits=traits_of(
            job.rule, study, job.wildcards_dict, job.params["runs"][0] if trains else {}
        ),
        inputs=tuple(map(str, job.input)),
        outputs=tuple(map(str, job.output)),
        benchmark=str(job.benchmark or ""),
        to_do=to_do,
        gpu="gpu" in job.rule.resources,
    )
