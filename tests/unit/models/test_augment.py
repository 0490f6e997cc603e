"""Random changes of patches."""

import pytest
import torch

from reg2st.models.augment import random_colours, random_symmetries, rotate, symmetries


@pytest.fixture
def image():
    return torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("quarter_turns", [(0, 1), (0, 1, 2, 3)])
def test_symmetries_are_drawn_evenly(image, quarter_turns):
    torch.manual_seed(0)
    drawn = random_symmetries(image.expand(800, -1, -1, -1), quarter_turns)
    views, counts = drawn.unique(dim=0, return_counts=True)
    assert len(views) == 8
    assert counts.min() > 60
    expected = symmetries(image)[:, 0]
    assert torch.equal(views, expected.unique(dim=0))


def test_colours_change_each_image_by_itself_and_stay_in_range(image):
    torch.manual_seed(0)
    drawn = random_colours(image.expand(50, -1, -1, -1), 0.5, 1.5)
    assert len(drawn.unique(dim=0)) == 50
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.mean(dim=(1, 2, 3)).std() > 0.02


def test_factors_of_one_change_nothing(image):
    torch.testing.assert_close(random_colours(image, 1, 1), image)


def test_each_image_has_its_own_angle(image):
    images = image.expand(3, -1, -1, -1)
    turned = rotate(images, torch.tensor([0.0, 90.0, 45.0]))
    assert torch.equal(turned[0], image[0])
    assert torch.equal(turned[1], torch.rot90(image[0], 1, (-2, -1)))
    assert torch.equal(turned[2], rotate(image, 45)[0])
