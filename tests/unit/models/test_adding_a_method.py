"""The methods of docs/how-to/add-a-method.md, run as they stand on the page."""

import re
import sys

import torch

from reg2st.models import registry
from reg2st.models.interface import SectionTensors, Sizes, Tiles
from reg2st.models.on_demand import OnDemand
from reg2st.training.loop import train_network


def blocks(root):
    page = (root / "docs" / "how-to" / "add-a-method.md").read_text()
    return re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)


def test_the_page_is_a_working_method(root, tmp_path, monkeypatch):
    module, line, _ = blocks(root)
    (tmp_path / "mean_colour.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mean_colour", raising=False)
    name, place = re.search(r'"(\w+)": "reg2st\.models\.([\w:]+)"', line).groups()
    monkeypatch.setitem(registry.METHODS, name, place)

    settings = registry.parse_settings("mean_colour", "published", {"penalty": 0})
    model_class = registry.method("mean_colour")
    assert model_class.inputs(settings).patches

    generator = torch.Generator().manual_seed(0)
    colour = torch.rand(30, 1, 1, 3, generator=generator)
    patches = (colour * 255).to(torch.uint8).expand(30, 224, 224, 3)
    section = SectionTensors(
        name="A1",
        patient="A",
        array_xy=torch.zeros(30, 2, dtype=torch.int64),
        patches=OnDemand(patches.numpy().__getitem__),
        expression=1 + (patches[:, 0, 0].float() / 255) @ torch.tensor([[1.0, 0], [0, 2], [3, 0]]),
    )
    model = model_class(settings, Sizes(genes=2))
    model.fit([section])
    torch.testing.assert_close(
        model(section.without_targets()), section.expression, atol=1e-4, rtol=0
    )


def test_the_page_is_a_working_network_with_its_own_batches_and_tiles(root):
    page = {}
    exec(blocks(root)[2], page)
    model_class = page["TileContext"]
    settings = model_class.Settings(learning_rate=0.02, batch_spots=16)
    (grid,) = model_class.inputs(settings).tiles

    generator = torch.Generator().manual_seed(0)
    sections = [
        SectionTensors(
            name=name,
            patient=name,
            array_xy=torch.zeros(30, 2, dtype=torch.int64),
            embedding=torch.randn(30, 2, generator=generator),
            tiles={grid.name: Tiles(around, torch.ones(30, 9, dtype=torch.bool))},
            expression=3 + around.mean(dim=1) * 5,
        )
        for name in "AB"
        for around in [torch.randn(30, 9, 2, generator=generator)]
    ]
    model = model_class(settings, Sizes(genes=2, features=2))
    history = train_network(model, sections, seed=0)
    assert history[-1]["loss_mse"] < 0.7 * history[0]["loss_mse"]
    assert model(sections[0].without_targets()).shape == (30, 2)
