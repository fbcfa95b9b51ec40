# SPDX-License-Identifier: MIT
"""Waiting until a tool is ready for a signal, however slow the machine is."""
import re
import signal
import time


def wait_for_handlers(process):
    """Until it catches SIGINT and SIGTERM, which end a program without a word before it does."""
    wanted = 1 << signal.SIGINT - 1 | 1 << signal.SIGTERM - 1
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as f:
            caught = int(re.search(r"SigCgt:\s*([0-9a-f]+)", f.read())[1], 16)
        if caught & wanted == wanted:
            return
        time.sleep(0.01)
