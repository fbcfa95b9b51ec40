# SPDX-License-Identifier: MIT
"""README.md: every command in it is run, in one folder, in its order, on synthetic stand-ins; its C
program, its lines of CMake and its Python are built and run against an installed tree. What a test
can't run as it stands is in INSTEAD, with the reason and what is done in its stead.

Usage: test_readme.py <folder of the tools> <root of the repository> <build folder>
                      <relative library folder> <Python with PyTorch> <packages for it>
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "recording"))
from make_edf import write_edf

from harness import BIN, Case, np, st

ROOT, BUILD = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(2))
LIB, TORCH_PYTHON, TORCH_PACKAGES = (sys.argv.pop(1) for _ in range(3))
README = (ROOT / "README.md").read_text(encoding="utf-8")
LABELS = ["EKG", "Chin EMG", "L Leg", "R Leg", "Abdo", "Thor", "Nasal Pressure", "Snore", "E1-M2",
          "E2-M1", "C3-M2", "C4-M1"]
# A span in the text that begins with one of these and goes on is a command outside of the blocks.
COMMANDS = re.compile(r"(\./|scripts/|apt|pip|cmake|ctest|cpack|cc|gcc|python|osf-infer|eegpt-infer"
                      r"|psgvit-\w+)\S* \S")


def blocks():
    """[(language, text)] of the README; an indented or unnamed one would not be found as such."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)


def commands(text):
    """The commands of a block of sh: without comments, continued lines as one."""
    lines = [re.sub(r"(^|\s+)# .*$", "", line) for line in text.splitlines()]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [line.strip() for line in joined.splitlines() if line.strip()]


def presets(kind):
    whole = json.loads((ROOT / "CMakePresets.json").read_text())
    return {preset["name"] for preset in whole[f"{kind}Presets"] if not preset.get("hidden")}


