#!/usr/bin/env python3
"""Flips one bit of every byte of a checkpoint file and cuts the file at every length, in memory.

    flip_every_byte.py FILE

Prints what read_checkpoint.py made of it. Exit status: 0 if it refused every change, else 1.
"""

import collections
import io
import json
import random
import sys

import read_checkpoint


def verdict(data):
    """The kind of refusal, or none; anything but a refusal is an error of the reader."""
    try:
        read_checkpoint.verify(io.BytesIO(data))
    except read_checkpoint.Refused as refused:
        return refused.args[0]
    return None


def main(path):
    with open(path, "rb") as file:
        whole = bytearray(file.read())
    bits = random.Random(1)
    flips, cuts, missed = collections.Counter(), collections.Counter(), []
    for offset in range(len(whole)):
        bit = 1 << bits.randrange(8)
        cut = verdict(whole[:offset])
        whole[offset] ^= bit
        flip = verdict(whole)
        whole[offset] ^= bit
        cuts[cut] += 1
        flips[flip] += 1
        if cut is None or flip is None:
            missed.append(offset)
    intact = verdict(whole) is None
    print(json.dumps({"intact": intact, "flips": flips, "cuts": cuts, "missed": missed}))
    return 0 if intact and not missed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
