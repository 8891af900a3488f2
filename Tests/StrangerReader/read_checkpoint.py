#!/usr/bin/env python3
"""Reads and fully verifies a checkpoint file of format versions 1 and 2.

Written from docs/format.md alone, without the library: a test that the document suffices. The
numbers after § are its sections. Python 3, standard library only.

    read_checkpoint.py FILE
    read_checkpoint.py --vector NAME FORMAT.MD   a test vector of §14: empty, tiny, tiny2

Prints one JSON document. Exit status: 0 intact; 1 damaged, incomplete, over limit or no
checkpoint; 2 wrong usage or the file cannot be read; 3 unsupported version or read feature.
"""

import hashlib
import io
import json
import struct
import sys

import checksums
import chunk_codecs
from refusal import Refused, need, zero

# §11, the default limits
TENSORS, CHUNKS, CHUNK_SIZE = 1048576, 4194304, 67108864
INDEX_BYTES, METADATA_BYTES, VALUE_BYTES, VALUES = 268435456, 16777216, 4194304, 1048576
NAME_BYTES, RANK, JSON_DEPTH = 4096, 32, 32
DIMENSION, TENSOR_BYTES, COUNTER = 2**48, 2**62, 2**63 - 1

MAGIC = bytes.fromhex("D3434B500D0A1A0A")  # §4
HEADER, FRONT_HEAD, FRAME, TRAILER, NO_ALIAS = 4096, 32, 64, 1024, 0xFFFFFFFF
ROW = struct.Struct("<QIIIIIIII")  # §8.3

DTYPES = {  # §6.3: code: (name, bytes)
    1: ("bool", 1), 2: ("int8", 1), 3: ("int16", 2), 4: ("int32", 4), 5: ("int64", 8),
    6: ("uint8", 1), 7: ("uint16", 2), 8: ("uint32", 4), 9: ("uint64", 8), 10: ("float16", 2),
    11: ("bfloat16", 2), 12: ("float32", 4), 13: ("float64", 8), 14: ("float8_e4m3fn", 1),
    15: ("float8_e5m2", 1), 16: ("complex64", 8),
}
DOMAINS = {0: "state", 1: "metric", 2: "environment", 3: "stateVersion"}  # §8.4
TYPES = {1: "bool", 2: "int64", 3: "uint64", 4: "float64", 5: "string", 6: "bytes", 7: "json"}
ONLY_TYPE = {1: 4, 3: 2}  # §8.4: a metric is a float64, a version of state an int64


def align64(n):  # §2
    return (n + 63) & ~63


def text(data, what, offset, clean):  # §3
    try:
        result = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("damaged", f"{what}: not UTF-8", offset) from error
    unclean = clean and any(c < " " or "\x7f" <= c <= "\x9f" for c in result)
    need(not unclean, f"{what}: control characters", offset)
    return result


class Source:
    """A seekable file; asked only for lengths that were compared with a limit before."""

    def __init__(self, file):
        self.file = file
        self.length = file.seek(0, io.SEEK_END)
        self.checksum = checksums.crc32  # until the version is known: that of the file start (§3)

    def read(self, offset, length, what):
        need(offset + length <= self.length, f"{what} beyond the end", offset, "incomplete")
        self.file.seek(offset)
        data = self.file.read(length)
        need(len(data) == length, f"{what} could not be read whole", offset, "incomplete")
        return data

    def check(self, data, expected, what, offset):  # §3
        need(self.checksum(data) == expected, f"checksum of the {what}", offset)


def read_file_start(source):  # §4, the checks in the order it gives
    need(source.read(0, 8, "magic number") == MAGIC, "magic number", 0, "no checkpoint")
    data = source.read(0, 64, "file start")
    source.check(data[:60], struct.unpack_from("<I", data, 60)[0], "file start", 60)
    length, version, features, preserve, generation = struct.unpack_from("<IIQQQ", data, 8)
    zero(data[56:60], "file start", 56)
    need(1 <= generation <= COUNTER, "generation", 32)
    need(version in checksums.OF_VERSION, f"format version {version}", 12, "unsupported")
    need(features == 0, f"read features {features:#x}", 16, "unsupported")
    need(length == HEADER, "header length", 8)
    source.checksum = checksums.OF_VERSION[version]
    return {"version": version, "readFeatures": features, "preserveFeatures": preserve,
            "generation": generation, "save": data[40:56].hex()}


