"""Simulated sections have the layouts of the real data, odd spots, and a signal to be learnt."""

from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import openslide
import pandas as pd
import pytest

from processes import printed_by
from reg2st.base.errors import UserError
from reg2st.evaluation.correlations import pearson
from reg2st.sections.readers.st import read_labels
from reg2st.sections.simulate import parse_simulation, simulated_sheet
from reg2st.sections.simulate.simulated_section import SectionPaths, simulate_section
from reg2st.sections.simulate.simulated_tissue import REGIONS
from reg2st.study.sheets import check_sheet
from sections import log_expression, read_st

SMALL = {"pitch_px": 64, "spots": 60}
NOISELESS = {"median_library": 1e7, "dispersion": 1e6, "zero_inflation": 0.0}


def simulated(folder: Path, section: str, settings: dict) -> SectionPaths:
    names = ("image.tif", "counts.tsv.gz", "spots.tsv", "labels.tsv", "truth.h5")
    paths = SectionPaths(*(folder / section / name for name in names))
    simulate_section(settings, section, paths)
    return paths


def read_counts(paths: SectionPaths) -> pd.DataFrame:
    return pd.read_csv(paths.counts, sep="\t", index_col=0)


def read_spots(paths: SectionPaths) -> pd.DataFrame:
    spots = pd.read_csv(paths.spots, sep="\t")
    return spots.set_index(spots["x"].astype(str) + "x" + spots["y"].astype(str))


def read_truth(paths: SectionPaths) -> pd.DataFrame:
    with h5py.File(paths.truth) as handle:
        return pd.DataFrame(
            handle["mean"][:],
            index=pd.MultiIndex.from_arrays(
                [handle["barcode"].asstr()[:], handle["region"].asstr()[:]],
                names=["barcode", "region"],
            ),
            columns=handle["gene"].asstr()[:],
        )


def limit(paths: SectionPaths) -> np.ndarray:
    """The best PCC reachable by gene."""
    counts = read_counts(paths)
    means = read_truth(paths).droplevel("region").loc[counts.index]
    return pearson(log_expression(counts.to_numpy()), log_expression(means.to_numpy()))


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> SectionPaths:
    return simulated(tmp_path_factory.mktemp("full"), "A1", {})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SectionPaths]:
    folder = tmp_path_factory.mktemp("small")
    return {section: simulated(folder, section, SMALL) for section in ("A1", "A2", "B1")}


def test_slide_is_a_pyramid_that_knows_its_pixel_size(full_size: SectionPaths) -> None:
    with openslide.open_slide(full_size.image) as slide:
        assert slide.level_count > 1
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5, rel=1e-4)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.5, rel=1e-4)
        assert slide.properties["openslide.level[0].tile-width"] == "256"
        corner = np.asarray(slide.read_region((0, 0), 0, (64, 64)).convert("RGB"))
    assert corner.min() > 215, "the corner of a slide is glass"


def test_regions_look_different(full_size: SectionPaths) -> None:
    """Fat is brightest; tumour and lymphocytes are bluer than fibres."""
    spots = read_spots(full_size)
    regions = read_truth(full_size).index.get_level_values("region")
    colour = {region: [] for region in REGIONS}
    with openslide.open_slide(full_size.image) as slide:
        for x, y, region in zip(spots["pixel_x"], spots["pixel_y"], regions, strict=True):
            corner = (round(x) - 112, round(y) - 112)
            patch = slide.read_region(corner, 0, (224, 224)).convert("RGB")
            colour[region].append(np.asarray(patch).reshape(-1, 3).mean(axis=0))
    red, green, blue = (
        dict(zip(colour, channel, strict=True))
        for channel in np.transpose([np.median(patches, axis=0) for patches in colour.values()])
    )
    tumour, stroma, fat, immune = REGIONS
    assert green[fat] > max(green[region] for region in (tumour, stroma, immune))
    assert min(blue[tumour] - red[tumour], blue[immune] - red[immune]) > blue[stroma] - red[stroma]


def test_same_settings_give_the_same_bytes(tmp_path: Path, small: dict[str, SectionPaths]) -> None:
    again = simulated(tmp_path, "A1", SMALL)
    other = simulated(tmp_path / "other", "A1", {**SMALL, "seed": 1})
    for field in fields(SectionPaths):
        first = getattr(small["A1"], field.name).read_bytes()
        assert getattr(again, field.name).read_bytes() == first, field.name
        assert getattr(other, field.name).read_bytes() != first, field.name


def test_tables_have_the_columns_of_the_real_ones(small: dict[str, SectionPaths]) -> None:
    """As in ST-spotfiles/A1_selection.tsv and ST-pat/lbl/A1_labeled_coordinates.tsv of HER2+."""
    spots, labels = (
        path.read_text().splitlines()[0] for path in (small["A1"].spots, small["A1"].labels)
    )
    assert spots.split("\t") == ["x", "y", "new_x", "new_y", "pixel_x", "pixel_y", "selected"]
    assert labels.split("\t") == ["Row.names", "x", "y", "pixel_x", "pixel_y", "label"]
    assert all(read_counts(small["A1"]).index.str.fullmatch(r"\d+x\d+"))


