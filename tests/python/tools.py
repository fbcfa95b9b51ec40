# SPDX-License-Identifier: MIT
"""What these tests share: a folder of their own, and a way to run tools and scripts.

A test is run as: python3 test_x.py <folder of the tools> <scripts folder>
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

BIN, SCRIPTS = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(2))


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="psgvit-python-"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def run_command(self, *args, code=0, timeout=600, **kwargs):
        p = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=timeout,
                           cwd=self.root, **kwargs)
        self.assertEqual(p.returncode, code, p.stdout + p.stderr)
        return p

    def tool(self, name, *args, **kwargs):
        return self.run_command(BIN / name, *args, **kwargs)

    def fails(self, run, name, code, words, *args):
        """The exit code, one sentence with all of `words`, and no new file."""
        before = sorted(self.root.rglob("*"))
        p = run(name, *args, code=code)
        lines = p.stderr.splitlines()
        self.assertEqual(len(lines), 1, p.stderr)
        self.assertTrue(lines[0].startswith(f"{name}: error: "), p.stderr)
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, lines[0])
        self.assertFalse(p.stdout)
        self.assertEqual(sorted(self.root.rglob("*")), before)
