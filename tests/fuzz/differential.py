# SPDX-License-Identifier: MIT
"""Our verdict on safetensors files against that of the reference.

Makes files by hand and by chance (sound ones, then changed in their structure), and asks both the
Python package `safetensors`, whose deserialize() is SafeTensors::deserialize() of the Rust crate,
and our parser (verdict.c, one process for all cases). The verdicts must be equal, but for what we
refuse on purpose (the STRICT sentences) and for numbers beyond float64 in a field that is ignored.

Usage: differential.py --probe VERDICT_PROGRAM [--count 10000] [--seed 1]
       differential.py --seeds FOLDER      write the cases made by hand, as seeds for the fuzzer
"""
import argparse
import collections
import json
import pathlib
import random
import struct
import subprocess
import sys

DTYPES = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}
# Our own rules, by the words of their sentences.
STRICT = {
    "13 a tensor as an array": "expected '{', a tensor, found '['",
    "13 a dtype as an object": "expected a string, found '{'",
    "14 nesting": "expected at most 16 levels of nesting",
    "29 a name twice": "occurs twice",
    "30 an empty name": "has an empty name",
    "30 NUL in a name": "has a NUL in its name",
    "33 a long header": "(max_header)",
}
BEYOND_F64 = "1e999 in an ignored field"


def pack(header, data=b"", length=None):
    if isinstance(header, str):
        header = header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="F32", shape="[1]", offsets="[0,4]"):
    return '{"dtype":"%s","shape":%s,"data_offsets":%s}' % (dtype, shape, offsets)


def one(value, data=b"\0" * 4):
    return pack('{"a":%s}' % value, data)


# ---- by hand: every rule of the format --------------------------------------------------------