def test_first_sections_hold_one_spot_of_each_odd_kind(small: dict[str, SectionPaths]) -> None:
    for section, expected in (("A1", 1), ("B1", 1), ("A2", 0)):
        spots, counts = read_spots(small[section]), read_counts(small[section])
        width, height = openslide.open_slide(small[section].image).dimensions
        outside = (spots["pixel_x"] >= width) | (spots["pixel_y"] >= height)
        reaching_over = ~outside & (spots["pixel_y"] < 112) & (spots["pixel_y"] > 0)
        shifted = (spots["pixel_y"] - (spots["new_y"] - 3) * SMALL["pitch_px"]).abs() > 1
        assert (~spots.index.isin(counts.index)).sum() == expected
        assert (spots["selected"] == 0).sum() == expected
        assert outside.sum() == expected
        assert (reaching_over & shifted).sum() == expected


def test_a_simulated_section_can_be_read(full_size: SectionPaths) -> None:
    section = read_st(
        "A1",
        dataset="simulated",
        patient="A",
        image=full_size.image,
        counts=full_size.counts,
        spots=full_size.spots,
    )
    spots = read_spots(full_size)
    kept = section.obs_names
    assert len(spots) - 4 <= len(kept) < len(spots)
    truth = read_truth(full_size).reset_index("region")["region"]
    assert (read_labels(full_size.labels).loc[kept] == truth.loc[kept]).all()
    counts = read_counts(full_size).loc[kept, section.var_names]
    assert (section.X.toarray() == counts.to_numpy()).all()


def test_silent_genes_are_never_counted(tmp_path: Path) -> None:
    paths = simulated(tmp_path, "A2", {**SMALL, "genes": 20, "silent_genes": 3})
    counts, means = read_counts(paths), read_truth(paths)
    assert counts.shape[1] == 23
    assert (counts.sum() == 0).sum() == 3
    assert (means.loc[:, (counts.sum() == 0).to_numpy()] == 0).all(axis=None)


def test_means_are_shares_of_a_spots_counts(small: dict[str, SectionPaths]) -> None:
    np.testing.assert_allclose(read_truth(small["A1"]).sum(axis=1), 1, rtol=1e-5)


def test_without_noise_the_means_say_all(tmp_path: Path) -> None:
    paths = simulated(tmp_path, "A2", {**SMALL, **NOISELESS, "silent_genes": 0})
    assert limit(paths).min() > 0.99


def test_without_effects_there_is_nothing_to_say(tmp_path: Path) -> None:
    flat = {"region_effect": 0.0, "gradient_effect": 0.0}
    means = read_truth(simulated(tmp_path, "A2", {**SMALL, **flat}))
    np.testing.assert_allclose(means, np.broadcast_to(means.iloc[0], means.shape), rtol=1e-6)


def test_half_of_the_default_signal_can_be_predicted(tmp_path: Path) -> None:
    """The pitch changes the slide alone, so a small slide has the counts of a large one."""
    limits = [
        np.nanmean(limit(simulated(tmp_path, section, {"pitch_px": 64})))
        for section in simulated_sheet({})["section"]
    ]
    assert 0.5 < np.mean(limits) < 0.6


def test_sister_sections_are_alike_but_not_the_same(small: dict[str, SectionPaths]) -> None:
    regions = {
        section: read_truth(paths).reset_index("region")["region"]
        for section, paths in small.items()
    }

    def agreement(first: str, second: str) -> float:
        joined = pd.concat([regions[first], regions[second]], axis=1, join="inner")
        return (joined.iloc[:, 0] == joined.iloc[:, 1]).mean()

    assert agreement("A1", "B1") < agreement("A1", "A2") < 0.9


def test_sheet_lists_every_section_and_is_valid() -> None:
    sheet = check_sheet(simulated_sheet({"patients": 3, "sections_per_patient": 2}), "simulation")
    assert sheet["section"].tolist() == ["A1", "A2", "B1", "B2", "C1", "C2"]
    assert sheet["patient"].tolist() == ["A", "A", "B", "B", "C", "C"]
    assert (sheet["labels"] != "").tolist() == [True, False] * 3
    assert sheet["um_per_px"].isna().all()


@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_section_can_be_simulated(tmp_path: Path, seed: int) -> None:
    smallest = {"spots": 16, "genes": 1, "silent_genes": 0, "pitch_px": 64, "seed": seed}
    assert len(read_counts(simulated(tmp_path, "A1", smallest))) >= 4


def test_misspelt_setting_is_named_with_its_likeliest_meaning() -> None:
    with pytest.raises(UserError, match=r"patient: unknown key \(did you mean 'patients'\?\)"):
        parse_simulation({"patient": 3})


@pytest.mark.parametrize("settings", [{"patients": 0}, {"spots": 8}, {"seed": "x"}])
def test_wrong_value_is_named(settings: dict) -> None:
    (key,) = settings
    with pytest.raises(UserError, match=f"Config, simulation.{key}: must be"):
        parse_simulation(settings)


def test_reading_a_config_does_not_import_what_draws() -> None:
    program = "import sys, reg2st.sections.simulate; print(*sys.modules)"
    imported = set(printed_by(program).split())
    assert not imported & {"scipy.ndimage", "tifffile", "h5py", "PIL.Image"}
