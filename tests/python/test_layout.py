# SPDX-License-Identifier: MIT
"""The structs and constants of scripts/python, as ctypes sees them, against the public headers as
a C compiler does: every field by name, order, offset and size, every value of every enum.

Usage: test_layout.py <libpsgvit.so> <include dir> <scripts folder> <C compiler>
"""
import ctypes
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

os.environ["PSGVIT_LIBRARY"] = sys.argv.pop(1)
INCLUDE, SCRIPTS, CC = pathlib.Path(sys.argv.pop(1)), sys.argv.pop(1), sys.argv.pop(1)
sys.path.insert(0, f"{SCRIPTS}/python")
import psgvit._library as lib  # noqa: E402

HEADERS = ("psgvit.h", "osf.h", "eegpt.h")
TEXT = re.sub(r"/\*.*?\*/", "", "".join((INCLUDE / "psgvit" / name).read_text()
                                        for name in HEADERS), flags=re.S)
ENUMS = {"PSGVIT_BACKEND_": lib.BACKENDS, "PSGVIT_ISA_": lib.ISAS, "PSGVIT_DEVICE_": lib.TYPES,
         "PSGVIT_NAN_": lib.NAN_POLICIES, "PSGVIT_LOG_": lib.LOG_LEVELS,
         "PSGVIT_": lib.PRECISIONS}


def compiled(lines):
    """What a C program prints whose main is `lines`."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "layout.c"
        headers = ("psgvit/eegpt.h", "psgvit/osf.h", "stddef.h", "stdio.h")
        source.write_text("".join(f"#include <{header}>\n" for header in headers)
                          + "int main(void)\n{\n" + "\n".join(lines) + "\n}\n")
        subprocess.run([CC, "-std=c11", f"-I{INCLUDE}", source, "-o", source.with_suffix("")],
                       check=True)
        return subprocess.run([source.with_suffix("")], check=True, capture_output=True,
                              text=True).stdout.splitlines()


def fields_of(struct):
    """Names of the fields in the header, in their order."""
    body = re.search(rf"typedef struct {struct} {{(.*?)}} {struct};", TEXT, flags=re.S).group(1)
    return [re.search(r"(\w+)(\[\d+\])?$", part.strip()).group(1)
            for part in body.split(";") if part.strip()]


class Layout(unittest.TestCase):
    def test_structs(self):
        lines, expected = [], []
        for struct in lib.STRUCTS:
            name = struct.__name__
            self.assertEqual([field for field, _ in struct._fields_], fields_of(name))
            lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
            expected.append(f"{name} {ctypes.sizeof(struct)}")
            for field, _ in struct._fields_:
                lines.append(f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), '
                             f'sizeof((({name} *)0)->{field}));')
                mine = getattr(struct, field)
                expected.append(f"{name}.{field} {mine.offset} {mine.size}")
        self.assertEqual(compiled(lines), expected)

    def test_values(self):
        pairs = [(prefix + name.upper(), value) for prefix, names in ENUMS.items()
                 for name, value in names.items()] + [("PSGVIT_READ", lib.FLAG_READ)]
        self.assertEqual(compiled([f'printf("%d\\n", (int){name});' for name, _ in pairs]),
                         [str(value) for _, value in pairs])
        for prefix, names in ENUMS.items():
            if prefix != "PSGVIT_":
                found = re.findall(rf"^\s+{prefix}(\w+)\b", TEXT, flags=re.M)
                self.assertEqual({name.lower() for name in found}, set(names))

    def test_statuses(self):
        names = ("ARGUMENT", "INPUT", "MODEL", "DEVICE", "MEMORY")
        values = compiled([f'printf("%d\\n", (int)PSGVIT_E_{name});' for name in names])
        classes = ("ArgumentError", "InputError", "ModelError", "DeviceError", "OutOfMemory")
        self.assertEqual([lib.BY_STATUS[int(value)].__name__ for value in values], list(classes))

    def test_functions(self):
        """Each is declared, with as many arguments."""
        for name, (_, arguments) in lib.FUNCTIONS.items():
            declared = re.search(rf"PSGVIT_API[^;]*?\b{name}\((.*?)\);", TEXT, flags=re.S).group(1)
            count = 0 if declared.strip() == "void" else declared.count(",") + 1
            self.assertEqual(count, len(arguments), name)

    def test_encoder_params_of_both(self):
        """One struct stands for three names."""
        for name in ("osf", "eegpt"):
            self.assertIn(f"typedef psgvit_encoder_params {name}_encoder_params;", TEXT)


if __name__ == "__main__":
    unittest.main()
