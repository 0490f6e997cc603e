"""Import timm beside a CPU-only torch.

There the torchvision wheel cannot load its compiled operators, and importing it fails with
"operator torchvision::nms does not exist". Declaring the schemas of the two operators is enough,
since the encoders never call them.
"""

import sys

import torch

_declared: list[torch.library.Library] = []


def import_timm():
    """Import and return timm, repairing torchvision first where it cannot be imported.

    Call this wherever timm is needed, instead of importing it.
    """
    if "timm" not in sys.modules:
        try:
            import torchvision  # noqa: F401
        except (ImportError, OSError, RuntimeError):
            _declare_operators()
    import timm

    return timm


def _declare_operators() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    if not _declared:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
