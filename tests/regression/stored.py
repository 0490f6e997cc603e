"""Scores of a finished study against stored ones: ``python stored.py STORED SCORES...``.

``python stored.py --store STORED SCORES...`` stores them.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

KEY = ["split", "method", "variant", "seed", "fold", "section", "gene"]
VALUES = ["pcc", "spearman", "mse"]


def read(files: list[Path]) -> pd.DataFrame:
    """Tidy scores of some files, one row for each of ``KEY``, in a fixed order."""
    table = pd.concat(pd.read_parquet(path) for path in files)
    return table.astype({"seed": int, "fold": str}).set_index(KEY)[VALUES].sort_index()


def differences(stored: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """By split, method and variant: values compared, how many are equal, the largest difference,
    and the difference of the mean PCC.

    Raises:
        KeyError: stored rows are missing.
    """
    found = found.loc[stored.index]
    equal = (stored == found) | (stored.isna() & found.isna())
    rows = {}
    for key, part in stored.groupby(["split", "method", "variant"]):
        other = found.loc[part.index]
        rows[key] = {
            "values": part.size,
            "equal": int(equal.loc[part.index].to_numpy().sum()),
            "largest": np.nanmax(np.append((part - other).abs().to_numpy(), 0)),
            "mean_pcc": part["pcc"].mean(),
            "change": other["pcc"].mean() - part["pcc"].mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", action="store_true", help="write STORED instead of comparing")
    parser.add_argument("stored", type=Path)
    parser.add_argument("scores", type=Path, nargs="+")
    arguments = parser.parse_args()
    found = read(arguments.scores)
    if arguments.store:
        found.reset_index().to_parquet(arguments.stored, index=False, compression="zstd")
    else:
        stored = pd.read_parquet(arguments.stored).set_index(KEY)[VALUES].sort_index()
        print(differences(stored, found).to_string())


if __name__ == "__main__":
    main()
