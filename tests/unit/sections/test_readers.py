"""Every platform by name: what each reader asks of a sample sheet."""

import pytest

from reg2st.base.errors import UserError
from reg2st.sections.readers import READERS, reader
from reg2st.sections.section_row import SectionRow
from reg2st.study.sheets import COLUMNS, OF_EVERY_PLATFORM


@pytest.mark.parametrize("platform", READERS)
def test_a_reader_asks_for_columns_of_the_sheet(platform, root):
    known = reader(platform)
    required = known.required(SectionRow("S1", "P", platform))
    assert required
    assert set(required) <= set(known.COLUMNS) <= set(COLUMNS) - set(OF_EVERY_PLATFORM)
    pages = root / "docs" / "reference" / "platforms"
    page = (pages / f"{platform}.md").read_text(encoding="utf-8")
    assert f"(`{platform}`)" in page.splitlines()[0]
    assert all(f"\t{column}" in page for column in required)


def test_a_platform_that_there_is_not_is_one_sentence():
    with pytest.raises(UserError, match=r"no platform 'visum' \(did you mean 'visium'\?\)\."):
        reader("visum")
