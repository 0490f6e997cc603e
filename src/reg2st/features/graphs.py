"""Graphs over the spots of a section: each spot listens to its nearest others.

Edges follow PyTorch Geometric: ``edge_index[0]`` is the neighbour j, ``edge_index[1]`` the
spot i that listens to it.
"""

import os
import zipfile

import numpy as np
from numpy.typing import ArrayLike

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole

CANDIDATES_AT_A_TIME = 2_000_000
"""Spot pairs held in memory at once while neighbours are ranked."""


def nearest_neighbours(
    array_xy: ArrayLike, neighbours: int, radius: float | None = None
) -> np.ndarray:
    """Edges from each spot's nearest other spots to the spot.

    The ``neighbours`` nearest are ranked first, by Euclidean distance and, where distances
    are equal, by spot index; of these, spots farther than ``radius`` are dropped. A section
    with too few spots gives each spot all the others.

    Args:
        array_xy: ``[n, 2]``, array coordinates of the spots.
        neighbours: edges of a spot at most.
        radius: largest distance kept, in array units, inclusive; None keeps all.

    Returns:
        edge_index: int64 ``[2, e]``, sorted by spot, then from near to far.
    """
    from scipy.spatial import KDTree

    xy = np.asarray(array_xy, dtype=np.float64).reshape(-1, 2)
    n = len(xy)
    kept = min(neighbours, n - 1)
    if kept <= 0:
        return np.empty((2, 0), dtype=np.int64)
    tree = KDTree(xy)
    nearest = np.empty((n, kept), dtype=np.int64)
    squared = np.empty((n, kept))
    pending = np.arange(n)
    candidates = min(n, kept + 9)
    while len(pending):
        unsettled = []
        rows = max(1, CANDIDATES_AT_A_TIME // candidates)
        for start in range(0, len(pending), rows):
            spots = pending[start : start + rows]
            found, distances = _ranked_others(tree, xy, spots, candidates)
            nearest[spots] = found[:, :kept]
            squared[spots] = distances[:, :kept]
            # A tie with the last neighbour may reach past the candidates.
            tied = distances[:, -1] <= distances[:, kept - 1] * (1 + 1e-9)
            unsettled.append(spots[tied])
        pending = np.concatenate(unsettled) if candidates < n else np.empty(0, dtype=np.int64)
        candidates = min(n, 4 * candidates)

    spot = np.repeat(np.arange(n), kept)
    edge_index = np.stack([nearest.ravel(), spot])
    if radius is not None:
        edge_index = edge_index[:, np.sqrt(squared.ravel()) <= radius]
    return edge_index


def _ranked_others(
    tree, xy: np.ndarray, spots: np.ndarray, candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and squared distances ``[spots, candidates - 1]`` of the nearest others."""
    found = tree.query(xy[spots], k=candidates)[1]
    squared = ((xy[found] - xy[spots, None]) ** 2).sum(axis=2)
    # The spot itself goes last; among more equal points than candidates it may be missing,
    # and the last candidate goes instead.
    squared[found == spots[:, None]] = np.inf
    order = np.lexsort((found, squared))[:, :-1]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(squared, order, axis=1)


def write_graph(path: str | os.PathLike, edge_index: np.ndarray, n_spots: int) -> None:
    """Write the edges of a section of ``n_spots`` spots, with or without edges, as ``.npz``."""
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
        n_spots: spots of the section that the graph should belong to, if known.

    Raises:
        UserError: the file is no graph, or one of another number of spots.
    """
    try:
        with np.load(path) as arrays:
            edge_index, written_for = arrays["edge_index"], int(arrays["n_spots"])
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile):
        raise UserError(f"{path} is not a graph: delete it, and it is made anew.") from None
    spots = written_for if n_spots is None else n_spots
    fits = edge_index.dtype == np.int64 and edge_index.ndim == 2 and len(edge_index) == 2
    fits = fits and (edge_index.size == 0 or 0 <= edge_index.min() <= edge_index.max() < spots)
    if not fits or spots != written_for:
        raise UserError(
            f"{path} is not the graph of {spots} spots: delete it, and it is made anew."
        )
    return edge_index
