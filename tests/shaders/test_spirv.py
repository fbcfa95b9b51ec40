# SPDX-License-Identifier: MIT
"""The shaders as SPIR-V: every module that was built or committed is valid, has its labels in the
library, and needs nothing but what it may.

test_spirv.py SOURCE_FOLDER SPIRV_FOLDER...
"""
import pathlib
import re
import subprocess
import sys

from spirv_tools import tool

# What a device may lack: only the shaders of cooperative matrices may ask for it.
COMMON = {"Shader"}
F16 = {"Float16", "GroupNonUniform", "VulkanMemoryModel", "CooperativeMatrixKHR"}
BF16 = {"BFloat16TypeKHR", "BFloat16CooperativeMatrixKHR", "GroupNonUniform", "VulkanMemoryModel",
        "CooperativeMatrixKHR"}
VOTE, SHUFFLE = {"GroupNonUniformVote"}, {"GroupNonUniformShuffle"}
MATRIX = {"linear_f16": F16, "linear_bf16": BF16, "linear_split": F16,
          "linear_fragments_f16": F16 | VOTE, "linear_fragments_bf16": F16 | BF16 | VOTE,
          "linear_fragments_split": F16 | VOTE, "attention_f16": F16, "attention_split": F16,
          "attention_fragments_f16": F16 | SHUFFLE,
          "attention_fragments_split": F16 | SHUFFLE | VOTE}
EVERY_BINDING = 4
MATRIX_BINDINGS = 5
MOST_CONSTANTS = 16


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def check(path):
    run(tool("spirv-val"), "--target-env", "vulkan1.1", path)
    text = run(tool("spirv-dis"), "--raw-id", path)
    capabilities = set(re.findall(r"OpCapability (\w+)", text))
    allowed = COMMON | MATRIX.get(path.stem, set())
    assert capabilities <= allowed, f"{path.name} needs {capabilities - allowed}"
    bindings = {int(b) for b in re.findall(r"OpDecorate \S+ Binding (\d+)", text)}
    assert bindings == set(range(len(bindings))), f"{path.name} has bindings {bindings}"
    most = MATRIX_BINDINGS if path.stem in MATRIX else EVERY_BINDING
    assert len(bindings) <= most, f"{path.name} has bindings {bindings}"
    constants = {int(c) for c in re.findall(r"OpDecorate \S+ SpecId (\d+)", text)}
    assert constants and max(constants) < MOST_CONSTANTS, f"{path.name}: constants {constants}"


def main():
    sources = {p.stem for p in pathlib.Path(sys.argv[1]).glob("*.comp")}
    modules = [p for folder in sys.argv[2:] for p in sorted(pathlib.Path(folder).glob("*.spv"))]
    assert {p.stem for p in modules} == sources, f"{modules} are not the modules of {sources}"
    for path in modules:
        check(path)
    print(f"{len(modules)} modules are valid")


main()
