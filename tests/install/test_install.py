# SPDX-License-Identifier: MIT
"""`cmake --install` into an empty folder, which is then moved: everything is there and finds its
libraries without an environment, and strangers build against it with CMake and with pkg-config, in
C and in C++, the shared library and the static one.

Usage: test_install.py <build dir> <C compiler> <C++ compiler> <relative library folder>
                       =<run path, or nothing> <tool,tool...> [C flag...]
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PROGRAM = """
#include <psgvit/eegpt.h>
#include <psgvit/osf.h>
#include <psgvit/recording.h>
#include <psgvit/weights.h>
#include <stdio.h>

int main(void)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    psgvit_device_params params = {sizeof params};
    params.backend = PSGVIT_BACKEND_CPU;
    if (psgvit_device_open(&device, &params, &err))
        fprintf(stderr, "%s\\n", err.message);
    psgvit_device_close(&device);
    osf_encoder *encoder = NULL; /* both models must be linked, too */
    eegpt_encoder *eegpt = NULL;
    osf_encoder_close(&encoder);
    eegpt_encoder_close(&eegpt);
    puts(psgvit_version());
    return err.code;
}
"""

PROJECT = """
cmake_minimum_required(VERSION 3.13)
project(stranger C CXX)
find_package(psgvit 0.2 QUIET)
if(psgvit_FOUND)
    message(FATAL_ERROR "0.1 offers itself as 0.2")
endif()
find_package(psgvit 0.1 REQUIRED)
foreach(language c cpp)
    add_executable(cmake_${language}_shared program.${language})
    target_link_libraries(cmake_${language}_shared PRIVATE psgvit::psgvit)
    add_executable(cmake_${language}_static program.${language})
    target_link_libraries(cmake_${language}_static PRIVATE psgvit::psgvit_static)
endforeach()
"""


def run(*command, env=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}\n"
                 f"{done.stdout}{done.stderr}")
    return done.stdout


def check_files(prefix, lib, run_path, tools):
    """What is installed, and its run path; returns the version that the tools name."""
    dynamic = run("readelf", "-d", prefix / lib / "libpsgvit.so")
    if "[libpsgvit.so.0]" not in dynamic:
        sys.exit(f"no SONAME libpsgvit.so.0 in\n{dynamic}")
    if run_path and f"[{run_path}]" not in dynamic:
        sys.exit(f"no run path {run_path} in\n{dynamic}")
    pages = [f"man1/{tool}.1" for tool in tools] + ["man3/libpsgvit.3"]
    wanted = [f"{lib}/libpsgvit.a", f"{lib}/libpsgvit.so.0", "include/psgvit/psgvit.h",
              *(f"share/man/{page}" for page in pages),
              *(f"share/bash-completion/completions/{tool}" for tool in tools)]
    for name in wanted:
        if not (prefix / name).is_file():
            sys.exit(f"{name} is not installed")
    versions = {run(prefix / "bin" / tool, "--version", env={}).split()[1] for tool in tools}
    if len(versions) != 1:
        sys.exit(f"the tools are of the versions {versions}")
    return versions.pop()


def build_with_cmake(work, prefix, cc, cxx, flags):
    (work / "CMakeLists.txt").write_text(PROJECT)
    run("cmake", "-S", work, "-B", work / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_C_COMPILER={cc}", f"-DCMAKE_CXX_COMPILER={cxx}",
        f"-DCMAKE_C_FLAGS={' '.join(flags)}", f"-DCMAKE_CXX_FLAGS={' '.join(flags)}")
    run("cmake", "--build", work / "build")
    return sorted((work / "build").glob("cmake_*_s*"))


def build_with_pkg_config(work, prefix, lib, cc, cxx, flags):
    def ask(*what):
        env = {**os.environ, "PKG_CONFIG_PATH": str(prefix / lib / "pkgconfig")}
        return run("pkg-config", *what, "psgvit", env=env).split()

    # The shared and the static library lie in one folder, where -lpsgvit is the shared one.
    shared = ask("--libs") + [f"-Wl,-rpath,{prefix / lib}"]
    static = ["-l:libpsgvit.a" if word == "-lpsgvit" else word
              for word in ask("--static", "--libs")]
    programs = []
    for compiler, standard, language in (cc, "c11", "c"), (cxx, "c++17", "cpp"):
        for kind, libs in ("shared", shared), ("static", static):
            programs.append(work / f"pkg_config_{language}_{kind}")
            run(compiler, f"-std={standard}", *flags, *ask("--cflags"),
                work / f"program.{language}", "-o", programs[-1], *libs)
    return programs


def check_program(program, prefix, run_path, version):
    if run(program, env={}).strip() != version:
        sys.exit(f"{program.name} is not of the version {version}")
    loaded = run("ldd", program, env={"PATH": os.environ["PATH"]})
    if run_path and run_path not in loaded:
        sys.exit(f"{program.name}: OpenBLAS does not come from {run_path}:\n{loaded}")
    expected = "" if program.name.endswith("static") else f"{prefix}/"
    found = [line for line in loaded.splitlines() if "libpsgvit" in line]
    if bool(found) != bool(expected) or not all(expected in line for line in found):
        sys.exit(f"{program.name} loads {found or 'no libpsgvit'}")


def main():
    build, cc, cxx, lib, run_path = (*sys.argv[1:5], sys.argv[5][1:])
    tools, flags = sys.argv[6].split(","), sys.argv[7:]
    if not shutil.which("pkg-config"):
        sys.exit("pkg-config is missing: install the package pkg-config")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        run("cmake", "--install", build, "--prefix", work / "first")
        prefix = (work / "first").rename(work / "moved here")
        version = check_files(prefix, lib, run_path, tools)
        prefix = prefix.rename(work / "moved")
        for source in "program.c", "program.cpp":
            (work / source).write_text(PROGRAM)
        programs = [*build_with_cmake(work, prefix, cc, cxx, flags),
                    *build_with_pkg_config(work, prefix, lib, cc, cxx, flags)]
        if len(programs) != 8:
            sys.exit(f"built {programs}")
        for program in programs:
            check_program(program, prefix, run_path, version)
        for file in (prefix / lib / "pkgconfig" / "psgvit.pc",
                     *(prefix / lib / "cmake" / "psgvit").iterdir()):
            if str(work) in file.read_text():
                sys.exit(f"{file.name} names the folder that it was installed into")
        print(f"installed {version}, moved, and built {len(programs)} programs against it")


if __name__ == "__main__":
    main()
