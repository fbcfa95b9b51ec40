# SPDX-License-Identifier: MIT
"""INPUT: raw, NPY, pipes, layouts; what is wrong with one is exit code 3 and a sentence that names
it. Also the model's faults (4), non-finite samples, and requests that are too large."""
import json
import os
import resource
import shutil
import subprocess
import unittest

from harness import BIN, CONFIG, SANITIZED, Case, main, np, npy


class Inputs(Case):
    def test_formats_agree(self):
        """The same night by every way in gives the same embeddings, bit by bit."""
        expected = self.cls()
        self.assertEqual(expected.shape, (3, 128))
        np.save("night.npy", self.night)
        shutil.copy("night.npy", "npy_inside.dat")
        whole = np.ascontiguousarray(self.night.transpose(1, 0, 2).reshape(12, -1))
        whole.tofile("whole.bin")
        np.save("whole.npy", whole)
        shutil.copy("night.bin", "raw.npy")
        for args in [["night.npy"], ["npy_inside.dat"], ["whole.npy"],
                     ["--layout", "channels", "whole.bin"], ["--layout", "channels", "whole.npy"],
                     ["--layout", "epochs", "night.npy"], ["--layout", "epochs", "night.bin"],
                     ["--input-format", "raw", "raw.npy"], ["--samples", "1920", "night.bin"],
                     ["--input-format", "npy", "npy_inside.dat"]]:
            np.testing.assert_array_equal(self.cls(*args), expected, err_msg=str(args))
        for name in "night.bin", "night.npy", "whole.npy":
            with open(name, "rb") as f:
                np.testing.assert_array_equal(self.cls("-", stdin=f), expected)
            with subprocess.Popen(["cat", name], stdout=subprocess.PIPE) as cat:
                np.testing.assert_array_equal(self.cls("-", stdin=cat.stdout), expected)
        os.mkfifo("pipe")
        with subprocess.Popen("cat night.bin > pipe", shell=True):
            np.testing.assert_array_equal(self.cls("pipe"), expected)

    def test_byte_counts(self):
        for size in 1, 4, 92159, 92161, 200000:
            with open("x.bin", "wb") as f:
                f.write(b"\0" * size)
            self.infer_fails(3, ["x.bin", "multiple of 92160 bytes", f"found {size} bytes"], "-o",
                             "o.npy", "x.bin")
            with open("x.bin", "rb") as f:
                self.infer_fails(3, ["standard input", f"found {size} bytes"], "-o", "o.npy", "-",
                                 stdin=f)
        self.infer_fails(3, ["x.bin", "multiple of 48 bytes"], "--layout", "channels", "-o",
                         "o.npy", "x.bin")

    def test_too_short(self):
        open("empty.bin", "wb").close()
        self.infer_fails(3, ["empty.bin", "at least one epoch"], "-o", "o.npy", "empty.bin")
        self.infer_fails(3, "standard input", "-o", "o.npy", "-")
        np.zeros((12, 1919), "<f4").tofile("short.bin")
        self.infer_fails(3, ["short.bin", "1920", "1919"], "--layout", "channels", "-o", "o.npy",
                         "short.bin")
        np.save("none.npy", np.zeros((0, 12, 1920), "<f4"))
        self.infer_fails(3, ["none.npy", "at least one epoch"], "-o", "o.npy", "none.npy")

    def test_dropped(self):
        whole = self.night.transpose(1, 0, 2).reshape(12, -1)
        longer = np.concatenate([whole, np.ones((12, 7), "<f4")], axis=1)
        np.save("longer.npy", longer)
        np.ascontiguousarray(longer).tofile("longer.bin")
        for args in ["longer.npy"], ["--layout", "channels", "longer.bin"]:
            p = self.infer("--json", "-o", "o.safetensors", *args)
            self.assertRegex(p.stderr, rf"warning: {args[-1]}: the last 7 samples")
            self.assertEqual(json.loads(p.stdout)["inputs"][0]["dropped_samples"], 7)
            np.testing.assert_array_equal(self.tensors("o.safetensors")["cls"], self.cls())
        self.assertEqual(self.infer("-q", "-o", "o.safetensors", "longer.npy").stderr, "")

    def test_names(self):
        for name in "x.npy", "x.edf", "x.bdf", "X.NPY":
            shutil.copy("night.bin", name)
            self.infer_fails(3, [name, "by its name"], "-o", "o.csv", name)
            self.cls("--input-format", "raw", name)
        self.infer_fails(3, "is no NPY file", "--input-format", "npy", "-o", "o.csv", "night.bin")
        self.infer_fails(3, ["night.bin", "EDF"], "--input-format", "edf", "-o", "o.csv",
                         "night.bin")
        for head in b"0       ", b"\xffBIOSEMI":
            with open("x.bin", "wb") as f:
                f.write(head + b" " * 92152)
            self.infer_fails(3, ["x.bin", "duration of a data record"], "-o", "o.csv", "x.bin")

    def test_npy(self):
        for words, array, changes in [
                ("'>f4'", self.night, {"descr": ">f4"}),
                ("'<f8'", self.night.astype("<f8"), {"descr": "<f8"}),
                ("'<i2'", self.night.astype("<i2"), {"descr": "<i2"}),
                ("C order", self.night, {"fortran_order": True}),
                ("12 channels, found 11", self.night[:, :11], {}),
                ("12 channels, found 3", self.night[:, 0], {}),
                ("found 1", self.night.ravel(), {}),
                ("found 4", self.night[None], {}),
                ("multiple of 64", self.night[:, :, :1000], {}),
                ("at most 1920", np.zeros((1, 12, 1984), "<f4"), {}),
                ("needs 368640 bytes", self.night, {"shape": (4, 12, 1920)}),
                ("needs 184320 bytes", self.night, {"shape": (2, 12, 1920)}),
                ("overflows", self.night, {"shape": (2**62, 12, 1920)})]:
            npy("x.npy", np.ascontiguousarray(array), **changes)
            self.infer_fails(3, ["x.npy", words], "-o", "o.csv", "x.npy")
        np.save("x.npy", self.night)
        with open("x.npy", "rb") as f:
            data = f.read()
        for size in 6, 8, 9, 50, 127, len(data) - 1:
            with open("x.npy", "wb") as f:
                f.write(data[:size])
            self.infer_fails(3, "x.npy", "-o", "o.csv", "x.npy")

    def test_layouts(self):
        np.save("night.npy", self.night)
        np.save("whole.npy", self.night[0])
        self.infer_fails(3, ["night.npy", "layout"], "--layout", "channels", "-o", "o.csv",
                         "night.npy")
        self.infer_fails(3, ["whole.npy", "--layout epochs"], "--layout", "epochs", "-o", "o.csv",
                         "whole.npy")

    def test_samples(self):
        for samples, words in (100, "multiple of 64"), (1984, "at most 1920"), (1 << 30, "1920"):
            self.infer_fails(3, ["--samples", words, str(samples)], "--samples", samples, "-o",
                             "o.csv", "night.bin")
            self.infer_fails(3, "--samples", "--samples", samples, "-o", "d/", "a.bin", "b.bin")
        self.infer("--samples", "640", "--outputs", "patches", "-o", "o.npy", "night.bin")
        self.assertEqual(np.load("o.npy").shape, (9, 30, 128))
        np.save("short.npy", self.night[:, :, :640])
        self.infer("--outputs", "patches", "-o", "o.npy", "short.npy")
        self.assertEqual(np.load("o.npy").shape, (3, 30, 128))
        os.unlink("o.npy")
        self.infer_fails(3, ["short.npy", "1920", "640"], "--samples", "1920", "-o", "o.npy",
                         "short.npy")

    def test_unreadable(self):
        os.mkdir("folder")
        self.infer_fails(3, ["folder", "found a folder"], "-o", "o.csv", "folder")
        self.infer_fails(3, ["missing", "No such file"], "-o", "o.csv", "missing")
        self.infer_fails(3, ["night.bin/x", "Not a directory"], "-o", "o.csv", "night.bin/x")
        self.infer_fails(3, ["/dev/zero", "device"], "-o", "o.csv", "/dev/zero")
        self.infer_fails(3, "standard input", "-o", "o.csv", "-", stdin=None,
                         preexec_fn=lambda: os.close(0))
        if os.geteuid() != 0:
            os.chmod("night.bin", 0)
            self.infer_fails(3, ["night.bin", "denied"], "-o", "o.csv", "night.bin")


