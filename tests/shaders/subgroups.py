# SPDX-License-Identifier: MIT
"""Runs compute modules of SPIR-V without a GPU: kernels for one whose cooperative matrices are
known element by element (shaders/fragments.glsl), 32 threads a subgroup. Reads outside a binding,
second writes of a word and threads of a subgroup that part before they meet are errors; what was
written is recorded, so that a test finds writes to the wrong place.

Each function becomes a Python generator that yields where threads meet.
"""
import re
import subprocess

import numpy as np

from spirv_tools import tool

F32, F16 = np.float32, np.float16
MASK = 0xffffffff
THREADS = 32
np.seterr(all="ignore")


class Memory:
    """A binding, in words of 32 bits; it counts how often it is read."""

    def __init__(self, words):
        self.words, self.reads = words, 0
        self.written = np.zeros(len(words), bool)


class Flag:
    """A binding of one float that may only be set, to 1; which workgroups did is noted."""

    def __init__(self):
        self.raised, self.group = set(), None

    def __setitem__(self, _, value):
        assert value == 1
        self.raised.add(self.group)


class RuntimeArray:
    """Vectors of n words in a binding, integers or floats."""

    def __init__(self, memory, n, kind):
        self.memory, self.n, self.kind = memory, n, kind

    def place(self, i):
        begin, end = i * self.n, (i + 1) * self.n
        assert 0 <= begin and end <= len(self.memory.words), f"{i} is outside the binding"
        return slice(begin, end)

    def __getitem__(self, i):
        self.memory.reads += 1
        words = self.memory.words[self.place(i)]
        v = [int(x) for x in words] if self.kind == "u" else list(words.view(F32))
        return v if self.n > 1 else v[0]

    def __setitem__(self, i, v):
        place = self.place(i)
        assert not self.memory.written[place].any(), f"{i} is written twice"
        self.memory.written[place] = True
        v = v if isinstance(v, list) else [v]
        self.memory.words[place] = v if self.kind == "u" else [to_bits(x) for x in v]


# ---- what the translation calls ----

def to_bits(x):
    return int(F32(x).view(np.uint32))


def from_bits(x):
    return np.uint32(x & MASK).view(F32)


def pack2(v):
    return int(F16(v[0]).view(np.uint16)) | int(F16(v[1]).view(np.uint16)) << 16


def unpack2(x):
    return [np.uint16(x & 0xffff).view(F16), np.uint16(x >> 16 & 0xffff).view(F16)]


def copy(v):
    return [copy(x) for x in v] if isinstance(v, list) else v


def fma(a, b, c):
    return F32(float(a) * float(b) + float(c))


def each(f, *args):
    """f of scalars, or of the elements of vectors and matrices."""
    lengths = [len(x) for x in args if isinstance(x, list)]
    if not lengths:
        return f(*args)
    return [each(f, *[x[i] if isinstance(x, list) else x for x in args])
            for i in range(lengths[0])]


def join(parts):
    return [x for p in parts for x in (p if isinstance(p, list) else [p])]


def follow(pointer, *indices):
    for i in indices:
        pointer = (pointer[0][pointer[1]], i)
    return pointer


def bitcast(kind, v):
    if kind == "f16":
        return unpack2(v)
    if kind == "bf16":
        return [from_bits(v << 16), from_bits(v & 0xffff0000)]
    if kind == "u" and isinstance(v, list) and isinstance(v[0], F16):
        return pack2(v)
    if kind == "f32":
        return each(from_bits, v)
    return each(lambda x: x if isinstance(x, int) else to_bits(x), v)


# ---- instructions ----

BINARY = {
    "IAdd": "(x+y)&MASK", "ISub": "(x-y)&MASK", "IMul": "(x*y)&MASK", "UDiv": "x//y",
    "UMod": "x%y", "FAdd": "x+y", "FSub": "x-y", "FMul": "x*y", "FDiv": "x/y",
    "BitwiseAnd": "x&y", "BitwiseOr": "x|y", "BitwiseXor": "x^y", "ShiftRightLogical": "x>>y",
    "ShiftLeftLogical": "(x<<y)&MASK", "ULessThan": "x<y", "UGreaterThan": "x>y",
    "UGreaterThanEqual": "x>=y", "ULessThanEqual": "x<=y", "IEqual": "x==y", "INotEqual": "x!=y",
    "LogicalAnd": "x and y", "LogicalOr": "x or y", "FOrdGreaterThan": "bool(x>y)",
    "FOrdLessThan": "bool(x<y)",
    "VectorTimesScalar": "x*y", "MatrixTimesScalar": "x*y"}
