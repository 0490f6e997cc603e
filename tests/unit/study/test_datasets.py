"""The datasets of a study: which sections are used, and whether all files are there."""

import pytest

from outs import Outs
from reg2st.base.errors import UserError
from reg2st.study.config import read_config
from reg2st.study.datasets import read_datasets
from reg2st.study.folds import Fold
from reg2st.study.study import Study

SECTIONS = {"A1": "A", "A2": "A", "B1": "B", "001": "C"}
COLUMNS = ("section", "patient", "image", "counts", "spots", "labels")


@pytest.fixture
def folder(tmp_path):
    """A sample sheet, a panel and (empty) files of four sections."""
    rows = [COLUMNS]
    for section, patient in SECTIONS.items():
        files = [f"{section}.{kind}" for kind in COLUMNS[2:]]
        for file in files:
            (tmp_path / file).touch()
        rows.append((section, patient, *files))
    (tmp_path / "sheet.tsv").write_text("\n".join(map("\t".join, rows)))
    (tmp_path / "panel.txt").write_text("ACTB\n")
    return tmp_path


@pytest.fixture
def study(folder):
    """A study of one or more such datasets, each with changes."""

    def make(**datasets):
        files = {"sheet": f"{folder}/sheet.tsv", "panel": {"file": f"{folder}/panel.txt"}}
        local = {**files, "root": str(folder)}
        made = {name: {**local, **changes} for name, changes in datasets.items()}
        return read_config({"name": "study", "datasets": made})

    return make


SIMULATION = {"simulation": {"patients": 2, "sections_per_patient": 1}}
ARCHIVE = {"url": "https://host/a.zip", "holds": ["image", "counts", "spots", "labels"]}


@pytest.mark.parametrize(
    ("changes", "kind", "sections"),
    [
        ({}, "local", ["A1", "A2", "B1", "001"]),
        ({"sections": ["B1", "A1"]}, "local", ["A1", "B1"]),
        ({"root": None, "source": {"base": "https://host/"}}, "url", ["A1", "A2", "B1", "001"]),
        (
            {"root": None, "source": {"archives": {"a.zip": ARCHIVE}}, "sections": ["001", "B1"]},
            "archives",
            ["B1", "001"],
        ),
        ({"root": None, "sheet": None, "source": SIMULATION}, "simulation", ["A1", "B1"]),
    ],
)
def test_datasets_are_read_with_their_sheets(study, changes, kind, sections):
    dataset = read_datasets(study(mine=changes))["mine"]
    assert dataset.kind == kind
    assert list(dataset.sheet.index) == sections


def test_folds_are_those_of_the_configuration(study):
    changes = {"exclude": {"section_out": ["A1"]}, "folds": {"patient_out": ["B", "C"]}}
    dataset = read_datasets(study(mine=changes))["mine"]
    by_section, by_patient = dataset.folds("section_out"), dataset.folds("patient_out")
    assert [fold.name for fold in by_section] == ["001", "A2", "B1"]
    assert by_section[0].train == ("A2", "B1")
    assert [fold.name for fold in by_patient] == ["B", "C"]
    assert by_patient[0].train == ("001", "A1", "A2")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sections": ["A1", "B2"]}, "sections: the sample sheet has no section 'B2' (known are"),
        ({"sections": ["A1", 1]}, "sections: the sample sheet has no section '1' (did you mean '0"),
        ({"exclude": {"section_out": ["Z9"]}}, "exclude.section_out: the sample sheet has no sec"),
        ({"folds": {"patient_out": ["A1"]}}, "mine: Split 'patient_out' has no fold 'A1'"),
        ({"sections": ["A1"]}, "mine: it has one section, so nothing can be tested"),
        ({"folds_file": "nowhere.tsv"}, "folds_file: is not used; add 'own' to `splits`"),
        ({"root": "nowhere"}, "root: the folder nowhere does not exist"),
        ({"panel": {"file": "nowhere.txt"}}, "panel.file: nowhere.txt does not exist"),
        ({"sheet": "nowhere.tsv"}, "sheet: Sample sheet nowhere.tsv does not exist"),
        (
            {"root": None, "source": {"archives": {"a.zip": {**ARCHIVE, "holds": COLUMNS[2:5]}}}},
            "source.archives: no archive holds the column 'labels' of the sheet",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(study, changes, sentence):
    with pytest.raises(UserError) as error:
        read_datasets(study(mine=changes))
    assert str(error.value).startswith("Config, datasets.mine")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_sentence(study, folder):
    (folder / "B1.counts").unlink()
    with pytest.raises(UserError, match=r"root: section B1: its counts file .*B1\.counts does not"):
        read_datasets(study(mine={}))


def test_every_mistake_of_every_dataset_is_reported_at_once(study, folder):
    for file in folder.glob("*.image"):
        file.unlink()
    for file in folder.glob("A*.counts"):
        file.unlink()
    wrong = {"sections": ["Z9", "A1", "A2", "B1", "001"], "panel": {"file": "nowhere.txt"}}
    with pytest.raises(UserError) as error:
        read_datasets(study(mine=wrong, fine={"root": None, "source": SIMULATION}, gone={}))
    lines = str(error.value).splitlines()
    assert lines[0] == "Config has 14 mistakes:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "datasets.mine.sections",
        "datasets.mine.panel.file",
        *["datasets.mine.root"] * 6,
        *["datasets.gone.root"] * 6,
    ]
    assert "1 further files of the sample sheet do not exist" in lines[-1]


@pytest.fixture
def mixed(tmp_path):
    """A study of a Visium folder, a HEST-1k section and an h5ad file."""
    Outs().write(tmp_path / "S1" / "outs")
    names = ("S1.tif", "S3.tif", "S3.h5ad")
    names += ("hest/st/S2.h5ad", "hest/wsis/S2.tif", "hest/metadata/S2.json")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sheet.tsv").write_text(
        "section\tpatient\tplatform\tfolder\timage\tcounts\n"
        "S1\tA\tvisium\tS1\tS1.tif\t\nS2\tB\thest\thest\t\t\nS3\tC\th5ad\t\tS3.tif\tS3.h5ad\n"
    )
    panel = {"recipe": {}}
    dataset = {"root": str(tmp_path), "sheet": f"{tmp_path}/sheet.tsv", "panel": panel}
    return {"name": "study", "datasets": {"mine": dataset}}


