"""What a change reruns, and what it does not: the table of docs/concepts/reruns.md, by dry runs."""

import gzip
import re

import pytest


def planned(study) -> list[str]:
    """The messages of the jobs of a dry run."""
    done = study.run("--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"^Job \d+: (.*)$", done.stdout + done.stderr, re.MULTILINE)


def kinds(messages: list[str]) -> set[str]:
    """The first two words of each message: what is done to what."""
    return {" ".join(message.split()[:2]) for message in messages}


@pytest.fixture
def changed(finished, new_study, tmp_path):
    """A copy of the finished study, to be changed."""
    return new_study(tmp_path / "copy", existing=finished)


def test_the_checkpoint_interval_runs_nothing_again(changed):
    changed.config["training"] = {"checkpoint_seconds": 7}
    assert planned(changed) == []


def test_genes_to_map_draw_the_maps_again(changed):
    changed.config["figures"] = {"genes": ["G0"]}
    assert kinds(planned(changed)) == {"Drawing gene_maps"}


def test_genes_of_the_viewer_render_its_pages_again(changed):
    changed.config["viewer"] = {"genes": ["G0"]}
    assert kinds(planned(changed)) == {"Rendering the", "Listing the"}


def test_the_reference_runs_its_tests_again(changed):
    changed.config["reference"] = "ridge"
    for experiment in ("ablation", "sensitivity"):
        changed.config[experiment]["method"] = "reg2st"
    assert kinds(planned(changed)) == {
        "Tabulating genes", "Tabulating significance", "Drawing wilcoxon",
        "Rendering the", "Listing the",
    }  # fmt: skip


def test_a_caption_runs_nothing_again(finished, changed, root, tmp_path):
    import shutil

    copy = tmp_path / "workflow"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".*", "results", "logs", "tests"))
    changed.root = copy
    assert planned(changed) == []
    for caption in (copy / "workflow" / "report").glob("*.rst"):
        caption.write_text(caption.read_text() + "\nOne more sentence.\n")
    assert planned(changed) == []


def test_a_second_dataset_leaves_the_first_alone(changed):
    first = changed.config["datasets"]["simulated"]
    second = {**first, "source": {"simulation": {**first["source"]["simulation"], "seed": 1}}}
    changed.config["datasets"]["second"] = second
    messages = planned(changed)
    assert [message for message in messages if "second" in message]
    assert not [message for message in messages if "simulated" in message]


def test_a_setting_trains_that_method_alone(changed):
    changed.config["methods"]["reg2st"]["settings"] = {"epochs": 3}
    messages = planned(changed)
    assert "Collecting the" in kinds(messages)
    work = [each for each in messages if each.startswith(("Training", "Fitting", "Predicting"))]
    assert {each.split()[1] for each in work if each.startswith("Training")} == {"reg2st"}
    assert all("reg2st" in each for each in work)
    made_of_sections = ("Reading", "Cutting", "Computing", "Selecting", "Building")
    assert not [each for each in messages if each.startswith(made_of_sections)]


def test_the_size_of_windows_trains_networks_that_have_windows(changed):
    changed.config["training"] = {"window_spots": 50}
    work = [each for each in planned(changed) if each.startswith(("Training", "Fitting"))]
    assert {each.split()[1] for each in work} == {"reg2st"}


@pytest.mark.parametrize(
    ("change", "panels"),
    [
        ({"target": "log_normalised"}, set()),
        ({"panel": {"recipe": {"variable_genes": 50, "min_spots": 10}}}, {"Selecting genes"}),
    ],
    ids=["target", "panel"],
)
def test_what_is_predicted_trains_again_without_new_features(changed, change, panels):
    changed.config["datasets"]["simulated"] |= change
    found = kinds(planned(changed))
    trained = {"Training reg2st", "Fitting ridge", "Predicting and", "Estimating limits"}
    assert trained | panels <= found
    made = {
        *("Reading section", "Computing tissue_statistics", "Cutting patches", "Building the"),
        "Selecting genes",
    }
    assert found & made == panels


def test_what_was_deleted_of_a_finished_study_is_made_again(changed):
    assert (changed.results / "report.html").is_file()
    (changed.results / "tables" / "cost.txt").unlink()
    next(changed.results.glob("figures/simulated/spots/A1.jpg")).unlink()
    next(changed.results.glob("figures/simulated/wilcoxon/patient_out.pdf")).unlink()
    report = ("--report", "results/tiny/report.html", "--report-after-run")
    done = changed.run("comparison", *report, "--dry-run")
    for made in ("Tabulating cost", "Drawing spots of simulated, A1", "Drawing wilcoxon of"):
        assert done.stdout.count(f": {made}") + done.stderr.count(f": {made}") == 1, made
    made = {"Tabulating cost", "Drawing spots", "Drawing wilcoxon", "Checking whether"}
    assert kinds(planned(changed)) == made


def test_a_label_file_measures_regions_again(changed):
    labels = next((changed.results / "simulated" / "simulated" / "labels").glob("A1*"))
    text = labels.read_text().splitlines()
    labels.write_text("\n".join([*text[:-1], text[-1].rsplit("\t", 1)[0] + "\tother"]) + "\n")
    messages = planned(changed)
    assert kinds(messages) == {
        "Reading the", "Comparing predicted", "Drawing region_maps", "Tabulating regions",
        "Rendering the", "Listing the",
    }  # fmt: skip
    of_all = ("Tabulating", "Listing")
    assert all("A1" in message for message in messages if not message.startswith(of_all))


def test_a_count_trains_the_folds_that_it_trains(changed):
    counts = next((changed.results / "simulated" / "simulated" / "counts").glob("*.tsv.gz"))
    section = counts.name.removesuffix(".tsv.gz")
    text = gzip.decompress(counts.read_bytes()).decode().splitlines()
    cells = text[1].split("\t")
    text[1] = "\t".join([cells[0], str(int(cells[1]) + 1), *cells[2:]])
    counts.write_bytes(gzip.compress("\n".join(text).encode(), mtime=0))
    done = changed.run("--dry-run")
    output = done.stdout + done.stderr
    assert f"Reading section {section} of simulated" in output
    training = re.findall(r"^Job \d+: (Training .*)$", output, re.MULTILINE)
    assert not [line for line in training if f"fold {section}," in line]
    assert [line for line in training if f"fold {section}," not in line]