EXTENDED = {
    "Fma": "fma(x,y,z)", "FMax": "max(x,y) if x==x else y", "FMin": "min(x,y)",
    "UMin": "min(x,y)", "UMax": "max(x,y)", "FAbs": "abs(x)", "RoundEven": "np.rint(x)",
    "Exp2": "np.exp2(x)", "Exp": "np.exp(x)", "FClamp": "min(max(x,y) if x==x else x,z)"}
# {0} is the type, {1} and so on are the operands, {all} those from 1, {rest} those from 2.
RESULTS = {
    "Load": "copy({1}[0][{1}[1]])", "AccessChain": "follow({all})",
    "Select": "each(lambda c,x,y: x if c else y, {all})",
    "LogicalNot": "each(lambda x: not x, {1})", "FNegate": "each(lambda x: -x, {1})",
    "Any": "any({1})", "ConvertFToS": "int({1})",
    "CooperativeMatrixMulAddKHR": "yield ('mma', '{r}', {1}, {2}, {3})",
    "GroupNonUniformShuffleXor": "yield ('xor', '{r}', copy({2}), {3})",
    "GroupNonUniformAny": "yield ('any', '{r}', {2})"}
FLOW = {"ControlBarrier": "yield ('barrier', '')", "Return": "return None",
        "ReturnValue": "return {0}", "Store": "{0}[0][{0}[1]] = copy({1})",
        "SelectionMerge": "pass", "LoopMerge": "pass"}


def disassemble(path):
    text = subprocess.run([tool("spirv-dis"), "--raw-id", path], capture_output=True, text=True,
                          check=True).stdout
    lines = re.findall(r"^\s*(?:(%\d+) = )?Op(\w+) *(.*)$", text, re.M)
    return [(r, op, a.split()) for r, op, a in lines
            if op not in ("Name", "MemberName", "Source")]


