"""The codecs of docs/format.md §7.3 and §7.4. Part of read_checkpoint.py.

Each takes stored bytes, the number of bytes they must give, and where they lie in the file.
"""

import struct
import zlib

from refusal import Refused, need


def inflate(stored, size, offset):  # §7.3, never more than one byte beyond the size
    decoder = zlib.decompressobj(-15)
    try:
        raw = decoder.decompress(stored, size + 1)
    except zlib.error as error:
        raise Refused("damaged", f"DEFLATE stream: {error}", offset) from error
    need(decoder.eof and not decoder.unused_data and len(raw) == size, "DEFLATE end", offset)
    return raw


def take(stored, at, length, offset):  # §3: a part must not end within a field
    need(at + length <= len(stored), "end of the stored bytes within a plane", offset + at)
    return stored[at:at + length]


def read_streams(stored, at, streams, count, offset):  # §7.4, method 2
    lengths = struct.unpack(f"<{streams}I", take(stored, at, 4 * streams, offset))
    part = -(-count // streams)
    last = count - (streams - 1) * part
    need(last >= 1, "number of streams", offset + at)
    at += 4 * streams
    parts = []
    for stream, length in enumerate(lengths):
        data = take(stored, at, length, offset)
        parts.append(inflate(data, last if stream == streams - 1 else part, offset + at))
        at += length
    return b"".join(parts), at


def read_plane(stored, at, method, streams, count, offset):  # §7.4: a plane, and where it ends
    if method == 0:
        return take(stored, at, count, offset), at + count
    if method == 1:
        return take(stored, at, 1, offset) * count, at + 1
    return read_streams(stored, at, streams, count, offset)


def rotate_right(raw, width):  # §7.4: each element by one bit, all of them in one number
    number = int.from_bytes(raw, "little")
    lowest = int.from_bytes((b"\x01" + bytes(width - 1)) * (len(raw) // width), "little")
    below = int.from_bytes((b"\xff" * (width - 1) + b"\x7f") * (len(raw) // width), "little")
    number = number >> 1 & below | (number & lowest) << 8 * width - 1
    return number.to_bytes(len(raw), "little")


def planes(stored, size, offset):  # §7.4
    width, rotated, zeros = struct.unpack("<BBH", take(stored, 0, 4, offset))
    need(width in (1, 2, 4, 8) and size % width == 0, "width of the planes", offset)
    need(rotated <= (width > 1), "rotation of the planes", offset + 1)
    need(zeros == 0, "planes: not zero", offset + 2)
    rows, count = take(stored, 4, 4 * width, offset), size // width
    raw, at = bytearray(size), 4 + 4 * width
    for plane, (method, streams, zeros) in enumerate(struct.iter_unpack("<BBH", rows)):
        row = offset + 4 + 4 * plane
        need(method <= 2, "method of a plane", row)
        need(1 <= streams <= 16 if method == 2 else streams == 0, "number of streams", row + 1)
        need(zeros == 0, "row of a plane: not zero", row + 2)
        raw[plane::width], at = read_plane(stored, at, method, streams, count, offset)
    need(at == len(stored), "end of the planes", offset + at)
    return rotate_right(raw, width) if rotated else bytes(raw)


DECODERS = {1: inflate, 2: planes}
OF_VERSION = {1: (0, 1), 2: (0, 2)}
