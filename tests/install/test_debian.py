# SPDX-License-Identifier: MIT
"""Debian's packages: built by CPack, judged by lintian where it is installed, unpacked and built
against, and installed in a clean Debian by apt, where both tools embed synthetic recordings, beside
the variant of OpenBLAS that Debian's alternatives prefer.

Usage: test_debian.py <source dir> <C compiler> <C++ compiler>
Needs root and debootstrap for the clean Debian; exits with 77 after the rest where one is missing.
"""
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import numpy

from test_install import (PROGRAM, build_with_cmake, build_with_pkg_config,
                          check_program, run)

PACKAGES = ["libpsgvit0", "libpsgvit-dev", "psgvit-tools"]
EMBEDDED = {"osf": ("osf-nano", ["psg"], (3, 128)),
            "eegpt": ("eegpt", ["eeg"], (3, 4))}
started = time.monotonic()


def say(sentence):
    print(f"{time.monotonic() - started:4.0f} s: {sentence}", flush=True)


def build_packages(source, work, cc):
    """{package: its file}; from sources as a clone has them under the umask 002."""
    build, clone = work / "packages", work / "clone"
    shutil.copytree(source, clone,
                    ignore=shutil.ignore_patterns(".*", "build*", "bench_results", "tests"))
    for file in clone.rglob("*"):
        file.chmod(file.stat().st_mode | 0o020)
    run("cmake", "-G", "Ninja", "-S", clone, "-B", build, f"-DCMAKE_C_COMPILER={cc}",
        "-DCMAKE_INSTALL_PREFIX=/usr", "-DPSGVIT_TESTS=OFF")
    run("cmake", "--build", build)
    run("cpack", "--config", build / "CPackConfig.cmake", "-B", build)
    found = {file.name.partition("_")[0]: file for file in build.glob("*.deb")}
    if sorted(found) != sorted(PACKAGES):
        sys.exit(f"cpack made {sorted(found)}")
    return found


def check_control(packages):
    def field(package, name):
        return run("dpkg-deb", "-f", packages[package], name)

    for package, wanted in (("libpsgvit0", ["libc6", "libcjson1", "libgomp1",
                                            "libopenblas0-openmp"]),
                            ("psgvit-tools", ["libpsgvit0 (=", "libssl3"]),
                            ("libpsgvit-dev", ["libpsgvit0 (="])):
        depends = field(package, "Depends")
        for name in wanted:
            if name not in depends:
                sys.exit(f"{package} depends on {depends}, without {name}")
    if "vulkan" in field("libpsgvit0", "Depends") or "vulkan" not in field("libpsgvit0",
                                                                          "Suggests"):
        sys.exit("libpsgvit0 must suggest Vulkan, and not depend on it")


def check_by_lintian(packages):
    if not shutil.which("lintian"):
        say("lintian is not installed, and not run")
        return
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning",
                           *packages.values()], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"lintian:\n{done.stdout}{done.stderr}")
    say("lintian has no error and no warning")


def check_unpacked(packages, work, cc, cxx):
    """The layout below /usr: strangers build against it."""
    root, lib = work / "unpacked", "lib/" + run(cc, "-print-multiarch").strip()
    for file in packages.values():
        run("dpkg-deb", "-x", file, root)
    for source in "program.c", "program.cpp":
        (work / source).write_text(PROGRAM)
    programs = [*build_with_cmake(work, root / "usr", cc, cxx, []),
                *build_with_pkg_config(work, root / "usr", lib, cc, cxx, [])]
    folder = f"/usr/{lib}/openblas-openmp"
    for program in programs:
        check_program(program, root / "usr", folder, "0.1.0")
    say(f"{len(programs)} programs were built against the packages")


def make_root(root):
    """A clean Debian; ends the test where there can be none."""
    release = platform.freedesktop_os_release()
    why = (f"{release['ID']}'s packages fit none" if release["ID"] != "debian" else
           "no debootstrap" if not shutil.which("debootstrap") else
           "not root" if os.getuid() else None)
    if why:
        print(f"Skipped: no clean Debian ({why}).")
        sys.exit(77)
    run("debootstrap", "--variant=minbase", release["VERSION_CODENAME"], root)
    say("debootstrap is done")


def check_in(root, packages):
    def inside(*command):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
               "LC_ALL": "C", **{k: v for k, v in os.environ.items() if k.endswith("_proxy")}}
        return run("chroot", root, *command, env=env)

    folder = root / "root"
    for package in "libpsgvit0", "psgvit-tools":
        shutil.copy(packages[package], folder / f"{package}.deb")
    inside("apt-get", "install", "-q", "-y", "--no-install-recommends",
           "/root/libpsgvit0.deb", "/root/psgvit-tools.deb")
    say("the packages are installed")
    if "openblas-pthread" in inside("sh", "-c", "ls -d /usr/lib/*/openblas-*"):
        sys.exit("apt installs the pthread variant of OpenBLAS for us")
    for model, (variant, signal, shape) in EMBEDDED.items():
        inside("psgvit-synth", variant, "-o", f"/root/{model}.safetensors")
        inside("psgvit-synth", *signal, "--epochs", "3", "-o", f"/root/{model}.bin")
        inside(f"{model}-infer", "-m", f"/root/{model}.safetensors", "-o", f"/root/{model}.npy",
               f"/root/{model}.bin")
        out = numpy.load(folder / f"{model}.npy")
        if out.shape != shape or not numpy.isfinite(out).all():
            sys.exit(f"{model}-infer wrote {out.shape}, not {shape}, or what is not finite")
    say("both tools embed")

    inside("apt-get", "install", "-q", "-y", "--no-install-recommends", "libopenblas0-pthread")
    library = inside("sh", "-c", "ls /usr/lib/*/libpsgvit.so.0").strip()
    for file in library, "/usr/bin/psgvit-bench", "/usr/bin/osf-infer":
        if "/openblas-openmp/libopenblas.so.0" not in inside("ldd", file):
            sys.exit(f"{file} loads another OpenBLAS:\n{inside('ldd', file)}")
    inside("dpkg", "--purge", "psgvit-tools", "libpsgvit0")
    left = inside("sh", "-c", "find /usr /etc /var -name '*psgvit*'")
    if left:
        sys.exit(f"purged, the packages leave\n{left}")


def main():
    source, cc, cxx = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        packages = build_packages(source, work, cc)
        say("built " + ", ".join(sorted(packages)))
        check_control(packages)
        check_by_lintian(packages)
        check_unpacked(packages, work, cc, cxx)
        make_root(work / "root")
        check_in(work / "root", packages)
        say("done")


if __name__ == "__main__":
    main()
