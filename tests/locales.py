"""Locales of a single byte, in which a program must still read and write UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ITSELF = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Python takes the locale as it is."""

ASCII = {"LC_ALL": "C", **_ITSELF}


def latin_1(folder: Path) -> dict[str, str]:
    """Variables for a process in a locale of ISO-8859-1, which is compiled into a folder."""
    name = "en_US.ISO-8859-1"
    sources = ["-i", "en_US", "-f", "ISO-8859-1"]
    try:
        subprocess.run(["localedef", *sources, folder / name], capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs localedef and the package locales")
    variables = {"LC_ALL": name, "LOCPATH": str(folder), **_ITSELF}
    encoding = subprocess.check_output(
        [sys.executable, "-c", "import locale; print(locale.getpreferredencoding())"],
        env={**os.environ, **variables},
        text=True,
    )
    assert encoding.strip() == "ISO-8859-1"
    return variables
