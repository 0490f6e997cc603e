"""Nearest-neighbour graphs against their definition, spot by spot."""

import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg2st.base.errors import UserError
from reg2st.features.graphs import nearest_neighbours, read_graph, write_graph


def defined_neighbours(array_xy, neighbours, radius=None):
    array_xy = np.asarray(array_xy, dtype=float).reshape(-1, 2)
    edges = []
    for spot, place in enumerate(array_xy):
        squared = ((array_xy - place) ** 2).sum(axis=1)
        others = sorted(set(range(len(array_xy))) - {spot}, key=lambda j: (squared[j], j))
        edges += [
            (other, spot)
            for other in others[:neighbours]
            if radius is None or np.sqrt(squared[other]) <= radius
        ]
    return np.array(edges, dtype=np.int64).reshape(-1, 2).T


@settings(deadline=None, max_examples=150)
@given(
    array_xy=st.sampled_from([1, 2, 5, 10**7]).flatmap(
        lambda span: st.lists(
            st.tuples(st.integers(-span, span), st.integers(-span, span)), max_size=40
        )
    ),
    neighbours=st.integers(1, 7),
    radius=st.sampled_from([None, 1, 1.5, 2]),
)
def test_edges_are_those_of_the_definition(array_xy, neighbours, radius):
    edges = nearest_neighbours(array_xy, neighbours, radius)
    assert edges.dtype == np.int64
    np.testing.assert_array_equal(edges, defined_neighbours(array_xy, neighbours, radius))


def test_lower_spot_index_wins_a_tie_and_the_radius_is_inclusive():
    cross = [[5, 5], [5, 7], [7, 5], [3, 5], [5, 3]]
    edges = nearest_neighbours(cross, 3, radius=2)
    assert edges[0][edges[1] == 0].tolist() == [1, 2, 3]
    assert nearest_neighbours(cross, 3, radius=1.99).shape == (2, 0)


def test_radius_does_not_promote_spots_ranked_too_low():
    line = [[0, 0], [1, 0], [2, 0], [3, 0]]
    edges = nearest_neighbours(line, 1, radius=2)
    assert edges.T.tolist() == [[1, 0], [0, 1], [1, 2], [2, 3]]


def test_many_spots_at_one_place():
    edges = nearest_neighbours(np.zeros((300, 2)), 4, radius=2)
    assert edges[0][edges[1] == 299].tolist() == [0, 1, 2, 3]
    assert edges[0][edges[1] == 1].tolist() == [0, 2, 3, 4]


def test_memory_does_not_grow_with_the_square_of_the_spots():
    n = 60_000
    array_xy = np.random.default_rng(0).integers(0, 400, (n, 2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert nearest_neighbours(array_xy, 4).shape == (2, 4 * n)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 400 * 1024 < n * n / 8 / 1024


@pytest.mark.parametrize("array_xy", [[[1, 1], [1, 2], [9, 9]], [[3, 3]], []], ids=len)
def test_graph_comes_back_as_it_was_written(tmp_path, array_xy):
    edges = nearest_neighbours(array_xy, 4, radius=2)
    path = tmp_path / "S1.npz"
    write_graph(path, edges, len(array_xy))
    np.testing.assert_array_equal(read_graph(path, len(array_xy)), edges)
    assert [entry.name for entry in tmp_path.iterdir()] == ["S1.npz"]


def test_same_graph_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_graph(tmp_path / name, nearest_neighbours([[1, 1], [1, 2]], 4), 2)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_graph_of_another_section_is_refused(tmp_path):
    path = tmp_path / "S1.npz"
    write_graph(path, nearest_neighbours([[1, 1], [1, 2], [1, 3]], 4), 3)
    with pytest.raises(UserError, match=r"S1\.npz is not the graph of 2 spots"):
        read_graph(path, 2)


def test_edge_to_a_spot_that_does_not_exist_is_refused(tmp_path):
    path = tmp_path / "S1.npz"
    write_graph(path, np.array([[0, 5], [1, 0]]), 3)
    with pytest.raises(UserError, match=r"S1\.npz is not the graph of 3 spots"):
        read_graph(path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "S1.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"S1\.npz is not a graph"):
        read_graph(path)
