"""Layers that networks share."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reg2st.models.interface import SectionTensors
from reg2st.models.layers import (
    ZINB,
    Attention,
    Dropout,
    PositionTables,
    SelfAttention,
    TransformerBlock,
    ZINBHead,
    hold_positions,
    make_room_for_positions,
    zinb_loss,
)


def test_position_tables_add_column_and_row():
    tables = PositionTables(rows=64, width=5)
    array_xy = torch.tensor([[3, 60], [60, 3]])
    expected = torch.stack(
        [tables.x.weight[3] + tables.y.weight[60], tables.x.weight[60] + tables.y.weight[3]]
    )
    assert torch.equal(tables(array_xy), expected)


def test_position_tables_double_until_they_hold_the_training_sections():
    sections = [
        SectionTensors(str(far), "A", torch.tensor([[0, 3], [far, 5]])) for far in (40, 63, 77, 127)
    ]
    for used, rows in ((1, 64), (2, 64), (3, 128), (4, 128)):
        model = nn.ModuleDict({"positions": PositionTables(64, 5), "head": nn.Linear(5, 2)})
        before = model["positions"].x.weight
        hold_positions(model, sections[:used])
        assert model["positions"].rows == model["positions"].y.num_embeddings == rows
        assert (model["positions"].x.weight is before) == (rows == 64)
    saved = model.state_dict()
    again = nn.ModuleDict({"positions": PositionTables(64, 5), "head": nn.Linear(5, 2)})
    make_room_for_positions(again, {name: tuple(each.shape) for name, each in saved.items()})
    again.load_state_dict(saved)
    tables = again["positions"]
    assert torch.equal(tables(torch.tensor([[500, 3]])), tables(torch.tensor([[127, 3]])))


def test_position_tables_start_standard_normal():
    torch.manual_seed(0)
    tables = PositionTables(64, 512)
    weights = torch.cat([tables.x.weight, tables.y.weight]).detach()
    assert abs(float(weights.mean())) < 0.02
    assert abs(float(weights.std()) - 1) < 0.02


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_dropout_keeps_the_mean_and_drops_its_share(share):
    torch.manual_seed(0)
    dropout = Dropout(share)
    dropped = dropout(torch.ones(1000, 1001))
    assert abs(float((dropped == 0).float().mean()) - share) < 0.002
    assert abs(float(dropped.mean()) - 1) < 0.002
    assert dropped.unique().numel() == 2


def test_dropout_is_off_outside_training_and_repeats_with_the_seed():
    dropout, feature = Dropout(0.5), torch.randn(7, 3)
    assert torch.equal(Dropout(0.5).eval()(feature), feature)
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(dropout(feature))
    assert torch.equal(*draws)
    assert not torch.equal(draws[0], dropout(feature))


def test_gradient_of_dropout_is_its_mask():
    feature = torch.ones(50, 50, requires_grad=True)
    dropped = Dropout(0.5)(feature)
    dropped.sum().backward()
    assert torch.equal(feature.grad, dropped.detach())


def test_attention_equals_pytorchs_multi_head_attention():
    torch.manual_seed(0)
    reference = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    query, keys = torch.randn(5, 12), torch.randn(7, 12)
    projected = [
        F.linear(part, weight, bias)
        for part, weight, bias in zip(
            (query, keys, keys),
            reference.in_proj_weight.chunk(3),
            reference.in_proj_bias.chunk(3),
            strict=True,
        )
    ]
    ours = reference.out_proj(Attention(heads=3)(*projected))
    torch.testing.assert_close(ours, reference(query, keys, keys)[0])


@pytest.mark.parametrize("with_bias", [False, True])
def test_attention_with_vanishing_dropout_equals_attention_without(with_bias):
    torch.manual_seed(0)
    query, key, value = torch.randn(5, 12), torch.randn(7, 12), torch.randn(7, 12)
    bias = torch.randn(3, 5, 7) if with_bias else None
    with_dropout = Attention(heads=3, dropout=1e-9)(query, key, value, bias)
    torch.testing.assert_close(with_dropout, Attention(heads=3)(query, key, value, bias))


def test_attention_weights_are_dropped_while_training():
    torch.manual_seed(0)
    attention = Attention(heads=1, dropout=0.5)
    query, value = torch.zeros(200, 4), torch.ones(100, 4)
    attended = attention(query, torch.zeros(100, 4), value)
    assert float(attended.std()) > 0.01
    assert abs(float(attended.mean()) - 1) < 0.02
    assert torch.equal(attention.eval()(query, query[:100], value), torch.ones(200, 4))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 2**16))
def test_transformer_block_does_not_depend_on_the_order_of_spots(order, seed):
    torch.manual_seed(seed)
    block = TransformerBlock(8, heads=2, head_size=3, feedforward_width=16, dropout=0.1).eval()
    feature = torch.randn(6, 8)
    torch.testing.assert_close(block(feature[order]), block(feature)[order])


def test_leading_axes_are_sections_of_their_own():
    torch.manual_seed(0)
    attention = SelfAttention(8, heads=2, head_size=3, dropout=0.0)
    passes = torch.randn(4, 6, 8)
    torch.testing.assert_close(attention(passes), torch.stack([attention(one) for one in passes]))


def zinb_by_definition(counts, size_factor, mean, theta, pi):
    """Float64, one count at a time, from the probabilities themselves."""
    total = 0.0
    for (spot, gene), c in np.ndenumerate(counts):
        m, t, p = mean[spot, gene] * size_factor[spot], theta[spot, gene], pi[spot, gene]
        log_nb = math.lgamma(c + t) - math.lgamma(t) - math.lgamma(c + 1)
        log_nb += t * math.log(t / (t + m))
        log_nb += c * math.log(m / (t + m)) if c else 0.0
        total -= math.log((c == 0) * p + (1 - p) * math.exp(log_nb))
    return total / counts.size


def a_zinb(seed: int, spots: int = 9, genes: int = 5):
    generator = np.random.default_rng(seed)
    counts = generator.negative_binomial(1, 0.2, (spots, genes)) * (
        generator.random((spots, genes)) < 0.5
    )
    counts[0] = 0
    size_factor = counts.sum(axis=1) / max(np.median(counts.sum(axis=1)), 1)
    parameters = (
        generator.gamma(2, 2, counts.shape),
        generator.gamma(1, 1, counts.shape) + 0.05,
        generator.uniform(0.05, 0.95, counts.shape),
    )
    return counts.astype(float), size_factor, parameters


def as_float32(*arrays):
    return [torch.from_numpy(np.asarray(array, dtype=np.float32)) for array in arrays]


@pytest.mark.parametrize("seed", range(5))
def test_zinb_loss_equals_its_definition(seed):
    counts, size_factor, parameters = a_zinb(seed)
    ours = zinb_loss(*as_float32(counts, size_factor), ZINB(*as_float32(*parameters)))
    assert float(ours) == pytest.approx(
        zinb_by_definition(counts, size_factor, *parameters), rel=1e-5
    )


def test_gradient_of_zinb_loss_equals_that_of_the_formula_on_all_counts():
    counts, size_factor, parameters = as_three_tensors = a_zinb(7)
    counts, size_factor = as_float32(*as_three_tensors[:2])
    ours = [value.requires_grad_() for value in as_float32(*parameters)]
    zinb_loss(counts, size_factor, ZINB(*ours)).backward()
    dense = [torch.from_numpy(value).requires_grad_() for value in parameters]
    mean, theta, pi = dense
    mu, c, eps = mean * size_factor.double().unsqueeze(1), counts.double(), 1e-10
    negative_binomial = (
        torch.lgamma(theta + eps)
        + torch.lgamma(c + 1)
        - torch.lgamma(c + theta + eps)
        + (theta + c) * torch.log(1 + mu / (theta + eps))
        + c * (torch.log(theta + eps) - torch.log(mu + eps))
    )
    positive = negative_binomial - torch.log(1 - pi + eps)
    zero = -torch.log(pi + (1 - pi) * (theta / (theta + mu + eps)) ** theta + eps)
    torch.where(c > 0, positive, zero).mean().backward()
    for one, other in zip(ours, dense, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-7)


def test_zinb_loss_of_empty_counts_is_finite():
    head = ZINBHead(4, 3)
    loss = zinb_loss(torch.zeros(2, 3), torch.zeros(2), head(torch.randn(2, 4)))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in head.parameters())


def test_zinb_parameters_stay_within_their_bounds_in_float32_under_autocast():
    head = ZINBHead(1, 1)
    for layer in head.children():
        torch.nn.init.ones_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    extreme = torch.tensor([[-100.0], [0.0], [100.0]])
    with torch.autocast("cpu", torch.bfloat16):
        zinb = head(extreme.bfloat16())
    assert {value.dtype for value in zinb} == {torch.float32}
    assert zinb.mean.flatten().tolist() == pytest.approx([1e-5, 1, 1e6])
    assert zinb.dispersion.flatten().tolist() == pytest.approx([1e-4, math.log(2), 100])
    assert zinb.dropout.flatten().tolist() == pytest.approx([0, 0.5, 1], abs=1e-6)
