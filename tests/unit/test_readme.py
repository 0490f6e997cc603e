"""Every command of README is one that exists, on files that exist, and some test or job runs it."""

import re
import shlex

import pytest
import yaml

RUN_BY = {
    "make demo": ".ci/run",
    "make test": ".ci/run",
    "make sheet": "tests/workflow/test_own_sections.py",
    "make doctor": "tests/unit/tools/test_doctor.py",
    "make estimate": "tests/unit/tools/test_estimate.py",
    "snakemake": "tests/workflow/test_own_sections.py",
    "snakemake models": "tests/workflow/test_predicted_slides.py",
    "snakemake slides": "tests/workflow/test_predicted_slides.py",
}
"""What runs each command, or the same one on a smaller study; here nothing is run."""

OPTIONS = {"--cores", "--configfile"}


@pytest.fixture(scope="module")
def commands(root):
    page = (root / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture(scope="module")
def makefile(root):
    return (root / "Makefile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rules(root):
    files = (root / "workflow").glob("**/*")
    texts = [
        path.read_text() for path in files if path.suffix == ".smk" or path.stem == "Snakefile"
    ]
    return set(re.findall(r"^(?:checkpoint|rule|use rule \w+ as) (\w+)", "\n".join(texts), re.M))


def named(command):
    """A command without its arguments, and those."""
    program, *words = command
    if program.endswith("snakemake"):
        ends = [place for place, word in enumerate(words) if word.startswith("--")]
        targets = words[: ends[0]]
        return " ".join(["snakemake", *targets]), words[ends[0] :]
    return f"{program} {words[0]}", words[1:]


def test_there_are_commands_and_each_is_run_elsewhere(commands, root):
    assert {named(command)[0] for command in commands} == set(RUN_BY)
    assert [file for file in RUN_BY.values() if not (root / file).is_file()] == []
    in_ci = (root / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [name for name, file in RUN_BY.items() if file == ".ci/run" and name not in in_ci] == []


def test_make_has_the_targets_and_the_files_exist(commands, makefile, root):
    for name, arguments in map(named, commands):
        if not name.startswith("make"):
            continue
        target = name.removeprefix("make ")
        assert re.search(rf"^{target}:", makefile, re.M), name
        while arguments:
            word, *arguments = arguments
            if word == ">":
                file, *arguments = arguments
                assert (root / file).is_file(), "it replaces an example that is shipped"
                continue
            variable, value = word.split("=")
            assert f"$({variable})" in makefile
            assert variable == "FOLDER" or (root / value).is_file()


def test_snakemake_knows_the_targets_options_and_files(commands, rules, root):
    for name, arguments in map(named, commands):
        if name.startswith("make"):
            continue
        assert set(name.split()[1:]) <= rules
        assert arguments[::2] == ["--cores", "--configfile"]
        assert arguments[1] == "all"
        config = yaml.safe_load((root / arguments[3]).read_text(encoding="utf-8"))
        sheets = [dataset.get("sheet") for dataset in config.get("datasets", {}).values()]
        sheets += [config["slides"]["sheet"]] if "slides" in config else []
        assert [sheet for sheet in sheets if not (root / sheet).is_file()] == []


def test_it_is_short(root):
    page = (root / "README.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\|---", page, re.M)) == 1, "one table"
    assert page.count("![") == 2, "a picture of the workflow and one of a result"
    assert len(page.splitlines()) < 80
