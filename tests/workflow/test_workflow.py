"""The whole workflow on a tiny simulated study, run as a user would."""

import json
import os
import re
import resource
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, ResourceSettings

from bench_folder import make_task
from reg2st.tools import ROOT
from reg2st.tools.plan import SILENT


def test_it_ends_with_table_figures_and_report(finished):
    assert "Report: results/tiny/report.html" in finished.output
    assert "Reg2ST (quick)" in finished.output
    table = pd.read_csv(finished.results / "tables" / "comparison.tsv", sep="\t")
    assert {"ridge", "reg2st"} <= set(table["method"])
    assert {"method", "limit"} <= set(table["kind"])
    assert "comparison of the methods" in (finished.results / "report.html").read_text()
    drawn = (finished.results / "figures").rglob("*.pdf")
    figures = {path.relative_to(finished.results / "figures").parts[1] for path in drawn}
    assert {"section_boxes", "wilcoxon", "expression_level", "training", "spots"} <= figures
    assert {"ablation", "sensitivity"} <= figures
    assert len(list((finished.results / "figures").rglob("gene_maps/**/*.jpg"))) == 2


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.planned() == set()


def test_every_run_says_how_it_was_made(finished):
    records = [json.loads(path.read_text()) for path in finished.results.glob("runs/**/run.json")]
    full, variants_on_patient_out = 2 * (2 + 2), 2 * 2
    assert len(records) == full + variants_on_patient_out
    for record in records:
        assert record["settings"]
        assert record["versions"]["torch"]
        assert all(len(digest) == 64 for digest in record["sha256"].values())
        held_out = record["fold"]
        assert not any(section.startswith(held_out) for section in record["training_sections"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"methdos": {}}, "methdos: unknown key (did you mean 'methods'?)"),
        (
            {"methods": {"reg2st": {"settings": {"epoch": 3}}}},
            "methods.reg2st.settings.epoch: unknown setting (did you mean 'epochs'?)",
        ),
        ({"inputs": {"embeddings": [{"encoder": "phikon"}]}}, "phikon_v2"),
    ],
)
def test_a_wrong_config_is_one_sentence(study, change, sentence):
    study.config.update(change)
    done = study.run("--dry-run")
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not study.results.exists()


def test_the_command_line_overrides_single_keys(study):
    """Snakemake passes what stands in lists and dictionaries as text."""
    dropped = {"root": "nowhere", "sheet": "nowhere.tsv", "panel": {"recipe": {}}}
    study.config["datasets"]["other"] = dropped
    done = study.run(
        *("results/tiny/tables/cost.tsv", "--dry-run", "--config"),
        *("seeds=[0,1]", "training={checkpoint_seconds: 5}", "ablation=null", "sensitivity=null"),
        "datasets={other: null, simulated: {panel: {recipe: {min_spots: 5}}, folds: null}}",
        "views={native: {field_px: 112}}",
        "graphs={nearest_4: {neighbours: 4, within: 1.5}}",
        "methods={ridge: null, reg2st: {settings: {epochs: 2, contrastive: false}}}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    training = re.findall(r"Training reg2st \(full\).*, seed (\d)", done.stdout + done.stderr)
    assert sorted(set(training)) == ["0", "1"]


def test_the_paper_is_planned(study, root):
    """Needs the paper's sheets and panels, which a user has in the folder of the workflow."""
    for folder in ("config", "resources"):
        (study.folder / folder).symlink_to(root / folder)
    study.config = yaml.safe_load((root / "config" / "config.yaml").read_text())
    # Processor time, which other tests on the machine hardly change, of a command of its own.
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        study.command("--dry-run", "--quiet", "rules"), capture_output=True, text=True
    )
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    counts = counts_of_rules(done)
    assert int(counts["read_section"]) == 48
    networks = {"reg2st", "histogene", "hist2st", "thitogene"}
    assert networks < set(study.config["methods"])
    assert int(counts["train_network"]) == 56 * len(networks)
    assert int(counts["fit_regression"]) == 56 * (len(study.config["methods"]) - len(networks))
    assert 1 < seconds < 25, "16 s on an idle machine"


def counts_of_rules(done):
    """How often a dry run would run each rule."""
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)


@pytest.fixture
def shipped_study(study, root):
    """A study of ``config/studies``, in a folder that has the workflow's sheets and panels."""
    for folder in ("config", "resources"):
        (study.folder / folder).symlink_to(root / folder)

    def use(name):
        file = root / "config" / "studies" / f"{name}.yaml"
        study.config = yaml.safe_load(file.read_text(encoding="utf-8"))
        return study

    return use


def test_the_folds_of_misos_benchmark_are_planned(shipped_study):
    study = shipped_study("miso_folds")
    counts = counts_of_rules(study.run("--dry-run", "--quiet", "rules"))
    assert int(counts["read_section"]) == 36
    assert int(counts["train_network"]) + int(counts["fit_regression"]) == 4 * len(
        study.config["methods"]
    )
    assert int(counts["choose_gene_set"]) == 2


def test_hest_bench_is_planned(shipped_study):
    study = shipped_study("hest_bench")
    dataset = study.config["datasets"]["idc"]
    make_task(study.folder / "bench" / "IDC", samples=("NCBI783", "NCBI785", "TENX95", "TENX99"))
    for key, value in (("root", dataset), ("folds_file", dataset), ("file", dataset["panel"])):
        value[key] = value[key].replace("../hest-bench", "bench")
    counts = counts_of_rules(study.run("--dry-run", "--quiet", "rules"))
    assert int(counts["read_section"]) == 4
    runs = len(study.config["methods"]) + 1
    assert int(counts["fit_regression"]) == 2 * runs


def test_training_on_one_dataset_and_testing_on_another_is_planned(shipped_study, shared):
    study = shipped_study("cross_dataset")
    study.config["datasets"]["breast"]["root"] = str(shared / "data")
    counts = counts_of_rules(study.run("--dry-run", "--quiet", "rules"))
    assert int(counts["read_section"]) == 7
    assert int(counts["fit_regression"]) == len(study.config["methods"])


def test_stored_patches_request_little_memory(study, monkeypatch):
    """Patches of 200,000 spots take 30 GB of disk; a job holds those of a batch."""
    study.config["methods"]["histogene"] = {"preset": "quick"}
    study.command()
    monkeypatch.chdir(study.folder)

    def jobs():
        config = ConfigSettings(configfiles=[Path("config.yaml")])
        with SnakemakeApi(SILENT) as api:
            planned = api.workflow(
                ResourceSettings(cores=1), config, snakefile=ROOT / "workflow" / "Snakefile"
            )
            planned.dag(DAGSettings()).execute_workflow("dryrun")
        every = planned._workflow.dag.jobs
        return [job for job in every if job.wildcards_dict.get("method") == "histogene"]

    for job in jobs():
        for file in job.input:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).touch()
            if "/patches/" in file:
                os.truncate(file, 30 * 10**9)
    requested = {job.rule.name: job.resources["mem_mb"] for job in jobs()}
    assert requested == {"train_network": 6000 + 3 * 2000, "predict": 4000 + 5 * 2000}
