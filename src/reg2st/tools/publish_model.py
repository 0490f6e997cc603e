"""Put a model folder on a hub, after saying which licences it is bound to."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from reg2st.base.errors import UserError
from reg2st.models.model_folder import (
    CARD,
    NEEDED,
    SCORES,
    ModelDescription,
    check_files,
    read_description,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish a model folder; returns the exit code."""
    parser = argparse.ArgumentParser(prog="publish_model.py", description=__doc__)
    parser.add_argument("folder", type=Path, help="the model folder")
    parser.add_argument("repository", help="its place on the hub: owner/name")
    parser.add_argument("--yes", action="store_true", help="the licences allow it: publish")
    parser.add_argument("--private", action="store_true", help="make the repository private")
    given = parser.parse_args(arguments)
    try:
        description = read_description(given.folder)
        check_files(given.folder, description)
        print(licences(description))
        if not given.yes:
            print("Nothing was published. If these licences allow it, add --yes.")
            return 0
        revision = publish_model(given.folder, given.repository, private=given.private)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(f"Published. Use it as hf:{given.repository}@{revision}")
    return 0


def licences(description: ModelDescription) -> str:
    """What a model is bound to: the licences of its data and of its encoders."""
    lines = [
        "Before you publish, check these licences:",
        f"  data {description.trained_on.dataset}: {description.trained_on.licence}",
    ]
    by_encoder = {block.encoder: block.licence for block in description.blocks}
    lines += [f"  encoder {encoder}: {licence}" for encoder, licence in by_encoder.items()]
    return "\n".join(lines)


def publish_model(folder: Path, repository: str, *, private: bool) -> str:
    """Upload a model folder; returns the commit.

    Raises:
        UserError: the hub refuses it or cannot be reached, or the folder lacks a file.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    files = [*NEEDED, CARD, SCORES]
    for file in files:
        if not (folder / file).is_file():
            raise UserError(f"The model folder {folder} lacks {file}; run `snakemake models`.")
    api = HfApi()
    try:
        api.create_repo(repository, exist_ok=True, private=private)
        commit = api.upload_folder(
            folder_path=folder,
            repo_id=repository,
            allow_patterns=files,
            commit_message="Model folder of the Reg2ST workflow",
        )
    except (httpx2.HTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"The hub {api.endpoint} did not take {repository} ({str(error).splitlines()[0]}); "
            "check its name, log in by `hf auth login`, and try again."
        ) from error
    return commit.oid


if __name__ == "__main__":
    sys.exit(main())
