"""Wheels of a torch that is no torch: a few lines of Python, so that pip and the store can be exercised in seconds."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from fixtures.environments.environment import Environment


def restrict_pip(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Make a folder of wheels and let pip know of nothing else, until `patch` is undone."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        patch.delenv(name)
    patch.setenv("PIP_CONFIG_FILE", os.devnull)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(folder))
    # What is compiled of pip lies beside it, where all environments share it (seed_packages).
    patch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    folder.mkdir(parents=True)
    return folder


def make_wheel(folder: Path, version: str, body: str = "", *, name: str = "torch", needs: Sequence[str] = ()) -> Path:
    """Write a wheel of `name` into `folder`, over one of the same version.

    Args:
        folder: made if there is none.
        version: as pip reads it.
        body: Python to run when it is imported.
        name: of the distribution and of its package.
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


def tell(environment: Environment, expression: str) -> str:
    """Value of `expression`, which may be of torch, in an environment."""
    program = f"import torch; print({expression})"
    run = subprocess.run([environment.python, "-c", program], capture_output=True, text=True, check=True)
    return run.stdout.strip()
