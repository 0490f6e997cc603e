"""A small model to take away, made by the library from simulated sections as the workflow does."""

from pathlib import Path

from reg2st.features.encoders import embed_section, fetch_weights, load_encoder
from reg2st.features.fields import View
from reg2st.sections.panels import write_panel
from reg2st.sections.section_file import write_section
from reg2st.sections.simulate.simulated_section import SectionPaths, simulate_section
from reg2st.study.specification import FeatureSource, ModelSpec, RunKey, RunSpec, SectionFiles
from reg2st.training.bundle import bundle_model
from reg2st.training.train import train_run
from sections import read_st

ENCODER = "efficientnet_lite0"
SIMULATION = {"seed": 0, "patients": 4, "sections_per_patient": 1, "spots": 40, "genes": 30}
GENES = [f"GENE{index:04d}" for index in range(30)]


def simulate(folder: Path, section: str) -> SectionPaths:
    """The files of a simulated section in a folder."""
    files = {kind: folder / f"{section}.{kind}" for kind in ("spots", "labels", "truth")}
    files |= {"counts": folder / f"{section}.counts.tsv.gz", "image": folder / f"{section}.tif"}
    paths = SectionPaths(**files)
    simulate_section(SIMULATION, section, paths)
    return paths


def make_model(folder: Path, method: str = "ridge", **settings: object) -> Path:
    """Train a method on three simulated patients; returns the model folder."""
    weights = folder / "weights.safetensors"
    fetch_weights(ENCODER, weights, folder / "lock.json")
    loaded = load_encoder(ENCODER, weights)
    files = []
    for name in ("A1", "B1", "C1"):
        paths = simulate(folder, name)
        section, features = folder / f"{name}.h5ad", folder / f"{name}.features.h5"
        read = read_st(
            name,
            dataset="simulated",
            patient=name[0],
            image=paths.image,
            counts=paths.counts,
            spots=paths.spots,
            spot_pitch_um=120.0,
            spot_diameter_um=60.0,
        )
        write_section(read, section)
        embed_section(paths.image, section, View(field_px=224), loaded, features, device="cpu")
        files.append(SectionFiles(section=section, features=(features,)))
    panel = folder / "panel.txt"
    write_panel(panel, GENES, {})
    run = RunSpec(
        key=RunKey(
            dataset="simulated",
            split="all",
            method=method,
            variant="full",
            preset="published",
            seed=0,
            fold="all",
        ),
        settings=settings,
        features=(FeatureSource(encoder=ENCODER, view="native", field_px=224),),
        standardise="none",
        precision="float32",
        target="paper",
        panel=panel,
        sections=tuple(files),
    )
    trained = folder / "trained"
    train_run(run, trained, device="cpu", checkpoint_seconds=60)
    model = folder / "model"
    bundle_model(ModelSpec(run=run, licence="CC0"), trained / "model.safetensors", model)
    return model
