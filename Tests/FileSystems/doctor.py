#!/usr/bin/env python3
"""Asks `ckpt doctor` about file systems that are mounted for it, and compares what it says."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import linux
from file_systems import BTRFS, EXT4, XFS, FileSystem
from linux import CannotRun, LoopDevice, mounted, start
from store import finish

ROOT = Path(__file__).resolve().parents[2]

DURABLE = "durable"
KILL_ONLY = "survives a kill of the program, not a power cut"
NO_STORE = "cannot hold a store"

MS_RDONLY = 1

EXPLANATION = """\
exit status: 0 every guarantee is the right one; 1 one is not, or something is
             left behind; 2 something was skipped, and says what is missing
"""


@dataclass(frozen=True)
class Case:
    """A way to mount a file system, and what `ckpt doctor` has to say of it."""

    kind: str
    guarantee: str
    reason: str = ""
    """Words of the first reason."""
    disk: FileSystem | None = None
    """What to put on a loop device; else it is an overlay over ext4, or tmpfs."""
    options: str = ""
    flags: int = 0

    def __str__(self) -> str:
        words = ["read-only"] if self.flags & MS_RDONLY else []
        return " ".join([self.kind, *words, *filter(None, [self.options])])


CASES = [
    Case("ext4", DURABLE, disk=EXT4),
    Case("ext4", DURABLE, disk=EXT4, options="data=writeback"),
    Case("ext4", KILL_ONLY, "barrier", EXT4, "barrier=0"),
    Case("ext4", KILL_ONLY, "barrier", EXT4, "nobarrier"),
    Case("ext4", NO_STORE, "read-only", EXT4, "noload", MS_RDONLY),
    Case("xfs", DURABLE, disk=XFS),
    Case("btrfs", DURABLE, disk=BTRFS),
    Case("btrfs", KILL_ONLY, "barrier", BTRFS, "nobarrier"),
    Case("tmpfs", KILL_ONLY, "memory"),
    Case("overlay", DURABLE),
    Case("overlay", KILL_ONLY, "volatile", options="volatile"),
]


@contextlib.contextmanager
def place(case: Case, scratch: Path) -> Iterator[Path]:
    """The file system of a case, mounted."""
    target = scratch / "mount"
    target.mkdir(exist_ok=True)
    if case.kind == "tmpfs":
        with mounted("tmpfs", target, "tmpfs", case.options) as path:
            yield path
        return
    disk = case.disk or EXT4
    disk.require()
    linux.require_loop_devices(scratch)
    image = scratch / "image"
    disk.make_at(image)
    try:
        with LoopDevice(image) as device:
            if case.kind != "overlay":
                with mount_or_skip(device.path, target, case) as path:
                    yield path
                return
            linux.require_file_system("overlay")
            below = scratch / "below"
            below.mkdir(exist_ok=True)
            with mounted(device.path, below, disk.kind):
                layers = {name: below / name for name in ("lower", "upper", "work")}
                for layer in layers.values():
                    layer.mkdir()
                options = ",".join(f"{name}dir={layer}" for name, layer in layers.items())
                case = Case("overlay", case.guarantee,
                            options=",".join(filter(None, [options, case.options])))
                with mount_or_skip("overlay", target, case) as path:
                    yield path
    finally:
        image.unlink()


@contextlib.contextmanager
def mount_or_skip(source: str, target: Path, case: Case) -> Iterator[Path]:
    """A kernel that does not know an option is nothing that `ckpt doctor` could be blamed for."""
    try:
        linux.mount(source, target, case.kind, case.options, case.flags)
    except OSError as error:
        raise CannotRun(f"cannot be mounted ({error.strerror})") from error
    try:
        yield target
    finally:
        linux.unmount(target)


def problem(program: Path, case: Case, path: Path) -> str:
    """What is wrong with what is said of a case, or nothing."""
    before = sorted(path.iterdir())
    process = start([program, "doctor", path, "--json"], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True)
    output, errors = finish(process)
    try:
        report = json.loads(output)
    except ValueError:
        return f"exit status {process.returncode}: {(errors or output).strip()}"
    if report["guarantee"] != case.guarantee:
        return f"'{report['guarantee']}' instead of '{case.guarantee}': {report['reasons']}"
    if process.returncode != (0 if case.guarantee == DURABLE else 1):
        return f"exit status {process.returncode}"
    if report["type"] != case.kind or report["mount_point"] != str(path):
        return f"takes it for {report['type']} at {report['mount_point']}"
    if case.reason not in "".join(report["reasons"][:1]):
        return f"for another reason: {report['reasons']}"
    failing = [probe["name"] for probe in report["probes"] if not probe["works"]]
    # Direct writes and reservations are welcome, and not everywhere to be had.
    if unexpected := set(failing) - {"direct writes", "preallocation", "exclusive rename"}:
        return f"failing: {sorted(unexpected)}"
    if sorted(path.iterdir()) != before:
        return f"left behind: {[entry.name for entry in path.iterdir()]}"
    return ""


def run(program: Path, scratch: Path) -> int:
    counts = {"right": 0, "WRONG": 0, "SKIPPED": 0}
    for case in CASES:
        try:
            with place(case, scratch) as path:
                wrong = problem(program, case, path)
        except CannotRun as reason:
            counts["SKIPPED"] += 1
            print(f"SKIPPED: {case}: {reason}", flush=True)
            continue
        counts["WRONG" if wrong else "right"] += 1
        print(f"WRONG  {case}: {wrong}" if wrong else f"right  {case}: {case.guarantee}",
              flush=True)
    print(", ".join(f"{count} {name.lower()}" for name, count in counts.items()))
    return 1 if counts["WRONG"] else 2 if counts["SKIPPED"] else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / ".build/release", metavar="DIR",
                        help="where ckpt is (default: .build/release)")
    return parser.parse_args()


def main() -> int:
    program = parse().bin.resolve() / "ckpt"
    # As Ctrl-C: everything is unwound, and mounts go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if not program.is_file():
            raise CannotRun(f"there is no {program}: swift build -c release --product ckpt")
        linux.enter_own_namespace()
        return run(program, linux.make_scratch("256m"))
    except CannotRun as reason:
        print(f"SKIPPED: {reason}")
        return 2
    except Exception:  # not a wrong answer, and not a success either
        traceback.print_exc()
        return 2


if __name__ == "__main__":
    sys.exit(main())
