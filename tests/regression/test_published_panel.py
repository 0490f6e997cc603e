"""The published recipe on all 36 HER2+ sections gives the published panel."""

import os

import pytest

from reg2st.sections.panels import Recipe, SectionCounts, apply_recipe, read_panel
from reg2st.sections.readers.st import read_counts
from reg2st.study.sheets import read_sheet

pytestmark = pytest.mark.skipif(
    "REG2ST_TEST_REGRESSION" not in os.environ, reason="needs minutes: make test-regression"
)


def test_the_recipe_gives_the_published_785_genes(root, shared):
    sheet = read_sheet(root / "config" / "sections" / "her2st.tsv")
    sections = []
    for row in sheet.itertuples():
        counts = read_counts(shared / "data" / "her2st" / row.counts)
        sections.append(SectionCounts(row.section, counts.matrix, counts.genes))
    unused = {"A1", "H1", "H2", "H3"}
    panel = apply_recipe(
        Recipe(),
        reference=sections[0],
        present_in=sections,
        expressed_in=[section for section in sections if section.section not in unused],
    )
    published = read_panel(root / "resources" / "panels" / "her2st_785.txt")
    assert len(published) == 785
    assert set(panel) == set(published)
    assert panel == sorted(panel)
