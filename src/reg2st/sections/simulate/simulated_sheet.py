"""The sample sheet of a simulation."""

import pandas as pd

from reg2st.sections.simulate.simulation import parse_simulation


def simulated_sheet(settings: dict) -> pd.DataFrame:
    """The sample sheet of a simulation, strings like those of a TSV.

    One section of each patient has labels, and the slides know their pixel size.

    Raises:
        UserError: the settings are wrong.
    """
    parsed = parse_simulation(settings)
    rows = []
    for patient_index in range(parsed.patients):
        patient = chr(ord("A") + patient_index)
        for number in range(1, parsed.sections_per_patient + 1):
            section = f"{patient}{number}"
            rows.append(
                {
                    "section": section,
                    "patient": patient,
                    "image": f"images/{section}.tif",
                    "counts": f"counts/{section}.tsv.gz",
                    "spots": f"spots/{section}_selection.tsv",
                    "um_per_px": "",
                    "labels": f"labels/{section}_labels.tsv" if number == 1 else "",
                }
            )
    return pd.DataFrame(rows)