def test_a_dataset_may_mix_platforms(mixed, tmp_path):
    study = Study.read(mixed)
    files = {name: study.raw_files("mine", name) for name in ("S1", "S2", "S3")}
    assert files["S1"]["matrix"] == f"{tmp_path}/S1/outs/filtered_feature_bc_matrix.h5"
    assert files["S1"]["positions"] == f"{tmp_path}/S1/outs/spatial/tissue_positions.csv"
    assert files["S1"]["image"] == f"{tmp_path}/S1.tif"
    assert files["S2"]["image"] == f"{tmp_path}/hest/wsis/S2.tif"
    assert files["S3"] == {"counts": f"{tmp_path}/S3.h5ad", "image": f"{tmp_path}/S3.tif"}
    assert study.label_file("mine", "S1") is None


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("S1/outs/filtered_feature_bc_matrix.h5", r"section S1: .*S1/outs has no count matrix"),
        ("S1/outs/spatial/tissue_positions.csv", r"section S1: .*spatial has no spot positions"),
        ("S1.tif", r"section S1: its image file .*S1\.tif does not exist"),
        ("hest/metadata/S2.json", r"section S2: .* has no metadata/S2\.json"),
        ("S3.h5ad", r"section S3: its counts file .*S3\.h5ad does not exist"),
    ],
)
def test_what_a_platform_misses_is_one_sentence(mixed, tmp_path, gone, sentence):
    (tmp_path / gone).unlink()
    with pytest.raises(UserError, match=f"^Config, datasets.mine.root: {sentence}"):
        Study.read(mixed)


def test_folders_are_not_downloaded(mixed):
    dataset = mixed["datasets"]["mine"]
    dataset |= {"root": None, "source": {"base": "https://host/"}}
    with pytest.raises(UserError) as error:
        Study.read(mixed)
    lines = str(error.value).splitlines()
    assert "section S1: its platform reads a folder; say by `root` where it is." in lines[1]
    assert "section S2: its platform reads a folder" in lines[2]


def test_one_patient_has_no_patient_out_but_section_out(study):
    config = study(mine={"sections": ["A1", "A2"]}, other={})
    made = Study.read(config.model_dump(mode="json", exclude_defaults=True))
    assert made.warnings == [
        "Dataset mine has one patient, so there is no 'patient_out' for it; its other splits run."
    ]
    assert made.splits_of("mine") == ["section_out"]
    assert made.splits_of("other") == ["section_out", "patient_out"]
    splits = {(run.dataset, run.split) for run in made.runs}
    assert splits == {("mine", "section_out"), ("other", "section_out"), ("other", "patient_out")}


def test_one_patient_is_a_mistake_where_nothing_else_is_asked(study):
    config = study(mine={"sections": ["A1", "A2"]}).model_copy(update={"splits": ("patient_out",)})
    with pytest.raises(UserError, match="'patient_out' needs at least two patients, got 1"):
        read_datasets(config)


OWN = "section\tfold\trole\nA1\t0\ttrain\nB1\t0\ttest\nA2\t1\ttrain\n001\t1\ttest\nA1\t1\ttrain\n"


def own_folds(study, folder, text=OWN, **changes):
    (folder / "folds.tsv").write_text(text)
    config = study(mine={"folds_file": f"{folder}/folds.tsv", **changes})
    return read_datasets(config.model_copy(update={"splits": ("own",)}))["mine"].folds("own")


def test_own_folds_are_those_of_the_file(study, folder):
    assert own_folds(study, folder) == [
        Fold("0", ("A1",), ("B1",)),
        Fold("1", ("A1", "A2"), ("001",)),
    ]
    assert own_folds(study, folder, folds={"own": ["1"]}) == [Fold("1", ("A1", "A2"), ("001",))]


@pytest.mark.parametrize(
    "changes", [{"exclude": {"own": ["A2"]}}, {"sections": ["A1", "B1", "001"]}]
)
def test_sections_that_are_not_used_drop_out_of_own_folds(study, folder, changes):
    assert own_folds(study, folder, **changes)[1] == Fold("1", ("A1",), ("001",))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"exclude": {"own": ["A1"]}}, "Fold '0' of .*folds.tsv has no section left to train"),
        ({"folds": {"own": ["2"]}}, "Split 'own' has no fold '2'"),
        ({"folds_file": None}, "folds_file: is missing, which the split 'own' needs"),
        (
            {"text": OWN.replace("B1", "B2")},
            "folds.tsv, line 3: the sample sheet has no section 'B2'",
        ),
    ],
)
def test_wrong_own_folds_are_one_sentence(study, folder, changes, sentence):
    with pytest.raises(UserError, match=f"^Config, datasets.mine.*{sentence}") as error:
        own_folds(study, folder, **changes)
    assert "\n" not in str(error.value)
