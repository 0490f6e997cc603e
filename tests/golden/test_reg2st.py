"""Reg2ST, loaded with the released implementation's weights, gives its outputs."""

import numpy as np
import pytest
import torch

from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.reg2st import Reg2ST, Reg2STSettings, rate_share

TOLERANCE = 1e-5

RENAMED = {
    "logit_scale": "log_temperature",
    "image_encoder": "image_encoder",
    "gene_linear": "gene_encoder",
    "gene_proj": "gene_predictor",
    "gene_head": "prediction_head",
    "embed_x": "positions.x",
    "embed_y": "positions.y",
    "decoder.norm": "fusion_norm",
    "mean.0": "zinb_head.mean",
    "disp.0": "zinb_head.dispersion",
    "pi.0": "zinb_head.dropout",
    "graph_layer._fc1.0": "graph.smooth",
    "graph_layer.W_head": "graph.head",
    "graph_layer.W_tail": "graph.tail",
    "graph_layer.linear1": "graph.sum_out",
    "graph_layer.linear2": "graph.product_out",
    "graph_layer.norm": "graph.norm",
    "graph_layer.fc": "graph.out",
}
RENAMED_IN_BLOCK = {
    "cross_attention_block.w_q": "attention.query",
    "cross_attention_block.w_o": "attention.out",
    "feed_forward_block.linear_1": "feedforward.0",
    "feed_forward_block.linear_2": "feedforward.3",
    "residual_block.0.norm": "attention_norm",
    "residual_block.1.norm": "feedforward_norm",
}


def our_weights(released: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights by our names; a block's keys and values are one layer here."""
    ours = {}
    for name, value in released.items():
        if name.startswith("decoder.layers."):
            _, _, block, layer = name.split(".", 3)
            layer, kind = layer.rsplit(".", 1)
            if layer.endswith("w_k"):
                values = released[name.replace("w_k", "w_v")]
                ours[f"blocks.{block}.attention.key_value.{kind}"] = torch.cat([value, values])
            elif not layer.endswith("w_v"):
                ours[f"blocks.{block}.{RENAMED_IN_BLOCK[layer]}.{kind}"] = value
        else:
            start = next(old for old in RENAMED if name == old or name.startswith(f"{old}."))
            ours[RENAMED[start] + name.removeprefix(start)] = value
    return ours


@pytest.fixture(scope="module")
def golden(released) -> dict[str, torch.Tensor]:
    return released("reg2st")


@pytest.fixture(scope="module")
def section(golden) -> SectionTensors:
    return SectionTensors(
        name="golden",
        patient="golden",
        array_xy=golden["input/array_xy"],
        embedding=golden["input/image_embedding"],
        counts=golden["input/counts"],
        expression=golden["input/target_log_expression"],
    )


@pytest.fixture(scope="module")
def model(golden) -> Reg2ST:
    settings = Reg2STSettings(hidden=16, blocks=2, heads=4, graph_neighbours=5)
    model = Reg2ST(settings, Sizes(genes=11, features=24)).eval()
    released = {
        name.removeprefix("param/"): value
        for name, value in golden.items()
        if name.startswith("param/")
    }
    model.load_state_dict(our_weights(released))
    return model


@pytest.fixture(scope="module")
def outputs(model, section) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        training = model.training_outputs(section)
        losses = model.losses(section)
    return {
        **training.hidden._asdict(),
        "gene_feature": training.gene_feature,
        "contrastive_logits": training.contrastive_logits,
        "prediction": training.prediction,
        "zinb_mean": training.zinb.mean,
        "zinb_dispersion": training.zinb.dispersion,
        "zinb_dropout": training.zinb.dropout,
        "loss_contrastive": losses["contrastive"] / 0.5,
        "loss_prediction": losses["gene_feature"],
        "loss_mse": losses["mse"],
        "loss_zinb": losses["zinb"] / 0.25,
        "loss_total": sum(losses.values()),
    }


def relative_error(ours: torch.Tensor, released: torch.Tensor) -> float:
    return float((ours.double() - released).abs().max() / released.abs().max())


@pytest.mark.parametrize(
    "name",
    [
        "image_feature",
        "predicted_gene_feature",
        "gene_feature",
        "enhanced_image_feature",
        "fusion_feature",
        "graph_feature",
        "contrastive_logits",
        "prediction",
        "zinb_mean",
        "zinb_dispersion",
        "zinb_dropout",
        "loss_contrastive",
        "loss_prediction",
        "loss_mse",
        "loss_zinb",
        "loss_total",
    ],
)
def test_output_equals_the_released_one(name, outputs, golden):
    assert relative_error(outputs[name], golden[f"output/{name}"]) < TOLERANCE


def test_every_golden_output_is_compared(outputs, golden):
    released = {name.removeprefix("output/") for name in golden if name.startswith("output/")}
    assert released == outputs.keys() | {"learning_rate_schedule_epochs20_steps5"}


def test_forward_is_the_prediction(model, section, golden):
    with torch.inference_mode():
        prediction = model(section.without_targets())
    assert relative_error(prediction, golden["output/prediction"]) < TOLERANCE


def test_learning_rates_equal_the_released_ones(golden):
    model = Reg2ST(
        Reg2STSettings(epochs=20, hidden=8, blocks=1, heads=1, inner=8), Sizes(genes=2, features=2)
    )
    adamw, schedule = model.optimiser(steps_per_epoch=5)
    rates = []
    for _ in range(100):
        rates.append(adamw.param_groups[0]["lr"])
        adamw.step()
        schedule.step()
    released = golden["output/learning_rate_schedule_epochs20_steps5"]
    assert relative_error(torch.tensor(rates, dtype=torch.float64), released) < TOLERANCE
    np.testing.assert_allclose(rates, released.numpy(), rtol=TOLERANCE)


def test_highest_rate_occurs_twice_and_the_lowest_never():
    shares = [rate_share(step, warm_up=50, steps=100) for step in range(100)]
    assert shares.count(1.0) == 2
    assert min(shares[50:]) > 0.01
