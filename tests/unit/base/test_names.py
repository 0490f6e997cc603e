"""Help with misspelt names."""

import pytest

from reg2st.base.names import closest


@pytest.mark.parametrize(
    ("known", "clause"),
    [
        (["ridge", "sprig"], " (did you mean 'ridge'?)"),
        (["hist2st", "histogene"], " (known are hist2st, histogene)"),
        ([f"GENE{number:04d}" for number in range(1500)], " (none of the 1,500 known is similar)"),
        ([], " (there are none)"),
    ],
)
def test_the_likeliest_name_or_a_short_list(known, clause):
    assert closest("rigde", known) == clause
