"""Experiments: variants of one method that a table and figures of their own set side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from reg2st.base.errors import UserError
from reg2st.base.names import closest

EXPERIMENTS = ("ablation", "sensitivity")


@dataclass(frozen=True)
class Experiment:
    """Variants of a method, and the splits that they are trained on."""

    method: str
    variants: frozenset[str]
    splits: tuple[str, ...]

    def shows(self, method: str, variant: str, split: str) -> bool:
        """Whether a run is shown: one of a variant, or of the full method on the same splits."""
        named = variant in self.variants or variant == "full"
        return method == self.method and named and split in self.splits


def read_experiments(config: Mapping[str, Any]) -> dict[str, Experiment]:
    """The experiments of a validated configuration, by name.

    Raises:
        UserError: an experiment names a method, variant or split that the study has not.
    """
    return {name: _experiment(name, config) for name in EXPERIMENTS if name in config}


def _experiment(name: str, config: Mapping[str, Any]) -> Experiment:
    block = config[name]
    method = block["method"]
    if method not in config["methods"]:
        known = closest(method, config["methods"])
        raise UserError(f"Config, {name}.method: the study has no method '{method}'{known}.")
    named = block["variants"] if name == "ablation" else chain(*block["curves"].values())
    variants = frozenset(named) - {"full"}
    known_variants = config["methods"][method]["variants"]
    for variant in sorted(variants - set(known_variants)):
        raise UserError(
            f"Config, {name}: methods.{method}.variants has no '{variant}'"
            f"{closest(variant, known_variants)}."
        )
    splits = tuple(block.get("splits", config["splits"]))
    for split in splits:
        if split not in config["splits"]:
            raise UserError(f"Config, {name}.splits: '{split}' is not among the study's splits.")
    return Experiment(method, variants, splits)
