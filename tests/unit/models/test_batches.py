"""Batches of spots of several sections."""

import pytest
import torch

from reg2st.models.batches import Spots, mixed_batches, number_of_batches
from reg2st.models.interface import SectionTensors, Tiles


def section(name, n):
    own = torch.arange(n)
    return SectionTensors(
        name,
        "P",
        torch.stack([own, own], dim=1),
        embedding=torch.stack([own, torch.full_like(own, ord(name))], dim=1).float(),
        edge_index=torch.stack([own, own.roll(1)]),  # spot i listens to i + 1
        tiles={"four": Tiles(own.view(n, 1, 1).expand(n, 4, 1).float(), torch.ones(n, 4) > 0)},
    )


@pytest.fixture
def sections():
    return [section("A", 5), section("B", 1), section("C", 7)]


@pytest.mark.parametrize(
    ("size", "keep_last", "sizes"),
    [(4, True, [4, 4, 4, 1]), (4, False, [4, 4, 4]), (13, False, [13]), (20, False, [13])],
)
def test_each_spot_once_an_epoch(sections, size, keep_last, sizes):
    generator = torch.Generator().manual_seed(0)
    batches = list(mixed_batches(sections, size, generator, keep_last=keep_last))
    drawn = torch.cat([batch.gathered("embedding") for batch in batches])
    assert [len(batch.gathered("array_xy")) for batch in batches] == sizes
    assert number_of_batches(sections, size, keep_last=keep_last) == len(sizes)
    assert len(drawn.unique(dim=0)) == len(drawn) == sum(sizes)


def test_the_generator_decides_the_order(sections):
    def order(seed):
        generator = torch.Generator().manual_seed(seed)
        return [batch.gathered("embedding") for batch in mixed_batches(sections, 5, generator)]

    first, again, other = order(0), order(0), order(1)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


def test_neighbours_are_found_beyond_the_batch(sections):
    batch = Spots((sections[0], sections[2]), (torch.tensor([3, 0]), torch.tensor([6])))
    features, of_spot = batch.neighbours("embedding")
    pairs = zip(of_spot, features, strict=True)
    found = {(int(spot), *feature.int().tolist()) for spot, feature in pairs}
    assert found == {(0, 4, ord("A")), (1, 1, ord("A")), (2, 0, ord("C"))}
    assert batch.name == "A, C"


def test_tiles_of_a_batch(sections):
    batch = Spots((sections[0], sections[2]), (torch.tensor([3, 0]), torch.tensor([6])))
    assert batch.tiles("four").embedding[:, 0, 0].tolist() == [3, 0, 6]
    assert batch.tiles("four").on_slide.shape == (3, 4)


def test_a_whole_section(sections):
    assert torch.equal(Spots.whole(sections[2]).gathered("array_xy"), sections[2].array_xy)
