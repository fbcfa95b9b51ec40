# SPDX-License-Identifier: MIT
"""Devices: a team of CPU threads, or a GPU."""
from __future__ import annotations

import ctypes
import operator
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from . import _library as lib
from ._errors import ArgumentError

Self = TypeVar("Self", bound="Handle")


def version() -> str:
    """The version of the library that is loaded, such as "0.1.0"."""
    return str(lib.LIBRARY.psgvit_version().decode())


def choose(argument: str, names: Mapping[str, int], value: str) -> int:
    if value not in names:
        raise ArgumentError(f"{argument}: expected one of {', '.join(names)}; found {value!r}")
    return names[value]


def whole_number(argument: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= lib.MOST:
        raise ArgumentError(f"{argument}: expected a whole number from 0 to {lib.MOST}, found "
                            f"{value!r}")
    return number


def c_text(argument: str, value: str | bytes | os.PathLike[str]) -> bytes:
    """The bytes of a text or a path for C, which would end it at a NUL."""
    text = os.fsencode(value)
    if b"\0" in text:
        raise ArgumentError(f"{argument}: expected a text without NUL, found {value!r}")
    return text


def name_of(names: Mapping[str, int], value: int) -> str:
    return next((name for name, number in names.items() if number == value), "?")


class Handle:
    """Something of the library's that is freed once, and never while something uses it."""

    _close_function: str

    def __init__(self) -> None:
        self._handle = ctypes.c_void_p()
        self._users = 0
        self._closed = False
        self._lock = threading.Lock()

    def _take(self) -> ctypes.c_void_p:
        """The open handle, which stays open until _give_back."""
        with self._lock:
            if self._closed:
                raise ArgumentError(f"this {type(self).__name__} is closed")
            self._users += 1
            return self._handle

    def _give_back(self) -> None:
        with self._lock:
            self._users -= 1
            self._free_unused()

    def _free_unused(self) -> None:
        if self._closed and not self._users and self._handle:
            getattr(lib.LIBRARY, self._close_function)(ctypes.byref(self._handle))

    @contextmanager
    def _use(self) -> Iterator[ctypes.c_void_p]:
        handle = self._take()
        try:
            yield handle
        finally:
            self._give_back()

    def close(self) -> None:
        """No call can begin any more; it is freed now, or when the last one that runs is done. A
        device is freed with its last encoder. May be repeated."""
        with self._lock:
            self._closed = True
            self._free_unused()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> str:
        raise TypeError(f"{type(self).__name__} can't be copied or pickled, as what it holds is "
                        "this process's own; share it between threads, or open another one")

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()


@dataclass(frozen=True)
class DeviceInfo:
    """What is known of a device."""

    index: int  #: in devices(), -1 of an open one
    name: str
    backend: str  #: "cpu" or "vulkan"
    type: str  #: "cpu", "discrete", "integrated", "virtual" or "software"
    driver: str
    uuid: str  #: 32 hex digits; "" on the CPU
    memory_bytes: int
    isa: str  #: the level in force, such as "avx2"; "" on a GPU
    threads: int  #: most threads of a call; 0 on a GPU
    precisions: tuple[str, ...]
    usable: bool
    reason: str  #: why it can't be used; "" if it can


def _info(index: int, c: lib.psgvit_device_info) -> DeviceInfo:
    return DeviceInfo(
        index=index,
        name=c.name.decode("utf-8", "replace"),
        backend=name_of(lib.BACKENDS, c.backend),
        type=name_of(lib.TYPES, c.type),
        driver=c.driver.decode("utf-8", "replace"),
        uuid=c.uuid.decode(),
        memory_bytes=c.memory_bytes,
        isa=name_of(lib.ISAS, c.isa) if c.isa else "",
        threads=c.threads,
        precisions=tuple(name for name, bit in lib.PRECISIONS.items() if c.precisions >> bit & 1),
        usable=bool(c.usable),
        reason=c.reason.decode("utf-8", "replace"),
    )


def devices() -> list[DeviceInfo]:
    """All devices of this machine, the CPU first, usable or not."""
    handle = ctypes.c_void_p()
    lib.call("psgvit_device_list_open", ctypes.byref(handle))
    try:
        return [_info(i, lib.LIBRARY.psgvit_device_list_at(handle, i).contents)
                for i in range(lib.LIBRARY.psgvit_device_list_count(handle))]
    finally:
        lib.LIBRARY.psgvit_device_list_close(ctypes.byref(handle))


class Device(Handle):
    """A place to compute, for several encoders to share.

    backend: "auto" is a discrete GPU, then an integrated one, else the CPU; or "cpu", "vulkan".
    device: index in devices(), UUID, or part of a name; None is the first fit.
    isa: CPU: most that may be used, "auto", "c", "avx2", "avx512" or "amx".
    threads: most CPU threads of a call; 0 is what OpenMP would use.
    log: takes a level ("error", "warning", "info", "debug") and a line, from any thread.
    shader_cache: GPU: a file that keeps compiled shaders from one process to the next.
    """

    _close_function = "psgvit_device_close"

    def __init__(self, backend: str = "auto", device: int | str | None = None, *,
                 isa: str = "auto", threads: int = 0,
                 log: Callable[[str, str], Any] | None = None,
                 shader_cache: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        params = lib.psgvit_device_params(struct_size=ctypes.sizeof(lib.psgvit_device_params))
        params.backend = choose("backend", lib.BACKENDS, backend)
        params.isa = choose("isa", lib.ISAS, isa)
        if device is not None and not isinstance(device, str):
            device = str(whole_number("device", device))
        params.device = None if device is None else c_text("device", device)
        params.threads = whole_number("threads", threads)
        params.shader_cache = (None if shader_cache is None
                               else c_text("shader_cache", shader_cache))
        # Kept, as the library calls it as long as the device is open.
        self._log = lib.LogFn(lambda user, level, line: log(
            name_of(lib.LOG_LEVELS, level), line.decode("utf-8", "replace"))) if log else None
        if self._log:
            params.log = self._log
        lib.call("psgvit_device_open", ctypes.byref(self._handle), ctypes.byref(params))
        #: What is known of it; stays readable once it is closed.
        self.info: DeviceInfo = _info(
            -1, lib.LIBRARY.psgvit_device_get_info(self._handle).contents)

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        return f"<psgvit.Device {self.info.name}, {self.info.backend}{state}>"
