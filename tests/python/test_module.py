# SPDX-License-Identifier: MIT
"""The Python module against the vectors, and what its users do to it: wrong arrays, many threads,
closing in any order, interrupts.

Usage: test_module.py <folder of the tools> <scripts folder> <libpsgvit.so>
"""
import copy
import gc
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

import numpy as np

os.environ["PSGVIT_LIBRARY"] = sys.argv.pop(3)

import synthetic  # noqa: E402
import tools  # noqa: E402

sys.path.insert(0, str(tools.SCRIPTS / "python"))
import psgvit  # noqa: E402

CASES = {"osf_nano": "osf-nano", "osf_nano_1d": "osf-nano", "osf_nano_short": "osf-nano",
         "osf_one_head": "osf-nano", "eegpt_odd": "eegpt", "eegpt_names": "eegpt",
         "eegpt_conv_proj": "eegpt", "eegpt_encoder": "eegpt"}


class Module(tools.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls()
        for name, variant in CASES.items():
            config, _ = synthetic.case(name)
            config = {key: value for key, value in config.items() if value is not None}
            (cls.root / f"{name}.json").write_text(json.dumps(config))
            case.tool("psgvit-synth", variant, "-o", f"{name}.safetensors", "--seed",
                      config["seed"], "--config", f"{name}.json")
        cls.cpu = psgvit.Device("cpu")
        cls.night = synthetic.case("osf_nano")[1]["input"]

    @classmethod
    def tearDownClass(cls):
        cls.cpu.close()
        super().tearDownClass()

    def path(self, name):
        return self.root / f"{name}.safetensors"

    def osf(self, **more):
        return psgvit.OsfEncoder(self.path("osf_nano"), self.cpu, **more)

    def raises(self, kind, words, function, *args, **more):
        with self.assertRaises(kind) as caught:
            function(*args, **more)
        self.assertIsInstance(caught.exception, psgvit.Error)
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, str(caught.exception))

    # ---- numbers ----

    def test_vectors(self):
        """Every output within the promise of f32, and only those that were asked for."""
        for name in CASES:
            config, tensors = synthetic.case(name)
            kind = psgvit.OsfEncoder if config["model"] == "osf" else psgvit.EegptEncoder
            known = ("cls", "patches", "mean", "features", "logits")
            wanted = [key for key in known if key in tensors]
            with kind(self.path(name), self.cpu) as encoder:
                found = encoder.encode(tensors["input"], wanted)
                alone = encoder.encode(tensors["input"])
            self.assertEqual(list(found), wanted)
            usual = "logits" if "logits" in tensors else "features"
            self.assertEqual(list(alone), ["cls" if config["model"] == "osf" else usual])
            for key in wanted:
                own = config["pytorch_f32_error"][key]
                error = np.abs(found[key].astype(np.float64) - tensors[key])
                self.assertEqual(found[key].shape, tensors[key].shape)
                self.assertLessEqual(error.mean(), max(2e-7, 1.75 * own["mean"]), (name, key))
                self.assertLessEqual(error.max(), max(1e-6, 4 * own["max"]), (name, key))

    def test_parts(self):
        """More epochs than a call takes: each is at its place, progress is told."""
        night = np.concatenate([self.night] * 30)
        night *= np.linspace(0.5, 1, len(night), dtype=np.float32)[:, None, None]
        told = []
        with self.osf() as encoder:
            whole = encoder.encode(night, ["cls", "patches"],
                                   progress=lambda *step: told.append(step))
            for first in (0, 31, 32, 64, 89):
                one = encoder.encode(night[first:first + 1], ["cls", "patches"])
                for key in one:
                    np.testing.assert_allclose(whole[key][first:first + 1], one[key], atol=2e-5)
            batches = encoder.encode(night, batch=7)
            np.testing.assert_allclose(batches["cls"], whole["cls"], atol=2e-5)
        self.assertEqual(told[-1], (90, 90))
        self.assertEqual(sorted(told), told)

    def test_clamp(self):
        with self.osf() as encoder:
            loud = self.night * np.float32(3)
            same = encoder.encode(np.clip(loud, -6, 6))["cls"]
            np.testing.assert_array_equal(encoder.encode(loud)["cls"], same)
            self.assertFalse(np.array_equal(encoder.encode(loud, clamp=False)["cls"], same))

    def test_nan(self):
        night = self.night.copy()
        night[2, 3, 7] = np.nan
        with self.osf() as encoder:
            self.raises(psgvit.InputError, ["epoch 2", "channel 3", "sample 7"], encoder.encode,
                        night)
            zero = encoder.encode(night, nan="zero")["cls"]
            through = encoder.encode(night, nan="propagate")["cls"]
            self.assertTrue(np.isfinite(zero).all())
            self.assertTrue(np.isnan(through[2]).all() and np.isfinite(through[:2]).all())

    def test_no_epochs(self):
        with self.osf() as encoder:
            self.assertEqual(encoder.encode(self.night[:0])["cls"].shape, (0, 128))

    def test_signal_is_read_in_place(self):
        """Also one that may only be read: the library gets the array's own addresses, and so it
        does of the outputs."""
        night = np.concatenate([self.night] * 20)
        night.flags.writeable = False
        jobs, call = [], psgvit._library.call

        def watched(function, handle, job):
            jobs.append((job._obj.signal, job._obj.cls, job._obj.epochs))
            call(function, handle, job)

        with self.osf() as encoder, mock.patch("psgvit._library.call", watched):
            cls = encoder.encode(night)["cls"]
        self.assertEqual(jobs, [(night[first:].ctypes.data, cls[first:].ctypes.data, count)
                                for first, count in ((0, 32), (32, 28))])

    # ---- information ----

    def test_information(self):
        self.assertEqual(psgvit.version(), self.tool("psgvit-synth", "--version").stdout.split()[1])
        found = psgvit.devices()
        self.assertEqual((found[0].backend, found[0].index, found[0].usable), ("cpu", 0, True))
        self.assertIn("f32", found[0].precisions)
        with self.osf() as encoder:
            self.assertEqual(encoder.info.variant, "vit_nano")
            self.assertEqual((encoder.info.width, encoder.info.samples), (128, 1920))
            self.assertEqual((encoder.info.lead_wise, encoder.info.precision), (True, "f32"))
            self.assertEqual(encoder.patch_count(640), 30)
            self.assertEqual(encoder.patch_count(641), 0)
        with psgvit.EegptEncoder(self.path("eegpt_names"), self.cpu) as encoder:
            self.assertEqual(encoder.channel_names, ["Cz", "O2", "FP1", "T7", "PO4"])
            self.assertEqual((encoder.info.channels, encoder.info.outputs), (5, 4))
            self.assertEqual(repr(encoder), "<psgvit.EegptEncoder 5 channels, f32, on "
                             f"{found[0].name}>")
        self.assertEqual(repr(encoder)[-9:], ", closed>")
        with psgvit.Device("cpu", isa="c", threads=1) as device:
            self.assertEqual(repr(device), f"<psgvit.Device {found[0].name}, cpu>")
            self.assertEqual((device.info.isa, device.info.threads), ("c", 1))

    def test_log(self):
        lines = []
        config = {**json.loads((self.root / "eegpt_names.json").read_text()),
                  "chans_id": [1, 2, 3, 4, 5]}
        with psgvit.Device("cpu", log=lambda level, line: lines.append((level, line))) as device:
            psgvit.EegptEncoder(self.path("eegpt_names"), device, config=config).close()
        self.assertTrue([line for level, line in lines if level == "warning"
                         and "chans_id" in line], lines)

    # ---- what is wrong ----

    def test_wrong_arrays(self):
        night = self.night
        with self.osf() as encoder:
            for words, signal_ in ((["[epochs, 12, samples]", "[3, 11, 1920]"],
                                    night[:, :11].copy()),
                                   ("[12, 1920]", night[0]),
                                   (["1900 samples", "multiple of 64"], night[:, :, :1900].copy()),
                                   ("float64", night.astype(np.float64)),
                                   (">f4", night.astype(">f4")),
                                   ("C-contiguous", night[:, :, ::2]),
                                   ("C-contiguous", np.asfortranarray(night)),
                                   ("list", [1, 2])):
                self.raises(ValueError, words, encoder.encode, signal_)

    def test_wrong_arguments(self):
        with self.osf() as encoder:
            self.raises(ValueError, ["outputs", "'clss'"], encoder.encode, self.night, ["clss"])
            self.raises(ValueError, "outputs", encoder.encode, self.night, [])
            self.raises(ValueError, "'ignore'", encoder.encode, self.night, nan="ignore")
            for batch in (-1, "3", 2.5, None, 2**40):
                self.raises(ValueError, ["batch", repr(batch)], encoder.encode, self.night,
                            batch=batch)
            self.assertEqual(encoder.encode(self.night, batch=np.int64(2))["cls"].shape, (3, 128))
        self.raises(ValueError, "'f64'", self.osf, precision="f64")
        self.raises(ValueError, "'gpu'", psgvit.Device, "gpu")
        self.raises(ValueError, ["threads", "to 2147483647"], psgvit.Device, "cpu", threads=-1)
        self.raises(ValueError, ["device", "b'x'"], psgvit.Device, "cpu", b"x")
        self.raises(ValueError, ["device", "'cpu'"], psgvit.OsfEncoder, self.path("osf_nano"),
                    "cpu")

    def test_nul(self):
        """What would be another file or device for C."""
        path = str(self.path("osf_nano")) + "\0x"
        self.raises(ValueError, ["device", "NUL"], psgvit.Device, "cpu", "0\0x")
        self.raises(ValueError, ["path", "NUL"], psgvit.OsfEncoder, path, self.cpu)
        self.raises(ValueError, ["config", "NUL"], self.osf, config=path)
        self.raises(ValueError, ["shader_cache", "NUL"], psgvit.Device, "cpu", shader_cache="\0")

    def test_wrong_models(self):
        self.raises(psgvit.ModelError, "none.safetensors", psgvit.OsfEncoder, self.path("none"),
                    self.cpu)
        self.raises(psgvit.ModelError, "osf", psgvit.EegptEncoder, self.path("osf_nano"), self.cpu)
        self.raises(psgvit.ModelError, "depth", self.osf, config={"depth": 9})
        self.raises(RuntimeError, "999", psgvit.Device, "cpu", 999)
        with psgvit.EegptEncoder(self.path("eegpt_encoder"), self.cpu) as encoder:
            signal_ = synthetic.case("eegpt_encoder")[1]["input"]
            self.raises(psgvit.ModelError, "probe", encoder.encode, signal_, ["logits"])

    def test_config_by_path_and_read(self):
        with self.osf(config=self.root / "osf_nano.json", mmap=False) as encoder:
            shape = encoder.encode(self.night, "mean")["mean"].shape
        self.assertEqual(shape, (3, 128))

    # ---- lifetimes and threads ----

    def test_closed(self):
        encoder = self.osf()
        encoder.close()
        encoder.close()
        self.raises(ValueError, "closed", encoder.encode, self.night)
        self.assertEqual(encoder.info.width, 128)

    def test_one_owner(self):
        """A copy would free what the encoder goes on to use."""
        with self.osf() as encoder:
            for function in copy.copy, copy.deepcopy, pickle.dumps:
                for handle in encoder, self.cpu:
                    with self.assertRaisesRegex(TypeError, f"{type(handle).__name__} can't be"):
                        function(handle)
            gc.collect()
            self.assertEqual(encoder.encode(self.night)["cls"].shape, (3, 128))

    def test_fork(self):
        """A child that computes with its parent's encoder, and with one of its own."""
        def work(queue):
            queue.put(inherited.encode(self.night)["cls"])
            with psgvit.OsfEncoder(self.path("osf_nano"), psgvit.Device("cpu")) as own:
                queue.put(own.encode(self.night)["cls"])
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        with psgvit.OsfEncoder(self.path("osf_nano"), psgvit.Device("cpu", threads=2)) as inherited:
            expected = inherited.encode(self.night)["cls"]
            child = context.Process(target=work, args=(queue,), daemon=True)
            child.start()
            for _ in range(2):
                np.testing.assert_array_equal(queue.get(timeout=60), expected)
            child.join()

    def test_device_outlives_its_encoders(self):
        with psgvit.Device("cpu") as device:
            encoder = psgvit.OsfEncoder(self.path("osf_nano"), device)
        self.raises(ValueError, "closed", psgvit.OsfEncoder, self.path("osf_nano"), device)
        del device
        gc.collect()
        self.assertEqual(encoder.encode(self.night)["cls"].shape, (3, 128))
        encoder.close()

    def test_own_device(self):
        with psgvit.OsfEncoder(self.path("osf_nano")) as encoder:
            self.assertIn(encoder.device.info.backend, ("cpu", "vulkan"))
            encoder.encode(self.night)

    def test_model_may_vanish(self):
        shutil.copy(self.path("osf_nano"), self.root / "gone")
        with psgvit.OsfEncoder(self.root / "gone", self.cpu) as encoder:
            (self.root / "gone").unlink()
            encoder.encode(self.night)

    def test_threads(self):
        """Eight threads with one encoder, which is closed under them: each result is right, or the
        sentence that it is closed."""
        expected = self.osf().encode(self.night)["cls"]
        for _ in range(3):
            encoder, wrong, done = self.osf(), [], []

            def work(encoder=encoder, wrong=wrong, done=done):
                try:
                    while len(done) < 200:
                        found = encoder.encode(self.night)["cls"]
                        if not np.allclose(found, expected, atol=2e-5):
                            wrong.append("numbers")
                        done.append(1)
                except ValueError as error:
                    if "closed" not in str(error):
                        wrong.append(str(error))

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            while len(done) < 10 and any(thread.is_alive() for thread in threads):
                time.sleep(0.001)
            encoder.close()
            for thread in threads:
                thread.join(60)
            self.assertEqual(wrong, [])
            self.assertGreaterEqual(len(done), 10)

    def test_python_runs_while_it_computes(self):
        """The lock of Python is free: another thread counts on. Round a call that held it, it
        counted to 11, else to 700; a busy machine may let it wait for a call that shows it."""
        night, counted, stop = np.concatenate([self.night] * 20), [0], threading.Event()

        def count():
            while not stop.is_set():
                counted[0] += 1
                time.sleep(0.0005)

        with self.osf() as encoder:
            thread = threading.Thread(target=count)
            thread.start()
            most = 0
            for _ in range(100):
                before = counted[0]
                encoder.encode(night, batch=len(night))
                most = max(most, counted[0] - before)
                if most > 50:
                    break
            stop.set()
            thread.join()
        self.assertGreater(most, 50)

    def test_exception_of_progress(self):
        night = np.concatenate([self.night] * 30)

        def progress(done, total):
            raise KeyError("mine")

        with self.osf() as encoder, self.assertRaises(KeyError):
            encoder.encode(night, progress=progress)

    def test_interrupt(self):
        """Ctrl-C ends a job of many epochs long before its end."""
        program = ("import numpy as np, psgvit\n"
                   f"encoder = psgvit.OsfEncoder({str(self.path('osf_nano'))!r}, "
                   "psgvit.Device('cpu'))\n"
                   "night = np.zeros((20000, 12, 1920), np.float32)\n"
                   "try:\n    print('begin', flush=True)\n"
                   "    encoder.encode(night)\n    print('whole')\n"
                   "except KeyboardInterrupt:\n    print('interrupted')\n")
        environment = {**os.environ, "PYTHONPATH": str(tools.SCRIPTS / "python")}
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE,
                                 text=True, env=environment)
        self.assertEqual(child.stdout.readline(), "begin\n")
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.communicate(timeout=600)[0], "interrupted\n")

    def test_unloading(self):
        """By a process that has OpenMP through this library alone, whose threads must not lose
        their code."""
        unload = """if True:
            import _ctypes, os, sys
            from ctypes import CDLL, byref, c_size_t, c_void_p
            for _ in range(50):
                library, device, encoder = CDLL(sys.argv[1]), c_void_p(), c_void_p()
                params = (c_size_t * 2)(16, 1)  # struct_size, and the CPU as backend
                assert not library.psgvit_device_open(byref(device), params, None)
                assert not library.osf_encoder_open(byref(encoder), device, sys.argv[2].encode(),
                                                    None, None)
                library.osf_encoder_close(byref(encoder))
                library.psgvit_device_close(byref(device))
                _ctypes.dlclose(library._handle)
            assert len(os.listdir("/proc/self/task")) == 2
        """
        subprocess.run([sys.executable, "-c", unload, os.environ["PSGVIT_LIBRARY"],
                        self.path("osf_nano")], check=True, timeout=600,
                       env={**os.environ, "OMP_NUM_THREADS": "2"})

    def test_library_that_is_not_there(self):
        environment = {**os.environ, "PSGVIT_LIBRARY": "/no/such.so",
                       "PYTHONPATH": str(tools.SCRIPTS / "python")}
        p = self.run_command(sys.executable, "-c", "import psgvit", code=1, env=environment)
        self.assertIn("ImportError: /no/such.so can't be used", p.stderr)
        self.assertIn("PSGVIT_LIBRARY", p.stderr)

    def test_pip(self):
        """It installs by pip, without this repository beside it, with its types."""
        shutil.copytree(tools.SCRIPTS / "python", self.root / "source")
        self.run_command(sys.executable, "-m", "pip", "install", "-q", "--no-deps",
                         "--no-build-isolation", "--disable-pip-version-check", "--target",
                         self.root / "site", self.root / "source")
        self.assertTrue((self.root / "site" / "psgvit" / "py.typed").exists())
        p = self.run_command(sys.executable, "-c", "import importlib.metadata as m, psgvit; "
                             "print(psgvit.__file__, m.version('psgvit'), psgvit.version())",
                             env={**os.environ, "PYTHONPATH": str(self.root / "site")})
        self.assertTrue(p.stdout.startswith(str(self.root / "site" / "psgvit")), p.stdout)
        _, package, library = p.stdout.split()
        self.assertEqual(package, library)


if __name__ == "__main__":
    unittest.main()