def read_header(source):  # §5
    header = read_file_start(source)
    whole = source.length >= 8192 and source.length % 4096 == 0
    need(whole, "length of the file", source.length, "incomplete")  # §10
    data = source.read(0, HEADER, "header")
    source.check(data[:4092], struct.unpack_from("<I", data, 4092)[0], "header", 4092)
    step, saved_at, superseded, chunk_size, count, writer = struct.unpack_from("<QqQIII", data, 112)
    need(step <= COUNTER, "step", 112, "over limit")
    need(superseded <= COUNTER, "superseded generation", 128, "over limit")
    need(chunk_size <= CHUNK_SIZE, "chunk size", 136, "over limit")
    need(chunk_size >= 64 and chunk_size % 64 == 0, "chunk size", 136)
    need(count <= 64, "number of branch points", 140)
    need(writer <= 256, "length of the writer", 144)
    zero(data[148:152], "header", 148)
    zero(data[152 + writer:512], "header behind the writer", 152 + writer)
    end = 512 + 32 * count
    zero(data[end:4092], "header behind the branch points", end)
    points = []
    for at in range(512, end, 32):
        generation, at_step = struct.unpack_from("<QQ", data, at)
        need(generation <= COUNTER, "generation of a branch point", at, "over limit")
        need(at_step <= COUNTER, "step of a branch point", at + 8, "over limit")
        identifier = data[at + 16:at + 32].hex()
        points.append({"generation": generation, "step": at_step, "checkpoint": identifier})
    header.update(
        checkpoint=data[64:80].hex(), run=data[80:96].hex(), parent=data[96:112].hex(), step=step,
        savedAt=saved_at, supersededGeneration=superseded, chunkByteCount=chunk_size,
        writer=text(data[152:152 + writer], "writer", 152, clean=False), branchPoints=points)
    return header, struct.unpack_from("<I", data, 4092)[0]


