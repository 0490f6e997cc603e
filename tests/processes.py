"""Programs of a few lines in processes of their own, where imports and memory can be measured."""

import subprocess
import sys


def printed_by(program: str, *arguments: object) -> str:
    """What a Python program prints."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
