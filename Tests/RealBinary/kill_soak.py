#!/usr/bin/env python3
"""Kills train-lm with SIGKILL at random moments, under load, and resumes it, again and again.

A run is killed 1 to 200 ms after its start, or after a random time of its expected length, and
started again with --resume_from_checkpoint, until it gets to its end; then the next run begins.
After each kill every file under a checkpoint's name must be intact by ckpt-verify, every
acknowledged checkpoint must be there unless retention has newer ones, and the next start must
resume from the last acknowledged step or a later one. Each run must end with the state_sha256 of a
run that was left alone.

The load is processes that burn a processor, and one that writes and syncs files beside the store.

--seed replays the moments of the kills. Where in the program they fall depends on the machine.
"""

from __future__ import annotations

import collections
import os
import random
import signal
import subprocess
import sys
import time

import harness
from harness import Listing, Result, Workplace, could_not_run

MAX_STEPS = 90
LIMIT = 2

BURN = "while True: sum(range(10000))"
WRITE = """
import os, sys
data = os.urandom(1 << 18)
while True:
    with open(sys.argv[1], "wb") as file:
        for _ in range(8):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
"""


class Load:
    """Other processes that want the processor and the disk."""

    def __init__(self, work: Workplace, count: int) -> None:
        self.processes: list[subprocess.Popen] = []
        for number in range(count):
            # The first one writes.
            words = ["-c", BURN] if number else ["-c", WRITE, str(work.path / "load")]
            self.processes.append(subprocess.Popen([sys.executable, *words]))

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


class Soak:
    def __init__(self, work: Workplace, arguments) -> None:
        self.work = work
        self.generator = random.Random(arguments.seed)
        self.command = [
            *work.train("--save_total_limit", str(LIMIT), max_steps=MAX_STEPS, save_steps=2),
            "--resume_from_checkpoint"]
        self.violations: list[str] = []
        self.kills = self.starts = self.resumes = self.runs = 0
        self.phases: collections.Counter[str] = collections.Counter()
        self.resumed_steps: set[int] = set()
        self.promised: list[str] = []
        work.clear()
        start = time.monotonic()
        whole = work.run(self.command)
        if whole.status != 0 or not whole.digest:
            could_not_run(f"the undisturbed run failed: {whole.errors[-500:]}")
        self.digest = whole.digest
        self.length = time.monotonic() - start
        work.clear()

    def violation(self, text: str) -> None:
        self.violations.append(f"run {self.runs + 1}, kill {self.kills}: {text}")

    def delay(self) -> float:
        """Half of the kills are early; the others are anywhere in what a whole run takes."""
        if self.generator.random() < 0.5:
            return self.generator.uniform(0.001, 0.2)
        return self.generator.uniform(0.001, self.length)

    def start(self) -> None:
        """Starts the program, and kills it unless it ends before that."""
        before = Listing.of(self.work.store)
        process = subprocess.Popen(
            self.command, cwd=self.work.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        with harness.ended(process):
            try:
                output, errors = process.communicate(timeout=self.delay())
                was_killed = False
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                output, errors = process.communicate()
                was_killed = process.returncode == -signal.SIGKILL
        self.starts += 1
        result = Result(process.returncode, output, errors)
        self.check_resumed(result)
        self.promised += harness.acknowledged(result)
        if was_killed:
            self.kills += 1
            self.phases[self.phase(result, Listing.of(self.work.store), before)] += 1
        else:
            self.check_end(result)
        for text in harness.store_violations(self.work, self.promised, {}, LIMIT):
            self.violation(text)
        if not was_killed:
            self.begin_next_run()

    @staticmethod
    def phase(result: Result, listing: Listing, before: Listing) -> str:
        """Where in the program a kill fell, by what it left that was not there before."""
        if set(listing.temporaries) - set(before.temporaries):
            return "a temporary file in flight"
        unsaid = set(listing.checkpoints) - set(before.checkpoints)
        if unsaid - set(harness.acknowledged(result)):
            return "published, not yet reported"
        if result.events("started") or result.events("resumed"):
            return "between saves"
        return "before training began"

    def check_resumed(self, result: Result) -> None:
        """A start goes on from what was acknowledged, or later, and passes over nothing."""
        last = max((harness.step_of(name) for name in self.promised), default=0)
        for event in result.events("resumed"):
            self.resumes += 1
            self.resumed_steps.add(event["step"])
            # What was built upon must not be lost any more than what was acknowledged.
            self.promised.append(os.path.basename(event["path"]))
            if event["step"] < last:
                self.violation(f"resumed from {event['step']}, and {last} was acknowledged")
            if event["skipped"]:
                self.violation(f"passed over {event['skipped']}")
        if result.events("started") and self.promised:
            self.violation(f"began afresh although {self.promised[-1]} was acknowledged")
        if result.events("save_failed"):
            self.violation(f"a save failed: {result.events('save_failed')}")

    def check_end(self, result: Result) -> None:
        if result.status != 0:
            self.violation(f"ended with {result.status}: {result.errors[-500:]}")
        elif result.digest != self.digest:
            self.violation(f"ended with the state {result.digest} and not {self.digest}")
        if Listing.of(self.work.store).temporaries:
            self.violation("a temporary file stayed behind")

    def begin_next_run(self) -> None:
        self.runs += 1
        self.promised = []
        self.work.clear()

    def finish(self) -> None:
        """Brings the run in progress to its end."""
        result = self.work.run(self.command, timeout=300)
        self.starts += 1
        self.check_resumed(result)
        self.check_end(result)
        self.runs += 1


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--kills", type=int, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--minutes", type=float, default=60, metavar="M",
                        help="stop after M minutes at the latest (default: 60)")
    parser.add_argument("--load", type=int, default=2, metavar="N",
                        help="N other busy processes, the first of which writes (default: 2)")
    parser.add_argument("--seed", type=int, default=None, metavar="S", help="default: random")
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = int.from_bytes(os.urandom(4), "little")
    print(f"replay with: --seed {arguments.seed} --load {arguments.load}", flush=True)
    begin = time.monotonic()
    with Workplace.create(arguments) as work, Load(work, arguments.load):
        soak = Soak(work, arguments)
        said = begin
        while soak.kills < arguments.kills and time.monotonic() - begin < arguments.minutes * 60:
            soak.start()
            if time.monotonic() - said > 30:
                said = time.monotonic()
                print(f"  {soak.kills} kills, {soak.runs} runs ended, "
                      f"{len(soak.violations)} violations", flush=True)
        soak.finish()
    for violation in soak.violations[:100]:
        print(f"VIOLATION {violation}")
    for phase, count in soak.phases.most_common():
        print(f"{count:6}  {phase}")
    print(f"{soak.kills} kills, {soak.starts} starts, {soak.resumes} resumes from "
          f"{len(soak.resumed_steps)} different steps, {soak.runs} runs ended with the state of an "
          f"undisturbed one, {len(soak.violations)} violations, {time.monotonic() - begin:.0f} s")
    if soak.kills == 0:
        could_not_run("nothing was killed")
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())
