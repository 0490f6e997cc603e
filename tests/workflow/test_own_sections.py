"""README's way for one's own sections: a proposed sheet, the shipped config, and what it plans."""

import csv
import io

import pytest
import yaml

from outs import Outs, stained
from reg2st.tools.propose_sheet import main as propose_sheet


@pytest.fixture
def own(study, root):
    """A study as README has it, beside two folders of Space Ranger and their slides."""
    folder = study.folder / "my_sections"
    for section in ("S1", "S2"):
        Outs().write(folder / section / "outs")
        stained().save(folder / f"{section}.tif")
    study.config = yaml.safe_load((root / "config" / "sections.yaml").read_text(encoding="utf-8"))
    return study


def test_the_proposed_sheet_and_the_shipped_config_plan_a_study(own, root, monkeypatch, capsys):
    monkeypatch.chdir(own.folder)
    monkeypatch.setattr("sys.argv", ["propose_sheet", "my_sections"])
    propose_sheet()
    sheet = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(sheet), delimiter="\t"))
    assert [row["section"] for row in rows] == ["S1", "S2"]

    shipped = (root / "config" / "sections" / "example.tsv").read_text(encoding="utf-8")
    example = list(csv.DictReader(io.StringIO(shipped), delimiter="\t"))
    # What is left to the reader: the patients.
    proposed = [{name: row[name] for name in example[0]} for row in rows]
    for row in (*proposed, *example):
        del row["patient"]
    assert proposed == example

    path = own.folder / "config" / "sections" / "example.tsv"
    path.parent.mkdir(parents=True)
    path.write_text(sheet, encoding="utf-8")
    section = f"results/{own.config['name']}/sections/mine/S1.h5ad"
    done = own.run(section)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = {"read_section", "embed_section", "fit_regression", "tabulate", "build_page"}
    assert wanted | {"bundle_model", "describe_model"} <= own.planned("all", "models")
