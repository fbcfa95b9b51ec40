# SPDX-License-Identifier: MIT
"""A class for each status of the library."""
from __future__ import annotations


class Error(RuntimeError):
    """What the library says in one sentence, as the only argument."""


class ArgumentError(Error, ValueError):
    """An argument that can't be meant: an unknown name, a shape or a dtype, a closed handle."""


class InputError(Error, ValueError):
    """The signal: of the wrong shape for the model, or not finite."""


class ModelError(Error):
    """The model file or its config: unreadable, inconsistent, or lacking what was asked for."""


class DeviceError(Error):
    """The device: none, lost, or unable to do what was asked for."""


class OutOfMemory(Error, MemoryError):
    """Memory of the host or of the device ran out."""


#: By psgvit_status.
BY_STATUS: dict[int, type[Error]] = {
    1: ArgumentError,
    2: InputError,
    3: ModelError,
    4: DeviceError,
    5: OutOfMemory,
}
