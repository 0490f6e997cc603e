"""The sample sheet of a simulation."""

import pandas as pd

from reg2st.sections.simulate.simulation import parse_simulation

SIMULATED_FILES = {
    "image": "images/{section}.tif",
    "counts": "counts/{section}.tsv.gz",
    "spots": "spots/{section}_selection.tsv",
    "labels": "labels/{section}_labels.tsv",
    "truth": "truth/{section}.h5",
}
"""Files of a simulated section in its dataset's folder: columns of the sheet, and the truth."""


def simulated_sheet(settings: dict) -> pd.DataFrame:
    """The sample sheet of a simulation, as text like a TSV.

    One section of each patient has labels. The slide files hold their pixel size.

    Raises:
        UserError: the settings are wrong.
    """
    parsed = parse_simulation(settings)
    pitch_um = parsed.pitch_px * parsed.um_per_px
    rows = []
    for patient_index in range(parsed.patients):
        patient = chr(ord("A") + patient_index)
        for number in range(1, parsed.sections_per_patient + 1):
            section = f"{patient}{number}"
            names = {kind: name.format(section=section) for kind, name in SIMULATED_FILES.items()}
            rows.append(
                {
                    "section": section,
                    "patient": patient,
                    **{kind: names[kind] for kind in ("image", "counts", "spots")},
                    "um_per_px": "",
                    "spot_pitch_um": f"{pitch_um:g}",
                    "spot_diameter_um": f"{pitch_um / 2:g}",
                    "labels": names["labels"] if number == 1 else "",
                }
            )
    return pd.DataFrame(rows)