class Module:
    def __init__(self, path, specialisation):
        self.types, self.values, self.spec, self.builtin, self.binding = {}, {}, {}, {}, {}
        self.globals, self.functions, self.entry = {}, {}, None
        self.unset_values = {}
        self.specialisation = specialisation
        self.read(disassemble(path))
        self.compile()

    def read(self, instructions):
        blocks = None
        for r, op, a in instructions:
            if op == "Function":
                params, blocks = [], []
                self.functions[r] = (params, blocks)
            elif op == "FunctionEnd":
                blocks = None
            elif op == "FunctionParameter":
                params.append(r)
            elif blocks is None:
                self.declare(r, op, a)
            elif op == "Label":
                blocks.append((r, []))
            else:
                blocks[-1][1].append((r, op, a))

    def declare(self, r, op, a):
        if op == "Decorate":
            kinds = {"SpecId": self.spec, "BuiltIn": self.builtin, "Binding": self.binding}
            if a[1] in kinds:
                kinds[a[1]][a[0]] = a[2] if a[1] == "BuiltIn" else int(a[2])
        elif op == "EntryPoint":
            self.entry = a[1]
        elif op.startswith("Type"):
            self.types[r] = (op[4:], a)
        elif op == "Variable":
            self.globals[r] = a
        elif r and op not in ("ExtInstImport", "String"):
            self.values[r] = self.constant(r, op, a)

    def kind(self, t):
        name, a = self.types[t]
        while name in ("Vector", "CooperativeMatrixKHR"):
            name, a = self.types[a[0]]
        if name == "Float":
            return ("bf" if len(a) > 1 else "f") + a[0]
        return {"Int": "i" if a[-1:] == ["1"] else "u", "Bool": "b"}.get(name, name)

    def constant(self, r, op, a):
        op = op.replace("SpecConstant", "Constant")
        given = self.specialisation.get(self.spec.get(r))
        if op in ("ConstantTrue", "ConstantFalse"):
            return op == "ConstantTrue" if given is None else bool(given)
        if op == "Constant":
            kind = self.kind(a[0])
            if kind in "ui":
                return int(a[1]) & MASK if given is None else given
            v = float.fromhex(a[1]) if "0x" in a[1] else float(a[1])
            return F16(v) if kind == "f16" else F32(v)
        if op == "ConstantComposite":
            v = [self.values[x] for x in a[1:]]
            return v * 8 if self.types[a[0]][0] == "CooperativeMatrixKHR" else v
        if op == "Undef":
            return self.unset(a[0])
        assert op == "ConstantOp", op
        x = [self.values[v] for v in a[2:]]
        if a[1] == "Select":
            return x[1] if x[0] else x[2]
        if a[1] == "LogicalNot":
            return not x[0]
        return eval(BINARY[a[1]], {"x": x[0], "y": x[1], "MASK": MASK})

    def unset(self, t):
        """What nobody may depend on."""
        if t not in self.unset_values:
            self.unset_values[t] = self.make_unset(t)
        return copy(self.unset_values[t])

    def make_unset(self, t):
        name, a = self.types[t]
        if name == "Struct":
            return [self.unset(x) for x in a]
        if name in ("Vector", "Array", "CooperativeMatrixKHR"):
            n = {"Vector": lambda: int(a[1]), "Array": lambda: self.values[a[1]]}.get(
                name, lambda: 8)()
            return [self.unset(a[0]) for _ in range(n)]
        return {"f32": F32("nan"), "bf16": F32("nan"), "f16": F16("nan"), "u": 0xdeadbeef, "i": 0,
                "b": False}[self.kind(t)]

    def compile(self):
        lines = [x for r, f in self.functions.items() for x in self.function(r, *f)]
        self.code = dict(globals(), unset=self.unset)
        self.code.update({"v" + r[1:]: v for r, v in self.values.items()})
        exec("\n".join(lines), self.code)

    def function(self, r, params, blocks):
        numbers = {label: i for i, (label, _) in enumerate(blocks)}
        yield f"def f{r[1:]}({', '.join(['G'] + ['v' + p[1:] for p in params])}):"
        yield from (" before = block = 0", " if False: yield", " while True:")
        for i, (_, body) in enumerate(blocks):
            yield f"  if block == {i}:"
            for r, op, a in body:
                yield "   " + self.statement(r, op, a, numbers, i)

    def name(self, x):
        if not re.fullmatch(r"%\d+", x):
            return x
        return f"G['{x}']" if x in self.globals else "v" + x[1:]

    def statement(self, r, op, a, numbers, here):
        names = [self.name(x) for x in a]
        if op == "Branch":
            return f"before = {here}; block = {numbers[a[0]]}; continue"
        if op == "BranchConditional":
            return (f"before = {here}; block = {numbers[a[1]]} if {names[0]} else "
                    f"{numbers[a[2]]}; continue")
        if op in FLOW:
            return FLOW[op].format(*names)
        return f"{self.name(r)} = {self.expression(r, op, a, names, numbers)}"

    def expression(self, r, op, a, names, numbers):
        rest = ", ".join(names[1:])
        if op in BINARY:
            return self.mapped(a[0], "x, y", BINARY[op], rest)
        if op in RESULTS:
            return RESULTS[op].format(*names, r=r, all=rest)
        if op == "Variable":
            value = f"copy({names[2]})" if len(a) > 2 else f"unset('{self.types[a[0]][1][1]}')"
            return f"([{value}], 0)"
        if op == "CompositeExtract":
            return f"copy({names[1]}{''.join(f'[{i}]' for i in a[2:])})"
        if op == "VectorShuffle":
            return f"[({names[1]} + {names[2]})[i] for i in ({', '.join(a[3:])},)]"
        if op == "CompositeConstruct":
            kind = self.types[a[0]][0]
            if kind == "Vector":
                return f"join([{rest}])"
            return f"[{names[1]}] * 8" if kind == "CooperativeMatrixKHR" else f"copy([{rest}])"
        if op == "CompositeInsert":
            return f"inserted(copy({names[2]}), ({', '.join(a[3:])},), {names[1]})"
        if op == "Bitcast":
            return f"bitcast('{self.kind(a[0])}', {names[1]})"
        if op == "FunctionCall":
            return f"yield from f{a[1][1:]}({', '.join(['G'] + names[2:])})"
        if op == "Phi":
            pairs = zip(names[1::2], a[2::2])
            return " ".join(f"{x} if before == {numbers[b]} else" for x, b in pairs) + " None"
        assert op == "ExtInst", op
        if a[2] == "PackHalf2x16":
            return f"pack2({names[3]})"
        if a[2] == "UnpackHalf2x16":
            return f"[F32(q) for q in unpack2({names[3]})]"
        return self.mapped(a[0], ", ".join("xyz"[:len(a) - 3]), EXTENDED[a[2]],
                           ", ".join(names[3:]))

    def mapped(self, t, params, body, args):
        """Of scalars at once: they are most, and each() looks at all of them."""
        if self.types[t][0] in ("Int", "Float", "Bool"):
            return f"(lambda {params}: {body})({args})"
        return f"each(lambda {params}: {body}, {args})"


