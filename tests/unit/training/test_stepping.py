"""Steps within the backward pass: the same weights and moments, and few gradients at a time."""

import pytest
import torch
from torch import nn

from reg2st.training import stepping as module
from reg2st.training.stepping import stepping

STEPS, WIDTH = 5, 64


def network():
    """A weight is used twice, and one is not used at all."""
    torch.manual_seed(0)
    layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(6))
    layers.append(layers[0])
    return nn.ModuleDict({"used": layers, "unused": nn.Linear(WIDTH, WIDTH)})


def loss_of(model, batch):
    for layer in model["used"]:
        batch = layer(batch).tanh()
    return batch.square().mean()


def optimiser_of(name, model):
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)
    return torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1, fused=True)


def trained(name, portion, monkeypatch):
    """Weights, optimiser's state, and most bytes of gradients that were held at once."""
    monkeypatch.setattr(module, "PORTION_BYTES", portion)
    model, held = network(), [0]
    optimiser = optimiser_of(name, model)

    def measure(_):
        gradients = [each.grad for each in model.parameters() if each.grad is not None]
        held.append(sum(each.nbytes for each in gradients))

    for weight in model.parameters():
        weight.register_post_accumulate_grad_hook(measure)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 2, 0.5)
    for step in range(STEPS):
        batch = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(step))
        loss = loss_of(model, batch)
        with stepping(optimiser):
            loss.backward()
        assert all(weight.grad is None for weight in model.parameters())
        schedule.step()
    return model.state_dict(), optimiser.state_dict()["state"], max(held)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_portions_change_no_bit(name, monkeypatch):
    at_once, moments_at_once, held_at_once = trained(name, 2**40, monkeypatch)
    portions, moments, held = trained(name, 1, monkeypatch)
    assert portions.keys() == at_once.keys()
    for key, value in at_once.items():
        assert torch.equal(portions[key], value)
    assert moments.keys() == moments_at_once.keys()
    for index, state in moments_at_once.items():
        for key, value in state.items():
            assert torch.equal(torch.as_tensor(moments[index][key]), torch.as_tensor(value))
    layer = 4 * WIDTH * WIDTH
    assert held_at_once > 6 * layer
    assert held <= layer


def test_a_plain_training_gives_the_same(monkeypatch):
    model = network()
    optimiser = optimiser_of("adamw", model)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 2, 0.5)
    for step in range(STEPS):
        batch = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss_of(model, batch).backward()
        optimiser.step()
        schedule.step()
    ours, _, _ = trained("adamw", 3 * 4 * WIDTH * WIDTH, monkeypatch)
    for key, value in model.state_dict().items():
        assert torch.equal(ours[key], value)


def test_a_pass_that_fails_leaves_no_hook():
    model = network()
    optimiser = optimiser_of("adamw", model)
    with pytest.raises(RuntimeError, match="stopped"), stepping(optimiser):
        raise RuntimeError("stopped")
    before = model["used"][1].weight.clone()
    loss_of(model, torch.ones(8, WIDTH)).backward()
    assert model["used"][1].weight.grad is not None
    assert torch.equal(model["used"][1].weight, before)
