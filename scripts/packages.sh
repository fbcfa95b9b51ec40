# SPDX-License-Identifier: MIT
# Sourced by the scripts beside it: installs what is missing of Debian's packages, and only that.

wanted=()

# want_command COMMAND PACKAGE: wanted unless the command is there, wherever it comes from.
want_command() {
    command -v "$1" >/dev/null || [[ " ${wanted[*]} " == *" $2 "* ]] || wanted+=("$2")
}

# want_package PACKAGE...
want_package() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            wanted+=("$package")
    done
}

install_wanted() {
    [ ${#wanted[@]} -gt 0 ] || return 0
    echo "Installing: ${wanted[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "There is no sudo here. As root, run: apt-get install ${wanted[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${wanted[@]}"
    wanted=()
}

# What the library and its tools need.
want_build() {
    want_command gcc build-essential
    want_command g++ build-essential
    want_command cmake cmake
    want_command ninja ninja-build
    want_command glslangValidator glslang-tools
    want_package libc6-dev libopenblas-openmp-dev libcjson-dev libssl-dev libvulkan-dev
}