class Eegpt(Case):
    def test_geometry(self):
        self.eegpt_infer("-o", "o.safetensors", "eeg.bin")
        logits = self.tensors("o.safetensors")["logits"]
        self.assertEqual(logits.shape, (5, 4))
        for args in [["--channels", 3], ["--samples", 128], ["--channels", 3, "--samples", 128]]:
            self.eegpt_infer("-o", "o.safetensors", *args, "eeg.bin")
            np.testing.assert_array_equal(self.tensors("o.safetensors")["logits"], logits)
        self.eegpt_fails(3, ["--channels 4", "3 channels"], "--channels", 4, "-o", "o.npy",
                         "eeg.bin")
        self.eegpt_fails(3, ["--samples 63", "64"], "--samples", 63, "-o", "o.npy", "eeg.bin")
        self.eegpt_fails(3, ["--samples 192", "5 patches", "3"], "--samples", 192, "-o", "o.npy",
                         "eeg.bin")
        np.save("long.npy", np.zeros((2, 3, 192), "<f4"))
        self.eegpt_fails(3, ["long.npy", "5 patches"], "-o", "o.npy", "long.npy")
        self.eegpt_infer("--outputs", "features", "-o", "o.npy", "long.npy")
        self.assertEqual(np.load("o.npy").shape, (2, 5, 4, 64))
        os.unlink("o.npy")
        np.save("none.npy", np.zeros((2, 3, 0), "<f4"))
        self.eegpt_fails(3, ["none.npy", "found 0"], "-o", "o.npy", "none.npy")
        np.save("four.npy", np.zeros((2, 4, 128), "<f4"))
        self.eegpt_fails(3, ["four.npy", "3 channels, found 4"], "-o", "o.npy", "four.npy")

    def test_default_outputs(self):
        self.eegpt_infer("-o", "o.safetensors", "eeg.bin", model=self.headless)
        self.assertEqual(list(self.tensors("o.safetensors")), ["features"])
        os.unlink("o.safetensors")
        self.eegpt_fails(4, ["headless.safetensors", "probe"], "--outputs", "logits", "-o", "o.csv",
                         "eeg.bin", model=self.headless)
        self.eegpt_fails(4, ["headless.safetensors", "probe"], "--outputs", "features,logits", "-o",
                         "o.json", "eeg.bin", model=self.headless)
        self.eegpt_fails(4, ["headless.safetensors", ".csv"], "-o", "o.csv", "eeg.bin",
                         model=self.headless)

    def test_no_length(self):
        config = {k: v for k, v in CONFIG.items() if k not in ("n_times", "n_outputs")}
        with open("c.json", "w") as f:
            json.dump(config, f)
        args = ["-c", "c.json", "--outputs", "features", "-o", "o.npy"]
        stripped = self.strip_config(self.headless)
        self.eegpt_fails(3, ["eeg.bin", "--samples"], *args, "eeg.bin", model=stripped)
        self.eegpt_infer(*args, "--samples", 128, "eeg.bin", model=stripped)
        os.unlink("o.npy")
        np.save("eeg.npy", self.eeg)
        self.eegpt_infer(*args, "eeg.npy", model=stripped)
        self.assertEqual(np.load("o.npy").shape, (5, 3, 4, 64))

    def strip_config(self, path):
        from safetensors.numpy import save_file
        save_file(self.tensors(path), "stripped.safetensors")
        return "stripped.safetensors"


