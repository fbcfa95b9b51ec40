# SPDX-License-Identifier: MIT
"""Each public header compiles alone as C11 and C++17 without a warning, and the example program in
its comment compiles, links and runs.

Usage: test_headers.py <bin dir> <library dir> <include dir> <C compiler> <C++ compiler> [C flag...]
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
TINY_EEGPT = {"n_chans": 4, "n_times": 256, "sfreq": 256, "embed_dim": 64, "depth": 1,
              "num_heads": 2, "n_outputs": 2, "chan_proj_type": "none"}
# What an example is called with, and what the first line of its output begins with.
EXAMPLES = {
    "psgvit.h": (None, "0 "),
    "osf.h": ("osf.safetensors", "vit_nano: cls[0] = "),
    "eegpt.h": ("eegpt.safetensors", "features[0] = "),
    "weights.h": ("osf.safetensors", ""),
    "recording.h": ("night.bin", "3 epochs"),
}


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}\n"
                 f"{done.stdout}{done.stderr}")
    return done.stdout


def example(header):
    """The program in the comment at the header's top: the lines indented by five blanks."""
    comment = re.search(r"/\*\n(.*?)\*/", header.read_text(), flags=re.S).group(1)
    lines = [line[7:] for line in comment.split("\n") if line.startswith(" *     ")
             or line.rstrip() == " *"]
    text = "\n".join(lines).strip() + "\n"
    if "int main(" not in text:
        sys.exit(f"{header} has no example program in its first comment")
    return text


def main():
    bin_dir, lib_dir, include = (pathlib.Path(p).resolve() for p in sys.argv[1:4])
    cc, cxx, flags = sys.argv[4], sys.argv[5], sys.argv[6:]
    headers = sorted(include.glob("psgvit/*.h"))
    if {h.name for h in headers} != set(EXAMPLES):
        sys.exit(f"this test knows {sorted(EXAMPLES)}, found {[h.name for h in headers]}")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "tiny.json").write_text(json.dumps(TINY_EEGPT))
        synth = bin_dir / "psgvit-synth"
        run(synth, "osf-nano", "-o", work / "osf.safetensors")
        run(synth, "eegpt", "--config", work / "tiny.json", "-o", work / "eegpt.safetensors")
        run(synth, "psg", "--epochs", "3", "-o", work / "night.bin")
        for header in headers:
            alone = work / "alone.c"
            alone.write_text(f"#include <psgvit/{header.name}>\n")
            run(cc, "-std=c11", *STRICT, f"-I{include}", "-fsyntax-only", alone)
            run(cxx, "-std=c++17", *STRICT, f"-I{include}", "-fsyntax-only", "-x", "c++", alone)

            program, source = work / header.stem, work / f"{header.stem}.c"
            source.write_text(example(header))
            run(cc, "-std=c11", *STRICT, *flags, f"-I{include}", source, "-o", program,
                f"-L{lib_dir}", "-lpsgvit", f"-Wl,-rpath,{lib_dir}")
            argument, expected = EXAMPLES[header.name]
            output = run(program, *([work / argument] if argument else []))
            if not output.strip() or not output.startswith(expected):
                sys.exit(f"{header.name}: the example printed {output!r}, expected {expected!r}")
            print(f"{header.name}: {output.splitlines()[0]}")


if __name__ == "__main__":
    main()
