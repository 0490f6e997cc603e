"""Reg2ST at its published width on one made-up section: ``predict`` or ``train``, and the spots.

Prints seconds and the peak memory of the process in MB.
"""

import math
import sys
import time

import torch

from reg2st.base.memory import peak_memory_bytes
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.reg2st import Reg2ST
from reg2st.models.windows import predict_in_windows
from reg2st.training.loop import resolved_precision, train_network

FEATURES, GENES = 1280, 785
MOST_SPOTS = 4096


def made_up(spots: int, *, with_counts: bool) -> SectionTensors:
    """A square array of that many spots with random features, and counts if asked for."""
    draw = torch.Generator().manual_seed(0)
    side = math.isqrt(spots - 1) + 1
    index = torch.arange(spots)
    measured = {}
    if with_counts:
        counts = torch.rand(spots, GENES, generator=draw).mul_(1.4).floor_()
        measured = {"counts": counts, "expression": counts.log1p()}
    return SectionTensors(
        "made_up",
        "P1",
        torch.stack([index % side, index // side], dim=1),
        embedding=torch.randn(spots, FEATURES, generator=draw),
        **measured,
    )


def main(task: str, spots: int) -> None:
    section = made_up(spots, with_counts=task == "train")
    torch.manual_seed(0)
    settings = Reg2ST.Settings(positions="none", epochs=1)
    model = Reg2ST(settings, Sizes(genes=GENES, features=FEATURES))
    started = time.monotonic()
    if task == "train":
        precision = resolved_precision("auto", torch.device("cpu"))
        train_network(model, [section], seed=0, precision=precision, window_spots=MOST_SPOTS)
    else:
        with torch.inference_mode():
            predict_in_windows(model.eval(), section, MOST_SPOTS)
    print(time.monotonic() - started, peak_memory_bytes() / 1e6)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
