"""Encoders by name. A new one is one class and one line here."""

import dataclasses
import os

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.features.encoders.efficientnet import EfficientNetLite0, EfficientNetLite0Small
from reg2st.features.encoders.encoder import Encoder, LoadedEncoder
from reg2st.features.encoders.mean_grey import MeanGrey
from reg2st.features.encoders.phikon import PhikonV2
from reg2st.features.encoders.timm_hub import PREFIX, TimmModel
from reg2st.features.encoders.tissue_statistics import TissueStatistics

STAGES_SUFFIX = "_stages"


@dataclasses.dataclass(frozen=True)
class Stages(Encoder):
    """Mean and standard deviation of every stage of another encoder's network."""

    base: Encoder

    @classmethod
    def of(cls, base: Encoder, features: int | None = None) -> "Stages":
        """``features`` is their number a patch, where known without the weights."""
        of_stages = {
            "name": base.name + STAGES_SUFFIX,
            "pooling": "mean and standard deviation of each stage",
            "features": features,
        }
        return cls(**vars(base) | of_stages, base=base)

    @property
    def licence(self) -> str:
        return self.base.licence

    def fetch(self, out: str | os.PathLike, lock: str | os.PathLike) -> None:
        self.base.fetch(out, lock)

    def load(self, weights: str | os.PathLike) -> LoadedEncoder:
        from reg2st.features.encoders.stages import load_stages

        return load_stages(self, self.base, weights)


ENCODERS: dict[str, Encoder] = {
    each.name: each
    for each in (
        PhikonV2(),
        EfficientNetLite0(),
        EfficientNetLite0Small(),
        Stages.of(PhikonV2(), features=8192),
        Stages.of(EfficientNetLite0(), features=1568),
        TissueStatistics(),
        MeanGrey(),
    )
}


def encoder(name: str) -> Encoder:
    """The encoder of that name, plain or as written in paths.

    Raises:
        UserError: there is none.
    """
    name = _name(name)
    if name in ENCODERS:
        return ENCODERS[name]
    if name.startswith(PREFIX) and name != PREFIX:
        if name.endswith(STAGES_SUFFIX):
            return Stages.of(TimmModel.named(name.removesuffix(STAGES_SUFFIX)))
        return TimmModel.named(name)
    raise UserError(
        f"There is no encoder '{name}'{closest(name, [*ENCODERS, PREFIX + '<name in timm>'])}"
    )


def path_name(name: str) -> str:
    """The name of an encoder, or of its weights, as one component of a path."""
    return name.replace(":", "~").replace("/", "--")


def fetch_weights(name: str, out: str | os.PathLike, lock: str | os.PathLike) -> None:
    """Write weights as safetensors; the only step of encoding that may need a network.

    Args:
        name: the ``weights`` of an encoder.
        lock: JSON file that records a hub's commits and hashes; created or extended.

    Raises:
        UserError: the weights are not available, differ from the lock file's, or belong to
            another architecture.
    """
    encoder(name).fetch(out, lock)


def load_encoder(name: str, weights: str | os.PathLike | None) -> LoadedEncoder:
    """Read an encoder with its weights; None for one that has none.

    Raises:
        UserError: the weights are missing, damaged, or another encoder's.
    """
    chosen = encoder(name)
    if chosen.weights is not None and weights is None:
        raise UserError(f"The encoder {chosen.name} needs its weights; fetch them first.")
    return chosen.load(weights)


def _name(name: str) -> str:
    return name.replace("~", ":").replace("--", "/")
