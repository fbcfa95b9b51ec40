#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Measures everything that the charts show, and draws them: OSF by batch, variant and number of
# channels, EEGPT by channels and samples, loading, and memory. Weights and signals are synthetic.
# Numbers are worth something on a quiet machine alone.
#
#     scripts/bench.sh            what this machine has: the CPU, and a GPU if there is one; under
#                                 6 minutes on 2 cores
#     scripts/bench.sh --peers    also what a user would run instead, as far as it is there:
#                                 PyTorch, ONNX Runtime, OpenVINO, the crates osf-rs and eegpt-rs;
#                                 takes longer. --peers=pytorch,osf-rs=PROGRAM names some of them;
#                                 bench_peers.py tells more. Beside Vulkan it is PyTorch by CUDA
#     scripts/bench.sh --quick    tiny models, 3 runs: shows that it works, in seconds
#
#     --backend LIST     cpu, vulkan, or cpu,vulkan
#     --precision LIST   f32 (default), f16, bf16: each has to be there on every backend named
#     --runs N           timed runs of a row (default 15); 4 N for the chart of the distribution, a
#                        third (3 at least) for batches above 8
#     --threads N        CPU threads, of the peers too (default: what OpenMP would use)
#     --osf-repo FOLDER  a clone of OSF's own code, which the peers then run in place of reference/
#     --tools FOLDER     run the tools that lie there, build nothing
#     --results FOLDER   where results go (default bench_results)
#     --no-figures       measure alone; scripts/generate_figures.py FOLDER... draws, here or
#                        elsewhere, also several machines' results as one
#
# It writes bench_results/<time>_<cpu>_<gpu>/: machine.json, results.json (rows of psgvit-bench, and
# of the peers with the field `peer`) and the charts. PYTHON names the Python; else build/venv's
# is taken, else python3. It needs matplotlib for the charts alone.
set -euo pipefail
exec </dev/null
here=$(cd "$(dirname "$0")" && pwd)

usage() {
    echo "bench.sh: $1" >&2
    sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
}

backends="" precisions=f32 runs="" threads="" osf_repo="" tools="" results=bench_results
peers="" quick=no figures=yes
while [ $# -gt 0 ]; do
    case $1 in
    --peers) peers=all ;;
    --peers=?*) peers=${1#*=} ;;
    --quick) quick=yes ;;
    --no-figures) figures=no ;;
    --backend | --precision | --runs | --threads | --osf-repo | --tools | --results)
        [ $# -ge 2 ] || usage "$1: its value is missing"
        case $1 in
        --backend) backends=$2 ;;
        --precision) precisions=$2 ;;
        --runs) runs=$2 ;;
        --threads) threads=$2 ;;
        --osf-repo) osf_repo=$(realpath -- "$2") ;;
        --tools) tools=$(realpath -- "$2") ;;
        --results) results=$2 ;;
        esac
        shift
        ;;
    *) usage "unknown option '$1'" ;;
    esac
    shift
done
case $quick in
yes) runs=${runs:-3} ;;
no) runs=${runs:-15} ;;
esac
for number in "$runs" "${threads:-1}"; do
    [[ $number =~ ^[1-9][0-9]{0,3}$ ]] || usage "expected a number from 1 to 9999, found '$number'"
done
[[ ${backends:-cpu} =~ ^(cpu|vulkan|cpu,vulkan|vulkan,cpu)$ ]] ||
    usage "--backend: expected cpu, vulkan or cpu,vulkan, found '$backends'"
[[ $precisions =~ ^(f32|f16|bf16)(,(f32|f16|bf16))*$ ]] ||
    usage "--precision: expected f32, f16 or bf16, found '$precisions'"

results=$(realpath -m -- "$results")
cd "$here/.."
python=${PYTHON-}
if [ -z "$python" ]; then
    python=python3
    [ ! -x build/venv/bin/python ] || python=build/venv/bin/python
fi
if [ "$figures" = yes ] && ! "$python" -c 'import matplotlib' 2>/dev/null; then
    echo "$python has no matplotlib, which draws the charts: install it (pip install matplotlib)," \
        "name another Python (PYTHON=...), or give --no-figures" >&2
    exit 1
