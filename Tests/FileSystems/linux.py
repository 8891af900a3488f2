"""Mounts, loop devices and child processes, such that nothing of them outlives this process.

Everything is mounted in a mount namespace of our own, loop devices clear themselves when the last
descriptor is closed, and children are killed with their parent: also a SIGKILL leaves nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MS_REMOUNT = 0x20
PR_SET_PDEATHSIG = 1

LOOP_CTL_GET_FREE, LOOP_CONFIGURE, BLKFLSBUF = 0x4C82, 0x4C0A, 0x1261
LO_FLAGS_AUTOCLEAR = 4


class CannotRun(Exception):
    """A right or a tool is missing."""


def call(name: str, *arguments: object) -> int:
    """Calls a function of the C library that returns -1 on failure."""
    result = getattr(libc, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def encoded(text: str | Path | None) -> bytes | None:
    return None if text is None else str(text).encode()


def mount(source: str, target: Path, kind: str, options: str = "", flags: int = 0) -> None:
    call("mount", encoded(source), encoded(target), encoded(kind), ctypes.c_ulong(flags),
         encoded(options or None))


def unmount(target: Path) -> None:
    for _ in range(200):
        try:
            call("umount2", encoded(target), 0)
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.01)
    raise OSError(errno.EBUSY, f"{target} stays busy")


@contextlib.contextmanager
def mounted(source: str, target: Path, kind: str, options: str = "") -> Iterator[Path]:
    mount(source, target, kind, options)
    try:
        yield target
    finally:
        unmount(target)


def enter_own_namespace() -> None:
    """From here on nobody else sees what is mounted, and it goes with this process."""
    if os.geteuid() != 0:
        raise CannotRun("this needs root, to mount file systems")
    try:
        call("unshare", CLONE_NEWNS)
        call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
    except OSError as error:
        raise CannotRun(f"this needs the right to mount ({error.strerror})") from error


def make_scratch(size: str = "3g") -> Path:
    """A directory in memory, which is gone in the end."""
    scratch = Path(tempfile.mkdtemp(prefix="power-cut-"))
    try:
        mount("tmpfs", scratch, "tmpfs", f"size={size},mode=0700")
    except OSError as error:
        scratch.rmdir()
        raise CannotRun(f"a tmpfs cannot be mounted ({error.strerror})") from error

    def remove() -> None:
        call("umount2", encoded(scratch), 2)  # MNT_DETACH
        scratch.rmdir()

    atexit.register(remove)
    return scratch


def require_tools(*names: str) -> None:
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise CannotRun("not installed: " + ", ".join(missing))


def run_tool(*words: str | Path) -> str:
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{words[0]} failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout


def die_with_parent() -> None:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(
    words: list[str | Path], before: Callable[[], None] = die_with_parent, **options: object
) -> subprocess.Popen:
    """Starts a program, which ignores the signals that Python ignores: SIGPIPE and SIGXFSZ."""
    return subprocess.Popen([str(word) for word in words], preexec_fn=before,
                            restore_signals=False, **options)


class LoopDevice:
    """A block device over a file; use it in `with`."""

    def __init__(self, backing: Path) -> None:
        self.descriptor = -1
        file = os.open(backing, os.O_RDWR | os.O_CLOEXEC)
        try:
            for _ in range(50):  # somebody else may be faster
                self.path = self._free_device()
                descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
                info = struct.pack("=5Q4I160x16x", 0, 0, 0, 0, 0, 0, 0, 0, LO_FLAGS_AUTOCLEAR)
                try:
                    fcntl.ioctl(descriptor, LOOP_CONFIGURE,
                                struct.pack("=II", file, 0) + info + bytes(64))
                    self.descriptor = descriptor
                    return
                except OSError as error:
                    os.close(descriptor)
                    if error.errno != errno.EBUSY:
                        raise
            raise OSError(errno.EBUSY, "no loop device is free")
        finally:
            os.close(file)

    @staticmethod
    def _free_device() -> str:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            return f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
        finally:
            os.close(control)

    def forget_cache(self) -> None:
        """Drops what the block layer remembers, after the file was changed behind its back."""
        fcntl.ioctl(self.descriptor, BLKFLSBUF)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> LoopDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def require_loop_devices(scratch: Path) -> None:
    """Attaches one, which says more than looking for a device node."""
    path = scratch / "probe"
    path.write_bytes(bytes(65536))
    try:
        LoopDevice(path).close()
    except OSError as error:
        raise CannotRun(f"loop devices are not to be had ({error.strerror})") from error
    finally:
        path.unlink()


def require_file_system(kind: str) -> None:
    known = {line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()}
    if kind not in known:
        subprocess.run(["modprobe", kind], capture_output=True)
        known = {line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()}
    if kind not in known:
        raise CannotRun(f"this kernel has no {kind}")


class BlockLog:
    """The FUSE program that stands between a loop device and its image; use it in `with`."""

    def __init__(self, program: Path, image: Path, log: Path, directory: Path) -> None:
        self.directory = directory
        self.image, self.marks = directory / "image", directory / "marks"
        directory.mkdir(exist_ok=True)
        self.process = start([program, image, log, directory])
        while not self.image.exists():
            if self.process.poll() is not None:
                raise CannotRun("FUSE cannot be mounted here")
            time.sleep(0.001)

    def __enter__(self) -> BlockLog:
        return self

    def __exit__(self, *_: object) -> None:
        unmount(self.directory)
        if self.process.wait(timeout=30) != 0:
            raise RuntimeError("blocklog failed")


def compile_block_log(scratch: Path) -> Path:
    if not os.path.exists("/dev/fuse"):
        raise CannotRun("there is no /dev/fuse")
    require_tools("gcc", "pkg-config", "fusermount3")
    flags = subprocess.run(["pkg-config", "fuse3", "--cflags", "--libs"],
                           capture_output=True, text=True)
    if flags.returncode != 0:
        raise CannotRun("not installed: libfuse3-dev")
    program = scratch / "blocklog"
    source = Path(__file__).with_name("blocklog.c")
    run_tool("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source,
             *flags.stdout.split())
    return program
