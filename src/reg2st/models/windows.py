"""Windows of large sections, for networks in which all spots of a section see each other.

Their time and memory grow with the square of the spots. In windows of bounded size they grow with
the spots: a window is a batch in training, and the predictions of the windows' cores together are
those of the section.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reg2st.models.interface import Model, Prediction, SectionTensors

MARGIN_PITCHES = 8.0
"""Width of the margin: the reach of Hist2ST's graph, four layers over edges of two pitches."""


@dataclass(frozen=True)
class Window:
    """Some spots of a section that lie together: a core, and the margin around it.

    Attributes:
        section: the section, whole.
        spots: the spots of the window, int64 ``[m]``, in their order in the section.
        core: bool ``[m]``, which of them are of the core.
    """

    section: SectionTensors
    spots: Tensor
    core: Tensor

    @property
    def name(self) -> str:
        return self.section.name

    def cut(self) -> SectionTensors:
        """The window's part of the section; a copy, so that it is made when it is needed."""
        return self.section.part(self.spots)


def in_windows(
    sections: Iterable[SectionTensors], most_spots: int | None
) -> list[SectionTensors | Window]:
    """The sections; instead of those with more than ``most_spots`` spots, their windows."""
    parts: list[SectionTensors | Window] = []
    for section in sections:
        whole = most_spots is None or section.n_spots <= most_spots
        parts += [section] if whole else windows(section, most_spots)
    return parts


def predict_in_windows(model: Model, section: SectionTensors, most_spots: int | None) -> Prediction:
    """A model's prediction of a section, each spot predicted in the window whose core it is in.

    Args:
        model: a model that gives expression alone, where the section is larger than the bound.
        section: without counts.
        most_spots: of a window; None for the whole section at once.
    """
    if most_spots is None or section.n_spots <= most_spots:
        return model.predict(section)
    size = section.n_spots, model.sizes.genes
    expression = section.array_xy.new_empty(size, dtype=torch.float32)
    for window in windows(section, most_spots):
        own = window.spots[window.core]
        expression[own] = model.predict(window.cut()).expression[window.core]
    return Prediction(expression)


def windows(section: SectionTensors, most_spots: int) -> list[Window]:
    """The windows of a section: each spot is in the core of one.

    The section is halved along its longer side until a part has at most a quarter of
    ``most_spots`` spots: the core of a window (a k-d tree, Bentley 1975). Its margin are the other
    spots within ``MARGIN_PITCHES`` of the rectangle around the core, the nearest if there are too
    many. So n spots make at most ``8 n / most_spots`` windows, or n. On square and hexagonal
    arrays windows of 4,096 spots have room for the whole margin; they hold about 2,000 spots.

    Args:
        section: any section.
        most_spots: of a window with its margin, at least 2.
    """
    xy = section.positions.cpu().numpy()
    nobody = np.empty(0, dtype=np.int64)
    device = section.array_xy.device
    found = []
    for core, margin in _halved(xy, np.arange(len(xy)), nobody, most_spots):
        spots = np.sort(np.concatenate([core, margin]))
        of_core = torch.from_numpy(np.isin(spots, core)).to(device)
        found.append(Window(section, torch.from_numpy(spots).to(device), of_core))
    return found


def _halved(
    xy: np.ndarray, core: np.ndarray, near: np.ndarray, most_spots: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cores and margins, as indices of spots; ``near`` are the spots around ``core``."""
    if len(core) <= max(1, most_spots // 4):
        yield core, _nearest(xy, core, near, most_spots - len(core))
        return
    longer = int(np.argmax(np.ptp(xy[core], axis=0)))
    order = np.lexsort((xy[core, 1 - longer], xy[core, longer]))
    halves = np.split(core[order], [len(core) // 2])
    for half, other in (halves, halves[::-1]):
        around = np.concatenate([other, near])
        around = around[_distance_to(xy, half, around) <= MARGIN_PITCHES]
        yield from _halved(xy, half, around, most_spots)


def _nearest(xy: np.ndarray, core: np.ndarray, near: np.ndarray, room: int) -> np.ndarray:
    """At most ``room`` spots of ``near``; of spots at equal distance all or none."""
    if len(near) <= room:
        return near
    distance = _distance_to(xy, core, near)
    return near[distance < np.partition(distance, room)[room]]


def _distance_to(xy: np.ndarray, core: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Distance of spots from the rectangle around a core, in pitches."""
    low, high = xy[core].min(axis=0), xy[core].max(axis=0)
    beyond = np.maximum(low - xy[spots], xy[spots] - high).clip(min=0)
    return np.hypot(*beyond.T)
