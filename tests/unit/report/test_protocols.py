"""The page of protocols has that of every published number that tables and figures print."""

import re

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "reference" / "protocols.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["results", "ablation", "sensitivity"])
def test_every_printed_number_is_on_the_page(page, root, file):
    rows = pd.read_csv(root / "resources" / "published" / f"{file}.tsv", sep="\t", dtype=str)
    told = {(mean, median) for mean, median in re.findall(r"(0\.\d+) \((0\.\d+)\)", page)}
    missing = rows[[pair not in told for pair in zip(rows.mean_pcc, rows.median_pcc, strict=True)]]
    assert missing.empty, missing


def test_every_number_of_the_protocols_is_on_the_page(page, shared):
    rows = pd.read_csv(shared / "published" / "protocols.tsv", sep="\t", dtype=str)
    numbers = {float(number) for number in re.findall(r"0\.\d+", page)}
    assert set(rows["mean_pcc"].astype(float)) <= numbers


def test_every_metric_has_its_definition(root):
    from reg2st.evaluation.metrics import METRICS

    text = (root / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in METRICS)


def test_every_shipped_study_is_on_the_page(page, root):
    studies = sorted(path.name for path in (root / "config" / "studies").glob("*.yaml"))
    assert all(f"`config/studies/{name}`" in page for name in studies)
