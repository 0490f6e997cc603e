"""Optimisers that several networks share."""

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler


def constant_adamw(
    model: nn.Module, learning_rate: float, weight_decay: float
) -> tuple[Optimizer, LRScheduler]:
    """AdamW on every parameter of a model, at a constant rate."""
    adamw = AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)
    return adamw, ConstantLR(adamw, factor=1.0)
