#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The README's picture: what osf-infer makes of a synthetic night, by a model with made-up weights.

    scripts/night_figure.py [--tools FOLDER] [--model osf-base] [--epochs 960] [--out FILE]

Above are two measures of the signal in which stages show, below is how alike the embeddings are:
the cosine of each pair of means over 5 minutes, less the night's mean. FILE is scripts/figures/
night.png, or ends in .svg. Needs numpy and matplotlib; the default takes 2 minutes on 2 cores.
"""
import argparse
import io
import pathlib
import subprocess
import sys
import tempfile

try:
    import matplotlib
    import numpy as np
except ImportError as missing:
    sys.exit(f"{missing}: night_figure.py needs numpy and matplotlib (pip install matplotlib)")
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image  # comes with matplotlib

HERE = pathlib.Path(__file__).resolve().parent
CHIN, C3 = 1, 10  # rows of an epoch
RATE = 64  # Hz
MEAN_OF = 10  # epochs of 30 s


def embed(tools, model, epochs):
    """The night [epochs, 12, 1920], its embeddings [epochs, D], and the library's version."""
    with tempfile.TemporaryDirectory(prefix="psgvit-night-") as folder:
        def tool(name, *args):
            return subprocess.run([tools / name, *args], cwd=folder, check=True, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

        tool("psgvit-synth", model, "-o", "osf.safetensors")
        tool("psgvit-synth", "psg", "-o", "night.bin", "--epochs", str(epochs))
        tool("osf-infer", "-m", "osf.safetensors", "-o", "night.npy", "--backend", "cpu",
             "night.bin")
        night = np.fromfile(f"{folder}/night.bin", np.float32).reshape(epochs, 12, -1)
        return night, np.load(f"{folder}/night.npy"), tool("osf-infer", "--version").split()[1]


def slow_waves(eeg):
    """Share of the power from 0.5 to 4 Hz, of each epoch, in percent."""
    power = np.abs(np.fft.rfft(eeg)) ** 2
    hertz = np.fft.rfftfreq(eeg.shape[1], 1 / RATE)
    return 100 * power[:, (hertz >= 0.5) & (hertz < 4)].sum(1) / power[:, hertz > 0.3].sum(1)


def likeness(embeddings):
    """Cosines [M, M] of the means of MEAN_OF epochs; a last, partial one is dropped."""
    whole = len(embeddings) // MEAN_OF * MEAN_OF
    means = (embeddings - embeddings.mean(0))[:whole].reshape(-1, MEAN_OF, embeddings.shape[1])
    means = means.mean(1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return means @ means.T


def draw(night, embeddings, caption, out):
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "psgvit"})
    hours = np.arange(len(night)) / 120
    end = len(night) / 120
    figure, (chin, waves, map_) = plt.subplots(
        3, 1, figsize=(6.4, 7.2), sharex=True, height_ratios=[1, 1, 7], layout="constrained")
    chin.plot(hours, night[:, CHIN].std(1), color="black", linewidth=0.7)
    chin.set_ylabel("chin EMG\n(deviations)", fontsize=7)
    waves.plot(hours, slow_waves(night[:, C3]), color="black", linewidth=0.7)
    waves.set_ylabel("C3, 0.5-4 Hz\n(% of power)", fontsize=7)
    cosines = likeness(embeddings)
    largest = np.abs(cosines - np.diag(np.diag(cosines))).max()
    image = map_.imshow(cosines, cmap="gray", vmin=-largest, vmax=largest, aspect="auto",
                        extent=(0, end, end, 0), interpolation="nearest")
    map_.set_xlabel("time (hours)")
    map_.set_ylabel("time (hours)")
    figure.colorbar(image, ax=map_, shrink=0.6, pad=0.02,
                    label="cosine of the embeddings, 5 minutes each")
    figure.supxlabel(caption, fontsize=6.5, x=0.01, ha="left", color="#333333")
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".svg":
        figure.savefig(out, metadata={"Date": None})
    else:
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=120)
        Image.open(drawn).convert("L").save(out, optimize=True)
    print(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=pathlib.Path, metavar="FOLDER",
                        default=HERE.parent / "build/release/bin")
    parser.add_argument("--model", default="osf-base")
    parser.add_argument("--epochs", type=int, default=960)
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE",
                        default=HERE / "figures/night.png")
    args = parser.parse_args()
    if args.epochs < 4 * MEAN_OF:
        parser.error(f"--epochs: expected at least {4 * MEAN_OF}, found {args.epochs}")
    try:
        night, embeddings, version = embed(args.tools.resolve(), args.model, args.epochs)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"night_figure.py: {error}")
    draw(night, embeddings, f"osf-infer {version}, {args.model}: synthetic weights, synthetic "
         "night. What is alike in the signal\nis alike in the embeddings, though such weights know "
         "nothing of sleep.", args.out)


if __name__ == "__main__":
    main()
