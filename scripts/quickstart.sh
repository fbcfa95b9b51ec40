#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# From a fresh clone to embeddings: installs what is missing, builds, makes a synthetic night and
# synthetic models, and runs both tools over them. Everything it makes lies in build/; run it as
# often as you like.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
. scripts/packages.sh

bin=build/release/bin
demo=build/quickstart
night_epochs=120 # an hour of the night
windows=20       # about 80 s of EEG

say() { printf '\n== %s\n' "$*"; }
show() {
    printf '$ %s\n' "$*" >&2
    "$@"
}
# rate FILE: epochs a second, from a tool's report.
rate() {
    local value
    value=$(sed -nE 's/.*"epochs_per_s": *([0-9.eE+-]+).*/\1/p' "$1" | head -n 1)
    LC_ALL=C printf '%.1f' "$value"
}

say "What is needed"
want_build
install_wanted
echo "All there."

say "Building into build/release"
cmake --preset release -DPSGVIT_TESTS=OFF -DCMAKE_COMPILE_WARNING_AS_ERROR=OFF >/dev/null
cmake --build --preset release -j "$(nproc)" -- --quiet

say "Synthetic data: models with made-up weights, a night and an EEG of made-up signals"
mkdir -p "$demo"
show $bin/psgvit-synth osf-base -o $demo/osf-synthetic.safetensors
show $bin/psgvit-synth eegpt -o $demo/eegpt-synthetic.safetensors
show $bin/psgvit-synth psg --epochs $night_epochs -o $demo/night.bin
show $bin/psgvit-synth eeg --epochs $windows -o $demo/eeg.bin

say "OSF: one embedding for each 30 s of the night"
show $bin/osf-infer -m $demo/osf-synthetic.safetensors -o $demo/night.safetensors --json \
    $demo/night.bin >$demo/night.json
say "EEGPT: features of each window of the EEG"
show $bin/eegpt-infer -m $demo/eegpt-synthetic.safetensors -o $demo/eeg.safetensors \
    --outputs features --json $demo/eeg.bin >$demo/eeg.json

say "Done"
cat <<TEXT
OSF-base embedded $night_epochs epochs ($((night_epochs / 2)) minutes of 12-channel polysomnography)
    at $(rate $demo/night.json) epochs a second: $demo/night.safetensors
EEGPT embedded $windows windows of 22 channels
    at $(rate $demo/eeg.json) windows a second: $demo/eeg.safetensors
What is in such a file: $bin/psgvit-inspect $demo/night.safetensors
The tools' own reports: $demo/night.json $demo/eeg.json

THE WEIGHTS OF THIS DEMONSTRATION ARE SYNTHETIC: random numbers of the right shapes. The embeddings
above say how fast it is, and nothing about sleep. The real weights:
  OSF    download osf_backbone.pth from https://huggingface.co/yang-ai-lab/OSF-Base, then
         pip install torch safetensors numpy
         scripts/export_safetensors.py --input osf_backbone.pth --output osf.safetensors
         $bin/osf-infer -m osf.safetensors -o night.safetensors night.bin
  EEGPT  download model.safetensors and config.json from
         https://huggingface.co/braindecode/eegpt-pretrained, then
         $bin/eegpt-infer -m model.safetensors -c config.json -o eeg.safetensors eeg.bin
The signals they want: 12 channels at 64 Hz, z-scored, for OSF; EEG at 256 Hz for EEGPT.
TEXT
