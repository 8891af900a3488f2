"""FS_IOC_SHUTDOWN: the file system loses power after any call of a scenario, or at any time."""

from __future__ import annotations

import fcntl
import os
import random
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from disk import Disk
from file_systems import FileSystem
from linux import mounted
from store import STORE, Driver, Ledger, Scenario

FS_IOC_SHUTDOWN = 0x8004587D
FLUSHING_LOG, HARD = 1, 2
"""Whether the journal is written first: then metadata survives whose data does not."""


class ShutDown:
    """One file system, cut off again and again; use it in `with`."""

    def __init__(self, driver: Driver, scratch: Path, file_system: FileSystem) -> None:
        self.driver = driver
        self.kind = file_system.kind
        self.target = scratch / "mount"
        self.target.mkdir(exist_ok=True)
        self.base = bytearray(file_system.image(scratch))
        self.disk = Disk(scratch, self.base)

    def __enter__(self) -> ShutDown:
        return self

    def __exit__(self, *_: object) -> None:
        self.disk.close()

    def _mounted(self):
        return mounted(self.disk.device.path, self.target, self.kind)

    def _fresh(self) -> None:
        self.disk.restore(self.base)
        self.disk.forget_cache()

    def _check(self, ledger: Ledger, scenario: Scenario) -> str:
        with self._mounted():
            return self.driver.check(self.target / STORE, ledger, scenario.keep)

    def _earlier(self, scenario: Scenario, writer: str) -> Ledger:
        """Everything but the last play, on a sound disk; its last writes may be lost as well."""
        ledger = Ledger()
        for words in scenario.plays[:-1]:
            self.driver.play(self.target / STORE, words, ledger, "--writer", writer)
        return ledger

    def call_count(self, scenario: Scenario, writer: str) -> int:
        self._fresh()
        with self._mounted():
            ledger = self._earlier(scenario, writer)
            self.driver.play(self.target / STORE, scenario.plays[-1], ledger, "--writer", writer)
        return ledger.call_count

    def after_call(self, scenario: Scenario, writer: str, index: int, flag: int) -> str:
        """What is wrong if the power fails after a call, or nothing."""
        self._fresh()
        with self._mounted():
            ledger = self._earlier(scenario, writer)
            self.driver.play(
                self.target / STORE, scenario.plays[-1], ledger, "--writer", writer,
                "--mount", self.target, "--shut-down-after", str(index), "--shut-down-flag",
                str(flag))
        return self._check(ledger, scenario)

    def after_call_sweep(
        self, scenario: Scenario, writer: str, step: int = 1
    ) -> Iterator[tuple[str, str]]:
        """Each state, and what is wrong with it."""
        for index in range(0, self.call_count(scenario, writer) + 1, step):
            for flag in (FLUSHING_LOG, HARD):
                yield f"call {index} flag {flag}", self.after_call(scenario, writer, index, flag)

    def at_random(self, writer: str, chance: random.Random) -> tuple[str, str]:
        """Cuts a longer run at some time, also within a call."""
        words = " ".join(f"save:{step} retain:2" for step in range(10, 130, 10))
        flag = chance.choice((FLUSHING_LOG, HARD))
        delay = chance.uniform(0.005, 0.08)
        ledger = Ledger()
        self._fresh()
        with self._mounted():
            root = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY)

            def cut() -> None:
                time.sleep(delay)
                fcntl.ioctl(root, FS_IOC_SHUTDOWN, struct.pack("=I", flag))

            thread = threading.Thread(target=cut)
            thread.start()
            self.driver.play(self.target / STORE, words, ledger, "--writer", writer)
            thread.join()
            os.close(root)
        what = f"after {delay * 1000:.1f} ms, {len(ledger.attempted)} saves, flag {flag}"
        return what, self._check(ledger, Scenario("", (), 2))
