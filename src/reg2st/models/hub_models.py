"""Model folders on a hub: fetched at one revision, and checked like an encoder's weights."""

import shutil
from pathlib import Path

from reg2st.base.files import written_whole
from reg2st.features.encoders.hub import fetch_from_hub
from reg2st.models.model_folder import CARD, NEEDED, SCORES, check_files, read_description


def fetch_model(name: str, out: Path, lock: str | Path) -> None:
    """Write a model folder that lies on a hub.

    Args:
        name: ``owner--name@revision``.
        lock: JSON file that records commits and hashes; created or extended.

    Raises:
        UserError: the hub cannot be reached, lacks the model, or sends other files than before.
    """
    repository, revision = name.replace("--", "/", 1).split("@")
    found = fetch_from_hub(repository, [*NEEDED, SCORES, CARD], lock, revision)
    for file, path in found.paths.items():
        with written_whole(out / file) as temporary:
            shutil.copyfile(path, temporary)
    check_files(out, read_description(out))