fi
if [ -z "$tools" ]; then
    . scripts/packages.sh
    want_build
    install_wanted
    cmake --preset release -DCMAKE_COMPILE_WARNING_AS_ERROR=OFF >/dev/null
    cmake --build --preset release -j "$(nproc)" --target psgvit-bench osf-infer -- --quiet
    tools=$PWD/build/release/bin
fi

record() { "$python" scripts/bench_results.py "$@"; }

backends=${backends:-$(record backends --tools "$tools")}

# Where there are peers, BACKEND/PRECISION each. That there are none at all is an error.
declare -A place=([cpu]=cpu [vulkan]=gpu)
beside=""
for backend in ${peers:+${backends//,/ }}; do
    for precision in ${precisions//,/ }; do
        echo "Peers by ${place[$backend]}, $precision:" >&2
        if "$python" scripts/bench_peers.py --list --backend "${place[$backend]}" \
            --precision "$precision" --peers "$peers" --tools "$tools"; then
            beside+=" $backend/$precision "
        fi
    done
done
if [ -n "$peers" ] && [ -z "$beside" ]; then
    exit 1
fi
folder=$(record begin --tools "$tools" --results "$results" --backends "$backends" \
    --settings "$precisions, $runs runs, quick: $quick, peers: ${peers:-none}")

# measure BACKEND PRECISION RUNS MODELS BATCHES [OPTION...]
measure() {
    local backend=$1 precision=$2 count=$3 models=$4 batches=$5
    shift 5
    printf '%4d s  %s %s: %s, batches %s %s\n' "$SECONDS" "$backend" "$precision" "$models" \
        "$batches" "$*" >&2
    "$tools/psgvit-bench" "$models" --batch "$batches" --runs "$count" --backend "$backend" \
        --precision "$precision" ${threads:+--threads "$threads"} --json "$@" |
        record add "$folder"
}

# peer BACKEND PRECISION MODELS BATCHES
peer() {
    printf '%4d s  peers by %s %s: %s, batches %s\n' "$SECONDS" "${place[$1]}" "$2" "$3" "$4" >&2
    "$python" scripts/bench_peers.py "$3" --batch "$4" --runs "$runs" --backend "${place[$1]}" \
        --precision "$2" --peers "$peers" --tools "$tools" \
        ${threads:+--threads "$threads"} ${osf_repo:+--osf-repo "$osf_repo"} |
        record add "$folder"
}

osf=osf-base
small=osf-nano,osf-tiny,osf-small,osf-middle
batches=2,4,8
active=(2 4 6 8 10)
eegpt=eegpt:4x1000,eegpt:8x1000,eegpt:16x1000,eegpt:32x1000,eegpt:64x1000
eegpt+=,eegpt:22x500,eegpt:22x2000,eegpt:22x4000,eegpt:22x8000
one=eegpt:22x1000
if [ "$quick" = yes ]; then
    osf=osf-nano small=osf-tiny batches=2,4 active=(2 6)
    eegpt=eegpt:4x1000:1,eegpt:22x2000:1 one=eegpt:22x1000:1
fi
few=$(((runs + 2) / 3 > 3 ? (runs + 2) / 3 : 3))

for backend in ${backends//,/ }; do
    case $quick,$backend in
    yes,*) large="" theirs="" ;;
    no,cpu) large=16,32 theirs=16 ;; # OSF-base computes 16 GFLOP an epoch
    no,vulkan) large=16,32,64,128,256 theirs=$large ;;
    esac
    for precision in ${precisions//,/ }; do
        measure "$backend" "$precision" $((4 * runs)) "$osf,$one" 1
        measure "$backend" "$precision" "$runs" "$osf" "$batches"
        [ -z "$large" ] || measure "$backend" "$precision" "$few" "$osf" "$large"
        measure "$backend" "$precision" "$runs" "$small,$eegpt" 1
        for channels in "${active[@]}"; do
            measure "$backend" "$precision" "$runs" "$osf" 1 --channels "$channels"
        done
        [[ $beside == *" $backend/$precision "* ]] || continue
        peer "$backend" "$precision" "$osf" "1,$batches${theirs:+,$theirs}"
        peer "$backend" "$precision" "$small,$eegpt,$one" 1
    done
done

if [ "$figures" = yes ]; then
    "$python" scripts/generate_figures.py "$folder"
fi
echo "$folder ($SECONDS s)"