class Readme(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prefix = cls.root / "prefix"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", cls.prefix], check=True,
                       stdout=subprocess.DEVNULL)
        for name, python, path in (("python", sys.executable, ""),
                                   ("torch", TORCH_PYTHON, TORCH_PACKAGES)):
            shim = cls.root / f"bin-{name}" / "python3"
            shim.parent.mkdir()
            shim.write_text(f"#!/bin/sh\nPYTHONPATH='{path}'${{PYTHONPATH:+:$PYTHONPATH}} "
                            f"exec '{python}' \"$@\"\n")
            shim.chmod(0o755)

    def environment(self, python="python"):
        return {**os.environ, "PATH": f"{self.root}/bin-{python}:{BIN}:{os.environ['PATH']}",
                "PKG_CONFIG_PATH": str(self.prefix / LIB / "pkgconfig"),
                "CMAKE_PREFIX_PATH": str(self.prefix), "LD_LIBRARY_PATH": str(self.prefix / LIB),
                "PYTHONPATH": str(self.folder / "site"), "PYTHONDONTWRITEBYTECODE": "1"}

    def shell(self, command, **more):
        python = "torch" if command.startswith("scripts/export_") else "python"
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=self.folder,
                              env={**self.environment(python), **more}, capture_output=True,
                              text=True, timeout=600, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout

    # ---- stand-ins ----

    def make_scripts(self):
        """As in the repository, but that the figures are the test's own."""
        folder = self.folder / "scripts"
        (folder / "figures").mkdir(parents=True)
        for entry in (ROOT / "scripts").iterdir():
            if entry.name not in ("figures", "python", "__pycache__"):
                (folder / entry.name).symlink_to(entry)
        shutil.copytree(ROOT / "scripts" / "python", folder / "python")

    def make_models(self):
        (self.folder / "one.json").write_text('{"depth": 1}')
        self.shell("psgvit-synth osf-base -o osf.safetensors --config one.json")
        self.shell("psgvit-synth eegpt -o model.safetensors")
        with st.safe_open("model.safetensors", "np") as file:
            (self.folder / "config.json").write_text(file.metadata()["config"])
        rng = np.random.default_rng(5)
        st.save_file({"head.weight": rng.standard_normal((5, 768), dtype=np.float32),
                      "head.bias": np.zeros(5, np.float32)}, "stages.safetensors",
                     {"labels": '["W", "N1", "N2", "N3", "R"]'})
        self.shell(f"{self.root}/bin-torch/python3 -c 'import torch, safetensors.torch as st; "
                   'torch.save({"state_dict": st.load_file("osf.safetensors"), "metadata": {}}, '
                   "\"osf_backbone.pth\")'")

    def make_recordings(self):
        rng = np.random.default_rng(6)
        self.shell("psgvit-synth psg -o night.bin --epochs 5")
        np.save("night.npy", np.fromfile("night.bin", np.float32).reshape(5, 12, 1920))
        np.save("eeg.npy", rng.standard_normal((3, 22, 1000), dtype=np.float32))
        (self.folder / "nights").mkdir()
        for name in ("night.edf", "nights/a.edf", "nights/b.edf"):
            write_edf(name, [{"label": label, "unit": "uV", "rate": 128,
                              "data": 50 * rng.standard_normal(95 * 128)} for label in LABELS])
        (self.folder / "samples.lst").write_text("".join(
            f"{name}\tnights/{name}.edf\n" for name in "ab"))

    def make_results(self):
        """Of a benchmark, with the least that charts can be drawn of."""
        folder = self.shell(f"scripts/bench_results.py begin --tools {BIN} --results bench_results "
                            "--backends cpu --settings test").strip()
        self.shell("psgvit-bench osf-nano --batch 1,2 --runs 2 --backend cpu --json | "
                   f"scripts/bench_results.py add {folder}")

    # ---- what is done in the stead of a command ----

    def script_is_sound(self, name):
        self.assertTrue(os.access(ROOT / name, os.X_OK), name)
        self.shell(f"bash -n {ROOT / name}")

    def parity_table(self):
        """The table of a small model has the README's columns; the README's own rows keep the
        promise."""
        printed = self.shell(f"scripts/parity_table.py --tools {BIN} --backend cpu osf_nano_short")
        head = printed.splitlines()[:2]
        table = re.search(r"<!-- parity -->\n(.*?)<!-- /parity -->", README, re.S)[1].splitlines()
        self.assertEqual(table[:2], head)
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in table[2:] if line.startswith("|")]
        self.assertEqual({(row[0].split(",")[0], row[2]) for row in rows}, {
            ("OSF-base", "`cls`"), ("OSF-base", "`patches`"), ("OSF-base", "`mean`"),
            ("EEGPT", "`features`"), ("EEGPT", "`logits`")})
        self.assertEqual({re.match(r"\w+", row[1])[0] for row in rows}, {"CPU", "Vulkan"})
        for _, place, _, *numbers in rows:
            mean, own_mean, largest, own_largest, cosine = map(float, numbers)
            self.assertLessEqual(cosine, 1.02e-4)
            if "f16" not in place:
                self.assertLessEqual(mean, 1.02 * max(2e-7, 1.75 * own_mean))
                self.assertLessEqual(largest, 1.02 * max(1e-6, 4 * own_largest))

    def packages(self, command):
        """Those that scripts/packages.sh installs; build-essential brings libc6-dev."""
        text = (ROOT / "scripts" / "packages.sh").read_text().split("want_build()")[1]
        wanted = set(re.findall(r"want_command \S+ (\S+)", text))
        wanted |= set(re.search(r"want_package (.*)", text)[1].split()) - {"libc6-dev"}
        self.assertEqual(set(command.split()[2:]), wanted)

    def slurm(self):
        self.script_is_sound("scripts/slurm/psgvit-array.sh")
        task = {f"SLURM_ARRAY_TASK_{key}": value for key, value in
                (("ID", "0"), ("MIN", "0"), ("STEP", "1"), ("COUNT", "1"))}
        self.shell("scripts/slurm/psgvit-array.sh osf-infer -m osf.safetensors -o slurm/ "
                   "--list samples.lst", **task, SLURM_CPUS_PER_TASK="1")
        self.assertTrue((self.folder / "slurm" / "b.safetensors").is_file())

    def parity_tests(self):
        self.assertIn("release", presets("test"))
        listed = self.shell(f"ctest --test-dir {BUILD} -N -R parity")
        self.assertGreater(len(re.findall(r"Test +#", listed)), 4, listed)

    def debian_packages(self):
        text = (ROOT / "scripts" / "packaging" / "debian.cmake").read_text()
        names = set(re.findall(r"_PACKAGE_NAME (\S+)\)", text))
        names = {name.replace("${PROJECT_VERSION_MAJOR}", "0") for name in names}
        self.assertEqual(names, {"libpsgvit0", "libpsgvit-dev", "psgvit-tools"})
        for name in names:
            self.assertIn(f"`{name}`", README)

    def imports_of_conversion(self, command):
        text = "".join((ROOT / "scripts" / f"export_{what}.py").read_text()
                       for what in ("safetensors", "parity_vectors"))
        found = set(re.findall(r"^ *(?:import|from) (\w+)", text, re.M)) - sys.stdlib_module_names
        self.assertEqual(found - {"export_safetensors", "reference", "braindecode"},
                         set(command.split()[2:]))

    # command: (why it isn't run as it stands, what is: a command, or a function of the test)
    INSTEAD = {
        "./scripts/quickstart.sh": (
            "installs packages and builds",
            lambda self, _: self.script_is_sound("scripts/quickstart.sh")),
        "./scripts/test.sh": (
            "runs this test",
            lambda self, _: self.script_is_sound("scripts/test.sh")),
        "scripts/night_figure.py": (
            "8 hours by OSF-base take minutes",
            f"scripts/night_figure.py --tools {BIN} --model osf-nano --epochs 40 --out night.png"),
        "psgvit-bench osf-base --batch 1,16": (
            "takes a minute", "psgvit-bench osf-nano --batch 1,16 --runs 1"),
        "sbatch --array=0-63 --cpus-per-task=8 scripts/slurm/psgvit-array.sh osf-infer -m "
        "osf.safetensors -o out/ --list samples.lst": (
            "needs a cluster; the test cli_slurm has one", lambda self, _: self.slurm()),
        "apt-get install build-essential cmake ninja-build libopenblas-openmp-dev libcjson-dev "
        "libssl-dev libvulkan-dev glslang-tools": (
            "changes the machine", lambda self, command: self.packages(command)),
        "cmake --preset release": (
            "this is the build under test",
            lambda self, _: self.assertIn("release", presets("configure"))),
        "cmake --build --preset release": (
            "this is the build under test",
            lambda self, _: self.assertIn("release", presets("build"))),
        "cmake --install build/release && ldconfig": (
            "setUpClass does it, elsewhere",
            lambda self, _: self.assertTrue((self.prefix / "bin" / "osf-infer").is_file())),
        "pip install ./scripts/python": (
            "fetches NumPy, and setuptools to build",
            "python3 -m pip install -q --no-deps --no-build-isolation --disable-pip-version-check "
            "--target site ./scripts/python"),
        "cmake --preset debian && cmake --build --preset debian && cpack --preset debian": (
            "the test install_debian builds them",
            lambda self, _: [self.assertIn("debian", presets(kind))
                             for kind in ("configure", "build", "package")]),
        "apt-get install ./build/debian/*.deb": (
            "changes the machine; install_debian does it in a clean one",
            lambda self, _: self.debian_packages()),
        "scripts/parity_table.py": (
            "OSF-base takes a minute", lambda self, _: self.parity_table()),
        "ctest --preset release -R parity -V": (
            "these are tests themselves", lambda self, _: self.parity_tests()),
        "scripts/bench.sh --peers": (
            "takes minutes; cli_bench_script runs it quickly",
            lambda self, _: self.script_is_sound("scripts/bench.sh")),
        "scripts/roofline.py --build build/release": (
            "takes a minute; cli_roofline runs it on a small model",
            "scripts/roofline.py --help"),
        "scripts/bench_ratios.py --tools build/release/bin": (
            "takes minutes; cli_roofline runs it with a stand-in for the peers",
            "scripts/bench_ratios.py --help"),
        "pip install torch safetensors numpy": (
            "fetches a gigabyte", lambda self, command: self.imports_of_conversion(command)),
    }

    # ---- the test ----

    def run_command(self, command):
        _, instead = self.INSTEAD.get(command, ("", command))
        if isinstance(instead, str):
            self.shell(instead)
        else:
            instead(self, command)

    def run_cmake(self, text):
        folder = self.folder / "project"
        folder.mkdir()
        (folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.13)\nproject(reader C)\n"
            f"add_executable(embed ../embed.c)\n{text}")
        self.shell("cmake -S project -B project/build && cmake --build project/build")
        self.shell("project/build/embed <night.bin >cmake.bin")

    def test_blocks(self):
        self.make_scripts()
        self.make_models()
        self.make_recordings()
        self.make_results()
        seen = []
        for language, text in blocks():
            if language == "sh":
                for command in commands(text):
                    print(command, flush=True)
                    seen.append(command)
                    self.run_command(command)
            elif language == "c":
                (self.folder / "embed.c").write_text(text)
            elif language == "cmake":
                self.run_cmake(text)
            elif language == "python":
                (self.folder / "embed.py").write_text(text + "numpy.save('python.npy', cls)\n")
            else:
                self.fail(f"a block of '{language}', which this test can't run:\n{text}")
        self.assertEqual(sorted(set(self.INSTEAD) - set(seen)), [], "no longer in the README")
        self.check_results()

    def check_results(self):
        """The C program, the same by CMake, and Python give what osf-infer gives."""
        for name in ("embeddings/a.safetensors", "embeddings/b.safetensors", "eeg.csv",
                     "night.annot", "night.html", "night.png", "out/a.safetensors",
                     "out/b.safetensors", "scripts/figures/osf_latency.png"):
            self.assertGreater(os.path.getsize(name), 0, name)
        self.assertEqual(self.tensors("night.safetensors")["cls"].shape, (3, 768))
        # The model that the scripts have converted is the one that was there before.
        self.shell("osf-infer -m osf.safetensors -o tool.npy night.bin")
        wanted = np.load("tool.npy")
        self.shell("python3 embed.py")
        for found in (np.fromfile("cls.bin", np.float32).reshape(5, 768),
                      np.fromfile("cmake.bin", np.float32).reshape(5, 768), np.load("python.npy")):
            np.testing.assert_array_equal(found, wanted)

    def test_sizes_of_the_examples(self):
        """C in about 20 lines, Python in 5; and all but the table of parity in about 200."""
        lines = {language: text.strip().count("\n") + 1 for language, text in blocks()}
        self.assertLessEqual(lines["c"], 21)
        self.assertLessEqual(lines["python"], 5)
        text = re.sub(r"<!-- parity -->.*<!-- /parity -->", "", README, flags=re.S)
        self.assertLessEqual(text.count("\n"), 210)

    def test_no_command_outside_of_blocks(self):
        text = re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S)
        for span in re.findall(r"`([^`\n]+)`", text):
            self.assertIsNone(COMMANDS.match(span), span)
        for line in text.splitlines():
            self.assertFalse(line.startswith("    "), f"an indented block: {line}")

    def test_files_that_are_named(self):
        """Links and pictures lead somewhere, the pictures are small, and each chart is shown."""
        named = set(re.findall(r'\]\((?!http)([^)#]+)\)|src="([^"]+)"', README))
        named = {a or b for a, b in named}
        for name in named:
            self.assertTrue((ROOT / name).is_file(), name)
        figures = {ROOT / name for name in named if name.startswith("scripts/figures/")}
        self.assertEqual(figures, set((ROOT / "scripts" / "figures").glob("*.png")))
        self.assertLess(sum(figure.stat().st_size for figure in figures), 600e3)
        drawn = set(re.findall(r'"((?:osf|eegpt|load|latency)_\w+)"',
                               (ROOT / "scripts" / "generate_figures.py").read_text()))
        self.assertEqual({figure.stem for figure in figures} - {"night"}, drawn)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=2)
