# SPDX-License-Identifier: MIT
"""OSF and EEGPT in a few lines of PyTorch each: the executable specification of what libpsgvit
computes, and the truth of the parity vectors when it is run in float64.

Both are functions of a dictionary of tensors, by the names of the checkpoint, so that nothing
stands between a file and the arithmetic. Written from the published descriptions and checked
against vectors of the authors' own code: OSF's osf/backbone/vit1d_cls.py
(yang-ai-lab/OSF-Open-Sleep-FM) and EEGPT's braindecode/models/eegpt.py (braindecode 1.8.1).

B batch, N tokens, D width, H heads, C channels, T samples, P patches in time.
"""
