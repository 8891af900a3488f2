"""A writer that is stopped in the middle of a save keeps its temporary file and its lock, however long
others try to open the store."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import harness
from harness import Listing, Result, could_not_run

if TYPE_CHECKING:
    from resource_sweep import Suite

STEPS = 100


class StoppedWriter:
    def __init__(self, suite: Suite) -> None:
        self.suite = suite

    def run(self) -> None:
        """Its temporary file survives every opening of the store, with the lock and without."""
        for has_lock in [True, False]:
            writer = self.stop_in_save()
            with harness.ended(writer):
                self.check_stopped(writer, has_lock)

    def check_stopped(self, writer: subprocess.Popen, has_lock: bool) -> None:
        title = "a stopped writer" + ("" if has_lock else " whose .lock somebody removed")
        temporaries = Listing.of(self.suite.work.store).temporaries
        before = harness.contents(self.suite.work.store)
        if not has_lock:
            (self.suite.work.store / ".lock").unlink()
        found: list[str] = []
        begin, attempts = time.monotonic(), 0
        while attempts == 0 or time.monotonic() - begin < self.suite.arguments.stopped:
            attempts += 1
            found += self.attempt(writer.pid if has_lock else None)
            if Listing.of(self.suite.work.store).temporaries != temporaries:
                found.append(f"{temporaries} became {Listing.of(self.suite.work.store).temporaries}")
            if found:
                break
        found += harness.store_violations(self.suite.work, before, before, None)
        if has_lock:
            writer.send_signal(signal.SIGCONT)
            output, errors = writer.communicate(timeout=60)
            result = Result(writer.returncode, output, errors)
            if result.status != 0 or result.digest != self.stopped_digest:
                found.append(f"continued, it ended with {result.status}: {errors[-300:]}")
        else:
            # With its lock gone it is no writer of this store any more.
            writer.kill()
            writer.communicate()
            found += self.attempt(None)
        if Listing.of(self.suite.work.store).temporaries:
            found.append("the temporary file of an ended writer stays")
        self.suite.case(f"{title}, {attempts} attempts", found)
        print(f"{title}: {attempts} attempts in {time.monotonic() - begin:.1f} s", flush=True)

    def stop_in_save(self) -> subprocess.Popen:
        """A run that was stopped while it had a temporary file."""
        command = self.suite.work.train(max_steps=STEPS, width=self.suite.width)
        self.suite.work.clear()
        self.stopped_digest = self.suite.work.run(command, timeout=120).digest
        for _ in range(20):
            self.suite.work.clear()
            writer = subprocess.Popen(
                command, cwd=self.suite.work.path, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            while writer.poll() is None:
                listing = Listing.of(self.suite.work.store)
                if len(listing.checkpoints) >= 2 and listing.temporaries:
                    writer.send_signal(signal.SIGSTOP)
                    os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOWAIT)
                    if Listing.of(self.suite.work.store).temporaries:
                        return writer
                    writer.send_signal(signal.SIGCONT)
            writer.communicate()
        could_not_run("a run could not be stopped in the middle of a save")

    def attempt(self, holder: int | None) -> list[str]:
        """Another process opens the store: to train, and to verify."""
        command = [*self.suite.work.train(max_steps=STEPS, width=self.suite.width),
                   "--resume_from_checkpoint"]
        found: list[str] = []
        if holder is not None:
            result = self.suite.work.run([*command, "--lock_timeout", "0.1"])
            if result.status != 1 or f"by process {holder}" not in result.errors:
                found.append(f"not told that it is busy: {result.status} {result.errors[-300:]}")
        else:
            result = self.suite.work.run(command)
            if result.status != 0 or result.digest != self.stopped_digest:
                found.append(f"without a lock: {result.status} {result.errors[-300:]}")
        verified = self.suite.work.verify().result
        if verified.status != 0:
            found.append(f"ckpt-verify: {verified.status} {verified.output[-300:]}")
        return found
