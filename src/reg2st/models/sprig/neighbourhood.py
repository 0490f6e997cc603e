"""Neighbourhoods of a spot: rings of the array, and the section's most similar spots.

Attention matrices are ``[n, n]``, sparse, with rows that sum to 1.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, eye_array

EDGES_AT_A_TIME = 1 << 17

CANDIDATES = 20_000
"""Maximum number of candidates for similar spots, so that time is linear in the spots."""


def rings(edge_index: NDArray[np.int64], n_spots: int, count: int) -> list[csr_array]:
    """Spots at 1, 2, ... ``count`` hops of the graph, each ``[n, n]`` of zeros and ones."""
    neighbour, spot = edge_index
    shape = (n_spots, n_spots)
    step = coo_array((np.ones(len(spot), dtype=np.float32), (spot, neighbour)), shape).tocsr()
    reached = frontier = eye_array(n_spots, dtype=np.float32, format="csr")
    found = []
    for _ in range(count):
        wider = (reached + frontier @ step).astype(bool).astype(np.float32)
        frontier = (wider - reached).tocsr()
        frontier.eliminate_zeros()
        reached = wider
        found.append(frontier)
    return found


def attention(edges: csr_array, positions: NDArray[np.float32], temperature: float) -> csr_array:
    """Weights of the edges by softmax over each row of -|difference of positions|²/temperature.

    Args:
        edges: ``[n, n]``; each stored entry is an edge, whatever its value.
        positions: ``[n, q]``, image features of each spot.
        temperature: in units of squared distance.

    Returns:
        ``[n, n]``, rows of sum 1; a spot without edges attends to itself.
    """
    n = edges.shape[0]
    counts = np.diff(edges.indptr)
    spot = np.repeat(np.arange(n), counts)
    squared = np.empty(len(spot))
    for start in range(0, len(spot), EDGES_AT_A_TIME):
        some = slice(start, start + EDGES_AT_A_TIME)
        apart = positions[spot[some]] - positions[edges.indices[some]]
        squared[some] = np.square(apart, dtype=np.float64).sum(axis=1)
    nearest = np.full(n, np.inf)
    np.minimum.at(nearest, spot, squared)
    weight = np.exp(-(squared - nearest[spot]) / temperature)
    weight /= np.bincount(spot, weight, n)[spot]
    alone = np.flatnonzero(counts == 0)
    rows, columns = np.append(spot, alone), np.append(edges.indices, alone)
    weight = np.append(weight, np.ones(len(alone))).astype(np.float32)
    return coo_array((weight, (rows, columns)), (n, n)).tocsr()


def most_similar(
    positions: NDArray[np.float32], neighbours: int, candidates: NDArray[np.int64]
) -> csr_array:
    """Edges from each spot to its nearest candidates in ``positions``."""
    from sklearn.neighbors import NearestNeighbors

    n = len(positions)
    wanted = min(neighbours + 1, len(candidates))
    search = NearestNeighbors(n_neighbors=wanted, algorithm="brute").fit(positions[candidates])
    found = candidates[search.kneighbors(positions, return_distance=False)]
    other = found != np.arange(n)[:, None]
    # If the spot itself was not found, drop the farthest one instead.
    other[other.all(axis=1), -1] = False
    spot = np.nonzero(other)[0]
    return coo_array((np.ones(len(spot), dtype=np.float32), (spot, found[other])), (n, n)).tocsr()
