"""Experiments: variants of one method, compared in a separate table and figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from reg2st.study.config import StudyConfig
from reg2st.study.folds import Split
from reg2st.study.method_config import FULL

if TYPE_CHECKING:
    from reg2st.models.interface import Settings


@dataclass(frozen=True)
class Experiment:
    """Variants of a method and the splits that they are trained on.

    Attributes:
        name: ``ablation`` or ``sensitivity``.
        method: the method that the variants belong to.
        variants: in the order of the configuration, without ``full``.
        splits: in the order of the study.
        curves: the variants of each curve, including ``full``, by setting; empty in an ablation.
        settings: settings of each variant on a curve.
    """

    name: str
    method: str
    variants: tuple[str, ...]
    splits: tuple[Split, ...]
    curves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, "Settings"] = field(default_factory=dict)

    def shows(self, method: str, variant: str, split: str) -> bool:
        """Whether the experiment shows a run: a variant or the full method, on its splits."""
        named = variant in self.variants or variant == FULL
        return method == self.method and named and split in self.splits

    def points(self) -> dict[str, dict[str, float]]:
        """The value of each curve's setting in each of its variants, by setting and variant."""
        return {
            setting: {each: getattr(self.settings[each], setting) for each in variants}
            for setting, variants in self.curves.items()
        }


def read_experiments(config: StudyConfig) -> dict[str, Experiment]:
    """The experiments of a configuration, by name."""
    experiments = {}
    for name in ("ablation", "sensitivity"):
        written = getattr(config, name)
        if written is None:
            continue
        method = written.method or config.reference
        curves = written.curves if name == "sensitivity" else {}
        on_curves = tuple(dict.fromkeys(chain.from_iterable(curves.values())))
        shown = on_curves if name == "sensitivity" else written.variants
        splits = written.splits or config.splits
        experiments[name] = Experiment(
            name,
            method,
            tuple(variant for variant in shown if variant != FULL),
            tuple(split for split in config.splits if split in splits),
            curves,
            {variant: config.settings_of(method, variant) for variant in on_curves},
        )
    return experiments
