"""The file systems, as small as they can be made, and how they are mounted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from linux import require_file_system, require_tools, run_tool

MIB = 1 << 20

_images: dict[str, bytes] = {}


@dataclass(frozen=True)
class FileSystem:
    kind: str
    size: int
    make: tuple[str, ...]
    options: tuple[str, ...]
    """Ways to mount it; the first is the usual one."""
    metadata_size: int = 0
    """How much at its front a thin disk must have, so that only data runs out."""

    def require(self) -> None:
        require_file_system(self.kind)
        require_tools(self.make[0])

    def make_at(self, path: Path, size: int | None = None) -> None:
        path.write_bytes(b"")
        os.truncate(path, size or self.size)
        run_tool(*self.make, path)

    def image(self, scratch: Path) -> bytes:
        """An empty one."""
        if self.kind not in _images:
            path = scratch / "made"
            self.make_at(path)
            _images[self.kind] = path.read_bytes()
            path.unlink()
        return _images[self.kind]


EXT4 = FileSystem(
    "ext4", 16 * MIB,
    ("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-E",
     "nodiscard,lazy_itable_init=0,lazy_journal_init=0"),
    ("", "commit=1", "data=writeback", "noauto_da_alloc"))
XFS = FileSystem(
    "xfs", 16 * MIB, ("mkfs.xfs", "--unsupported", "-q", "-f", "-K"), ("", "logbsize=32k"))
BTRFS = FileSystem(
    "btrfs", 64 * MIB, ("mkfs.btrfs", "-q", "-f", "-K", "-m", "single", "-d", "single"),
    ("", "flushoncommit"))

# With all metadata and the journal at the front, so that a disk below can be given just those.
THIN_EXT4 = FileSystem(
    "ext4", 128 * MIB, (*EXT4.make[:-1], EXT4.make[-1] + ",packed_meta_blocks=1"), ("",), 16 * MIB)

FILE_SYSTEMS = {file_system.kind: file_system for file_system in (EXT4, XFS, BTRFS)}
