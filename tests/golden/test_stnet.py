"""ST-Net gives what the released implementation and its port gave."""

import pytest
import torch
from torch import nn

from reg2st.models.augment import symmetries
from reg2st.models.interface import SectionTensors, Sizes
from reg2st.models.stnet import STNet, STNetSettings

SMALL = {"backbone": "timm:test_resnet", "patch_px": 8, "learning_rate": 0.02}


class PixelsAsMap(nn.Module):
    """What the golden training run has in place of the network: rectified pixels."""

    def check_started(self):
        pass

    def forward(self, images):
        return images.relu()


@pytest.fixture(scope="module")
def golden(released):
    return released("stnet")


@pytest.fixture(scope="module")
def training(golden):
    chosen = golden["input/training_spots"]
    return SectionTensors(
        "S1",
        "P1",
        torch.zeros(len(chosen), 2, dtype=torch.int64),
        patches=golden["input/patches_nhwc"][chosen],
        expression=golden["output/released_target"][chosen],
    )


@pytest.fixture
def pixel_model(training):
    model = STNet(STNetSettings(**SMALL), Sizes(genes=11))
    model.backbone, model.head = PixelsAsMap(), nn.Linear(3, 11)
    model.prepare([training])
    return model


def with_head(golden, **settings):
    model = STNet(STNetSettings(**SMALL, **settings), Sizes(genes=11))
    model.head = nn.Linear(16, 11)
    model.head.load_state_dict(
        {name: golden[f"param/classifier.{name}"] for name in ("weight", "bias")}
    )
    return model


@torch.no_grad()
def test_eight_views(golden, relative_error):
    model = with_head(golden)
    maps = golden["input/feature_maps"].relu()
    prediction = torch.stack([model.expression(maps[:, view]) for view in range(8)]).mean(dim=0)
    assert relative_error(prediction, golden["output/eight_view_prediction"]) < 1e-5
    target = golden["input/target_log_expression"]
    loss = len(target) * nn.functional.mse_loss(prediction, target)
    assert relative_error(loss, golden["output/sum_loss"]) < 1e-5


@torch.no_grad()
def test_port(golden, relative_error):
    maps, target = golden["input/feature_maps"][:, 0], golden["input/target_log_expression"]
    uncut = with_head(golden).expression(maps.relu())
    assert relative_error(uncut, golden["output/port_unclamped"]) < 1e-5
    model = with_head(golden, cut_at_zero=True, loss="mean")
    model.backbone = nn.ReLU()
    assert relative_error(model.expression(maps.relu()), golden["output/port_prediction"]) < 1e-5
    assert relative_error(model.squared_error(maps, target), golden["output/port_loss"]) < 1e-5


def test_symmetries(golden):
    patch = golden["input/patches_nhwc"][:1].permute(0, 3, 1, 2)
    views = symmetries(patch)[:, 0].permute(0, 2, 3, 1)
    assert torch.equal(views, golden["output/symmetries"])


def test_training_run(golden, training, pixel_model, relative_error):
    """Ten steps of the released loop: scale of the pixels, first weights, losses, weights."""
    model = pixel_model
    assert relative_error(model.pixel_mean, golden["input/pixel_mean"]) < 1e-5
    assert relative_error(model.pixel_std, golden["input/pixel_std"]) < 1e-5
    weights, biases = golden["output/train_head_weight"], golden["output/train_head_bias"]
    assert not model.head.weight.any()
    assert not weights[0].any()
    assert relative_error(model.head.bias, biases[0]) < 1e-5

    sgd, schedule = model.optimiser(steps_per_epoch=5)
    sizes = golden["input/train_batch_sizes"].tolist()
    batches = golden["input/train_batches"].split(sizes)
    spots = golden["input/train_batch_spots"].split(sizes)
    for step, (images, chosen) in enumerate(zip(batches, spots, strict=True)):
        sgd.zero_grad()
        loss = model.squared_error(images, golden["output/released_target"][chosen])
        loss.backward()
        sgd.step()
        schedule.step()
        assert relative_error(loss, golden["output/train_loss"][step]) < 1e-5
        assert relative_error(model.head.weight, weights[step + 1]) < 1e-5
        assert relative_error(model.head.bias, biases[step + 1]) < 1e-5

    chosen = golden["input/test_spots"]
    array_xy = torch.zeros(len(chosen), 2, dtype=torch.int64)
    test = SectionTensors("S2", "P2", array_xy, patches=golden["input/patches_nhwc"][chosen])
    with torch.no_grad():
        prediction = model.eval()(test)
    assert relative_error(prediction, golden["output/test_prediction"]) < 1e-5


def test_first_prediction_is_the_training_mean(pixel_model, training):
    with torch.no_grad():
        prediction = pixel_model(training)
    torch.testing.assert_close(prediction, training.expression.mean(dim=0).expand(18, -1))


@pytest.mark.parametrize(("genes", "parameters"), [(785, 7_758_481), (171, 7_129_131)])
def test_parameter_count_at_published_sizes(genes, parameters):
    with torch.device("meta"):
        model = STNet(STNetSettings(), Sizes(genes=genes))
    assert sum(each.numel() for each in model.parameters()) == parameters
