"""Any model of timm, or of the hub in timm's format, by name."""

import dataclasses
import json
import os
from typing import Any

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.features.encoders.encoder import Encoder, LoadedNetwork
from reg2st.features.encoders.hub import fetch_from_hub
from reg2st.features.encoders.weights import read_into, read_metadata, write_weights

PREFIX = "timm:"
HUB_PREFIX = "hf-hub:"
FILE = "model.safetensors"


@dataclasses.dataclass(frozen=True)
class TimmModel(Encoder):
    """A model named ``timm:<name>`` or ``timm:hf-hub:<owner>/<repository>``.

    Size, mean, std and pooling are as published with the model; they and the number of features
    are known once the weights are fetched.
    """

    @classmethod
    def named(cls, name: str) -> "TimmModel":
        return cls(
            name=name,
            weights=name,
            size_px=None,
            mean=None,
            std=None,
            precision="bfloat16",
            pooling="the model's own",
            features=None,
        )

    def fetch(self, out: str | os.PathLike, lock: str | os.PathLike) -> None:
        from reg2st.features.encoders.torchvision_shim import import_timm

        timm = import_timm()
        identifier = self.name.removeprefix(PREFIX)
        arguments: dict[str, Any] = {}
        if identifier.startswith(HUB_PREFIX):
            repository = identifier.removeprefix(HUB_PREFIX)
            files = fetch_from_hub(repository, ["config.json", FILE], lock)
            published, architecture, arguments = timm.models.load_model_config_from_hf(
                f"{repository}@{files.revision}"
            )
            arguments = arguments or {}
        else:
            architecture = identifier
            published = timm.get_pretrained_cfg(identifier)
            if published is None:
                known = timm.list_models(pretrained=True)
                raise UserError(
                    f"timm has no pretrained model '{identifier}'{closest(identifier, known)}; "
                    "timm.list_models(pretrained=True) lists them."
                )
            published = published.to_dict()
            repository = published["hf_hub_id"]
            if not repository:
                raise UserError(f"timm's model {identifier} has no weights on the hub.")
            files = fetch_from_hub(repository, [FILE], lock)
        try:
            network = timm.create_model(
                architecture,
                pretrained=True,
                pretrained_cfg=published,
                pretrained_cfg_overlay={
                    "file": str(files.paths[FILE]),
                    "source": "",
                    "custom_load": False,
                },
                num_classes=0,
                **arguments,
            )
        except (KeyError, RuntimeError, TypeError) as error:
            raise UserError(
                f"{files.paths[FILE]} of {repository} does not fit timm's architecture "
                f"{architecture} ({str(error).splitlines()[0]}); choose another model."
            ) from error
        data = timm.data.resolve_data_config(pretrained_cfg=published)
        write_weights(
            out,
            network.state_dict(),
            weights=self.weights,
            revision=files.revision,
            sha256=files.sha256[FILE],
            architecture=architecture,
            arguments=json.dumps(arguments),
            size_px=str(data["input_size"][-1]),
            mean=json.dumps(data["mean"]),
            std=json.dumps(data["std"]),
        )

    def load(self, weights: str | os.PathLike) -> LoadedNetwork:
        from reg2st.features.encoders.torchvision_shim import import_timm

        metadata = read_metadata(weights, self.weights)
        network = import_timm().create_model(
            metadata["architecture"],
            pretrained=False,
            num_classes=0,
            **json.loads(metadata["arguments"]),
        )
        read_into(network, weights, self.name)
        known = dataclasses.replace(
            self,
            size_px=int(metadata["size_px"]),
            mean=tuple(json.loads(metadata["mean"])),
            std=tuple(json.loads(metadata["std"])),
            pooling=str(getattr(network, "global_pool", self.pooling)),
            features=network.num_features,
        )
        return LoadedNetwork(known, metadata["revision"], metadata["sha256"], network.eval())
