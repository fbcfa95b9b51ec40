# SPDX-License-Identifier: MIT
"""`cmake --install` into an empty folder: headers, libraries and tools are there, a stranger's
program compiles against them, and everything finds its libraries without an environment.

Usage: test_install.py <build dir> <C compiler> <relative library folder> =<run path, or nothing>
                       [C flag...]
"""
import pathlib
import subprocess
import sys
import tempfile

TOOLS = ["osf-infer", "eegpt-infer", "psgvit-bench", "psgvit-inspect", "psgvit-synth"]
PROGRAM = """
#include <psgvit/osf.h>
#include <stdio.h>

int main(void)
{
    puts(psgvit_version());
    return 0;
}
"""


def run(*command, env=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}\n"
                 f"{done.stdout}{done.stderr}")
    return done.stdout


def main():
    build, cc, lib, run_path, flags = (*sys.argv[1:4], sys.argv[4][1:], sys.argv[5:])
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        prefix = work / "usr"
        run("cmake", "--install", build, "--prefix", prefix)
        shared = prefix / lib / "libpsgvit.so"
        dynamic = run("readelf", "-d", shared)
        if "[libpsgvit.so.0]" not in dynamic:
            sys.exit(f"no SONAME libpsgvit.so.0 in\n{dynamic}")
        if run_path and f"[{run_path}]" not in dynamic:
            sys.exit(f"no run path {run_path} in\n{dynamic}")
        if not (prefix / lib / "libpsgvit.a").is_file():
            sys.exit("no static library")
        empty = {"PATH": "/usr/bin:/bin"}
        versions = [run(prefix / "bin" / tool, "--version", env=empty) for tool in TOOLS]

        source, program = work / "program.c", work / "program"
        source.write_text(PROGRAM)
        run(cc, "-std=c11", *flags, f"-I{prefix}/include", source, "-o", program,
            f"-L{prefix}/{lib}", "-lpsgvit", f"-Wl,-rpath,{prefix}/{lib}")
        version = run(program, env=empty).strip()
        for tool, said in zip(TOOLS, versions):
            if version not in said:
                sys.exit(f"{tool} --version says {said!r}, the library {version!r}")
        loaded = run("ldd", program, env=empty)
        if run_path and run_path not in loaded:
            sys.exit(f"OpenBLAS does not come from {run_path}:\n{loaded}")
        print(f"installed {version}, with {', '.join(TOOLS)}")


if __name__ == "__main__":
    main()
