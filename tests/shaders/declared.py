# SPDX-License-Identifier: MIT
"""Names in GLSL and their numbers, since modules have no names."""
import re


class Declared:
    """What a shader's source declares of constants, bindings and push constants."""

    def __init__(self, *paths):
        text = re.sub(r"/\*.*?\*/", "", "".join(p.read_text() for p in paths), flags=re.S)
        self.constant = self.numbers(r"constant_id = (\d+)\) const \w+ (\w+)", text)
        self.constant.update(self.numbers(r"local_(size_x)_id = (\d+)", text, swapped=True))
        self.binding = self.numbers(r"binding = (\d+)\) (?:\w+ )*buffer (\w+)", text)
        self.pushed = re.findall(r"(\w+)[,;]", re.search(r"uniform Push \{(.*?)\};", text,
                                                         re.S).group(1))

    @staticmethod
    def numbers(pattern, text, swapped=False):
        pairs = [m[::-1] if swapped else m for m in re.findall(pattern, text)]
        return {name: int(number) for number, name in pairs}

    def constants(self, **values):
        return {self.constant[name]: value for name, value in values.items()}

    def bindings(self, **memories):
        return {self.binding[name]: memory for name, memory in memories.items()}

    def push(self, **values):
        assert set(values) == set(self.pushed), f"pushed are {self.pushed}"
        return [values[name] for name in self.pushed]
