# SPDX-License-Identifier: MIT
"""Embeddings of sleep and EEG recordings from the foundation models OSF and EEGPT, by libpsgvit.

    import numpy as np
    import psgvit

    night = np.fromfile("night.bin", np.float32).reshape(-1, 12, 1920)
    with psgvit.OsfEncoder("osf.safetensors") as encoder:
        cls = encoder.encode(night)["cls"]  # [epochs, 768]

Arrays go to the library as they are, without a copy, so they must be C-contiguous float32. An
encoder may be used by many threads at once; a call holds no lock of Python's while it computes.
What an argument does wrong is a ValueError with the library's sentence; what a model, a device or
the memory does wrong is one of the other subclasses of `Error`, which is a RuntimeError.

The library is found by the loader, or named by the environment variable PSGVIT_LIBRARY.
"""
from ._device import Device, DeviceInfo, devices, version
from ._encoders import EegptEncoder, EegptInfo, OsfEncoder, OsfInfo
from ._errors import ArgumentError, DeviceError, Error, InputError, ModelError, OutOfMemory

__all__ = [
    "ArgumentError",
    "Device",
    "DeviceError",
    "DeviceInfo",
    "EegptEncoder",
    "EegptInfo",
    "Error",
    "InputError",
    "ModelError",
    "OsfEncoder",
    "OsfInfo",
    "OutOfMemory",
    "devices",
    "version",
]
