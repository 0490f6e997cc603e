"""What stands below every table about the sections behind it."""

import anndata
import numpy as np
import pytest

from reg2st.report.section_notes import section_notes
from sections import about


@pytest.fixture
def section(tmp_path):
    """Write a section file with what is to be told of it."""

    def write(name, **told):
        made = anndata.AnnData(np.ones((2, 1), np.float32), obsm={"spatial": np.eye(2)})
        spatial = {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 1.0}
        made.uns["spatial"] = {
            name: {"scalefactors": spatial, "metadata": {"source_image_path": "S1.tif"}}
        }
        made.uns["section"] = {**about(name, "made", "P"), **told}
        path = tmp_path / f"{name}.h5ad"
        made.write_h5ad(path)
        return path

    return write


def test_warnings_stand_one_by_one_and_what_was_left_out_in_sum(section):
    one = section("S1", dropped={"spots without counts": 2, "off the slide": 0})
    two = section(
        "S2",
        dropped={"spots without counts": 1_000, "off the slide": 3},
        warnings=np.array(["Section S2 is doubtful."], dtype=object),
    )
    assert section_notes([one, two]) == (
        "Section S2 is doubtful.",
        "Left out of the sections: 3 off the slide, 1,002 spots without counts.",
    )
    assert section_notes([section("S3")]) == ()
