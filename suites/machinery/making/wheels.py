"""Wheels of a torch that is no torch: a few lines of Python, so that pip and the store can be exercised in seconds."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path


def make_wheel(folder: Path, version: str, body: str = "", *, name: str = "torch", needs: Sequence[str] = ()) -> Path:
    """Write a wheel of `name` into `folder`, over one of the same version.

    Args:
        body: Python to run when it is imported.
        needs: its requirements.
    """
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"{body}\n__version__ = {version!r}\n",
        f"{about}/METADATA": "\n".join(
            [
                "Metadata-Version: 2.1",
                f"Name: {name}",
                f"Version: {version}",
                *(f"Requires-Dist: {need}" for need in needs),
            ]
        ),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: kaiming-gate\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return wheel
