"""Archives, pickles and configurations that mean harm: they write nowhere and run nothing."""

import pickle
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from reg2st.base.errors import UserError
from reg2st.features.encoders import load_encoder, read_embeddings
from reg2st.features.graphs import read_graph
from reg2st.features.patches import read_patches
from reg2st.models.interface import Sizes
from reg2st.models.registry import method, parse_settings
from reg2st.sections.panels import read_panel
from reg2st.sections.section_file import load_section_arrays
from reg2st.study.config import read_config
from reg2st.study.sheets import check_sheet
from reg2st.training.checkpoints import load_record
from reg2st.training.saved_model import load_model

EVIL = ["; touch PWNED", "$(touch PWNED)", "`touch PWNED`", "A1'; touch PWNED; '", "{A1}", "*"]


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def pwned(tmp_path):
    """The file that would tell of code that ran."""
    path = tmp_path / "PWNED"
    yield path
    assert not path.exists()


def test_the_payload_is_live(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "PWNED"))).close()
    assert (tmp_path / "PWNED").exists()


def ridge():
    return method("ridge")(parse_settings("ridge", "published", {}), Sizes(genes=3, features=2))


READERS = {
    "model.safetensors": lambda path: load_model(ridge(), path),
    "checkpoint.safetensors": load_record,
    "weights.safetensors": lambda path: load_encoder("efficientnet_lite0", path),
    "section.h5ad": load_section_arrays,
    "patches.h5": read_patches,
    "embeddings.h5": read_embeddings,
    "graph.npz": read_graph,
    "panel.txt": read_panel,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("dump", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_pickle_in_place_of_a_file_is_not_run(name, dump, pwned, tmp_path):
    with open(tmp_path / name, "wb") as file:
        dump(Payload(pwned), file)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each reader has its own
        READERS[name](tmp_path / name)


def test_a_pickle_inside_a_graph_is_not_run(pwned, tmp_path):
    np.savez(tmp_path / "graph.npz", edge_index=np.array([Payload(pwned)], dtype=object))
    with pytest.raises(UserError, match="is not a graph"):
        read_graph(tmp_path / "graph.npz")


def test_a_pickle_inside_a_section_is_not_run(pwned, tmp_path):
    with h5py.File(tmp_path / "section.h5ad", "w") as file:
        data = np.void(pickle.dumps(Payload(pwned)))
        file.create_dataset("X", data=data).attrs["encoding-type"] = "pickle"
    with pytest.raises(Exception):  # noqa: B017, PT011
        load_section_arrays(tmp_path / "section.h5ad")


@pytest.mark.parametrize("command", ["snakemake", "estimate", "doctor"])
def test_a_configuration_cannot_name_objects(command, pwned, root, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(f"name: !!python/object/apply:os.system ['touch {pwned}']\ndatasets: {{}}\n")
    commands = {
        "snakemake": ["-m", "snakemake", "--snakefile", root / "workflow" / "Snakefile", "-n"],
        "estimate": ["-m", "reg2st.tools.estimate"],
        "doctor": ["-m", "reg2st.tools.doctor"],
    }
    done = subprocess.run(
        [sys.executable, *commands[command], "--configfile", config],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "python/object/apply" in told or "not valid JSON or YAML" in told


@pytest.mark.parametrize("name", ["..", "../up", "/etc", "a/b", ".hidden", "-rf", *EVIL])
@pytest.mark.parametrize("column", ["section", "patient"])
def test_names_of_sections_and_patients_are_only_names(column, name):
    row = {"section": "A1", "patient": "A", "image": "i", "counts": "c", "spots": "s"}
    sheet = pd.DataFrame([{**row, column: name}])
    with pytest.raises(UserError, match=f"{column} .* must be a name"):
        check_sheet(sheet, "sheet.tsv")


@pytest.mark.parametrize("name", ["..", "../up", "/etc", "a/b", *EVIL])
@pytest.mark.parametrize(
    "place",
    [
        lambda name: {"name": name},
        lambda name: {"datasets": {name: {"panel": {"recipe": {}}}}},
        lambda name: {"views": {name: {"field_px": 224}}},
        lambda name: {"graphs": {name: {"neighbours": 4}}},
        lambda name: {"methods": {"ridge": {"variants": {name: {}}}}},
        lambda name: {
            "datasets": {
                "mine": {
                    "source": {"archives": {name: {"url": "https://host/a.zip", "holds": []}}},
                    "panel": {"recipe": {}},
                }
            }
        },
    ],
    ids=["study", "dataset", "view", "graph", "variant", "archive"],
)
def test_names_in_a_configuration_are_only_names(place, name):
    good = {"name": "try", "datasets": {"mine": {"root": ".", "panel": {"recipe": {}}}}}
    with pytest.raises(UserError, match="cannot be used here"):
        read_config({**good, **place(name)})


def test_an_address_is_not_given_to_a_shell(root, study, pwned):
    """Its download fails, but what it holds for a shell is never done."""
    touch = f"touch {pwned}"
    study.config["datasets"] = {
        "mine": {
            "sheet": "sheet.tsv",
            "source": {"base": f"http://127.0.0.1:9/$({touch})/`{touch}`;{touch}/"},
            "panel": {"recipe": {}},
        }
    }
    names = ["section", "patient", "image", "counts", "spots"]
    rows = [names, *([f"{p}1", p, f"{p}.jpg", f"{p}.tsv", f"{p}_spots.tsv"] for p in "AB")]
    (study.folder / "sheet.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")
    done = study.run("resources/raw/mine/A.tsv")
    assert done.returncode != 0
    assert "cannot be reached" in done.stderr
