"""Graphs over the spots of a section: each spot listens to its nearest others.

Edges follow PyTorch Geometric: ``edge_index[0]`` is the neighbour j, ``edge_index[1]`` the
spot i that listens to it.
"""

import os
import zipfile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole

if TYPE_CHECKING:
    from scipy.spatial import KDTree

SPARE_CANDIDATES = 8
"""Spots ranked beyond the neighbours wanted: enough for the ties of square and hexagonal arrays."""


EQUAL_DECIMALS = 9
"""Decimals of a distance in pitches: what differs less is as near, since roots are rounded."""


def nearest_neighbours(xy: ArrayLike, neighbours: int, radius: float | None = None) -> np.ndarray:
    """Edges from each spot's nearest other spots to the spot.

    The ``neighbours`` nearest are ranked first, by Euclidean distance and, where distances
    are equal, by spot index; of these, spots farther than ``radius`` are dropped. A section
    with too few spots gives each spot all the others.

    Args:
        xy: ``[n, 2]``, positions of the spots in pitches (``sections.positions.pitch_xy``).
        neighbours: largest number of edges to a spot.
        radius: largest distance kept, in pitches, inclusive; None keeps all.

    Returns:
        edge_index: int64 ``[2, e]``, sorted by spot, then from near to far.
    """
    from scipy.spatial import KDTree

    xy = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    spots = np.arange(len(xy))
    kept = min(neighbours, len(xy) - 1)
    if kept <= 0:
        return np.empty((2, 0), dtype=np.int64)
    nearest, distances = _nearest_others(KDTree(xy), spots, kept, 1 + kept + SPARE_CANDIDATES)
    edge_index = np.stack([nearest.ravel(), np.repeat(spots, kept)])
    return edge_index if radius is None else edge_index[:, distances.ravel() <= radius]


def _nearest_others(
    tree: "KDTree", spots: np.ndarray, kept: int, candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances ``[spots, kept]`` of the nearest others.

    A k-d tree returns equal distances in any order, also in scikit-learn and squidpy. Hence more
    candidates are ranked here; spots whose ties may reach past them are asked again with more.
    """
    candidates = min(candidates, tree.n)
    distances, found = tree.query(tree.data[spots], k=candidates)
    distances = distances.round(EQUAL_DECIMALS)
    distances[found == spots[:, None]] = -1  # ranks the spot itself first
    order = np.lexsort((found, distances))
    found = np.take_along_axis(found, order, axis=1)
    distances = np.take_along_axis(distances, order, axis=1)
    tied = distances[:, -1] <= distances[:, kept]
    found, distances = found[:, 1 : kept + 1], distances[:, 1 : kept + 1]
    if candidates < tree.n and tied.any():
        found[tied], distances[tied] = _nearest_others(tree, spots[tied], kept, 4 * candidates)
    return found, distances


def write_graph(path: str | os.PathLike, edge_index: np.ndarray, n_spots: int) -> None:
    """Write the edges of a section of ``n_spots`` spots as ``.npz``."""
    with written_whole(path) as temporary:
        np.savez(
            temporary,
            edge_index=np.asarray(edge_index, dtype=np.int64),
            n_spots=np.int64(n_spots),
        )


def read_graph(path: str | os.PathLike, n_spots: int | None = None) -> np.ndarray:
    """Edges, int64 ``[2, e]``, that ``write_graph`` wrote.

    Args:
        path: the file.
        n_spots: number of spots in the graph's section, if known.

    Raises:
        UserError: the file is not a graph, or has another number of spots.
    """
    try:
        with np.load(path) as arrays:
            edge_index, written_for = arrays["edge_index"], int(arrays["n_spots"])
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile):
        raise UserError(f"{path} is not a graph; delete it and run again.") from None
    spots = written_for if n_spots is None else n_spots
    fits = edge_index.dtype == np.int64 and edge_index.ndim == 2 and len(edge_index) == 2
    fits = fits and (edge_index.size == 0 or 0 <= edge_index.min() <= edge_index.max() < spots)
    if not fits or spots != written_for:
        raise UserError(f"{path} is not the graph of {spots} spots; delete it and run again.")
    return edge_index
