#!/usr/bin/env python3
"""Runs the real programs against limits and in places where nothing can be saved.

  limits   RLIMIT_FSIZE from 0 to beyond the size of a checkpoint, in steps of 4 KiB and one byte
           around each; RLIMIT_NOFILE from 0 up until it suffices. A save succeeds exactly if it
           fits.
  places   the store's path is a file, a FIFO, a device, a link; the directory is read-only,
           immutable, or another user's; things that are no files bear the names of checkpoints.
  stopped  a writer that is stopped in the middle of a save keeps its temporary file and its lock,
           however long others try to open the store.

Whatever happens: an error with call and errno and no hang, no death by a signal, and the old
checkpoint as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import resource
import shutil
import stat
import struct
import subprocess
import sys
import time
from typing import Callable, Iterator

import harness
from harness import Listing, Result, Workplace, could_not_run
from stopped_writer import StoppedWriter

OLD = "step-000000001.g000001.ckpt"
NOBODY = 65534
# From linux/fs.h: what chattr(1) uses.
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IMMUTABLE_FL = 0x80086601, 0x40086602, 0x10


class Suite:
    def __init__(self, work: Workplace, arguments) -> None:
        self.work, self.arguments = work, arguments
        self.cases = 0
        self.skipped = 0
        self.violations: list[str] = []
        # Wide enough that a checkpoint has many pages.
        self.width = 8 if arguments.short else 32
        self.command = [*work.train(max_steps=2, width=self.width), "--resume_from_checkpoint"]
        self.verify_command = [
            str(work.programs / "ckpt-verify"), "--jobs", "1", "--json", harness.STORE]
        work.clear()
        result = work.run(self.command)
        if result.status != 0 or not result.digest:
            could_not_run(f"the undisturbed run failed: {result.errors[-500:]}")
        self.digest = result.digest
        self.byte_count = result.events("saved")[1]["bytes"]
        # A store with one checkpoint, from which step 2 is to be saved.
        self.template = work.path / "template"
        shutil.copytree(work.store, self.template)
        for name in Listing.of(self.template).checkpoints[1:]:
            (self.template / name).unlink()
        self.old = (self.template / OLD).read_bytes()

    def case(self, title: str, found: list[str]) -> None:
        self.cases += 1
        self.violations += [f"{title}: {text}" for text in found]

    def skip(self, title: str, reason: str) -> None:
        self.skipped += 1
        print(f"SKIPPED: {title}: {reason}", flush=True)

    def check_old(self) -> list[str]:
        """The old checkpoint is as it was, and nothing half-made is beside it."""
        found = harness.store_violations(self.work, [OLD], {OLD: self.old}, None)
        temporaries = Listing.of(self.work.store).temporaries
        return found + [f"a temporary file stays: {name}" for name in temporaries]

    @staticmethod
    def said(result: Result) -> str:
        return result.errors + " ".join(e["error"] for e in result.events("save_failed"))

    # MARK: Limits

    def limited(self, command: list[str], kind: int, limit: int) -> Result:
        return self.work.run(
            command, timeout=30,
            preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)))

    def file_sizes(self) -> None:
        limits = {edge + offset for edge in range(0, self.byte_count + 8192, 4096)
                  for offset in (-1, 0, 1) if edge + offset >= 0}
        first = None
        for limit in sorted(limits):
            self.work.clear(self.template)
            result = self.limited(self.command, resource.RLIMIT_FSIZE, limit)
            found = self.check_old()
            fits = limit >= self.byte_count
            if fits:
                first = limit if first is None else first
                if result.status != 0 or result.digest != self.digest:
                    found.append(f"it fits and fails: {result.status} {self.said(result)[-300:]}")
            else:
                failed = result.events("save_failed")
                if result.status != 1 or not failed or result.events("saved"):
                    found.append(f"does not fit: {result.status} {self.said(result)[-300:]}")
                elif any(event["code"] != "outOfSpace" or "pwrite64 failed" not in event["error"]
                         or "(errno 27)" not in event["error"] for event in failed):
                    found.append(f"EFBIG is not said: {failed}")
                if result.digest != self.digest:
                    found.append("training did not go on")
            self.case(f"RLIMIT_FSIZE {limit}", found)
        print(f"RLIMIT_FSIZE: {len(limits)} limits, a checkpoint of {self.byte_count} bytes is "
              f"saved from {first} up", flush=True)

    def open_files(self) -> None:
        for name, command, refusals in [
            ("train-lm", self.command, {1}), ("ckpt-verify", self.verify_command, {2})]:
            needed, limit, refused = None, 0, 0
            # The dynamic loader has statuses of its own.
            while needed is None or limit < needed + 4:
                self.work.clear(self.template)
                result = self.limited(command, resource.RLIMIT_NOFILE, limit)
                found = self.check_old()
                if result.status == 0:
                    needed = limit if needed is None else needed
                elif needed is not None:
                    found.append(f"{needed} sufficed, and {limit} does not")
                elif result.status == 127 and "error while loading" in result.errors:
                    pass
                elif result.status in refusals:
                    refused += 1
                    said = self.said(result) + result.output
                    if "errno 24" not in said and "text.txt cannot be read" not in said:
                        found.append(f"EMFILE is not said: {said[-300:]}")
                else:
                    found.append(f"status {result.status}: {result.errors[-300:]}")
                self.case(f"RLIMIT_NOFILE {limit}, {name}", found)
                limit += 1
                if limit > 100:
                    self.case(f"RLIMIT_NOFILE, {name}", ["100 files do not suffice"])
                    break
            print(f"RLIMIT_NOFILE: {name} works from {needed} up, after {refused} typed errors",
                  flush=True)

    # MARK: Places

    def place(
        self, title: str, expected: str, *, status: int = 1, user: int | None = None
    ) -> None:
        """Trains where `title` says; the message must hold what is expected, within a second."""
        options = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
        result = self.work.run(self.command, timeout=20, **options)
        if result.seconds > 1 and status == 1:
            # A refusal changes nothing: on a busy machine it may be asked for again.
            result = self.work.run(self.command, timeout=20, **options)
        found: list[str] = []
        if result.timed_out or result.seconds > (1 if status == 1 else 10):
            found.append(f"took {result.seconds:.1f} s")
        if result.status != status:
            found.append(f"status {result.status}: {result.errors[-400:]}")
        if expected not in result.errors:
            found.append(f"{expected!r} is not said: {result.errors[-400:]}")
        if status == 1 and result.output:
            found.append(f"events before the refusal: {result.output[:300]}")
        if status == 1 and len(result.errors.splitlines()) > 3:
            found.append(f"more than a message: {result.errors[:400]}")
        self.case(title, found)

    def odd_paths(self) -> None:
        """The store's path is no directory."""
        path, elsewhere = self.work.store, self.work.path / "elsewhere"
        makers: list[tuple[str, Callable[[], object]]] = [
            ("a file", lambda: path.write_bytes(b"text")),
            ("a FIFO", lambda: os.mkfifo(path)),
            ("a link to a file", lambda: path.symlink_to(self.work.path / "text.txt")),
            ("a link to nothing", lambda: path.symlink_to("nothing")),
            ("a link to itself", lambda: path.symlink_to(harness.STORE)),
            ("a link to /dev/full", lambda: path.symlink_to("/dev/full")),
        ]
        if os.geteuid() == 0:
            makers.append(("a device", lambda: os.mknod(path, stat.S_IFCHR, os.makedev(1, 7))))
        else:
            self.skip("the store's path is a device", "needs root")
        for title, make in makers:
            self.work.clear()
            make()
            before = os.lstat(path)
            self.place(f"the store's path is {title}", harness.STORE)
            after = os.lstat(path)
            if (before.st_ino, before.st_size) != (after.st_ino, after.st_size):
                self.violations.append(f"the store's path is {title}: it was changed")
            path.unlink()
        # A link to a directory is one more way to write its path.
        shutil.copytree(self.template, elsewhere)
        path.symlink_to(elsewhere)
        self.place("the store's path is a link to a directory", "Resumed after step 1", status=0)
        path.unlink()
        if len(Listing.of(elsewhere).checkpoints) != 2:
            self.violations.append("the directory behind a link has no new checkpoint")
        shutil.rmtree(elsewhere)
        print("paths: done", flush=True)

    def odd_entries(self) -> None:
        """Something that is no file bears a checkpoint's or the lock's name."""
        newest = "step-000000009.g000009.ckpt"
        makers: list[tuple[str, Callable[[pathlib.Path], object]]] = [
            ("a FIFO", os.mkfifo), ("a directory", os.mkdir),
            ("a link to a checkpoint", lambda path: os.symlink(OLD, path)),
            ("a link to nothing", lambda path: os.symlink("nothing", path)),
        ]
        if os.geteuid() == 0:
            makers.append(
                ("a device", lambda path: os.mknod(path, stat.S_IFCHR, os.makedev(1, 5))))
        for title, make in makers:
            self.work.clear(self.template)
            make(self.work.store / newest)
            self.place(f"the newest checkpoint is {title}", newest, status=0)
            saved = Listing.of(self.work.store).checkpoints
            if "step-000000002.g000010.ckpt" not in saved:
                self.violations.append(f"the newest is {title}: the next generation: {saved}")
            verified = self.work.run(self.verify_command, timeout=20)
            if verified.status != 1 or verified.seconds > 1:
                self.violations.append(
                    f"the newest is {title}: ckpt-verify: {verified.status}, "
                    f"{verified.seconds:.1f} s")
        for title, make in makers[:4]:
            self.work.clear(self.template)
            (self.work.store / ".lock").unlink()
            make(self.work.store / ".lock")
            if title == "a FIFO":
                # It can be locked as well as a file; that it holds no number matters to nobody.
                self.place(f"the lock is {title}", "Resumed after step 1", status=0)
            else:
                self.place(f"the lock is {title}", "openat failed")
            self.case(f"the lock is {title}", self.check_old())
        print("entries: done", flush=True)

    def closed_places(self) -> None:
        """The directory cannot be written."""
        if os.geteuid() != 0:
            self.skip("read-only, immutable and foreign directories", "needs root")
            return
        with self.read_only_mount() as reason:
            if reason:
                self.skip("a read-only mount", reason)
            else:
                self.place("a read-only mount", "(errno 30)")
                self.case("a read-only mount", self.check_old())
        self.work.clear(self.template)
        with self.immutable(self.work.store) as reason:
            if reason:
                self.skip("an immutable directory", reason)
            else:
                # The lock can still be opened, so that it is the save that fails.
                result = self.work.run(self.command, timeout=20)
                found = self.check_old()
                if result.status != 1 or "openat failed" not in self.said(result) or (
                        "(errno 1)" not in self.said(result)):
                    found.append(f"status {result.status}: {self.said(result)[-300:]}")
                self.case("an immutable directory", found)
        self.foreign_directories()
        print("closed places: done", flush=True)

    def foreign_directories(self) -> None:
        try:
            probe = self.work.run([self.verify_command[0], "--version"], user=NOBODY, group=NOBODY,
                                  extra_groups=[])
            can_run = probe.status == 0
        except OSError:  # a directory above the programs is closed to others, as mktemp makes them
            can_run = False
        if not can_run:
            self.skip("directories of another user", "an ordinary user cannot run the programs")
            return
        for title, mode, expected in [
            ("may be listed and not written", 0o755, "(errno 13)"),
            ("may not be entered", 0o700, "(errno 13)"),
            ("may not be listed", 0o711, "(errno 13)"),
        ]:
            self.work.clear(self.template)
            self.work.store.chmod(mode)
            self.place(f"another user's directory that {title}", expected, user=NOBODY)
            self.case(f"another user's directory that {title}", self.check_old())
        self.work.clear()
        self.place("a directory that may not be made", "mkdir failed", user=NOBODY)

    @contextlib.contextmanager
    def read_only_mount(self) -> Iterator[str | None]:
        self.work.clear()
        store = str(self.work.store)
        os.mkdir(store)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", store], capture_output=True)
        if mounted.returncode != 0:
            yield mounted.stderr.decode().strip()
            return
        try:
            shutil.copytree(self.template, store, dirs_exist_ok=True)
            subprocess.run(["mount", "-o", "remount,ro", store], check=True)
            yield None
        finally:
            subprocess.run(["umount", store], check=True)

    @staticmethod
    @contextlib.contextmanager
    def immutable(path: pathlib.Path) -> Iterator[str | None]:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            data = fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, struct.pack("l", 0))
            flags = struct.unpack("l", data)[0]
            fcntl.ioctl(
                descriptor, FS_IOC_SETFLAGS, struct.pack("l", flags | FS_IMMUTABLE_FL))
        except OSError as error:
            os.close(descriptor)
            yield f"this file system has no such attribute ({error})"
            return
        try:
            yield None
        finally:
            fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, struct.pack("l", flags))
            os.close(descriptor)


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--short", action="store_true", help="a smaller model; some 15 seconds")
    parser.add_argument("--stopped", type=float, default=None, metavar="SECONDS",
                        help="for how long a writer is stopped (default: 20; with --short, 2)")
    arguments = parser.parse_args()
    if arguments.stopped is None:
        arguments.stopped = 2 if arguments.short else 20
    start = time.monotonic()
    with Workplace.create(arguments) as work:
        suite = Suite(work, arguments)
        for part in [suite.file_sizes, suite.open_files, suite.odd_paths, suite.odd_entries,
                     suite.closed_places, StoppedWriter(suite).run]:
            part()
    for violation in suite.violations[:200]:
        print(f"VIOLATION {violation}")
    print(f"{suite.cases} cases, {suite.skipped} skipped, {len(suite.violations)} violations, "
          f"{time.monotonic() - start:.0f} s")
    return 1 if suite.violations else 0


if __name__ == "__main__":
    sys.exit(main())
