# SPDX-License-Identifier: MIT
"""libpsgvit as ctypes sees it: where it is, its structs and its functions. The structs are those of
include/psgvit/*.h, field by field; a test of the repository compares their layouts."""
from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char, c_char_p, c_double, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

from ._errors import BY_STATUS, Error

SONAME = "libpsgvit.so.0"

ProgressFn = ctypes.CFUNCTYPE(None, c_void_p, c_size_t, c_size_t)
CancelFn = ctypes.CFUNCTYPE(c_int, c_void_p)
LogFn = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class psgvit_error(ctypes.Structure):
    _fields_ = [("code", c_int), ("message", c_char * 1020)]


class psgvit_device_info(ctypes.Structure):
    _fields_ = [
        ("backend", c_int),
        ("type", c_int),
        ("name", c_char_p),
        ("driver", c_char_p),
        ("uuid", c_char_p),
        ("memory_bytes", c_uint64),
        ("isa", c_int),
        ("threads", c_int),
        ("precisions", c_uint),
        ("usable", c_int),
        ("reason", c_char_p),
    ]


class psgvit_device_params(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("backend", c_int),
        ("device", c_char_p),
        ("isa", c_int),
        ("threads", c_int),
        ("log", LogFn),
        ("log_user", c_void_p),
        ("shader_cache", c_char_p),
    ]


class psgvit_encoder_params(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("precision", c_int),
        ("flags", c_uint),
        ("config_path", c_char_p),
        ("config_json", c_char_p),
    ]


class psgvit_op_time(ctypes.Structure):
    _fields_ = [
        ("op", c_char_p),
        ("shape", c_char_p),
        ("kernel", c_char_p),
        ("flops", c_double),
        ("bytes", c_double),
        ("seconds", c_double),
    ]


ProfileFn = ctypes.CFUNCTYPE(None, c_void_p, POINTER(psgvit_op_time))


class osf_info(ctypes.Structure):
    _fields_ = [
        ("variant", c_char_p),
        ("width", c_size_t),
        ("depth", c_size_t),
        ("heads", c_size_t),
        ("mlp_dim", c_size_t),
        ("leads", c_size_t),
        ("lead_wise", c_size_t),
        ("patch_leads", c_size_t),
        ("patch_samples", c_size_t),
        ("samples", c_size_t),
        ("patches", c_size_t),
        ("parameters", c_uint64),
        ("precision", c_int),
    ]


class osf_job(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("signal", c_void_p),
        ("epochs", c_size_t),
        ("samples", c_size_t),
        ("cls", c_void_p),
        ("cls_capacity", c_size_t),
        ("patches", c_void_p),
        ("patches_capacity", c_size_t),
        ("mean", c_void_p),
        ("mean_capacity", c_size_t),
        ("batch", c_size_t),
        ("no_clamp", c_int),
        ("nan", c_int),
        ("first_epoch", c_size_t),
        ("progress", ProgressFn),
        ("cancel", CancelFn),
        ("user", c_void_p),
        ("device_ms", POINTER(c_double)),
        ("profile", ProfileFn),
    ]


class eegpt_info(ctypes.Structure):
    _fields_ = [
        ("channels", c_size_t),
        ("tokens", c_size_t),
        ("samples", c_size_t),
        ("sample_rate", c_double),
        ("width", c_size_t),
        ("depth", c_size_t),
        ("heads", c_size_t),
        ("mlp_dim", c_size_t),
        ("patch_samples", c_size_t),
        ("patch_stride", c_size_t),
        ("summary_tokens", c_size_t),
        ("outputs", c_size_t),
        ("probe_patches", c_size_t),
        ("parameters", c_uint64),
        ("precision", c_int),
    ]


class eegpt_job(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("signal", c_void_p),
        ("epochs", c_size_t),
        ("samples", c_size_t),
        ("features", c_void_p),
        ("features_capacity", c_size_t),
        ("logits", c_void_p),
        ("logits_capacity", c_size_t),
        ("batch", c_size_t),
        ("nan", c_int),
        ("first_epoch", c_size_t),
        ("progress", ProgressFn),
        ("cancel", CancelFn),
        ("user", c_void_p),
        ("device_ms", POINTER(c_double)),
        ("profile", ProfileFn),
    ]


STRUCTS = [psgvit_error, psgvit_device_info, psgvit_device_params, psgvit_encoder_params,
           psgvit_op_time, osf_info, osf_job, eegpt_info, eegpt_job]
BACKENDS = {"auto": 0, "cpu": 1, "vulkan": 2}
ISAS = {"auto": 0, "c": 1, "avx2": 2, "avx512": 3, "amx": 4}
PRECISIONS = {"f32": 0, "f16": 1, "bf16": 2}
TYPES = {"cpu": 0, "discrete": 1, "integrated": 2, "virtual": 3, "software": 4}
NAN_POLICIES = {"refuse": 0, "zero": 1, "propagate": 2}
LOG_LEVELS = {"error": 1, "warning": 2, "info": 3, "debug": 4}
FLAG_READ = 1
MOST = 2**31 - 1  # of a number that becomes an int

_ERR = POINTER(psgvit_error)
# Name: (result, arguments). Functions that return a status take the error last.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "psgvit_version": (c_char_p, []),
    "psgvit_device_list_open": (c_int, [POINTER(c_void_p), _ERR]),
    "psgvit_device_list_count": (c_size_t, [c_void_p]),
    "psgvit_device_list_at": (POINTER(psgvit_device_info), [c_void_p, c_size_t]),
    "psgvit_device_list_close": (None, [POINTER(c_void_p)]),
    "psgvit_device_open": (c_int, [POINTER(c_void_p), POINTER(psgvit_device_params), _ERR]),
    "psgvit_device_get_info": (POINTER(psgvit_device_info), [c_void_p]),
    "psgvit_device_close": (None, [POINTER(c_void_p)]),
    "eegpt_channel_name": (c_char_p, [c_void_p, c_size_t]),
}
for _name, _info, _job in (("osf", osf_info, osf_job), ("eegpt", eegpt_info, eegpt_job)):
    FUNCTIONS.update({
        f"{_name}_encoder_open": (c_int, [POINTER(c_void_p), c_void_p, c_char_p,
                                          POINTER(psgvit_encoder_params), _ERR]),
        f"{_name}_encoder_info": (POINTER(_info), [c_void_p]),
        f"{_name}_patch_count": (c_size_t, [c_void_p, c_size_t]),
        f"{_name}_encoder_close": (None, [POINTER(c_void_p)]),
        f"{_name}_encode": (c_int, [c_void_p, POINTER(_job), _ERR]),
    })


def _load() -> ctypes.CDLL:
    name = os.environ.get("PSGVIT_LIBRARY") or SONAME
    try:
        library = ctypes.CDLL(name)
        for function, (result, arguments) in FUNCTIONS.items():
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
    except (OSError, AttributeError) as error:
        raise ImportError(f"{name} can't be used: {error}; install libpsgvit, or name its file in "
                          "the environment variable PSGVIT_LIBRARY") from error
    return library


LIBRARY = _load()


def call(function: str, *arguments: Any) -> None:
    """Calls a function that returns a status; raises what its error says."""
    err = psgvit_error()
    status = getattr(LIBRARY, function)(*arguments, ctypes.byref(err))
    if status:
        text = err.message.decode("utf-8", "replace")
        raise BY_STATUS.get(status, Error)(text)
