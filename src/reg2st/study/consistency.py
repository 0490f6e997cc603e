"""Checks across the parts of a configuration: names of other parts, settings of methods."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.base.validation import Mistake, Place, dotted, mistakes_of, shown
from reg2st.features.encoders import encoder
from reg2st.models import registry
from reg2st.study.method_config import FULL, InputsConfig, MethodConfig, variant_settings

if TYPE_CHECKING:
    from reg2st.models.interface import Settings
    from reg2st.study.config import Ablation, ExperimentConfig, Sensitivity, StudyConfig


def is_below(place: Place, others: Collection[Place]) -> bool:
    """Whether a place equals one of the others or is inside one."""
    return any(place[: len(other)] == other for other in others)


def inconsistencies(config: "StudyConfig", dropped: Collection[Place]) -> list[Mistake]:
    """Every mistake between the parts of a configuration.

    Args:
        config: a configuration of valid parts.
        dropped: places of invalid parts that were removed; references to them are not reported.
    """
    return list(_Check(config, dropped).mistakes())


class _Check:
    """The checks of one configuration."""

    def __init__(self, config: "StudyConfig", dropped: Collection[Place]) -> None:
        self.config = config
        self.dropped = dropped
        self.settings: dict[str, dict[str, Settings]] = {}
        """Valid settings by method and variant."""

    def mistakes(self) -> Iterator[Mistake]:
        invalid = any(place[0] in ("datasets", "slides") for place in self.dropped if place)
        if not self.config.datasets and self.config.slides is None and not invalid:
            yield Mistake(("datasets",), "must not be empty in a study without `slides`.")
        yield from self._inputs(self.config.inputs, set(InputsConfig.model_fields), ("inputs",))
        for name, method in self.config.methods.items():
            yield from self._method(name, method)
        yield from self._known(self.config.reference, ("methods",), ("reference",))
        if self.config.ablation is not None:
            yield from self._ablation(self.config.ablation)
        if self.config.sensitivity is not None:
            yield from self._sensitivity(self.config.sensitivity)

    def _known(self, name: str, among: Place, place: Place) -> Iterator[Mistake]:
        """A mistake if a part of the configuration has no entry of that name."""
        entries = self._entries(among)
        if name not in entries and not is_below((*among, name), self.dropped):
            sentence = f"{dotted(among)} has no '{name}'{closest(name, entries)}."
            yield Mistake(place, sentence)

    def _entries(self, place: Place) -> Collection[str]:
        part: Any = self.config
        for key in place:
            part = part[key] if isinstance(part, dict) else getattr(part, str(key))
        return part

    def _inputs(self, inputs: InputsConfig, written: set[str], place: Place) -> Iterator[Mistake]:
        if "embeddings" in written:
            for index, embedding in enumerate(inputs.embeddings):
                where = (*place, "embeddings", index, "view")
                yield from self._known(embedding.view, ("views",), where)
        if "patches" in written:
            yield from self._known(inputs.patches, ("views",), (*place, "patches"))

    def _method(self, name: str, method: MethodConfig) -> Iterator[Mistake]:
        place: Place = ("methods", name)
        presets = registry.presets(name)
        if method.preset not in presets:
            sentence = (
                f"the method has no preset '{method.preset}'{closest(method.preset, presets)}."
            )
            yield Mistake((*place, "preset"), sentence)
        yield from self._inputs(method.inputs, method.inputs.model_fields_set, (*place, "inputs"))
        yield from self._settings(name, FULL, method, (*place, "settings"), method.settings)
        yield from self._tuned(name, method, (*place, "tuned"))
        for variant, overrides in method.variants.items():
            where = (*place, "variants", variant)
            written = overrides.inputs.model_fields_set
            yield from self._inputs(overrides.inputs, written, (*where, "inputs"))
            yield from self._settings(name, variant, method, where, overrides.settings)

    def _settings(
        self,
        name: str,
        variant: str,
        method: MethodConfig,
        place: Place,
        written: Mapping[str, Any],
    ) -> Iterator[Mistake]:
        """Mistakes in a variant's settings; only settings written at this place are reported."""
        right = self.settings.setdefault(name, {})
        model = registry.method(name)
        try:
            settings = right[variant] = variant_settings(name, method, variant)
        except ValidationError as error:
            for mistake in mistakes_of(error, model.Settings, place, key="setting"):
                if mistake.place == place:  # settings that do not fit each other
                    new = variant == FULL or FULL in right
                    here = new and method.preset in registry.presets(name)
                else:
                    here = mistake.place[len(place)] in written
                if here:
                    yield mistake
            return
        needs = model.inputs(settings)
        if needs.graph is not None and (variant == FULL or "graph" in written):
            yield from self._known(needs.graph, ("graphs",), (*place, "graph"))
        weights_written = variant == FULL or needs.weights in written.values()
        if needs.weights is not None and weights_written:
            try:
                encoder(needs.weights)
            except UserError as error:
                yield Mistake(place, f"{error}".replace("There is", "there is"))

    def _tuned(self, name: str, method: MethodConfig, place: Place) -> Iterator[Mistake]:
        model = registry.method(name)
        if method.tuned and "epochs" not in model.Settings.model_fields:
            yield Mistake(place, f"is for networks, and {name} is fitted in closed form.")
            return
        if "epochs" in method.tuned:
            yield Mistake((*place, "epochs"), "must be left out: it is always chosen.")
        for key, values in method.tuned.items():
            read = set()
            for value in values:
                overridden = {**method.settings, key: value}
                tried = method.model_copy(update={"settings": overridden})
                try:
                    read.add(model.inputs(variant_settings(name, tried)))
                except ValidationError as error:
                    for mistake in mistakes_of(error, model.Settings, place, key="setting"):
                        if mistake.place == place or mistake.place[len(place)] == key:
                            yield mistake
            if len(read) > 1:
                yield Mistake((*place, key), "its values change which files the method reads.")

    def _experiment(self, experiment: "ExperimentConfig", place: Place) -> Iterator[Mistake]:
        if experiment.method is not None:
            yield from self._known(experiment.method, ("methods",), (*place, "method"))
        for index, split in enumerate(experiment.splits or ()):
            if split not in self.config.splits and not is_below(("splits",), self.dropped):
                sentence = f"'{split}' is not among the splits of the study."
                yield Mistake((*place, "splits", index), sentence)

    def _variants(
        self, experiment: "ExperimentConfig", variants: Iterable[str], place: Place
    ) -> Iterator[Mistake]:
        method = experiment.method or self.config.reference
        if method not in self.config.methods:
            return
        for index, variant in enumerate(variants):
            if variant != FULL:
                yield from self._known(variant, ("methods", method, "variants"), (*place, index))

    def _ablation(self, ablation: "Ablation") -> Iterator[Mistake]:
        yield from self._experiment(ablation, ("ablation",))
        yield from self._variants(ablation, ablation.variants, ("ablation", "variants"))

    def _sensitivity(self, sensitivity: "Sensitivity") -> Iterator[Mistake]:
        yield from self._experiment(sensitivity, ("sensitivity",))
        for setting, variants in sensitivity.curves.items():
            place = ("sensitivity", "curves", setting)
            yield from self._variants(sensitivity, variants, place)
            method = sensitivity.method or self.config.reference
            if method in self.config.methods:
                sentence = self._wrong_curve(method, setting, variants)
                if sentence:
                    yield Mistake(place, sentence)

    def _wrong_curve(self, method: str, setting: str, variants: Collection[str]) -> str | None:
        """Why variants cannot be points of a curve over a setting; None if they can."""
        known = registry.method(method).Settings.model_fields
        if setting not in known:
            return f"'{method}' has no setting '{setting}'{closest(setting, known)}."
        if len(variants) < 2:
            return "a curve needs at least two variants."
        right = self.settings[method]
        points = {each: getattr(right[each], setting) for each in variants if each in right}
        seen: dict[Any, str] = {}
        for variant, value in points.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                return f"its value in '{variant}' is {shown(value)}; a curve needs numbers."
            if value in seen:
                return (
                    f"it is {value} in both '{seen[value]}' and '{variant}'; give the variants "
                    "different values, or delete one from the curve."
                )
            seen[value] = variant
        configured = self.config.methods[method]
        written = {key for each in points for key in configured.overrides(each)} - {setting}
        for key in sorted(written):
            if _differ(getattr(right[each], key) for each in points):
                return f"its variants also differ in '{key}'; a curve varies one setting only."
        if _differ(self.config.inputs_of(method, each) for each in points):
            return "its variants also differ in their inputs; a curve varies one setting only."
        return None


def _differ(values: Iterable[Any]) -> bool:
    first, *others = [*values] or [None]
    return any(other != first for other in others)
