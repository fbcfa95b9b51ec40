# SPDX-License-Identifier: MIT
"""What the libraries export, by nm: the shared one exactly the functions that the public headers
declare with PSGVIT_API, the static one nothing without a prefix of ours, and neither has state.

Usage: test_symbols.py <shared library> <static library> <include dir>
"""
import pathlib
import re
import subprocess
import sys

PUBLIC = ("psgvit_", "osf_", "eegpt_")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def declared(include):
    names = set()
    for header in sorted(pathlib.Path(include).glob("psgvit/*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        found = re.findall(r"^PSGVIT_API\b[^;]*?(\w+)\s*\(", text, flags=re.M)
        assert len(found) == len(re.findall(r"^PSGVIT_API\b", text, flags=re.M)), header
        names.update(found)
    return names


def defined(library, *options):
    """Names of what the linker sees. A leading `__` is the compiler's own (sanitizers, gcov), and
    so is a dot (clang's locks of OpenMP)."""
    names = set()
    for line in run("nm", "--defined-only", "--format=posix", *options, library).splitlines():
        fields = line.split()
        if len(fields) >= 2 and not line.endswith(":") and not fields[0].startswith(("__", ".")):
            names.add(fields[0])
    return names


def state(library):
    """Objects in sections that stay writable, a thread's own among them: a library without state
    has none. One thing is remembered: whether a fork() lies between two calls (base/team.c)."""
    found = []
    for line in run("objdump", "-t", library).splitlines():
        fields = line.split()
        if (" O " in line or " .t" in line and " d " not in line) and len(fields) >= 4:
            section = next((f for f in fields if f.startswith(".")), "*COM*")
            if re.match(r"\.(data|bss|tdata|tbss)(?!\.rel\.ro)", section) and \
                    (fields[-1], section) != ("teamed_in", ".tbss"):
                found.append(f"{fields[-1]} in {section}")
    return found


def main():
    shared, static, include = sys.argv[1:4]
    expected, exported = declared(include), defined(shared, "--dynamic")
    faults = [f"{n} is declared, but not exported" for n in sorted(expected - exported)]
    faults += [f"{n} is exported, but not declared" for n in sorted(exported - expected)]
    faults += [f"{n} has no prefix of ours" for n in sorted(exported) if not n.startswith(PUBLIC)]
    faults += [f"{n} in the archive has no prefix of ours"
               for n in sorted(defined(static, "--extern-only"))
               if not n.startswith(PUBLIC + ("pv_",))]
    if not any(n.startswith("__") for n in run("nm", shared).split() if "asan" in n or "gcov" in n
               or "tsan" in n):
        faults += [f"state of the process: {s}" for s in state(static)]
    print("\n".join(faults + [f"{len(exported)} functions exported, {len(faults)} faults"]))
    return 1 if faults or not exported else 0


if __name__ == "__main__":
    sys.exit(main())
