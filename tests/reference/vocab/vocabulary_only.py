#!/usr/bin/env python3
"""Copies the metadata of a GGUF file without its tensors: vocabulary_only.py MODEL.gguf OUT.gguf"""

import struct
import sys

SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


def skip_value(data, kind, at):
    """Offset behind the value of that type."""
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind == ARRAY:
        element, count = struct.unpack_from("<IQ", data, at)
        at += 12
        for _ in range(count):
            at = skip_value(data, element, at)
        return at
    return at + SCALAR_BYTES[kind]


def main():
    data = open(sys.argv[1], "rb").read()
    magic, version, _, key_count = struct.unpack_from("<4sIQQ", data)
    at = header = 24
    for _ in range(key_count):
        at = skip_value(data, STRING, at)
        at = skip_value(data, struct.unpack_from("<I", data, at)[0], at + 4)
    with open(sys.argv[2], "wb") as out:
        out.write(struct.pack("<4sIQQ", magic, version, 0, key_count) + data[header:at])


main()
