#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The files of one benchmark, for bench.sh: which machine it was, and the rows as they come.

    bench_results.py backends --tools BIN             what to measure here: cpu, or cpu,vulkan
    bench_results.py begin --tools BIN --results DIR --backends LIST --settings TEXT
                                                      makes DIR/<time>_<cpu>_<gpu>/machine.json and
                                                      prints that folder
    bench_results.py add FOLDER                       appends the JSON array on standard input to
                                                      FOLDER/results.json

results.json is whole after every row, as soon as it comes, so that a benchmark that was ended early
can be drawn.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

from bench_rows import QUIET


def output_of(*command):
    """Its standard output; empty where it fails or there is no such command."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              stdin=subprocess.DEVNULL, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def devices(tools):
    """As the library lists them: the CPU first, then what Vulkan shows."""
    listed = output_of(tools / "osf-infer", "--list-devices", "--json")
    if not listed:
        sys.exit(f"{tools}: there is no osf-infer that lists its devices")
    return json.loads(listed)


def gpus(listed):
    """Usable ones in the order in which --backend vulkan prefers them, software devices last."""
    order = ["discrete", "integrated", "virtual", "software"]
    usable = [d for d in listed if d["backend"] == "vulkan" and d["usable"]]
    return sorted(usable, key=lambda d: order.index(d["type"]))


def field(path, name):
    """The value of the first line `name : value` of a file of /proc or /etc."""
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.replace("=", ":", 1).partition(":")
        if key.strip() == name:
            return value.strip().strip('"')
    return ""


def compiler(tools):
    """What built the tools, by the build folder around them."""
    cache = tools.parent / "CMakeCache.txt"
    if not cache.is_file():
        return ""
    found = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", cache.read_text(encoding="utf-8"), re.M)
    return output_of(found.group(1), "--version").split("\n")[0] if found else ""


def machine(tools, backends, settings):
    listed = devices(tools)
    cpu = next(d for d in listed if d["backend"] == "cpu")
    gpu = gpus(listed) if "vulkan" in backends else []
    version = output_of(tools / "psgvit-bench", "--version")
    here = pathlib.Path(__file__).resolve().parent
    kilobytes = field("/proc/meminfo", "MemTotal").split(" ")[0]
    return {
        "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": cpu["name"],
        "isa": cpu["isa"],
        "cores": os.cpu_count(),
        "threads": cpu["threads"],
        "blas": cpu["driver"],
        "gpu": gpu[0]["name"] if gpu else None,
        "gpu_driver": gpu[0]["driver"] if gpu else None,
        "memory_bytes": int(kilobytes) * 1024 if kilobytes.isdigit() else None,
        "load_average": os.getloadavg()[0],
        "kernel": platform.release(),
        "system": field("/etc/os-release", "PRETTY_NAME"),
        "compiler": compiler(tools),
        "version": version.split(" ")[-1],
        "commit": output_of("git", "-C", str(here), "rev-parse", "--short=10", "HEAD"),
        "modified": bool(output_of("git", "-C", str(here), "status", "--porcelain",
                                   "--untracked-files=no")),
        "python": platform.python_version(),
        "settings": settings,
        "devices": listed,
    }


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]


def begin(args):
    facts = machine(args.tools, args.backends.split(","), args.settings)
    time = re.sub(r"[-:]", "", facts["time"][:19])
    name = f"{time}_{slug(facts['cpu'])}_{slug(facts['gpu'] or 'no gpu')}"
    folder = args.results / name
    folder.mkdir(parents=True)
    write(folder / "machine.json", facts)
    if facts["load_average"] > QUIET * facts["cores"]:
        print(f"The machine is not quiet: its load average is {facts['load_average']:.1f}, so the "
              "numbers will be worth little.", file=sys.stderr)
    print(folder)


def write(path, value):
    staged = path.with_suffix(".tmp")
    if isinstance(value, list):  # a row a line
        text = "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]\n"
    else:
        text = json.dumps(value, indent=2) + "\n"
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)


def rows_of(stream):
    """The objects of a JSON array, each as soon as its last line is there."""
    decoder, text, some = json.JSONDecoder(), "", False
    for line in stream:
        text, some = text + line, True
        while True:
            text = text.lstrip(" \n[,]")
            try:
                row, end = decoder.raw_decode(text)
            except ValueError:  # the rest of it is to come
                break
            yield row
            text = text[end:]
    if text or not some:  # what was to write it has said why
        sys.exit(1)


def add(args):
    path = args.folder / "results.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for row in rows_of(sys.stdin):
        rows.append(row)
        write(path, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("backends")
    step.add_argument("--tools", type=pathlib.Path, required=True)
    step = steps.add_parser("begin")
    step.add_argument("--tools", type=pathlib.Path, required=True)
    step.add_argument("--results", type=pathlib.Path, required=True)
    step.add_argument("--backends", required=True)
    step.add_argument("--settings", required=True)
    steps.add_parser("add").add_argument("folder", type=pathlib.Path)
    args = parser.parse_args()
    if args.step == "backends":
        hardware = [d for d in gpus(devices(args.tools)) if d["type"] != "software"]
        print("cpu,vulkan" if hardware else "cpu")
    elif args.step == "begin":
        begin(args)
    else:
        add(args)


if __name__ == "__main__":
    main()
