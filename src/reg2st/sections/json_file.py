"""JSON files as platforms write them."""

import json
from pathlib import Path
from typing import Any

from reg2st.base.errors import UserError


def read_object(path: Path) -> dict[str, Any]:
    """The names and values that a JSON file holds.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); fetch it again.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no names with values; fetch it again.")
    return values
