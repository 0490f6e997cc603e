"""The method of docs/adding-a-method.md, run as it stands on the page."""

import re
import sys

import torch

from reg2st.models import registry
from reg2st.models.interface import SectionTensors, Sizes


def test_the_page_is_a_working_method(root, tmp_path, monkeypatch):
    page = (root / "docs" / "adding-a-method.md").read_text()
    module, line = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
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
        patches=patches,
        expression=1 + (patches[:, 0, 0].float() / 255) @ torch.tensor([[1.0, 0], [0, 2], [3, 0]]),
    )
    model = model_class(settings, Sizes(genes=2))
    model.fit([section])
    torch.testing.assert_close(
        model(section.without_targets()), section.expression, atol=1e-4, rtol=0
    )
