#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Makes shaders/spirv/, the SPIR-V of the shaders that use cooperative matrices: the glslang of
# Debian 12 and of Ubuntu 24.04 doesn't know them, so that it is committed.
#
#     scripts/spirv.sh            makes all of it; GLSLANG=program, or a glslang 16 is fetched from
#                                 crates.io and built in build/glslang (needs cargo; 2 minutes)
#     scripts/spirv.sh --check    fails if a module is not that of its source; where GLSLANG, or a
#                                 glslang 16 on the path, is at hand, makes it again to compare
set -euo pipefail
cd "$(dirname "$0")/../shaders"

modules=(attention_f16 attention_fragments_f16 attention_fragments_split attention_split
    linear_bf16 linear_f16 linear_fragments_bf16 linear_fragments_f16 linear_fragments_split
    linear_split)
flags=(-V -g0 --quiet --target-env vulkan1.1)
version=16.6.0

# What a module is made of: compiler, flags, and every source.
source_hash() {
    {
        echo "glslang $version ${flags[*]}"
        cat "$1.comp" "${1%%_*}"_*.glsl view.glsl exp.glsl operand.glsl fragments.glsl
    } | sha256sum | cut -d' ' -f1
}

# A line for each module: its name, the hash of its source, and its own.
record() {
    local module
    for module in "${modules[@]}"; do
        echo "$module $(source_hash "$module") $(sha256sum <"$1/$module.spv" | cut -d' ' -f1)"
    done
}

is_right() {
    "$1" --version 2>/dev/null | grep -q "Glslang Version: .*:$version\$"
}

make_into() {
    local module
    for module in "${modules[@]}"; do
        "$1" "${flags[@]}" -o "$2/$module.spv" "$module.comp"
    done
}

build_glslang() {
    local folder=../build/glslang
    mkdir -p "$folder/fetch/src"
    cat >"$folder/fetch/Cargo.toml" <<'EOF'
[package]
name = "fetch"
version = "0.1.0"
[dependencies]
glslang-sys = "=0.9.2"
EOF
    : >"$folder/fetch/src/lib.rs"
    (cd "$folder/fetch" && cargo vendor --quiet vendor >/dev/null)
    cmake -G Ninja -S "$folder/fetch/vendor/glslang-sys/native/glslang" -B "$folder" \
        -DCMAKE_BUILD_TYPE=Release -DENABLE_OPT=OFF -DGLSLANG_TESTS=OFF -DENABLE_HLSL=OFF >&2
    cmake --build "$folder" >&2
    echo "$folder/StandAlone/glslang"
}

check() {
    local again
    if ! record spirv | diff spirv/sources.txt - >&2; then
        echo "shaders/spirv is not that of the shaders beside it: run scripts/spirv.sh" >&2
        return 1
    fi
    if ! is_right "${GLSLANG:-glslang}"; then
        echo "sources.txt agrees; nothing made again: no glslang $version here"
        return 0
    fi
    again=$(mktemp -d)
    make_into "${GLSLANG:-glslang}" "$again"
    record "$again" | diff spirv/sources.txt - >&2
    rm -r "$again"
    echo "sources.txt agrees, and so does what glslang $version makes"
}

case "${1-}" in
"")
    glslang=${GLSLANG:-$(build_glslang)}
    is_right "$glslang" || { echo "$glslang is not glslang $version" >&2 && exit 1; }
    mkdir -p spirv
    make_into "$glslang" spirv
    record spirv >spirv/sources.txt
    ;;
--check) check ;;
*)
    echo "usage: scripts/spirv.sh [--check]" >&2
    exit 2
    ;;
esac
