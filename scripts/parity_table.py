#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parity table of the README, as Markdown: psgvit-parity on cases of tests/vectors, on the CPU
and by Vulkan.

    scripts/parity_table.py [--tools FOLDER] [--backend cpu,vulkan] [--device NAME] [--isa LEVEL]
                            [--precision f32] [--json] [CASE...]
    scripts/parity_table.py --rows FILE... [--into README.md]

The first form measures (osf_base and eegpt_22x1000 if no CASE is named) and prints the table, or
with --json its rows, which the second form joins with those of other machines. --into replaces what
stands between the two comments `parity` of a file. Needs nothing but Python.
"""
import argparse
import datetime
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "tests" / "vectors"
CASES = ["osf_base", "eegpt_22x1000"]
BEGIN, END = "<!-- parity -->", "<!-- /parity -->"
SIZES = {128: "nano", 192: "tiny", 384: "small", 512: "middle", 768: "base", 1024: "large"}


def configuration(case):
    """What the metadata of a vector says of its model."""
    with open(VECTORS / f"{case}.safetensors", "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        config = json.loads(json.loads(file.read(length))["__metadata__"]["config"])
    config = {**config.pop("kwargs", {}), **config}
    return {key: value for key, value in config.items() if value is not None}


def model_name(config):
    if config["model"] == "osf":
        return f"OSF-{SIZES.get(config['width'], config['width'])}"
    return f"EEGPT, {config['n_chans']} x {config['n_times']}"


def tool(tools, name, *args):
    done = subprocess.run([tools / name, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 1) or not done.stdout and name == "psgvit-parity":
        sys.exit(f"parity_table.py: {done.stderr.strip() or name + ' failed'}")
    return done.stdout


def measure(args):
    """A row for each output of each case on each backend."""
    rows, today = [], datetime.date.today().isoformat()
    for case in args.cases or CASES:
        config = configuration(case)
        with tempfile.TemporaryDirectory(prefix="psgvit-parity-") as folder:
            model, own = f"{folder}/model.safetensors", pathlib.Path(folder, "config.json")
            own.write_text(json.dumps(config), encoding="utf-8")
            kind = "eegpt" if config["model"] == "eegpt" else "osf-base"
            tool(args.tools, "psgvit-synth", kind, "-o", model, "--seed", str(config["seed"]),
                 "--config", str(own))
            for backend in args.backend.split(","):
                more = ["--device", args.device] if args.device and backend != "cpu" else []
                more += ["--isa", args.isa] if args.isa and backend == "cpu" else []
                report = json.loads(tool(
                    args.tools, "psgvit-parity", "-m", model, "--vectors",
                    str(VECTORS / f"{case}.safetensors"), "--backend", backend, "--precision",
                    args.precision, *more, "--json"))
                place = {key: report[key] for key in ("device", "backend", "isa", "precision",
                                                      "version")}
                rows += [{"case": case, "model": model_name(config), **place, "date": today,
                          **output} for output in report["outputs"]]
    return rows


def place(row):
    """Where it was computed, as a column says it."""
    name = f"CPU, {row['isa']}" if row["backend"] == "cpu" else "Vulkan"
    return name if row["precision"] == "f32" else f"{name}, {row['precision']}"


def places(rows):
    """{where, device}: a letter where two devices would look alike."""
    devices = {}
    for row in rows:
        found = devices.setdefault(place(row), [])
        if row["device"] not in found:
            found.append(row["device"])
    return {(where, device): where if len(found) == 1 else f"{where} ({'abcdefgh'[i]})"
            for where, found in devices.items() for i, device in enumerate(found)}


def table(rows):
    names = places(rows)
    lines = ["| model | on | output | mean error | PyTorch's | largest error | PyTorch's "
             "| 1 - cosine |", "| --- | --- | --- | --: | --: | --: | --: | --: |"]
    for row in rows:
        error = [f"{row[key]:.1e}" for key in ("mean_error", "pytorch_mean_error", "max_error",
                                               "pytorch_max_error")]
        cells = [row["model"], names[place(row), row["device"]], f"`{row['name']}`", *error,
                 f"{max(0, 1 - row['least_cosine']):.0e}"]
        lines.append("| " + " | ".join(cells) + (" |" if row["pass"] else " FAIL |"))
    said = {}
    for row in rows:
        key = names[place(row), row["device"]]
        said[key] = f"{key}: {row['device']}, libpsgvit {row['version']}, {row['date']}"
    return "\n".join([*lines, "", textwrap.fill("; ".join(said.values()) + ".", 100), ""])


def put_into(path, text):
    whole = path.read_text(encoding="utf-8")
    if whole.count(BEGIN) != 1 or whole.count(END) != 1:
        sys.exit(f"{path}: expected one '{BEGIN}' and one '{END}'")
    between = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.S)
    path.write_text(between.sub(lambda _: f"{BEGIN}\n{text}{END}", whole), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--tools", type=pathlib.Path, metavar="FOLDER",
                        default=HERE.parent / "build/release/bin")
    parser.add_argument("--backend", default="cpu,vulkan", metavar="LIST")
    parser.add_argument("--device", metavar="NAME", help="of Vulkan")
    parser.add_argument("--isa", metavar="LEVEL", help="of the CPU")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", nargs="+", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--into", type=pathlib.Path, metavar="FILE")
    args = parser.parse_args()
    if args.rows:
        rows = [row for file in args.rows for row in json.loads(file.read_text(encoding="utf-8"))]
        order = list(dict.fromkeys(row["case"] for row in rows))
        rows.sort(key=lambda row: order.index(row["case"]))
    else:
        args.tools = args.tools.resolve()
        rows = measure(args)
    if args.into:
        put_into(args.into, table(rows))
    else:
        print(json.dumps(rows, indent=1) if args.json else table(rows), end="\n" * args.json)
    if not all(row["pass"] for row in rows):
        sys.exit("parity_table.py: not every row keeps the promise")


if __name__ == "__main__":
    main()