class Models(Case):
    def bad(self, words, model, *args):
        self.infer_fails(4, words, *args, "-o", "o.csv", "night.bin", model=model)

    def test_bad_files(self):
        os.mkdir("folder")
        os.mkfifo("fifo")
        self.bad(["none", "No such file"], "none")
        self.bad(["folder", "regular file"], "folder")
        self.bad(["fifo", "regular file", "pipe"], "fifo")  # and no wait for a writer
        self.bad(["/dev/zero", "regular file"], "/dev/zero")
        self.bad(["night.bin/m", "Not a directory"], "night.bin/m")
        with open(self.osf, "rb") as f:
            data = f.read()
        for size in 0, 7, 8, 100, len(data) // 2, len(data) - 1:
            with open("cut", "wb") as f:
                f.write(data[:size])
            self.bad("cut", "cut")
        for content in data + b"x", b"\xff" * 100, b"not a model at all":
            with open("odd", "wb") as f:
                f.write(content)
            self.bad("odd", "odd")
        deep = "/".join(["d" * 200] * 10)
        os.makedirs(deep)
        shutil.copy("odd", deep)
        self.bad(["ddd ... ddd", "odd: ", "is it a safetensors file?"], deep + "/odd")
        self.infer_fails(7, ["none/o.npy: ", "No such file"], "-o", deep + "/none/o.npy",
                         "night.bin")
        self.bad(["eegpt.safetensors", "OSF", "EEGPT"], self.eegpt)
        self.eegpt_fails(4, ["osf.safetensors", "OSF", "EEGPT"], "-o", "o.csv", "eeg.bin",
                         model=self.osf)

    def test_tensors(self):
        from safetensors.numpy import save_file
        tensors = self.tensors(self.osf)
        for name, change in [("norm.weight", None), ("norm.bias", tensors["norm.bias"][:-1]),
                             ("cls_token", tensors["cls_token"] * np.float32("nan"))]:
            changed = {k: v for k, v in tensors.items() if k != name or change is not None}
            if change is not None:
                changed[name] = np.ascontiguousarray(change)
            save_file(changed, "changed")
            self.bad(["changed", name], "changed")

    def test_configs(self):
        self.bad("missing.json", self.osf, "-c", "missing.json")
        os.mkfifo("fifo.json")
        for name in "fifo.json", "/dev/zero", ".":
            self.bad(name, self.osf, "-c", name)
        for text, word in ("{", "JSON"), ('{"width": 129}', "129"), ('{"depth": 2}', "2"):
            with open("c.json", "w") as f:
                f.write(text)
            self.bad([word, "c.json"], self.osf, "-c", "c.json")
        with open("c.json", "w") as f:
            f.write('{"width": 128, "depth": 1}')
        self.infer("-c", "c.json", "-o", "o.csv", "night.bin")

    def test_no_mmap(self):
        np.testing.assert_array_equal(self.cls("--no-mmap", "night.bin"), self.cls())


