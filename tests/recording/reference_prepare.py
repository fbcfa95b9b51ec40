# SPDX-License-Identifier: MIT
"""The presets once more, in the libraries that made the training data: MNE-Python, pandas, SciPy.
Signals are physical values, as pyedflib and MNE read them. Slow, whole nights in memory: for tests.
"""
import mne
import numpy as np
import pandas as pd
from scipy import signal as sps

LEADS = ("ECG EMG_Chin EMG_LLeg EMG_RLeg ABD THX NP SN EOG_E1_A2 EOG_E2_A1 EEG_C3_A2 "
         "EEG_C4_A1").split()
TARGET = {"ECG": 128, "ABD": 8, "THX": 8, "NP": 8, "SN": 32}
NIGHT = 12 * 3600


def target_of(lead):
    return TARGET.get(lead, 64)


def grid_of(x, rate, lead):
    """Steps 2 to 5 of OSF's recipe on one signal at a whole number of Hz: a Series whose index is
    in seconds."""
    target, muscle = target_of(lead), lead.startswith("EMG")
    low_pass = target / 2 if rate > target else None
    if low_pass or muscle:
        x = mne.filter.filter_data(np.array(x, float)[np.newaxis], sfreq=rate,
                                   l_freq=10 if muscle else None, h_freq=low_pass, method="fir",
                                   phase="zero-double", verbose="error")[0]
    series = pd.Series(x, index=np.arange(len(x)) / rate)
    real = pd.Index(np.arange(0, int(len(x) / rate) + 1e-9, 1 / target)[1:])
    most = pd.Index(np.arange(0, NIGHT + 1e-9, 1 / target)[1:])
    index = real if len(real) < len(most) else most
    joined = series.to_frame().join(pd.DataFrame(index=index), how="outer")
    return joined.interpolate(method="linear", limit_direction="both").loc[index][0]


def normalised(series):
    """Step 7, in pandas' own float32."""
    frame = series.astype(np.float32).to_frame()
    return ((frame - frame.mean()) / frame.std())[0]


def osf_train(leads, seconds, samples=1920):
    """leads: {lead: (x, rate) or (plus, plus_rate, minus, minus_rate)}. Epochs [E, 12, T]."""
    length = samples // 64
    epochs = int(min(seconds, NIGHT) // length)
    out = np.zeros((epochs, len(LEADS), samples), np.float32)
    for row, lead in enumerate(LEADS):
        if lead not in leads:
            continue
        given = leads[lead]
        series = grid_of(given[0], given[1], lead)
        if len(given) == 4:
            series = (series.astype(np.float32) -
                      grid_of(given[2], given[3], lead).astype(np.float32))
        series = normalised(series)
        if not np.isfinite(series.to_numpy()).any():
            continue
        for epoch in range(epochs):
            start = float(epoch * length)
            cut = series.iloc[slice(*series.index.searchsorted([start, start + length]))]
            index = np.arange(start, start + length, 1 / 64)
            cut = cut.reindex(index).interpolate(method="linear", limit_direction="both")
            out[epoch, row] = cut.fillna(0.0).to_numpy()
    return out


def nearest(x, samples):
    """torch.nn.functional.interpolate(mode='nearest') over the last axis."""
    scale = np.float32(x.shape[-1]) / np.float32(samples)
    index = np.floor(np.arange(samples, dtype=np.float32) * scale).astype(int)
    return x[..., np.minimum(index, x.shape[-1] - 1)]


def windows(x, rate, seconds, stride):
    """[C, L] cut into [E, C, seconds * rate]."""
    length = round(seconds * rate)
    count = int((x.shape[1] / rate - seconds) // stride) + 1
    return np.stack([x[:, round(e * stride * rate):][:, :length] for e in range(count)])


def eegpt_pretrain(x, rate, samples, stride):
    """x [C, L] in uV. In the reference: average reference, nearest, mV."""
    cut = windows(x, rate, samples / 256, stride)
    return nearest(cut - cut.mean(-2, keepdims=True), samples) / 1e3


def eegpt_sleep(x, rate, samples, stride):
    """Low-pass at 30 Hz, z-score of each window, average reference, nearest."""
    x = mne.filter.filter_data(np.array(x, float), rate, None, 30, verbose="error")
    cut = windows(x, rate, samples / 256, stride)
    cut = (cut - cut.mean(-1, keepdims=True)) / cut.std(-1, keepdims=True)
    return nearest(cut - cut.mean(-2, keepdims=True), samples)


def eegpt_p300(x, rate):
    """The low-pass alone, in mV: at the source's rate."""
    return mne.filter.filter_data(np.array(x, float), rate, None, 120, method="iir",
                                  verbose="error") / 1e3


def eegpt_tueg(x, rate):
    """The filters alone, in uV / 100: at the source's rate."""
    x = mne.filter.filter_data(np.array(x, float), rate, 0.1, 75 if rate > 150 else None,
                               verbose="error")
    return mne.filter.notch_filter(x, rate, 50.0, verbose="error") / 100


def clean_band(lead, rate):
    """Hz: high-pass and low-pass edges of osf-clean, whose low-pass is none where they are 0."""
    keep = min(target_of(lead), 64) / 2
    return (10 if lead.startswith("EMG") else 0), (keep if rate / 2 > keep else 0)


def resampled(x, rate, target):
    """Band-limited, by SciPy's own polyphase filter."""
    divisor = np.gcd(rate, target)
    return sps.resample_poly(x, target // divisor, rate // divisor, padtype="line")
