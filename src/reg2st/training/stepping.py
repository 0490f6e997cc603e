"""An optimiser's step within the backward pass, which frees gradients as it goes."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch.optim import Optimizer

PORTION_BYTES = 2**25
"""Gradients that are gathered before weights are updated: 32 MB, one layer of a large network."""


@contextmanager
def stepping(optimiser: Optimizer) -> Iterator[None]:
    """Update the weights during the backward pass in this context, and keep no gradient.

    Each time ``PORTION_BYTES`` of gradients are complete, their weights are updated and they are
    freed; the rest follows at the end. Every weight is updated once and on its own, so the result
    is that of a step after the pass, bit by bit. All gradients together would take as much memory
    as the weights.

    A network whose gradients depend on each other before the step, as by clipping of their common
    norm, cannot be trained so.
    """
    waiting = 0

    def step() -> None:
        nonlocal waiting
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        waiting = 0

    def gathered(weight: Tensor) -> None:
        nonlocal waiting
        waiting += weight.grad.nbytes
        if waiting >= PORTION_BYTES:
            step()

    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    hooks = [weight.register_post_accumulate_grad_hook(gathered) for weight in weights]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    step()
