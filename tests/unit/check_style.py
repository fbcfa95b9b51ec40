# SPDX-License-Identifier: MIT
"""The house rules that a program can check, over every source file of the repository; a Python file
must at least compile.

Usage: check_style.py <root of the repository>
"""
import pathlib
import re
import sys

MAX_COLUMNS = 100
MAX_FILE = 600
MAX_FUNCTION = 100
CODE = {".c", ".h", ".comp", ".glsl"}
SCRIPTS = {".py", ".sh"}

# The library never prints, ends the process, asks the environment, or changes what belongs to the
# process. tools/ may.
FORBIDDEN = re.compile(
    r"\b(printf|fprintf|vfprintf|puts|fputs|putchar|putc|fputc|perror|abort|exit|_exit|quick_exit"
    r"|assert|getenv|secure_getenv|setenv|putenv|unsetenv|setlocale|signal|sigaction|_mm_setcsr"
    r"|fesetround|fesetenv|feenableexcept|openblas_set_num_threads|goto_set_num_threads"
    r"|omp_set_dynamic|omp_set_schedule|omp_set_max_active_levels|omp_set_nested|alloca|strtok"
    r"|typeof|__typeof__)\s*\(|\b(stdout|stderr|__auto_type)\b"
)
# Owners of threads: the CPU backend, the packing of weights for a GPU, the preparation of
# recordings, and what moves a batch's signal and outputs.
OWNERS = ("cpu", "vulkan", "recording", "api/encode.c", "model/signal.c")
THREADS = re.compile(r"#\s*pragma\s+omp\s+parallel|\bomp_set_num_threads\b|\bpthread_create\b")
# Arrows point one way: which rooms of src/ a room may include.
ROOMS = {
    "base": {"base"},
    "weights": {"base", "weights"},
    "recording": {"base", "recording"},
    "ops": {"base", "ops"},
    "cpu": {"base", "ops", "cpu"},
    "vulkan": {"base", "ops", "vulkan"},
    "model": {"base", "weights", "ops", "model"},
    "api": {"base", "weights", "recording", "ops", "cpu", "vulkan", "model", "api"},
}
STRIP = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def strip(text):
    """Comments and literals become blanks; line numbers stay."""
    return STRIP.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_any(lines):
    if not any("SPDX-License-Identifier: MIT" in line for line in lines[:2]):
        yield 1, "no SPDX line at its top"
    if len(lines) > MAX_FILE:
        yield len(lines), f"{len(lines)} lines, at most {MAX_FILE} are allowed"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            yield number, f"{len(line)} columns, at most {MAX_COLUMNS} are allowed"
        if line != line.rstrip():
            yield number, "blanks at the line's end"
        if "\t" in line:
            yield number, "a tab"
        if re.search(r"\b(TO" r"DO|FIX" r"ME)\b", line):
            yield number, "something left for later"


def check_c(lines, text):
    code = strip(text).split("\n")[:-1]
    start = None
    if len(lines) < 2 or not lines[1].startswith("/*"):
        yield 2, "no paragraph that says what the file is"
    for number, line in enumerate(code, 1):
        if re.match(r"#\s*if\s+0\b", line):
            yield number, "#if 0"
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start + 1 > MAX_FUNCTION:
                yield start, f"a function of {number - start + 1} lines, at most {MAX_FUNCTION}"
            start = None


def check_library(room, name, lines, text):
    code = strip(text).split("\n")[:-1]
    for number, line in enumerate(code, 1):
        found = FORBIDDEN.search(line)
        if found:
            yield number, f"{found.group()} is not for a library"
        found = THREADS.search(line)
        if found and room not in OWNERS and f"{room}/{name}" not in OWNERS:
            yield number, f"{found.group()} belongs to {', '.join(OWNERS)}"
        include = re.match(r'#\s*include\s+"([^"/]+)(/?)', lines[number - 1])
        if not include:
            continue
        if not include.group(2):
            yield number, "includes are relative to src/"
        elif room not in ROOMS or include.group(1) not in ROOMS[room]:
            yield number, f"{room} must not include {include.group(1)}"


def check_tool(lines):
    for number, line in enumerate(lines, 1):
        include = re.match(r'#\s*include\s+"([^"]+)"', line)
        if include and "/" in include.group(1):
            yield number, "tools include only <psgvit/...> and each other's headers"


def check(root, path):
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        yield 1, "no newline at its end"
    lines = text.split("\n")[:-1]
    parts = path.relative_to(root).parts
    yield from check_any(lines)
    if path.suffix == ".py":
        compile(text, str(path), "exec")
    if path.suffix in CODE:
        yield from check_c(lines, text)
    if path.suffix in CODE and parts[0] == "src":
        yield from check_library(parts[1], path.name, lines, text)
    if path.suffix in CODE and parts[0] == "tools":
        yield from check_tool(lines)


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    files = [root / "CMakeLists.txt"]
    for folder in ("include", "src", "shaders", "tools", "tests", "scripts"):
        for path in sorted((root / folder).rglob("*")):
            known = path.suffix in CODE | SCRIPTS or path.name == "CMakeLists.txt"
            if path.is_file() and known and "__pycache__" not in path.parts:
                files.append(path)
    faults = 0
    for path in files:
        for number, what in check(root, path):
            print(f"{path.relative_to(root)}:{number}: {what}")
            faults += 1
    print(f"{len(files)} files, {faults} faults")
    return 1 if faults or len(files) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
