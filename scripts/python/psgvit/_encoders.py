# SPDX-License-Identifier: MIT
"""The two models. What they share is opening, checking arrays, and running a job."""
from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _library as lib
from ._device import Device, Handle, c_text, choose, name_of, whole_number
from ._errors import ArgumentError, InputError

Path = str | os.PathLike[str]
Float32 = NDArray[np.float32]
Progress = Callable[[int, int], Any]
#: Epochs of a call, if `batch` is not larger: what Ctrl-C waits for.
PART = {"cpu": 32, "vulkan": 512}


@dataclass(frozen=True)
class OsfInfo:
    """Sizes of an OSF model, read from its file."""

    variant: str  #: "vit_base" ..., or "custom"
    width: int
    depth: int
    heads: int
    mlp_dim: int
    leads: int  #: channels of an epoch: 12
    lead_wise: bool
    patch_leads: int
    patch_samples: int
    samples: int  #: of a full epoch: 1920
    patches: int  #: of a full epoch
    parameters: int
    precision: str


@dataclass(frozen=True)
class EegptInfo:
    """Sizes of an EEGPT model, read from its file and its config."""

    channels: int
    tokens: int  #: channels that the encoder sees, behind a projection
    samples: int  #: of the config; 0 if it does not say
    sample_rate: float  #: Hz, of the config; 0 if it does not say
    width: int
    depth: int
    heads: int
    mlp_dim: int
    patch_samples: int
    patch_stride: int
    summary_tokens: int
    outputs: int  #: of the probe; 0 if there is none
    probe_patches: int
    parameters: int
    precision: str


class _Encoder(Handle):
    """Weights on a device. Immutable: any number of threads may encode at once."""

    _name: str
    _device_handle: ctypes.c_void_p | None = None
    _job: type[ctypes.Structure]
    info: OsfInfo | EegptInfo

    def __init__(self, path: Path, device: Device | None, precision: str,
                 config: Path | Mapping[str, Any] | None, mmap: bool) -> None:
        super().__init__()
        self._close_function = f"{self._name}_encoder_close"
        params = lib.psgvit_encoder_params(struct_size=ctypes.sizeof(lib.psgvit_encoder_params))
        params.precision = choose("precision", lib.PRECISIONS, precision)
        params.flags = 0 if mmap else lib.FLAG_READ
        if isinstance(config, Mapping):
            params.config_json = json.dumps(dict(config)).encode()
        elif config is not None:
            params.config_path = c_text("config", config)
        if device is not None and not isinstance(device, Device):
            raise ArgumentError(f"device: expected a psgvit.Device, found {device!r}")
        #: The device, which is not freed as long as the encoder is open.
        self.device = Device() if device is None else device
        self._device_handle = self.device._take()
        if device is None:  # it goes with this encoder
            self.device.close()
        try:
            lib.call(f"{self._name}_encoder_open", ctypes.byref(self._handle), self._device_handle,
                     c_text("path", path), ctypes.byref(params))
        except BaseException:
            self.close()
            raise

    def _free_unused(self) -> None:
        super()._free_unused()
        if self._closed and not self._users and self._device_handle:
            self._device_handle = None
            self.device._give_back()

    def __repr__(self) -> str:
        info = self.info
        model = info.variant if isinstance(info, OsfInfo) else f"{info.channels} channels"
        state = ", closed" if self._closed else ""
        return (f"<psgvit.{type(self).__name__} {model}, {info.precision}, on "
                f"{self.device.info.name}{state}>")

    def _read_info(self) -> dict[str, Any]:
        """The fields of its info struct, as Python says them."""
        c = getattr(lib.LIBRARY, f"{self._name}_encoder_info")(self._handle).contents
        fields = {name: getattr(c, name) for name, _ in c._fields_}
        return {**fields, "precision": name_of(lib.PRECISIONS, c.precision)}

    def patch_count(self, samples: int) -> int:
        """Patches of an epoch of `samples` samples; 0 if the model can't take that length."""
        with self._use() as handle:
            return int(getattr(lib.LIBRARY, f"{self._name}_patch_count")(handle, samples))

    def _run(self, signal: Float32, outputs: Mapping[str, tuple[int, ...]],
             fields: Mapping[str, Any], batch: int, nan: str,
             progress: Progress | None) -> dict[str, Float32]:
        """Encodes a signal that was checked. `outputs` are shapes behind the number of epochs.
        Between the parts Python sees to Ctrl-C and `progress`, without callbacks through C."""
        batch = whole_number("batch", batch)
        policy = choose("nan", lib.NAN_POLICIES, nan)
        epochs, _, samples = signal.shape
        arrays = {name: np.empty((epochs, *shape), np.float32) for name, shape in outputs.items()}
        length = max(batch, PART[self.device.info.backend])
        for first in range(0, max(epochs, 1), length):
            part = slice(first, min(first + length, epochs))
            job = self._job(struct_size=ctypes.sizeof(self._job), samples=samples, batch=batch,
                            nan=policy, epochs=part.stop - first, first_epoch=first,
                            signal=signal[part].ctypes.data, **fields)
            for name, array in arrays.items():
                setattr(job, name, array[part].ctypes.data)
                setattr(job, f"{name}_capacity", array[part].size)
            with self._use() as handle:
                lib.call(f"{self._name}_encode", handle, ctypes.byref(job))
            if progress:
                progress(part.stop, epochs)
        return arrays