def by_hand():
    sound = one(entry())
    yield from (sound[:n] for n in range(len(sound)))
    for length in (2**64 - 1, 2**63, 100_000_001, 100_000_000, 1000, 16 << 20, 0, 1):
        yield pack('{"a":%s}' % entry(), b"\0" * 4, length)
    yield pack(b"{" + b" " * (16 << 20) + b"}")
    for raw in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xf4\x90\x80\x80",
                b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xc3", b"\xe2\x82", b"\xc3\xa9",
                b"\xf0\x9f\x98\x80", b"\xe2\x82\xac", b"\xe2\x28\xa1", b"\xf0\x9f\x28\x80",
                b"\x7f", b"\n", b"\0", b"\x1f"):
        yield pack(b'{"__metadata__":{"k":"' + raw + b'"}}')
        yield pack(b'{"' + raw + b'":' + entry().encode() + b"}", b"\0" * 4)
    yield from map(pack, (
        "", " ", "{", "}", "{}", " {}", "\t\n\r {}", "{} ", "{}\t\n\r ", "{}\0", "{}x", "{}{}",
        "{},",
        "\ufeff{}", "\f{}", "{}\v", "[]", "1", "null", '"a"', "true", "/**/{}", "{//\n}", "{'a':1}",
        "{,}", '{"a"}', '{"a":}', '{"a":1}', '{"a":null}', "{null:1}", '{"__metadata__":null}',
        '{"__metadata__":{}}', '{"__metadata__":{},"__metadata__":{}}',
        '{"__metadata__":null,"__metadata__":null}', '{"__metadata__":{"a":"1","a":"2"}}',
        '{"__metadata__":{"a":1}}', '{"__metadata__":{"a":null}}', '{"__metadata__":{"a":{}}}',
        '{"__metadata__":{"a":["b"]}}', '{"__metadata__":[]}', '{"__metadata__":"a"}',
        '{"__metadata__":{"a":"b",}}', '{"__metadata__":{"a":"b"},}', '{"\\u005f_metadata__":{}}',
        '{"__metadata__":{"":""}}', '{"__metadata__":{"a\\u0000b":"c\\u0000d"}}',
        '{"__Metadata__":{}}', '{"__metadata__":{"\\ud83d\\ude00":"\\"\\\\\\/\\b\\f\\n\\r\\t"}}'))
    for escape in ("\\ud800", "\\udc00", "\\ud800\\u0041", "\\ud800x", "\\ud800\\ud800", "\\u12g4",
                   "\\u123", "\\x41", "\\", "\\u00e9", "\\u20AC", "\\u0000", "\\U0041", "\\'"):
        yield pack('{"__metadata__":{"k":"%s"}}' % escape)
        yield pack('{"%s":%s}' % (escape, entry()), b"\0" * 4)
        yield one('{"x":"%s","dtype":"F32","shape":[1],"data_offsets":[0,4]}' % escape)
    fields = ['"dtype":"F32"', '"shape":[1]', '"data_offsets":[0,4]']
    for i in range(3):
        yield one("{" + ",".join(fields[:i] + fields[i + 1:]) + "}")
        yield one("{" + ",".join(fields + [fields[i]]) + "}")
    yield from map(one, (
        '["F32",[1],[0,4]]', '["F32",[1]]', '["F32",[1],[0,4],0]', '"F32"', "1", "null", "{}",
        '{"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]}',
        '{"dtype":{"F32":1},"shape":[1],"data_offsets":[0,4]}',
        '{"dtype":null,"shape":[1],"data_offsets":[0,4]}',
        '{"dtype":17,"shape":[1],"data_offsets":[0,4]}',
        '{"Dtype":"F32","shape":[1],"data_offsets":[0,4]}',
        '{"\\u0064type":"\\u004632","shape":[1],"data_offsets":[0,4]}'))
    for value in ("0", "-0", "-1", "1.5", "1.", ".5", "01", "-01", "+1", "1e2", "1E+2", "1e-2",
                  "1e", "1e+", "1e999", "1e-999", "0e999999999999", "-1e999", "-", "--1", "NaN",
                  "Infinity", "0x1", "18446744073709551616", "9" * 400, "1.e5", "true", "false",
                  "null", "nul", "True", "tru", "[]", "[1,2]", "[1,]", "[,]", "[1 2]", "{}",
                  '{"b":[{}]}', '{"b"}', "{1:2}", '{"b":1,"b":1}', '"\\n"', '"', "", "[}", "{]",
                  "'a'", "1 1"):
        yield one('{"x":%s,"dtype":"F32","shape":[1],"data_offsets":[0,4]}' % value)
    for depth in (12, 13, 14, 15, 16, 17, 30, 120, 126, 127, 128, 1000):
        for left, right in ("[]", ("{\"b\":", "}")):
            nest = left * depth + ("1" if right == "}" else "") + right * depth
            yield one('{"x":%s,"dtype":"F32","shape":[1],"data_offsets":[0,4]}' % nest)
    for dtype, bits in DTYPES.items():
        yield one(entry(dtype, "[4]", f"[0,{bits // 2}]"), b"\0" * (bits // 2))
        yield one(entry(dtype, "[3]", f"[0,{bits * 3 // 8}]"), b"\0" * (bits * 3 // 8))
    yield from (one(entry(name))
                for name in ("f32", "F128", "", "F32 ", "F3", "\\u0000", "BFLOAT16"))
    for dim in ("-1", "1.0", "1e0", '"1"', "null", "true", "[1]", "-0", "01",
                "18446744073709551615", "18446744073709551616", "1,", "", "0",
                "4294967296,4294967296", "{}",
                "2,18446744073709551614", "9223372036854775808,2,0", "0,9223372036854775808,2",
                "2,9223372036854775807", "2305843009213693952", "1,1,1,1,1,1,1,1,1,1,1,1"):
        yield one(entry("F32", f"[{dim}]"))
        yield one(entry("I32", f"[{dim}]", "[0,0]"), b"")
    for offsets in ("[]", "[0]", "[0,4,0]", "[0,4,]", "[-1,4]", "[0,4.0]", "[0,1e1]", '["0",4]',
                    "{}", "[0,null]", "[4,0]", "[1,4]", "[0,3]", "[0,5]", "[4,8]", "null", "[0,4",
                    "[0,18446744073709551615]", "[18446744073709551615,18446744073709551615]",
                    "[0,18446744073709551616]", "[18446744073709551612,0]"):
        yield one(entry(offsets=offsets))
    for tail in (b"", b"\0" * 3, b"\0" * 5, b"\0" * 40):
        yield one(entry(), tail)
    two = [(a, b) for a in ("[0,4]", "[4,8]", "[5,9]", "[3,7]") for b in ("[0,4]", "[4,8]")]
    for a, b in two:
        for names in (("a", "b"), ("a", "a"), ("a", "\\u0061"), ("b", "a"), ("", "a")):
            yield pack('{"%s":%s,"%s":%s}' % (names[0], entry(offsets=a), names[1],
                                              entry(offsets=b)), b"\0" * 8)
    for empty in ("[0,0]", "[2,2]", "[4,4]"):
        yield pack('{"a":%s,"b":%s}' % (entry(), entry("F32", "[0]", empty)), b"\0" * 4)
    yield one(entry("F32", "[]"))
    yield from (pack("{" + " " * n + "}") for n in range(51, 60))


# ---- by chance --------------------------------------------------------------------------------

def sound(rng):
    """The header of a sound file as a list of (key, value text), and the size of its data."""
    rows, at = [], 0
    for i in range(rng.choice((0, 1, 1, 2, 3, 5, 12))):
        dtype = rng.choice(list(DTYPES))
        shape = [rng.choice((0, 1, 1, 2, 3, 4, 8)) for _ in range(rng.randrange(4))]
        if DTYPES[dtype] < 8:
            shape.append(rng.choice((4, 8)))
        bits = DTYPES[dtype]
        for dim in shape:
            bits *= dim
        fields = [("dtype", json.dumps(dtype)), ("shape", json.dumps(shape)),
                  ("data_offsets", json.dumps([at, at + bits // 8]))]
        rng.shuffle(fields)
        at += bits // 8
        rows.append([rng.choice(("t%d", "block%d.weight", "\u00e9%d", "\U0001f600%d")) % i, fields])
    rng.shuffle(rows)
    if rng.random() < 0.3:
        rows.insert(rng.randrange(len(rows) + 1), ["__metadata__", [("format", '"pt"')]])
    return rows, at


def text_of(rows):
    return "{" + ",".join("%s:{%s}" % (json.dumps(key, ensure_ascii=False), ",".join(
        '"%s":%s' % pair for pair in fields)) for key, fields in rows) + "}"


def tensor_of(rng, rows):
    tensors = [row for row in rows if row[0] != "__metadata__"]
    return rng.choice(tensors) if tensors else None


def edit_numbers(rng, row):
    """Offsets and dims moved, swapped, enlarged."""
    for i, (key, value) in enumerate(row[1]):
        if key not in ("shape", "data_offsets") or rng.random() < 0.4:
            continue
        numbers = json.loads(value)
        if not numbers:
            continue
        k = rng.randrange(len(numbers))
        numbers[k] = rng.choice((numbers[k] + 1, numbers[k] - 1, numbers[k] * 2, 0, 2**32, 2**63,
                                 2**64 - 1, 2**64, -numbers[k], numbers[k] * 1.0))
        if rng.random() < 0.2:
            numbers.reverse()
        if rng.random() < 0.1:
            numbers.append(rng.randrange(5))
        row[1][i] = (key, json.dumps(numbers))


VALUES = ("1e999", "-0.0", "null", "[[[]]]", '{"a":{"b":[]}}', "[" * 15 + "]" * 15, '"\\ud800"',
          "01", "1.5e-3", '"\\ud83d\\ude00"', "tru", "[" * 13 + "]" * 13, "99999999999999999999")


def edit_rows(rng, rows):
    row = tensor_of(rng, rows)
    if row is None:
        return
    kind = rng.randrange(9)
    if kind == 0:
        edit_numbers(rng, row)
    elif kind == 1:
        rows.append([row[0], list(row[1])])
    elif kind == 2:
        row[1].append(rng.choice(row[1]))
    elif kind == 3:
        row[1].pop(rng.randrange(len(row[1])))
    elif kind == 4:
        row[1].insert(rng.randrange(4), ("extra", rng.choice(VALUES)))
    elif kind == 5:
        other = rng.choice(list(DTYPES) + ["f32", "F128", ""])
        row[1] = [(k, json.dumps(other) if k == "dtype" else v) for k, v in row[1]]
    elif kind == 6:
        row[0] = rng.choice(("", "a\0b", "__metadata__", rows[0][0], '"\\', "\x7f"))
    elif kind == 7:
        rows.remove(row)
    else:
        rows.append(["__metadata__", [("k", rng.choice(('"v"', "1", "null", '"\\u0000"')))]])


def edit_text(rng, text):
    if not text:
        return text
    at = rng.randrange(len(text))
    kind = rng.randrange(8)
    if kind == 0:
        return text[:at] + rng.choice(' \t\n\r\f\v\0,:{}[]"\\-+.eE0179/x\u00e9\ud800') + text[at:]
    if kind == 1:
        return text[:at] + text[at + 1:]
    if kind == 2:
        return text[:at] + rng.choice('{}[],:"\\0123456789 ') + text[at + 1:]
    if kind == 3:
        digits = [i for i, c in enumerate(text) if c.isdigit()]
        if digits:
            at = rng.choice(digits)
            text = text[:at] + rng.choice("0123456789") + text[at + 1:]
        return text
    if kind == 4:
        return text[:at] + "\\u%04x" % (ord(text[at]) & 0xFFFF) + text[at + 1:]
    if kind == 5:
        tail = rng.choice((" ", "\n", "\0", "{}", "\t")) * rng.randrange(3)
        return " " * rng.randrange(9) + text + tail
    if kind == 6:
        end = rng.randrange(at, len(text) + 1)
        return text[:end] + text[at:end] + text[end:]
    return text.replace(",", rng.choice((" ,", ", ", "\n,\t", ",,")), rng.randrange(1, 4))


def edit_bytes(rng, case):
    case = bytearray(case)
    at = rng.randrange(len(case))
    kind = rng.randrange(6)
    if kind == 0:
        case[at] = rng.randrange(256)
    elif kind == 1:
        case[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del case[at:]
    elif kind == 3:
        case += bytes(rng.randrange(1, 20))
    elif kind == 4:
        length = struct.unpack_from("<Q", case)[0] + rng.choice((-8, -2, -1, 1, 2, 8))
        struct.pack_into("<Q", case, 0, length % 2**64)
    else:
        del case[at:at + rng.randrange(1, 4)]
    return bytes(case)


def by_chance(rng):
    rows, size = sound(rng)
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        edit_rows(rng, rows)
    text = text_of(rows)
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        text = edit_text(rng, text)
    case = pack(text, bytes(size))
    return edit_bytes(rng, case) if rng.random() < 0.25 else case


# ---- verdicts ---------------------------------------------------------------------------------

def reference(case):
    import safetensors
    try:
        safetensors.deserialize(case)
    except safetensors.SafetensorError as error:
        return str(error) or "refused"
    return None


class Probe:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, case):
        self.process.stdin.write(struct.pack("<I", len(case)) + case)
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode("utf-8", "replace")
        if not line.endswith("\n"):
            sys.exit(f"the probe died on {case[:300]!r}")
        status, sentence = line.rstrip("\n").split(" ", 1)
        return None if status == "0" else sentence


def compare(theirs, ours):
    """The class of a case, and whether it may be."""
    if theirs is None and ours is None:
        return "accepted by both", True
    if theirs is not None and ours is not None:
        return "refused by both", True
    if ours is None:
        beyond = "number out of range" in theirs
        return ("accepted by us alone: " + (BEYOND_F64 if beyond else "?")), beyond
    for name, words in STRICT.items():
        if words in ours:
            return f"refused by us alone: rule {name}", True
    return "refused by us alone: ?", False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--probe")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds")
    options = parser.parse_args()
    if options.seeds:
        cases = sorted({case for case in by_hand() if 8 < len(case) < 2000})
        for i, case in enumerate(cases):
            pathlib.Path(options.seeds, f"{i:04}").write_bytes(case)
        return 0
    rng = random.Random(options.seed)
    probe, classes, wrong = Probe(options.probe), collections.Counter(), 0
    hand = list(by_hand())
    for i in range(max(options.count, len(hand))):
        case = hand[i] if i < len(hand) else by_chance(rng)
        theirs, ours = reference(case), probe.ask(case)
        name, allowed = compare(theirs, ours)
        classes[name] += 1
        if not allowed:
            wrong += 1
            if wrong <= 20:
                print(f"DIFFERENT: {case[:400]!r}\n  reference: {theirs}\n  ours: {ours}")
    for name, count in sorted(classes.items()):
        print(f"{count:8} {name}")
    print(f"{sum(classes.values()):8} cases ({len(hand)} by hand), {wrong} with another verdict")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
