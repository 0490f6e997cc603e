"""Prediction from a bank of training spots."""

import pytest
import torch
import torch.nn.functional as F

from reg2st.base.errors import UserError
from reg2st.models import retrieval
from reg2st.models.bleep import BLEEP, BLEEPSettings
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.retrieval import (
    ReferenceBank,
    inverse_square,
    most_similar,
    softmax_of_distance,
)


def section(name, n, seed):
    generator = torch.Generator().manual_seed(seed)
    return SectionTensors(
        name,
        "P",
        torch.arange(2 * n).view(n, 2),
        embedding=torch.randn(n, 6, generator=generator),
        expression=torch.rand(n, 4, generator=generator),
    )


@pytest.fixture
def sections():
    return [section("A", 12, 0), section("B", 9, 1)]


@pytest.fixture
def bank(sections):
    bank = ReferenceBank(width=6, genes=4)
    bank.fill(sections, [each.embedding for each in sections])
    return bank


def test_of_equal_cosines_the_lower_row_wins():
    directions = F.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 1], [0, 1], [0, 1]]), dim=1)
    found = most_similar(torch.tensor([[0.0, 3], [1, 0]]), directions, 2)
    assert sorted(found[0].tolist()) == [1, 3]
    assert sorted(found[1].tolist()) == [0, 2]


@pytest.mark.parametrize("weighting", [None, softmax_of_distance, inverse_square(1)])
def test_chunks_do_not_change_the_average(bank, weighting, monkeypatch):
    query = section("C", 10, 2)
    whole = bank.average(query.embedding, 5, weighting, query)
    monkeypatch.setattr(retrieval, "NUMBERS_HELD", 70)
    torch.testing.assert_close(bank.average(query.embedding, 5, weighting, query), whole)


def test_a_section_does_not_meet_its_own_spots(bank, sections):
    own, other = sections
    average = bank.average(own.embedding, 1, None, own)
    directions = F.normalize(other.embedding, dim=1)
    nearest = most_similar(own.embedding, directions, 1).squeeze(1)
    assert torch.equal(average, other.expression[nearest])
    namesake = section("A", 11, 3)
    assert not torch.equal(
        bank.average(namesake.embedding, 21, None, namesake),
        other.expression.mean(dim=0).expand(11, -1),
    )


def test_more_neighbours_than_spots_average_all(bank, sections):
    query = section("C", 3, 2)
    everything = torch.cat([each.expression for each in sections]).mean(dim=0)
    average = bank.average(query.embedding, 500, None, query)
    torch.testing.assert_close(average, everything.expand(3, -1))


def test_a_bank_of_the_own_section_alone_is_refused(sections):
    bank = ReferenceBank(width=6, genes=4)
    bank.fill(sections[:1], [sections[0].embedding])
    with pytest.raises(UserError, match="other than A"):
        bank.average(sections[0].embedding, 5, None, sections[0])


@pytest.mark.parametrize("norm", [1, 2])
def test_a_key_at_no_distance_takes_all_the_weight(norm):
    keys = torch.tensor([[[0.0, 0], [3, 4], [0, 1e-30]]])
    weights = inverse_square(norm)(torch.zeros(1, 1, 2), keys)
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0, 0.5]]), atol=1e-9, rtol=0)


def test_weights_that_were_not_given_are_missed(sections):
    settings = BLEEPSettings(backbone="timm:test_resnet", patch_px=32)
    model = BLEEP(settings, Sizes(genes=4))
    assert model.inputs(settings).weights == "timm:test_resnet"
    with pytest.raises(UserError, match="weights of timm:test_resnet"):
        model.prepare(sections)
    with pytest.raises(UserError, match="not those of timm:test_resnet"):
        model.start_from({"conv1.weight": torch.zeros(1)})
    published = model.backbone.network.state_dict()
    model.start_from(published | {"fc.weight": torch.zeros(3, 3)})
    model.prepare(sections)