def _check_signal(signal: Float32, channels: int) -> int:
    """The samples of an epoch, of an array that the library can read as it is."""
    if not isinstance(signal, np.ndarray):
        raise InputError(f"signal: expected a NumPy array, found {type(signal).__name__}")
    if signal.dtype != np.float32:
        raise InputError(f"signal: expected float32, found {signal.dtype}; convert it by "
                         "signal.astype(np.float32)")
    if signal.ndim != 3 or signal.shape[1] != channels:
        raise InputError(f"signal: expected [epochs, {channels}, samples], found "
                         f"{list(signal.shape)}")
    if not signal.flags.c_contiguous or not signal.flags.aligned:
        raise InputError("signal: expected a C-contiguous array, found one with strides "
                         f"{signal.strides}; copy it by np.ascontiguousarray(signal)")
    return int(signal.shape[2])


def _check_outputs(outputs: Iterable[str], known: tuple[str, ...]) -> list[str]:
    names = [outputs] if isinstance(outputs, str) else list(outputs)
    for name in names:
        if name not in known:
            raise ArgumentError(f"outputs: expected some of {', '.join(known)}; found {name!r}")
    if not names:
        raise ArgumentError(f"outputs: expected at least one of {', '.join(known)}")
    return names


class OsfEncoder(_Encoder):
    """OSF, over 12-channel polysomnography, one 30 s epoch at 64 Hz at a time.

        with psgvit.OsfEncoder("osf.safetensors") as encoder:
            cls = encoder.encode(night)["cls"]

    path: a safetensors file; once the encoder is open it may change or vanish.
    device: None is the CPU or GPU that Device() chooses, for this encoder alone.
    precision: "f32", or "f16" or "bf16" where the device has them.
    config: path of a config.json, or what it would hold; None is the file's own.
    mmap: False reads the file instead of mapping it.
    """

    _name = "osf"
    _job = lib.osf_job

    def __init__(self, path: Path, device: Device | None = None, *, precision: str = "f32",
                 config: Path | Mapping[str, Any] | None = None, mmap: bool = True) -> None:
        super().__init__(path, device, precision, config, mmap)
        fields = self._read_info()
        #: Sizes of the model; stays readable once it is closed.
        self.info: OsfInfo = OsfInfo(**{**fields, "variant": fields["variant"].decode(),
                               "lead_wise": bool(fields["lead_wise"])})

    def encode(self, signal: Float32, outputs: Iterable[str] = ("cls",), *, batch: int = 0,
               clamp: bool = True, nan: str = "refuse",
               progress: Progress | None = None) -> dict[str, Float32]:
        """Embeds epochs: {"cls": [E, D], "patches": [E, N, D], "mean": [E, D]}, of which
        `outputs` are computed.

        signal: C-contiguous float32 [E, 12, T], z-scored, a missing lead is zeros; T is 1920, or
            less and a multiple of 64. It is read in place.
        batch: most epochs at once; 0 is what suits the device.
        clamp: to [-6, 6], as the authors' loader does.
        nan: what to do with NaN and infinity: "refuse", "zero" or "propagate".
        progress: called now and then with the epochs done and all of them; what it raises ends the
            job. So does Ctrl-C.
        """
        names = _check_outputs(outputs, ("cls", "patches", "mean"))
        info = self.info
        samples = _check_signal(signal, info.leads)
        shapes = {"cls": (info.width,), "patches": (self.patch_count(samples), info.width),
                  "mean": (info.width,)}
        return self._run(signal, {name: shapes[name] for name in names},
                         {"no_clamp": 0 if clamp else 1}, batch, nan, progress)


class EegptEncoder(_Encoder):
    """EEGPT, over the channels of each time patch of a window of EEG.

        with psgvit.EegptEncoder("model.safetensors", config="config.json") as encoder:
            features = encoder.encode(windows, ["features"])["features"]

    path, device, precision, config, mmap: as for OsfEncoder.
    """

    _name = "eegpt"
    _job = lib.eegpt_job

    def __init__(self, path: Path, device: Device | None = None, *, precision: str = "f32",
                 config: Path | Mapping[str, Any] | None = None, mmap: bool = True) -> None:
        super().__init__(path, device, precision, config, mmap)
        #: Sizes of the model; stays readable once it is closed.
        self.info: EegptInfo = EegptInfo(**self._read_info())
        #: Of the input, as the config names them, or by position; "" where neither tells.
        self.channel_names = [
            lib.LIBRARY.eegpt_channel_name(self._handle, i).decode("utf-8", "replace")
            for i in range(self.info.channels)]

    def encode(self, signal: Float32, outputs: Iterable[str] | None = None, *, batch: int = 0,
               nan: str = "refuse", progress: Progress | None = None) -> dict[str, Float32]:
        """Embeds windows: {"features": [B, P, 4, D], "logits": [B, n]}, of which `outputs` are
        computed; by default the logits if the model has a probe, else the features.

        signal: C-contiguous float32 [B, C, T] at the model's rate, in the unit of its training
            data. It is read in place.
        batch, nan, progress: as for OsfEncoder.
        """
        info = self.info
        usual = "logits" if info.outputs else "features"
        names = _check_outputs(usual if outputs is None else outputs, ("features", "logits"))
        samples = _check_signal(signal, info.channels)
        shapes = {"features": (self.patch_count(samples), info.summary_tokens, info.width),
                  "logits": (info.outputs,)}
        return self._run(signal, {name: shapes[name] for name in names}, {}, batch,
                         nan, progress)
