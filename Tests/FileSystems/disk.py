"""A block device whose contents can be put back in a millisecond."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

from linux import LoopDevice


class Disk:
    """A loop device over a file in memory; use it in `with`."""

    def __init__(self, scratch: Path, base: bytes | bytearray) -> None:
        self.path = scratch / "disk"
        self.path.write_bytes(b"")
        os.truncate(self.path, len(base))
        self.file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self.map = mmap.mmap(self.file, len(base))
        block = 65536
        zeros = bytes(block)
        for offset in range(0, len(base), block):
            data = bytes(base[offset:offset + block])
            if data != zeros[:len(data)]:
                self.map[offset:offset + len(data)] = data
        self.device = LoopDevice(self.path)

    def restore(self, contents: bytearray) -> None:
        """Makes the disk equal to `contents`, which is 0 wherever this disk was never written.

        Nothing may be mounted. Only what the file holds can differ from 0, and is copied.
        """
        holder = ctypes.c_char.from_buffer(self.map)
        other = ctypes.c_char.from_buffer(contents)
        target, source = ctypes.addressof(holder), ctypes.addressof(other)
        position = 0
        while True:
            try:
                position = os.lseek(self.file, position, os.SEEK_DATA)
            except OSError:  # ENXIO: no more data
                break
            end = os.lseek(self.file, position, os.SEEK_HOLE)
            ctypes.memmove(target + position, source + position, end - position)
            position = end
        # The buffers cannot be resized or closed while these exist.
        del holder, other

    def put(self, offset: int, data: bytes) -> None:
        self.map[offset:offset + len(data)] = data

    def forget_cache(self) -> None:
        self.device.forget_cache()

    def close(self) -> None:
        self.device.close()
        self.map.close()
        os.close(self.file)
        self.path.unlink()

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
