# SPDX-License-Identifier: MIT
"""The scripts that need PyTorch. The whole way of both models: reference model, checkpoint,
safetensors, vectors, psgvit-parity; every form of checkpoint; and what is refused.

Usage: test_conversion.py <folder of the tools> <scripts folder>
"""
import contextlib
import datetime
import importlib
import io
import json
import os
import stat
import subprocess
import sys
import unittest
from unittest import mock

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import synthetic
import tools

sys.path.insert(0, str(tools.SCRIPTS))
from reference import eegpt, osf  # noqa: E402

OSF = {"encoder_name": "mine", "width": 64, "depth": 2, "heads": 2, "mlp_dim": 128, "num_leads": 12,
       "patch_size_time": 64, "patch_size_ch": 4, "lead_wise": 1, "seq_len": 640}
EEGPT = {"n_chans": 3, "n_times": 500, "n_outputs": 2, "embed_dim": 64, "depth": 2, "num_heads": 4,
         "chan_proj_type": "conv1d_constraint", "n_chans_target": 19, "sfreq": 256}
HEADLESS = {**EEGPT, "chan_proj_type": "none", "return_encoder_output": True}
EXPORT = "export_safetensors.py"
VECTORS = "export_parity_vectors.py"


def weights(module, config, **more):
    table = module.shapes(config)
    return {name: torch.from_numpy(value) for name, value in
            synthetic.model(table, {"seed": 3, **config, **more}).items()}


def osf_weights():
    return weights(osf, OSF)


def eegpt_weights():
    return weights(eegpt, EEGPT, chans_id=eegpt.channel_ids(EEGPT).tolist())


def encoder_weights():
    """What an original checkpoint holds of the target encoder: no ids of channels."""
    table = eegpt.shapes(HEADLESS)
    del table["chans_id"]
    return {name: torch.from_numpy(value)
            for name, value in synthetic.model(table, {"seed": 4}).items()}


def renamed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


