"""Simulate a section: slide, spots, counts, labels and the noiseless truth."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reg2st.base.files import written_whole
from reg2st.sections.simulate.simulated_slide import draw_slide, write_slide
from reg2st.sections.simulate.simulated_tissue import REGIONS, Tissue
from reg2st.sections.simulate.simulation import SimulationSettings, parse_simulation

ARRAY_OFFSET = 4
"""Array coordinates of the first column and row of spots."""


@dataclass(frozen=True)
class SectionPaths:
    """The files of one simulated section."""

    image: Path
    counts: Path
    spots: Path
    labels: Path
    truth: Path


def simulate_section(settings: dict, section: str, paths: SectionPaths) -> None:
    """Write all files of one section; the same settings give the same bytes.

    Counts follow a zero-inflated negative binomial. The log mean of a gene is its baseline plus
    effects of region, cellularity and eosin, which the slide shows, plus an effect of the
    patient, which it does not show. In each patient's first section one spot has no counts, one
    is not selected, one lies off the slide, and one patch extends beyond the slide.
    """
    parsed = parse_simulation(settings)
    patient, number = ord(section[0]) - ord("A"), int(section[1:])
    section_rng = np.random.default_rng([parsed.seed, 2, patient, number])
    tissue = Tissue.draw(np.random.default_rng([parsed.seed, 1, patient]), section_rng)

    across = int(np.ceil(np.sqrt(parsed.spots / 0.62)))
    size_px = (across + 1) * parsed.pitch_px
    spots = _place_spots(tissue, across, size_px, parsed, section_rng)
    genes, means, libraries = _expression(tissue, spots, size_px, patient, parsed, section_rng)
    counts = _counts(means * libraries[:, None], parsed, section_rng)

    odd = _odd_spots(spots, size_px) if number == 1 else {}
    shade_rng = np.random.default_rng([parsed.seed, 3, patient])
    slide = draw_slide(tissue, size_px, parsed.um_per_px, shade_rng, section_rng)
    write_slide(paths.image, slide, parsed.um_per_px)
    counted = spots.index != odd.get("without counts")
    _write_counts(paths.counts, spots.index[counted], genes, counts[counted])
    with written_whole(paths.spots) as temporary:
        columns = ["x", "y", "new_x", "new_y", "pixel_x", "pixel_y", "selected"]
        spots[columns].to_csv(temporary, sep="\t", index=False, float_format="%.3f")
    with written_whole(paths.labels) as temporary:
        labels = spots[["new_x", "new_y", "pixel_x", "pixel_y"]].set_axis(
            ["x", "y", "pixel_x", "pixel_y"], axis=1
        )
        labels = labels.assign(label=np.array(REGIONS)[spots["region"]])
        labels.to_csv(temporary, sep="\t", index_label="Row.names", float_format="%.3f")
    with written_whole(paths.truth) as temporary, h5py.File(temporary, "w") as handle:
        handle["mean"] = means.astype(np.float32)
        handle["barcode"] = spots.index.to_list()
        handle["gene"] = genes
        handle["region"] = np.array(REGIONS)[spots["region"]].tolist()


def _place_spots(
    tissue: Tissue,
    across: int,
    size_px: int,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Spots of a square array that lie on tissue, indexed by "XxY"."""
    column, row = (axis.ravel() for axis in np.meshgrid(np.arange(across), np.arange(across)))
    jitter = rng.normal(0, 0.03, size=(2, len(column)))
    new_x, new_y = column + ARRAY_OFFSET + jitter[0], row + ARRAY_OFFSET + jitter[1]
    pixel = (np.stack([new_x, new_y], axis=1) - ARRAY_OFFSET + 1) * settings.pitch_px
    keep = tissue.inside(pixel / size_px)
    spots = pd.DataFrame(
        {
            "x": column + ARRAY_OFFSET,
            "y": row + ARRAY_OFFSET,
            "new_x": new_x,
            "new_y": new_y,
            "pixel_x": pixel[:, 0],
            "pixel_y": pixel[:, 1],
            "selected": 1,
            "region": tissue.region(pixel / size_px),
        }
    )[keep]
    return spots.set_axis([f"{x}x{y}" for x, y in zip(spots["x"], spots["y"], strict=True)])


def _odd_spots(spots: pd.DataFrame, size_px: int) -> dict[str, str]:
    """Change four of the spots in place; returns their names by kind."""
    names = spots.index[[1, 2, 3, 4]]
    odd = dict(
        zip(["without counts", "not selected", "off the slide", "padded"], names, strict=True)
    )
    spots.loc[odd["not selected"], "selected"] = 0
    spots.loc[odd["off the slide"], "pixel_x"] = size_px + 50.0
    spots.loc[odd["padded"], "pixel_y"] = 60.0
    return odd


def _expression(
    tissue: Tissue,
    spots: pd.DataFrame,
    size_px: int,
    patient: int,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Genes, mean share of each gene in a spot's counts ``[n, G]``, and library sizes ``[n]``."""
    gene_rng = np.random.default_rng([settings.seed, 4])
    patient_rng = np.random.default_rng([settings.seed, 5, patient])
    expressed = settings.genes
    baseline = gene_rng.normal(0, 1.0, expressed)
    region_effect = gene_rng.normal(0, settings.region_effect, (len(REGIONS), expressed))
    slopes = gene_rng.normal(0, settings.gradient_effect, (2, expressed))
    patient_effect = patient_rng.normal(0, settings.patient_effect, expressed)
    xy = spots[["pixel_x", "pixel_y"]].to_numpy() / size_px
    log_means = baseline + patient_effect + region_effect[spots["region"]]
    log_means = log_means + np.stack([tissue.cellularity(xy), tissue.eosin(xy)], axis=1) @ slopes
    shares = np.exp(log_means)
    shares /= shares.sum(axis=1, keepdims=True)
    silent = np.zeros((len(spots), settings.silent_genes))
    libraries = np.exp(
        rng.normal(np.log(settings.median_library), settings.library_spread, len(spots))
    )
    genes = [f"GENE{index:04d}" for index in range(expressed + settings.silent_genes)]
    return genes, np.concatenate([shares, silent], axis=1), libraries


def _counts(
    means: NDArray[np.float64], settings: SimulationSettings, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Zero-inflated negative binomial counts with given means, ``[n, G]``."""
    rates = rng.gamma(settings.dispersion, means / settings.dispersion)
    return rng.poisson(rates) * (rng.random(means.shape) >= settings.zero_inflation)


def _write_counts(path: Path, spots: pd.Index, genes: list[str], counts: NDArray[np.int64]) -> None:
    text = pd.DataFrame(counts, index=spots, columns=genes).to_csv(sep="\t")
    with written_whole(path) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))