def inserted(v, indices, x):
    target = v
    for i in indices[:-1]:
        target = target[i]
    target[indices[-1]] = x
    return v


# ---- running ----

def place_of(lane, e):
    g, t = divmod(lane, 4)
    return g + 8 * (e // 4), 2 * t + e % 2 + 8 * (e % 4 // 2)


PLACES = tuple(np.array([[place_of(lane, e) for e in range(8)]
                         for lane in range(THREADS)]).transpose(2, 0, 1))


def multiply(operands):
    """C + A B of all threads' elements: exact products, rounded once."""
    matrices = []
    for part in zip(*operands):
        m = np.zeros((16, 16))
        m[PLACES] = [[float(x) for x in own] for own in part]
        matrices.append(m)
    a, b, c = matrices
    d = (c + a @ b.T).astype(F32)[PLACES]
    return [list(own) for own in d]


def global_of(module, r, ids, buffers, push, shared):
    a = module.globals[r]
    storage, t = a[1], module.types[a[0]][1][1]
    if r in module.builtin:
        return [ids[module.builtin[r]]]
    if storage == "PushConstant":
        return [push]
    if storage == "Private":
        return [copy(module.values[a[2]]) if len(a) > 2 else module.unset(t)]
    if storage == "Workgroup":
        return shared.setdefault(r, [module.unset(t)])
    memory = buffers[module.binding[r]]
    name, inner = module.types[module.types[t][1][0]]
    if name != "RuntimeArray":
        return [memory]
    element, size = module.types[inner[0]]
    n = int(size[1]) if element == "Vector" else 1
    return [[RuntimeArray(memory, n, module.kind(inner[0]))]]


def advance(lanes):
    """A subgroup up to its next barrier, where it is True, or to its end."""
    answers = [None] * THREADS
    while True:
        got = [next(lane, None) if x is None else send(lane, x)
               for lane, x in zip(lanes, answers)]
        if all(x is None for x in got):
            return False
        assert all(x and x[:2] == got[0][:2] for x in got), "threads went apart"
        what = got[0][0]
        if what == "barrier":
            return True
        if what == "mma":
            answers = multiply([x[2:] for x in got])
        elif what == "any":
            answers = [any(x[2] for x in got)] * THREADS
        else:
            answers = [copy(got[i ^ x[3]][2]) for i, x in enumerate(got)]


def send(lane, x):
    try:
        return lane.send(x)
    except StopIteration:
        return None


def run(module, groups, subgroups, buffers, push):
    """buffers: binding -> Memory or Flag; push: the struct as lists."""
    flags = [b for b in buffers.values() if isinstance(b, Flag)]
    for group in np.ndindex(groups[1], groups[0]):
        for flag in flags:
            flag.group = group[::-1]
        shared, teams = {}, []
        for subgroup in range(subgroups):
            lanes = []
            for lane in range(THREADS):
                ids = {"WorkgroupId": [group[1], group[0], 0], "SubgroupId": subgroup,
                       "SubgroupLocalInvocationId": lane,
                       "LocalInvocationIndex": subgroup * THREADS + lane}
                own = {r: (global_of(module, r, ids, buffers, push, shared), 0)
                       for r in module.globals}
                lanes.append(module.code["f" + module.entry[1:]](own))
            teams.append(lanes)
        going = True
        while going:
            going, *others = {advance(lanes) for lanes in teams}
            assert not others, "a barrier that only some subgroups reach"