def read_trailer(source, save, header_checksum):  # §9
    base = source.length - TRAILER
    data = source.read(base, TRAILER, "trailer")
    need(data[1016:] == MAGIC[::-1], "magic number at the end", base + 1016, "incomplete")
    source.check(data[:1012], struct.unpack_from("<I", data, 1012)[0], "trailer", base + 1012)
    count, _, length = struct.unpack_from("<IIQ", data, 768)
    need(length == source.length, "length of the file", base + 776, "incomplete")
    need(4 <= count <= 24, "number of sections", base + 768)
    zero(data[772:776], "trailer", base + 772)
    need(data[784:800] == save, "save identifier of the trailer", base + 784)
    header_again, front_checksum = struct.unpack_from("<II", data, 800)
    need(header_again == header_checksum, "checksum of the header, again", base + 800)
    zero(data[808:1012], "trailer", base + 808)
    zero(data[32 * count:768], "section directory behind the last row", base + 32 * count)
    sections = []
    for row in range(count):
        at = base + 32 * row
        kind, flags, offset, size, checksum, zeros = struct.unpack_from("<IIQQII", data, 32 * row)
        need(kind == row + 1 if row < 4 else kind not in (1, 2, 3, 4), "kind of a section", at)
        need(row > 3 or flags == 0, "flags of a section", at + 4)
        need(zeros == 0, "directory row: not zero", at + 28)
        need(offset % 64 == 0 and offset >= 4096, "offset of a section", at + 8)
        need(row == 0 or offset == align64(end), "offset of a section", at + 8)
        end = offset + size
        need(end <= base, "length of a section", at + 16)
        sections.append((kind, offset, size, checksum))
    need(end - sections[0][1] <= INDEX_BYTES, "length of all sections", base, "over limit")
    # §2: as few zeros as possible before the trailer
    need(-(-(end + TRAILER) // 4096) * 4096 == source.length, "zeros before the trailer", base)
    return sections, front_checksum


def read_tensor_table(table, base, chunk_size):  # §6.2 to 6.4
    need(len(table) >= 8, "length of the tensor table", base)
    count = struct.unpack_from("<I", table)[0]
    zero(table[4:8], "tensor table", base + 4)
    need(count <= TENSORS, "number of tensors", base, "over limit")
    need(count * 17 <= len(table) - 8, "number of tensors", base)
    tensors, at, chunks = [], 8, 0
    for number in range(count):
        need(at + 16 <= len(table), "tensor record", base + at)
        code, rank, size, alias, first, own = struct.unpack_from("<BBHIII", table, at)
        need(code in DTYPES, "dtype", base + at)
        need(rank <= RANK, "rank", base + at + 1, "over limit")
        need(size >= 1, "length of a name", base + at + 2)
        need(size <= NAME_BYTES, "length of a name", base + at + 2, "over limit")
        end = at + 16 + 8 * rank + size
        need(end <= len(table), "tensor record", base + at)
        shape = struct.unpack_from(f"<{rank}Q", table, at + 16)
        name = table[end - size:end]
        product = DTYPES[code][1]
        for dimension in shape:
            need(dimension <= DIMENSION, "dimension", base + at + 16)
            product *= dimension or 1
            need(product <= TENSOR_BYTES, "bytes of a tensor", base + at + 16)
        tensor = {"name": text(name, "name of a tensor", base + end - size, clean=True),
                  "dtype": DTYPES[code][0], "shape": shape, "alias": None, "key": name,
                  "bytes": 0 if 0 in shape else product, "first": first, "chunks": own}
        if alias == NO_ALIAS:
            expected = (chunks, -(-tensor["bytes"] // chunk_size))
            chunks += expected[1]
            need(chunks <= CHUNKS, "number of chunks", base + at + 12, "over limit")
        else:
            need(alias < number and tensors[alias]["alias"] is None, "alias", base + at + 4)
            target = tensors[alias]
            same = (tensor["dtype"], shape) == (target["dtype"], target["shape"])
            need(same, "dtype or shape of an alias", base + at)
            tensor["alias"], expected = alias, (target["first"], target["chunks"])
        need((first, own) == expected, "first chunk or number of chunks", base + at + 8)
        tensors.append(tensor)
        at = end
    need(at == len(table), "end of the tensor table", base + at)
    return tensors, chunks


def check_name_order(order, base, tensors):  # §8.2
    need(len(order) == 4 * len(tensors), "length of the name order", base)
    before = b""  # below every name: names have at least one byte
    for place, (number,) in enumerate(struct.iter_unpack("<I", order)):
        ordered = number < len(tensors) and tensors[number]["key"] > before
        need(ordered, "name order", base + 4 * place)
        before = tensors[number]["key"]


def check_nesting(value, offset):  # §8.4
    depth, in_string, escaped = 0, False, False
    for byte in value:
        if escaped:
            escaped = False
        elif byte == 0x22:
            in_string = not in_string
        elif in_string:
            escaped = byte == 0x5C
        elif byte in b"[{":
            depth += 1
            need(depth <= JSON_DEPTH, "JSON nesting", offset, "over limit")
        elif byte in b"]}":
            depth = max(0, depth - 1)


def read_metadata(data, base):  # §8.4
    need(len(data) >= 8, "length of the metadata", base)
    count = struct.unpack_from("<I", data)[0]
    zero(data[4:8], "metadata", base + 4)
    need(count <= VALUES, "number of values", base, "over limit")
    need(count * 8 <= len(data) - 8, "number of values", base)
    values, at, before = [], 8, None
    for _ in range(count):
        need(at + 8 <= len(data), "metadata record", base + at)
        domain, code, key_size, size = struct.unpack_from("<BBHI", data, at)
        need(domain in DOMAINS, "domain", base + at)
        need(code in TYPES and ONLY_TYPE.get(domain, code) == code, "type", base + at + 1)
        need(key_size <= NAME_BYTES, "length of a name", base + at + 2, "over limit")
        need(size <= VALUE_BYTES, "length of a value", base + at + 4, "over limit")
        key, where = data[at + 8:at + 8 + key_size], at + 8 + key_size
        need(where + size <= len(data), "metadata record", base + at)
        need(before is None or before < (domain, key), "order of the metadata", base + at)
        before, raw = (domain, key), data[where:where + size]
        need(code > 4 or size == (1 if code == 1 else 8), "length of a value", base + at + 4)
        if code <= 4:
            number = int.from_bytes(raw, "little", signed=code == 2)
            need(code > 1 or number <= 1, "truth value", base + where)
            value = {1: number == 1, 4: f"{number & 2**64 - 1:016x}"}.get(code, number)
        else:
            value = raw.hex() if code == 6 else text(raw, "value", base + where, clean=False)
            if code == 7:
                check_nesting(raw, base + where)
        values.append({"domain": DOMAINS[domain], "type": TYPES[code], "value": value,
                       "key": text(key, "name of a value", base + at + 8, clean=True)})
        at = where + size
    need(at == len(data), "end of the metadata", base + at)
    return values


def expected_chunks(tensors, chunk_size):  # §6.4: (tensor, chunk, raw length) in order
    for number, tensor in enumerate(tensors):
        if tensor["alias"] is None:
            for chunk in range(tensor["chunks"]):
                yield number, chunk, min(chunk_size, tensor["bytes"] - chunk * chunk_size)


def check_chunk_table(rows, base, table_length, end, tensors, header):  # §8.3
    place, chunk_size = align64(4096 + FRONT_HEAD + table_length), header["chunkByteCount"]
    codecs = chunk_codecs.OF_VERSION[header["version"]]
    for row, (number, chunk, raw_size) in enumerate(expected_chunks(tensors, chunk_size)):
        at = base + 40 * row
        offset, *identity, size, stored, raw, codec, zeros = ROW.unpack_from(rows, 40 * row)
        need(offset == place, "offset of a frame", at)
        need(identity == [number, chunk, raw_size], "row of the chunk table", at + 8)
        need(codec in codecs, "codec", at + 32)
        legal = size == raw_size if codec == 0 else 1 <= size < raw_size  # §7.3
        need(legal, "stored length", at + 20)
        need(codec != 0 or stored == raw, "the two checksums of a stored chunk", at + 24)
        need(zeros == 0, "row of the chunk table: not zero", at + 36)
        place = align64(place + FRAME + size)
        need(place <= end, "the chunks reach into the sections", at)
    need(place == end, "the chunks do not end at the first section", base)


def check_chunks(source, rows, save, tensors, chunk_size):  # §7, and the hashes to print
    hashes = {n: hashlib.sha256() for n, t in enumerate(tensors) if t["alias"] is None}
    for row, (number, chunk, raw_size) in enumerate(expected_chunks(tensors, chunk_size)):
        offset, _, _, _, size, stored_sum, raw_sum, codec, _ = ROW.unpack_from(rows, 40 * row)
        frame = struct.pack("<4sI16sIIQIIIII", b"CHNK", codec, save, number, chunk,
                            chunk * chunk_size, raw_size, size, stored_sum, raw_sum, 0)
        frame += struct.pack("<I", source.checksum(frame))
        need(source.read(offset, FRAME, "frame") == frame, "frame", offset)
        at = offset + FRAME
        data = source.read(at, size, "chunk")
        identity = source.checksum(save + struct.pack("<III", number, chunk, raw_size))  # §7.2
        need(source.checksum(data, identity) == stored_sum, "stored checksum of a chunk", at)
        if codec != 0:
            data = chunk_codecs.DECODERS[codec](data, raw_size, at)
            need(source.checksum(data, identity) == raw_sum, "raw checksum of a chunk", at)
        end = at + size
        zero(source.read(end, align64(end) - end, "padding"), "padding behind a chunk", end)
        hashes[number].update(data)
    return {number: hash.hexdigest() for number, hash in hashes.items()}


def check_front_table(source, save, table, expected):  # §6.1
    head = source.read(4096, FRONT_HEAD, "front table")
    checksum, length = struct.unpack_from("<IQ", head, 4)
    need(head[:4] == b"FRNT", "magic number of the front table", 4096)
    need(length == len(table), "length in the front table", 4104)
    body = source.read(4096 + FRONT_HEAD, length, "front table")
    source.check(head[8:] + body, checksum, "front table", 4100)
    need(checksum == expected, "checksum of the front table in the trailer", 4100)
    need(head[16:] == save, "save identifier of the front table", 4112)
    need(body == table, "the two tensor tables differ", 4128)
    end = 4096 + FRONT_HEAD + length
    zero(source.read(end, align64(end) - end, "padding"), "padding behind the front table", end)


def verify(file):  # §10: Open, then level full
    source = Source(file)
    header, header_checksum = read_header(source)
    save, chunk_size = bytes.fromhex(header["save"]), header["chunkByteCount"]
    sections, front_checksum = read_trailer(source, save, header_checksum)
    need(sections[3][2] <= METADATA_BYTES, "length of the metadata", sections[3][1], "over limit")
    parts = []
    for kind, offset, size, checksum in sections:
        data = source.read(offset, size, "section")
        source.check(data, checksum, f"section of kind {kind}", offset)
        if len(parts) < 4:  # the others are unknown, but must be whole (§12)
            parts.append(data)
    table, order, rows, data = parts
    tensors, chunks = read_tensor_table(table, sections[0][1], chunk_size)
    check_name_order(order, sections[1][1], tensors)
    metadata = read_metadata(data, sections[3][1])
    need(len(rows) == 40 * chunks, "length of the chunk table", sections[2][1])
    check_chunk_table(rows, sections[2][1], len(table), sections[0][1], tensors, header)
    check_front_table(source, save, table, front_checksum)
    hashes = check_chunks(source, rows, save, tensors, chunk_size)
    ends = [section[1] for section in sections[1:]] + [source.length - TRAILER]
    for (_, offset, size, _), end in zip(sections, ends):  # each gap below 4,096 bytes (§2, §9)
        gap = offset + size
        zero(source.read(gap, end - gap, "padding"), "padding behind a section", gap)
    shown = [{"name": t["name"], "dtype": t["dtype"], "shape": t["shape"],
              "alias": None if t["alias"] is None else tensors[t["alias"]]["name"],
              "sha256": hashes[n if t["alias"] is None else t["alias"]]}
             for n, t in enumerate(tensors)]
    return {"header": header, "tensors": shown, "metadata": metadata}


def vector(name, document):  # §14: rebuilds the bytes of a block of hex lines
    with open(document, encoding="utf-8") as file:
        block = file.read().split(f"<!-- vector:{name}:begin -->")[1].split("<!-- vector:")[0]
    first, *lines = [line for line in block.splitlines() if line and "```" not in line]
    length, crc = first.removeprefix("length ").split(", CRC-32 ")
    result = bytearray(int(length))
    for line in lines:
        at, data = int(line[:8], 16), bytes.fromhex(line[10:57])
        result[at:at + len(data)] = data
    need((len(result), checksums.crc32(result)) == (int(length), int(crc, 16)), "vector", 0)
    return io.BytesIO(result)


def main(arguments):
    try:
        if len(arguments) == 3 and arguments[0] == "--vector":
            answer, status = verify(vector(*arguments[1:])), 0
        elif len(arguments) == 1:
            with open(arguments[0], "rb") as file:
                answer, status = verify(file), 0
        else:
            answer, status = {"error": "usage", "what": __doc__}, 2
    except Refused as refused:
        answer = dict(zip(("error", "what", "offset"), refused.args))
        status = 3 if answer["error"] == "unsupported" else 1
    except OSError as error:
        answer, status = {"error": "cannot be read", "what": str(error), "offset": 0}, 2
    print(json.dumps(answer, indent=1))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