class Conversion(tools.Case):
    def script(self, name, *args, code=0):
        """In this process, which has PyTorch loaded; what it says as a finished command."""
        out, err = io.StringIO(), io.StringIO()
        main = importlib.import_module(name[:-len(".py")]).main
        os.chdir(self.root)
        with mock.patch("sys.argv", [name, *map(str, args)]), contextlib.redirect_stdout(
                out), contextlib.redirect_stderr(err):
            status = main()
        self.assertEqual(status, code, out.getvalue() + err.getvalue())
        return subprocess.CompletedProcess(args, status, out.getvalue(), err.getvalue())

    def save(self, name, value):
        torch.save(value, self.root / name)
        return name

    def export(self, source, *args):
        """The tensors and the configuration of what comes out."""
        out = f"{source}.safetensors"
        said = self.script(EXPORT, "--input", source, "--output", out, *args).stdout
        self.tool("psgvit-inspect", "--model", out)
        with safe_open(self.root / out, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return tensors, json.loads(file.metadata()["config"]), said

    def same(self, found, expected):
        self.assertEqual(sorted(found), sorted(expected))
        for name, tensor in expected.items():
            self.assertEqual(found[name].dtype, tensor.dtype)
            self.assertTrue(torch.equal(found[name], tensor), name)

    def refused(self, words, value, *args):
        name = self.save("bad.pth", value)
        self.fails(self.script, EXPORT, 4, words, "--input", name, "--output", "x", *args)

    def whole_way(self, checkpoint):
        """As a user goes: export, vectors, parity; then a wrong weight, which must be found."""
        model, vectors = f"{checkpoint}.safetensors", f"{checkpoint}.vectors"
        for script, source, out in ((EXPORT, ("--input", checkpoint), model),
                                    (VECTORS, ("--model", model), vectors)):
            self.run_command(sys.executable, tools.SCRIPTS / script, *source, "--output", out)
        said = self.tool("psgvit-parity", "-m", model, "--vectors", vectors, "--backend", "cpu")
        print(said.stdout)
        self.assertTrue(said.stdout.endswith("\nPASS\n"))
        with safe_open(self.root / model, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata()
        name = next(name for name in tensors if name.endswith(("net.3.bias", "fc2.bias")))
        tensors[name][7] += 1e-3
        save_file(tensors, self.root / "wrong.safetensors", metadata)
        self.tool("psgvit-parity", "-m", "wrong.safetensors", "--vectors", vectors,
                  "--backend", "cpu", code=1)

    # ---- the whole way ----

    def test_osf_all_the_way(self):
        self.whole_way(self.save("osf.pth", {"state_dict": osf_weights(), "metadata": OSF}))

    def test_eegpt_all_the_way(self):
        self.save("eegpt.pth", eegpt_weights())
        (self.root / "eegpt.json").write_text(json.dumps(EEGPT))
        self.script(EXPORT, "--input", "eegpt.pth", "--config", "eegpt.json", "--output",
                    "whole.safetensors")
        self.whole_way("whole.safetensors")

    def test_signals_of_a_user(self):
        name = self.save("own.pth", {"state_dict": osf_weights(), "metadata": OSF})
        x = np.random.default_rng(1).normal(size=(6, 12, 320)).astype(np.float32) * 4
        np.save(self.root / "x.npy", x)
        self.script(VECTORS, "--model", name, "--signals", "x.npy", "--epochs", "5", "--stages",
                    "--output", "own.vectors")
        with safe_open(self.root / "own.vectors", "np") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            config = json.loads(file.metadata()["config"])
        self.assertTrue(np.array_equal(tensors["input"], np.clip(x[:5], -6, 6)))
        self.assertEqual(set(tensors), {"input", "cls", "patches", "mean", "stage.tokens",
                                        "stage.block0", "stage.block1"})
        self.assertEqual(set(config["pytorch_f32_error"]), set(tensors) - {"input"})
        self.assertEqual((config["model"], config["through"]), ("osf", "reference"))
        double = {key: value.double() for key, value in osf_weights().items()}
        truth = osf.encode(double, torch.from_numpy(tensors["input"]).double())
        for key in osf.OUTPUTS:
            self.assertTrue(np.array_equal(tensors[key], truth[key].float().numpy()))
        self.script(VECTORS, "--model", name, "--signals", "x.npy", "--no-clamp", "--output",
                    "free.vectors")
        with safe_open(self.root / "free.vectors", "np") as file:
            self.assertTrue(np.array_equal(file.get_tensor("input"), x))
        self.script(EXPORT, "--input", name, "--output", "own.safetensors")
        for vectors in ("own.vectors", "free.vectors"):
            self.tool("psgvit-parity", "-m", "own.safetensors", "--vectors", vectors,
                      "--backend", "cpu")
        for words, shape in (("12", (2, 11, 320)), ("float32", (12, 320))):
            np.save(self.root / "y.npy", np.zeros(shape, np.float32))
            self.fails(self.script, VECTORS, 3, words, "--model", name, "--signals", "y.npy",
                       "--output", "y")
        self.fails(self.script, VECTORS, 3, "No such file", "--model", name, "--signals", "no.npy",
                   "--output", "y")
        self.fails(self.script, VECTORS, 4, "vit1d_cls.py", "--model", name, "--osf-repo", ".",
                   "--output", "y")
        self.fails(self.script, VECTORS, 4, "it is osf", "--model", name, "--braindecode",
                   "--output", "y")

    # ---- forms of checkpoints ----

    def test_released_osf(self):
        name = self.save("released.pth", {"state_dict": osf_weights(), "metadata": OSF})
        tensors, config, _ = self.export(name)
        self.same(tensors, osf_weights())
        self.assertEqual(config, OSF)
        mode = stat.S_IMODE(os.stat(self.root / f"{name}.safetensors").st_mode)
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(mode, 0o666 & ~mask)
        again, config, _ = self.export(f"{name}.safetensors")
        self.same(again, osf_weights())
        self.assertEqual(config, OSF)

    def test_wrapped_osf(self):
        tensors, _, said = self.export(self.save("wrapped.pth", {"state_dict": {
            **renamed("module.backbone.", osf_weights()), "module.projector.weight":
            torch.zeros(3), "step": torch.tensor(4)}}))
        self.same(tensors, osf_weights())
        self.assertIn("module (1), step (1)", said)

    def test_views_and_doubles(self):
        given = osf_weights()
        given["norm.bias"] = given["norm.bias"].double()
        name = "block0.ff.fn.net.0.weight"
        given[name] = given[name].t().contiguous().t()
        tensors, _, _ = self.export(self.save("views.pth", {"state_dict": given}))
        self.same(tensors, osf_weights())

    def test_halves(self):
        name = self.save("half.pth", {"state_dict": osf_weights(), "metadata": OSF})
        for dtype, wanted in (("bf16", torch.bfloat16), ("f16", torch.float16)):
            tensors, _, _ = self.export(name, "--dtype", dtype)
            self.same(tensors, {key: value.to(wanted) for key, value in osf_weights().items()})
        self.script(VECTORS, "--model", "half.pth.safetensors", "--output", "half.vectors")
        self.tool("psgvit-parity", "-m", "half.pth.safetensors", "--vectors", "half.vectors",
                  "--backend", "cpu")

    def test_original_eegpt(self):
        state = {**renamed("target_encoder.", {k[15:]: v for k, v in encoder_weights().items()}),
                 **renamed("encoder.", {k[15:]: v + 1 for k, v in encoder_weights().items()}),
                 "predictor.time_embed": torch.ones(2), "predictor.norm.weight": torch.ones(2),
                 "reconstructor.norm.weight": torch.ones(2)}
        name = self.save("original.ckpt", {"state_dict": state, "epoch": 200, "loops": {"a": [1]}})
        tensors, config, said = self.export(name, "--channels", "Cz,O2,FP1")
        self.same(tensors, encoder_weights())
        self.assertEqual((config["n_chans"], config["ch_names"]), (3, ["Cz", "O2", "FP1"]))
        self.assertIn("predictor (2), reconstructor (1)", said)
        self.assertIn("encoder (30)", said)
        self.script(VECTORS, "--model", f"{name}.safetensors", "--samples", "256", "--output",
                    "original.vectors")
        self.tool("psgvit-parity", "-m", f"{name}.safetensors", "--vectors", "original.vectors",
                  "--backend", "cpu")
        said = self.script(EXPORT, "--input", name, "--output", "open.safetensors").stdout
        self.assertIn("--channels", said)
        (self.root / "three.json").write_text('{"n_chans": 3}')
        self.script(VECTORS, "--model", name, "--config", "three.json", "--samples", "256",
                    "--output", "open.vectors")
        self.tool("psgvit-parity", "-m", "open.safetensors", "-c", "three.json", "--vectors",
                  "open.vectors", "--backend", "cpu")

    def test_bare_encoder(self):
        bare = {name[len("target_encoder."):]: value for name, value in encoder_weights().items()}
        tensors, _, _ = self.export(self.save("bare.pt", bare), "--channels", "FZ,CZ")
        self.same(tensors, encoder_weights())

    def test_braindecode(self):
        (self.root / "b.json").write_text(json.dumps(EEGPT))
        tensors, config, _ = self.export(self.save("b.pt", renamed("model.", eegpt_weights())),
                                         "--config", "b.json")
        self.same(tensors, eegpt_weights())
        self.assertEqual(config, EEGPT)

    def test_hugging_face(self):
        for weights_name in ("model.safetensors", "pytorch_model.bin"):
            folder = self.root / weights_name.replace(".", "_")
            folder.mkdir()
            if weights_name.endswith("s"):
                save_file(eegpt_weights(), folder / weights_name)
            else:
                torch.save(eegpt_weights(), folder / weights_name)
            self.fails(self.script, EXPORT, 4, "config.json", "--input", folder, "--output", "x")
            names = [{"ch_name": name, "loc": [float("nan")]} for name in ("C3", "CZ", "C4")]
            (folder / "config.json").write_text(json.dumps({**EEGPT, "chs_info": names}))
            tensors, config, _ = self.export(folder.name)
            self.same(tensors, eegpt_weights())
            self.assertEqual(config["chs_info"], [{"ch_name": n} for n in ("C3", "CZ", "C4")])
        (self.root / "empty").mkdir()
        (self.root / "empty" / "config.json").write_text("{}")
        self.fails(self.script, EXPORT, 4, "pytorch_model.bin", "--input", "empty", "--output", "x")

    # ---- what is refused ----

    def test_unsafe_pickle(self):
        self.refused("tensors and plain values", {"state_dict": osf_weights(),
                                                  "day": datetime.date(2026, 1, 1)})

    def test_refusals(self):
        good = osf_weights()
        self.refused("expected a dictionary", [1])
        self.refused("neither OSF nor EEGPT", {"state_dict": {"a": torch.zeros(2)}})
        self.refused("several", {"state_dict": {**renamed("student.", good),
                                                **renamed("teacher.", good)}})
        self.refused("norm.bias is int", {"state_dict": {**good, "norm.bias": 3}})
        self.refused("norm.bias is torch.int64", {"state_dict": {
            **good, "norm.bias": torch.zeros(64, dtype=torch.int64)}})
        self.refused("norm.bias is torch.sparse_coo", {"state_dict": {
            **good, "norm.bias": torch.zeros(64).to_sparse()}})
        self.refused("NaN", {"state_dict": {**good, "norm.bias": torch.full((64,), float("nan"))}})
        self.refused("JSON", {"state_dict": good, "metadata": {"x": torch.zeros(2)}})
        self.refused("metadata", {"state_dict": good, "metadata": [1]})
        self.refused("--channels", {"state_dict": good}, "--channels", "CZ")
        self.refused("beyond the range of f16", {"state_dict": {
            **good, "norm.bias": torch.full((64,), 1e5)}}, "--dtype", "f16")
        self.refused("norm.bias is missing", {"state_dict": {
            name: tensor for name, tensor in good.items() if name != "norm.bias"}})
        self.refused("block1.ff.norm.bias is [63], expected [64]", {"state_dict": {
            **good, "block1.ff.norm.bias": torch.zeros(63)}})
        self.refused("make no OSF", {"state_dict": {**good, "cls_token": torch.zeros(64)}})
        self.refused("'to_patch_embedding.weight' is missing", {"cls_token": good["cls_token"]})
        self.fails(self.script, EXPORT, 4, "No such file", "--input", "none", "--output", "x")
        (self.root / "text").write_text("text")
        self.fails(self.script, EXPORT, 4, "not a checkpoint", "--input", "text", "--output", "x")
        (self.root / "cut").write_bytes(b"\xff" * 8 + b"{")
        self.fails(self.script, EXPORT, 4, "safetensors", "--input", "cut", "--output", "x")

    def test_contradictions(self):
        """Of tensors and configuration, which the tools would refuse in what came out."""
        for key, value in (("width", 128), ("depth", 3), ("depth", 1), ("heads", 1), ("mlp_dim", 8),
                           ("seq_len", 1920), ("num_leads", 8), ("lead_wise", 0)):
            self.refused(f"its configuration says {key} = {value}, its tensors say {OSF[key]}",
                         {"state_dict": osf_weights(), "metadata": {**OSF, key: value}})
        for said, words in (({"width": "wide"}, "says width = wide"),
                            ({"dim_head": 32}, "says dim_head = 32, its tensors say 64"),
                            ({"encoder_name": "vit_base"},
                             "says encoder_name = vit_base, its tensors say custom"),
                            ({"encoder_name": 3}, "says encoder_name = 3"),
                            ({"sample_rate": 128}, "says sample_rate = 128, its tensors say 64"),
                            ({"window_size_sec": 30},
                             "says window_size_sec = 30, its tensors say 10.0"),
                            ({"sample_rate": 128, "window_size_sec": 10},
                             "says window_size_sec = 10, its tensors say 5.0"),
                            ({"sample_rate": 0, "window_size_sec": 10}, "sample_rate is 0"),
                            ({"sample_rate": -64, "window_size_sec": -10}, "sample_rate is -64"),
                            ({"window_size_sec": "long"}, "make no OSF")):
            self.refused(words, {"state_dict": osf_weights(), "metadata": said})
        for said in ({"sample_rate": 128, "window_size_sec": 5}, {"window_size_sec": 10.0000001},
                     {"sample_rate": 64.0, "encoder_name": "osf", "dim_head": None}):
            (self.root / "o.json").write_text(json.dumps(said))
            _, config, _ = self.export(self.save("same.pth", osf_weights()), "--config", "o.json")
            self.assertEqual(config, said)
        for key, value in (("embed_dim", 32), ("n_chans", 4), ("depth", 1), ("depth", 3),
                           ("n_outputs", 3), ("n_times", 600), ("mlp_ratio", 3),
                           ("chan_proj_type", "linear"), ("n_chans_target", 18),
                           ("qkv_bias", False)):
            (self.root / "e.json").write_text(json.dumps({**EEGPT, key: value}))
            self.refused(f"its configuration says {key} = {value}, its tensors say",
                         eegpt_weights(), "--config", "e.json")
        for key, value, words in (("mlp_ratio", "high", "make no EEGPT"),
                                  ("num_heads", 3, "num_heads = 3 does not divide embed_dim = 64"),
                                  ("norm_layer", "RMSNorm", "norm_layer is RMSNorm, expected null"),
                                  ("patch_stride", None, "says n_times = 500, its tensors say")):
            (self.root / "e.json").write_text(json.dumps({**EEGPT, key: value}))
            self.refused(words, eegpt_weights(), "--config", "e.json")
        (self.root / "e.json").write_text(json.dumps({**EEGPT, "mlp_ratio": 4.001, "n_times": 510}))
        _, config, _ = self.export(self.save("same.pth", eegpt_weights()), "--config", "e.json")
        self.assertEqual((config["mlp_ratio"], config["n_times"]), (4.001, 510))

    def test_output_that_can_not_be_written(self):
        name = self.save("fine.pth", {"state_dict": osf_weights()})
        self.fails(self.script, EXPORT, 7, "No such file", "--input", name, "--output", "no/x")
        (self.root / "full").mkdir()
        self.fails(self.script, EXPORT, 7, "full", "--input", name, "--output", "full")


if __name__ == "__main__":
    unittest.main()