class Samples(Case):
    def test_not_finite(self):
        expected = self.cls()
        for value, word in (np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite"):
            night = self.night.copy()
            night[1, 4, 77] = value
            night.tofile("bad.bin")
            words = ["bad.bin", "epoch 1", "channel 4", "sample 77", word]
            self.infer_fails(3, words, "-o", "o.npy", "bad.bin")
            self.infer_fails(3, words, "--nan", "refuse", "--batch", 1, "-o", "o.npy", "bad.bin")
            self.infer_fails(3, words, "-o", "d/", "bad.bin")
            cls = self.cls("--nan", "zero", "bad.bin")
            night[1, 4, 77] = 0
            night.tofile("zero.bin")
            np.testing.assert_array_equal(cls, self.cls("zero.bin"))
        self.night[1, 4, 77], kept = np.nan, self.night[1, 4, 77]
        self.night.tofile("bad.bin")
        self.night[1, 4, 77] = kept
        cls = self.cls("--nan", "propagate", "bad.bin")
        self.assertTrue(np.isnan(cls[1]).all())
        np.testing.assert_array_equal(cls[[0, 2]], expected[[0, 2]])
        self.infer("--nan", "propagate", "-o", "o.json", "bad.bin")
        with open("o.json") as f:
            epochs = json.load(f)["epochs"]
        self.assertEqual(set(epochs[1]["cls"]), {None})
        self.assertNotIn(None, epochs[2]["cls"])

    def test_names_the_epoch_of_a_long_night(self):
        night = np.zeros((600, 3, 128), "<f4")  # several parts
        night[599, 2, 5] = np.nan
        night.tofile("long.bin")
        self.eegpt_fails(3, ["long.bin", "epoch 599", "channel 2", "sample 5"], "-o", "o.npy",
                         "long.bin")

    def test_clamp(self):
        night = self.night * 10
        night.tofile("loud.bin")
        np.clip(night, -6, 6).tofile("clipped.bin")
        clamped = self.cls("loud.bin")
        np.testing.assert_array_equal(clamped, self.cls("clipped.bin"))
        self.assertGreater(np.abs(clamped - self.cls("--no-clamp", "loud.bin")).max(), 1e-3)

    def test_batches(self):
        expected = self.cls()
        for args in ["--batch", 1], ["--batch", 2], ["--batch", 65536], ["--threads", 1]:
            np.testing.assert_allclose(self.cls(*args, "night.bin"), expected, 1e-5, 1e-5)

    @unittest.skipIf(SANITIZED, "the sanitizer needs the address space")
    def test_too_large(self):
        """More than the memory that there is: exit code 6 and a sentence, here by a limit."""
        with open("huge.bin", "wb") as f:
            f.truncate(3 * 4 << 28)

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        one = ["--threads", 1, "-o", "o.npy"]  # stacks of others would take of it, too
        args = ["--outputs", "features", "--samples", 1 << 28, *one, "huge.bin"]
        self.eegpt_fails(6, ["huge.bin", "memory"], *args, preexec_fn=limit)
        with subprocess.Popen(["head", "-c", "3G", "/dev/zero"], stdout=subprocess.PIPE) as zeros:
            self.eegpt_fails(6, ["standard input", "memory"], *one, "-", stdin=zeros.stdout,
                             preexec_fn=limit)


if __name__ == "__main__":
    main()
