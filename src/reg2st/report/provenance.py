"""Where the runs behind a number are."""

import pandas as pd


def run_folders(values: pd.DataFrame, prefix: str = "") -> list[str]:
    """The folder of the runs behind each row, below the study's results.

    Rows of one section have a ``fold`` and name the run that tested it, with ``*`` in the place
    of the seed where several are averaged; other rows name the folder of all seeds and folds.

    Args:
        values: columns dataset, split, method, variant, and fold and seed where rows have them.
        prefix: of the columns method and variant (``other_`` in comparisons).
    """
    return [
        "/".join(
            [
                *("runs", row["dataset"], row["split"]),
                *(row[f"{prefix}method"], row[f"{prefix}variant"]),
                *([f"seed-{row.get('seed', '*')}", f"fold-{row['fold']}"] if "fold" in row else []),
            ]
        )
        for row in values.to_dict("records")
    ]
