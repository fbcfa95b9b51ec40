# SPDX-License-Identifier: MIT
"""The pages of the manual and the completion of bash say what the tools' --help says.

Usage: test_manual.py <folder of the tools> <folder of their sources> <tool>...
"""
import pathlib
import re
import subprocess
import sys

# Options that take one of several words; --help names them all.
WORDS = ["backend", "cohort", "format", "input-format", "isa", "layout", "nan", "outputs",
         "precision", "prep", "progress", "reref", "resample", "unit"]

faults = []


def check(ok, sentence):
    if not ok:
        faults.append(sentence)


def described(text):
    """{option: its paragraph} of a --help."""
    found, current = {}, []
    for line in text.splitlines():
        option = re.match(r" {2,6}(-\S+?)(?:, (--\S+))?(?: |$)", line)
        if option:
            current = [name for name in option.groups() if name]
            line = line[option.end():]
        elif not re.match(r" {20,}\S", line):
            current = []
        for name in current:
            found[name] = found.get(name, "") + " " + line.strip()
    return found


def check_page(tool, options, page):
    text = page.read_text()
    listed = set()
    for line in re.findall(r"^\.It Fl .*", text, re.M):
        listed |= {"-" + name for name in re.findall(r"Fl (-?[A-Za-z-]*)", line)}
    for name in options.keys() - listed:
        check(False, f"{page.name}: {name} of {tool} --help is missing")
    for name in listed - options.keys():
        check(False, f"{page.name}: {tool} has no {name}")
    flat = text.replace("\\", "")
    for name, paragraph in options.items():
        for word in set(re.findall(r"[A-Za-z0-9]{3,}", paragraph)):
            check(re.search(rf"\b{word}\b", flat, re.I), f"{page.name}: {name}: no word {word!r}")
    check(re.search(rf"^\.Dt {tool.upper()} 1$", text, re.M), f"{page.name}: wrong .Dt")
    check(re.search(rf"^\.Nm {tool}\n\.Nd .+$", text, re.M), f"{page.name}: wrong .Nm or .Nd")


def completed(script, program, *words):
    """What bash offers for the last of the words."""
    code = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _psgvit "$1"; '
            'printf "%s\\n" "${COMPREPLY[@]}"')
    out = subprocess.run(["bash", "-c", code, "bash", script, program, *words],
                         capture_output=True, text=True, check=True)
    check(not out.stderr, f"bash said {out.stderr!r}")
    return set(out.stdout.split())


def check_completion(program, options, script):
    tool = program.name
    offered = completed(script, program, "-")
    check(offered == options.keys() - {"--"},
          f"completion of {tool}: {offered ^ (options.keys() - {'--'})} differ from --help")
    check(completed(script, program, "--ver") == {"--version"}, f"completion of {tool} --ver")
    for name in WORDS:
        if f"--{name}" in options:
            said = set(re.findall(r"[A-Za-z0-9-]+", options[f"--{name}"]))
            words = completed(script, program, f"--{name}", "")
            check(words and words <= said,
                  f"completion of {tool} --{name}: --help doesn't say {words - said}")
    registered = subprocess.run(["bash", "-c", '. "$1"; complete -p "$2"', "bash", script, tool],
                                capture_output=True)
    check(registered.returncode == 0, f"the completion is not registered for {tool}")


def main():
    bin_folder, sources, tools = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    script = sources / "psgvit.bash-completion"
    for tool in tools:
        program = bin_folder / tool
        text = subprocess.run([program, "--help"], capture_output=True, text=True,
                              check=True).stdout
        options = described(text)
        check(len(options) >= 2, f"{tool} --help has no options")
        check_page(tool, options, sources / f"{tool}.1")
        check_completion(program, options, script)
    check(completed(script, bin_folder / "osf-infer", "--outputs", "cls,m") == {"cls,mean"},
          "the completion of a list")
    check("psg" in completed(script, bin_folder / "psgvit-synth", ""), "psgvit-synth without psg")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(tools)} tools, as --help says")


if __name__ == "__main__":
    main()
