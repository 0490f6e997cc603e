"""The shared training loop: history, resuming with the same bits, losses that are not finite."""

import pytest
import torch
from torch import nn

from reg2st.base.errors import UserError
from reg2st.models.interface import Inputs, Network, NetworkSettings, SectionTensors, Sizes
from reg2st.training.checkpoints import load_record
from reg2st.training.loop import Checkpointing, train_network


class LinearSettings(NetworkSettings):
    epochs: int = 6
    learning_rate: float = 0.01


class Linear(Network):
    """A linear map with dropout: enough to have weights, moments, a schedule and randomness."""

    Settings = LinearSettings

    def __init__(self, settings, sizes):
        super().__init__(settings, sizes)
        self.map = nn.Sequential(nn.Dropout(0.5), nn.Linear(sizes.features, sizes.genes))

    @classmethod
    def inputs(cls, settings):
        return Inputs(embedding=True)

    def forward(self, section):
        return self.map(section.embedding)

    def losses(self, section):
        return {"mse": nn.functional.mse_loss(self(section), section.expression)}

    def optimiser(self, steps_per_epoch):
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.settings.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: 1 / (1 + step / steps_per_epoch)
        )
        return optimiser, schedule


class Interrupted(Exception):
    """Stands for the moment at which a process dies."""


class DiesAtStep(Linear):
    """Stops in the middle of an epoch, after its checkpoint has been written."""

    step = 0

    def losses(self, section):
        self.step += 1
        if self.step == 11:
            raise Interrupted
        return super().losses(section)


@pytest.fixture
def sections():
    generator = torch.Generator().manual_seed(0)
    return [
        SectionTensors(
            name=f"section{index}",
            patient="A",
            array_xy=torch.zeros(20, 2, dtype=torch.int64),
            embedding=torch.randn(20, 5, generator=generator),
            expression=torch.randn(20, 3, generator=generator),
        )
        for index in range(3)
    ]


def new(model=Linear, **settings):
    torch.manual_seed(7)
    return model(LinearSettings(**settings), Sizes(genes=3, features=5))


def test_history_has_a_row_an_epoch(sections):
    history = train_network(new(), sections, seed=1)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1]["loss_total"] < history[0]["loss_total"]
    assert history[0]["loss_mse"] == history[0]["loss_total"]
    assert history[1]["learning_rate"] == pytest.approx(0.01 / 2)


def test_the_seed_decides_the_result(sections):
    results = []
    for seed in (1, 1, 2):
        model = new()
        train_network(model, sections, seed=seed)
        results.append(model.map[1].weight.detach().clone())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("optimiser", ["adamw", "fused"])
def test_a_resumed_training_ends_with_the_same_bits(sections, tmp_path, optimiser, monkeypatch):
    if optimiser == "fused":
        plain = torch.optim.AdamW
        monkeypatch.setattr(torch.optim, "AdamW", lambda p, lr: plain(p, lr=lr, fused=True))
    undisturbed = new()
    expected = train_network(undisturbed, sections, seed=1)

    checkpointing = Checkpointing(tmp_path / "checkpoint.safetensors", 0, "same")
    with pytest.raises(Interrupted):
        train_network(new(DiesAtStep), sections, seed=1, checkpointing=checkpointing)
    assert len(load_record(checkpointing.path)["history"]) == 3

    resumed = new()
    history = train_network(resumed, sections, seed=1, checkpointing=checkpointing)
    for name, value in undisturbed.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    for ours, theirs in zip(history, expected, strict=True):
        assert ours["loss_total"] == theirs["loss_total"]
        assert ours["learning_rate"] == theirs["learning_rate"]


def test_a_network_sees_its_sections_and_draws_its_own_batches(sections, tmp_path):
    class Own(Linear):
        def prepare(self, sections):
            assert self.training
            self.seen = [section.name for section in sections]

        def steps_per_epoch(self, sections):
            return 2

        def batches(self, sections, generator):
            self.drawn = torch.rand(1, generator=generator)
            return [sections[2], sections[0]]

        def optimiser(self, steps_per_epoch):
            self.steps = steps_per_epoch
            return super().optimiser(steps_per_epoch)

        def losses(self, section):
            assert section.name != "section1"
            return super().losses(section)

        def finish(self, sections):
            assert not self.training
            assert not torch.is_grad_enabled()
            self.register_buffer("bank", sections[1].expression)

    checkpointing = Checkpointing(tmp_path / "checkpoint.safetensors", 0, "same")
    model = new(Own)
    train_network(model, sections, seed=1, checkpointing=checkpointing)
    assert model.seen == ["section0", "section1", "section2"]
    assert model.steps == 2
    assert torch.equal(model.bank, sections[1].expression)
    again = new(Own)
    train_network(again, sections, seed=1)
    assert torch.equal(model.drawn, again.drawn)
    assert torch.equal(model.map[1].weight, again.map[1].weight)


def test_a_checkpoint_of_other_settings_is_not_used(sections, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        train_network(
            new(DiesAtStep), sections, seed=1, checkpointing=Checkpointing(path, 0, "before")
        )
    expected, model = new(), new()
    train_network(expected, sections, seed=1)
    train_network(model, sections, seed=1, checkpointing=Checkpointing(path, 3600, "after"))
    assert torch.equal(model.map[1].weight, expected.map[1].weight)


def test_a_loss_that_is_not_finite_stops_with_step_and_section(sections, tmp_path):
    checkpointing = Checkpointing(tmp_path / "checkpoint.safetensors", 0, "same")

    class Diverges(DiesAtStep):
        def losses(self, section):
            self.step += 1
            losses = Linear.losses(self, section)
            return {"mse": losses["mse"] * (float("nan") if self.step == 8 else 1)}

    with pytest.raises(UserError, match=r"epoch 3, step 2 \(section section\d\)"):
        train_network(new(Diverges), sections, seed=1, checkpointing=checkpointing)
    assert len(load_record(checkpointing.path)["history"]) == 2
