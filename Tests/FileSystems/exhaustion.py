"""Disks, quotas, inodes and limits that run out: the save fails by its type, and nothing is lost."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from disk import Disk
from file_systems import EXT4, MIB, FileSystem
from linux import MS_REMOUNT, LoopDevice, mount, mounted, run_tool
from store import STORE, Driver, Ledger

PAGE = 4096
TYPED = re.compile(r"failed (outOfSpace|io|durabilityUnknown|unreadable|notFound) ")

Outcome = tuple[str, str]
"""The name of a case, and what is wrong with it, if anything."""


def refusal(ledger: Ledger, codes: tuple[str, ...] = ("outOfSpace",)) -> str:
    """What is wrong with how a save failed, if anything."""
    if not ledger.failures:
        return "nothing failed"
    for failure in ledger.failures:
        if failure.split()[1] not in codes:
            return f"not the error that was expected: {failure}"
    return ""


def count(ledger: Ledger, failures: Counter) -> None:
    """Counts errors by code, system call and errno."""
    for failure in ledger.failures:
        code, call, number = failure.split()[1:4]
        name = errno.errorcode.get(int(number), number) if number.isdigit() else number
        failures[f"{code} ({call} {name})"] += 1


# MARK: A thin image on a disk that is too small

def thin(
    driver: Driver, scratch: Path, file_system: FileSystem, writer: str, sizes: list[int],
    failures: Counter,
) -> Iterator[Outcome]:
    """The image promises room that the disk below it does not have: write-back fails."""
    for size in sizes:
        yield f"{size} MiB of room", _thin(driver, scratch, file_system, writer, size, failures)


def _thin(
    driver: Driver, scratch: Path, file_system: FileSystem, writer: str, room: int,
    failures: Counter,
) -> str:
    state_bytes = 24 * MIB  # half of it becomes nothing
    below, target = scratch / "below", scratch / "mount"
    below.mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    ledger = Ledger()
    with mounted("tmpfs", below, "tmpfs", f"size={256 * MIB}"):
        image = below / "image"
        # So large that btrfs, which gives no room back before it commits, does not run out of it for its own.
        file_system.make_at(image, 512 * MIB)
        if file_system.metadata_size:
            with open(image, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, file_system.metadata_size)
        with LoopDevice(image) as device:
            with mounted(device.path, target, file_system.kind):
                driver.play(target / STORE, "save:10", ledger)
            used = os.stat(image).st_blocks * 512
            mount("tmpfs", below, "tmpfs", f"size={used + room * MIB}", MS_REMOUNT)
            with mounted(device.path, target, file_system.kind):
                driver.play(target / STORE, "save:20", ledger, "--writer", writer,
                            "--attempts", "3", "--state-bytes", str(state_bytes))
                count(ledger, failures)
            mount("tmpfs", below, "tmpfs", f"size={256 * MIB}", MS_REMOUNT)
            with mounted(device.path, target, file_system.kind):
                problem = driver.check(target / STORE, ledger)
    if not problem and any(not TYPED.match(failure) for failure in ledger.failures):
        problem = f"an untyped error: {ledger.failures}"
    if not problem and not ledger.failures and room < 10 and writer.startswith("ours"):
        problem = "the save cannot have fitted"
    return problem


# MARK: Quota

def quota(
    driver: Driver, scratch: Path, file_system: FileSystem, steps: range, failures: Counter
) -> Iterator[Outcome]:
    """A btrfs qgroup whose limit is met at every place of a save."""
    target = scratch / "mount"
    target.mkdir(exist_ok=True)
    image = bytearray(file_system.image(scratch))
    with Disk(scratch, image) as disk:
        for step in steps:
            disk.restore(image)
            disk.forget_cache()
            ledger = Ledger()
            with mounted(disk.device.path, target, "btrfs"):
                run_tool("btrfs", "quota", "enable", target)
                run_tool("btrfs", "subvolume", "create", target / "volume")
                store = target / "volume" / STORE
                driver.play(store, "save:10", ledger)
                run_tool("btrfs", "filesystem", "sync", target)
                run_tool("btrfs", "quota", "rescan", "-w", target)
                used = qgroup_use(target)
                limit = used + step * PAGE
                run_tool("btrfs", "qgroup", "limit", str(limit), target / "volume")
                driver.play(store, "save:20 save:30", ledger)
                count(ledger, failures)
                # The limit itself cannot be lifted where the quota leaves no room to record that.
                run_tool("btrfs", "quota", "disable", target)
                problem = driver.check(store, ledger)
            if not problem and ledger.failures:
                problem = refusal(ledger, ("outOfSpace", "durabilityUnknown"))
            if not problem and step <= 0 and not ledger.failures:
                problem = "the save cannot have fitted"
            yield f"{step * PAGE} bytes left", problem


def qgroup_use(target: Path) -> int:
    """Bytes that the subvolume refers to, as the quota counts them."""
    for line in run_tool("btrfs", "qgroup", "show", "--raw", target).splitlines():
        words = line.split()
        if words and words[0].startswith("0/") and words[0] != "0/5":
            return int(words[1])
    raise RuntimeError("the quota does not count the subvolume")


# MARK: Inodes

def inodes(driver: Driver, scratch: Path, failures: Counter) -> Iterator[Outcome]:
    """16 inodes, so that 0 to 5 are left for directories, lock and checkpoints."""
    target = scratch / "mount"
    target.mkdir(exist_ok=True)
    path = scratch / "few"
    path.write_bytes(b"")
    os.truncate(path, EXT4.size)
    run_tool(*EXT4.make, "-N", "16", path)
    image = bytearray(path.read_bytes())
    path.unlink()
    with Disk(scratch, image) as disk:
        with mounted(disk.device.path, target, "ext4"):
            free = os.statvfs(target).f_ffree
        for taken in range(free + 1):
            disk.restore(image)
            disk.forget_cache()
            with mounted(disk.device.path, target, "ext4"):
                for number in range(taken):
                    (target / f"filler{number}").touch()
                ledger = Ledger()
                words = " ".join(f"save:{step}" for step in range(10, 10 * free + 20, 10))
                driver.play(target / STORE, words, ledger)
                count(ledger, failures)
                problem = refusal(ledger)
                left = free - taken
                # Two directories and the lock; then one for each checkpoint.
                fitting = max(0, left - 3)
                if not problem and len(ledger.acknowledged) != fitting:
                    problem = f"{len(ledger.acknowledged)} saves fitted, and not {fitting}"
                if not problem:
                    problem = driver.check(target / STORE, ledger, saves=False)
                for number in range(taken):
                    (target / f"filler{number}").unlink()
                # Where there is room again, it goes on.
                if not problem and taken > 3:
                    problem = driver.check(target / STORE, ledger)
            yield f"{left} inodes left", problem


# MARK: Every size around the boundary

def sizes_tmpfs(
    driver: Driver, scratch: Path, writer: str, failures: Counter
) -> Iterator[Outcome]:
    """A tmpfs of every number of pages: what fits is saved, and nothing else."""
    target = scratch / "mount"
    target.mkdir(exist_ok=True)
    ledger = Ledger()
    driver.play(scratch / "measured", "save:10", ledger)
    pages = ledger.byte_count // PAGE
    # One page is for the lock.
    for size in range(1, 3 * pages + 4):
        with mounted("tmpfs", target, "tmpfs", f"size={size * PAGE},huge=never"):
            ledger = Ledger()
            driver.play(target / STORE, "save:10 save:20 save:30", ledger, "--writer", writer)
            count(ledger, failures)
            problem = driver.check(target / STORE, ledger, saves=False)
            fitting = min(3, (size - 1) // pages)
            if not problem and len(ledger.acknowledged) != fitting:
                problem = f"{len(ledger.acknowledged)} saves succeeded, and {fitting} fit"
            if not problem and fitting < 3:
                problem = refusal(ledger)
        yield f"{size} pages", problem


def sizes(
    driver: Driver, scratch: Path, file_system: FileSystem, writer: str, steps: range, slack: int,
    failures: Counter,
) -> Iterator[Outcome]:
    """Free space in steps of a page around what a save needs.

    The file system needs some room of its own, up to `slack` bytes; a save that has that much must
    succeed, and one that has less than its own bytes cannot.
    """
    target = scratch / "mount"
    target.mkdir(exist_ok=True)
    image = bytearray(file_system.image(scratch))
    with Disk(scratch, image) as disk:
        for step in steps:
            disk.restore(image)
            disk.forget_cache()
            with mounted(disk.device.path, target, file_system.kind):
                ledger = Ledger()
                driver.play(target / STORE, "save:10", ledger)
                need = ledger.byte_count
                left = fill(target, need + step * PAGE)
                driver.play(target / STORE, "save:20", ledger, "--writer", writer)
                count(ledger, failures)
                problem = driver.check(target / STORE, ledger, saves=False)
                has_saved = 20 in ledger.acknowledged.values()
                if not problem and ledger.failures:
                    problem = refusal(ledger)
                if not problem and not has_saved and left >= need + slack:
                    problem = f"{left} bytes were free, {need} needed, and it failed"
                if not problem and has_saved and left < need - PAGE:
                    problem = f"{left} bytes were free, {need} needed, and it succeeded"
                os.unlink(target / "filler")
                if not problem:
                    problem = driver.check(target / STORE, ledger)
            yield f"{left} bytes free, {need} needed, {'saved' if has_saved else 'failed'}", problem


def fill(target: Path, wanted: int) -> int:
    """Leaves about that much room; how much it is."""
    file = os.open(target / "filler", os.O_CREAT | os.O_RDWR)
    size = 0
    portion = free_bytes(target)
    while portion >= PAGE and (excess := free_bytes(target) - wanted) >= PAGE:
        portion = min(portion, excess) // PAGE * PAGE
        try:
            os.posix_fallocate(file, size, portion)
            size += portion
        except OSError:
            portion //= 2
        os.fsync(file)
    os.close(file)
    return free_bytes(target)


def free_bytes(target: Path) -> int:
    status = os.statvfs(target)
    return status.f_bavail * status.f_frsize


# MARK: Limits of the process

def limits(driver: Driver, scratch: Path, step: int, failures: Counter) -> Iterator[Outcome]:
    """RLIMIT_FSIZE and RLIMIT_NOFILE, from nothing to enough."""
    directory = scratch / "limited"
    ledger = Ledger()
    driver.play(directory, "save:10", ledger)
    need = ledger.byte_count
    for size in sorted({*range(0, need + 1, step), *range(need - 2, need + 3)}):
        yield from _limited(driver, directory, "FSIZE", size, size >= need, failures)
    for number in range(0, 16):
        yield from _limited(driver, directory, "NOFILE", number, None, failures)


def _limited(
    driver: Driver, directory: Path, name: str, value: int, fits: bool | None, failures: Counter
) -> Iterator[Outcome]:
    ledger = Ledger()
    run_tool("rm", "-rf", directory)
    driver.play(directory, "save:10", ledger)
    kind = getattr(resource, f"RLIMIT_{name}")

    def set_limit() -> None:
        resource.setrlimit(kind, (value, value))

    status = driver.play_limited(directory, "save:20", ledger, set_limit)
    count(ledger, failures)
    problem = driver.check(directory, ledger)
    if not problem and fits is not None:
        if fits != (20 in ledger.acknowledged.values()):
            problem = "it succeeded" if not fits else f"it failed: {ledger.failures}"
        elif not fits:
            problem = refusal(ledger)
    # The program itself may not even start with so few descriptors; then nothing was tried.
    if not problem and status == 1 and name == "NOFILE":
        problem = refusal(ledger, ("io", "unreadable", "notFound"))
    yield f"RLIMIT_{name} {value}", problem
