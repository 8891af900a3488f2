#!/usr/bin/env python3
"""Cuts the power of real file systems, fills them up, and looks at what is left of a store."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import blocks
import linux
from file_systems import FILE_SYSTEMS, FileSystem
from linux import CannotRun
from shutdown import ShutDown
from store import FORGETFUL, SCENARIOS, WEAKENED, Driver, Scenario

ROOT = Path(__file__).resolve().parents[2]

EXPLANATION = """\
instruments (--only):
  blocks    a loop device over a FUSE program that logs every block write and
            flush; prefixes, subsets of unflushed writes, torn writes
  shutdown  FS_IOC_SHUTDOWN after every call, and at random times

Writers that leave a sync out must lose data: an instrument that does not see
it is blind, and that is an error.

exit status: 0 no violation; 1 violations, or a blind instrument;
             2 something was skipped, and says what is missing
"""


@dataclass
class Total:
    states: int = 0
    violations: int = 0
    seconds: float = 0
    examples: list[str] = field(default_factory=list)


class Session:
    """What is run, where, and what came out."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.is_short: bool = arguments.short
        self.seed: int = arguments.seed
        self.kept = Path(arguments.keep_cases)
        self.driver = Driver(arguments.driver)
        self.totals: dict[tuple[str, str, str], Total] = {}
        self.skipped: list[str] = []
        self.scratch = linux.make_scratch()

    def skip(self, what: str, why: object) -> None:
        line = f"SKIPPED: {what}: {why}"
        self.skipped.append(line)
        print(line, flush=True)

    def wanted(self, kind: str) -> bool:
        return kind in self.arguments.file_systems.split(",")

    def group(
        self, instrument: str, where: str, writer: str, what: str,
        outcomes: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        """Runs cases, each of which has a name and perhaps a violation; one line for all."""
        start = time.monotonic()
        count = 0
        wrong: list[str] = []
        for name, problem in outcomes():
            count += 1
            if problem:
                wrong.append(f"{name}: {problem}")
        seconds = time.monotonic() - start
        total = self.totals.setdefault((instrument, where, writer), Total())
        total.states += count
        total.violations += len(wrong)
        total.seconds += seconds
        total.examples += wrong
        print(f"{instrument:9} {where:6} {writer:18} {what:40} {count:6} states "
              f"{len(wrong):5} violations {seconds:7.1f} s", flush=True)
        if writer == "ours":
            for line in wrong[:5]:
                print(f"  VIOLATION {line}", flush=True)

    def finish(self) -> int:
        """The table, and the exit status."""
        print("\ninstrument where  writer               states violations  seconds  ms/state")
        status = 0
        for (instrument, where, writer), total in self.totals.items():
            print(f"{instrument:10} {where:6} {writer:18} {total.states:8} {total.violations:10} "
                  f"{total.seconds:8.1f} {1000 * total.seconds / max(total.states, 1):9.1f}")
        for (instrument, where, writer), total in self.totals.items():
            if writer == "ours" and total.violations:
                status = 1
                print(f"VIOLATED: {instrument} on {where}")
            elif writer != "ours" and not total.violations:
                status = 1
                print(f"BLIND: {instrument} on {where} does not see what '{writer}' loses")
        ours = [total for key, total in self.totals.items() if key[2] == "ours"]
        print(f"{sum(t.states for t in ours)} states of ours, "
              f"{sum(t.violations for t in ours)} violations, seed {self.seed}")
        for line in self.skipped:
            print(line)
        return status or (2 if self.skipped else 0)


# MARK: Instruments

def run_blocks(session: Session) -> None:
    linux.require_loop_devices()
    program = linux.compile_block_log(session.scratch)
    for kind in ("ext4", "xfs") if session.is_short else FILE_SYSTEMS:
        file_system = FILE_SYSTEMS[kind]
        if not session.wanted(kind):
            continue
        try:
            file_system.require()
        except CannotRun as reason:
            session.skip(f"blocks on {kind}", reason)
            continue
        for options, scenario, writer, has_neighbour, subset_count in block_cases(
                session, file_system):
            run_block_case(session, program, file_system, options, scenario, writer,
                           has_neighbour, subset_count)


def block_cases(
    session: Session, file_system: FileSystem
) -> Iterable[tuple[str, Scenario, str, bool, int]]:
    """Mount options, scenario, writer, neighbour and the number of subsets at each cut."""
    if session.is_short:
        yield "", SCENARIOS[5], "ours", False, 1
        yield "", SCENARIOS[0], "ours", True, 0
        for writer in WEAKENED:
            yield "", SCENARIOS[1], writer, False, 0
        return
    for options in file_system.options:
        for scenario in SCENARIOS:
            for has_neighbour in (False, True):
                # The usual way to mount it is searched more closely.
                yield options, scenario, "ours", has_neighbour, 1 if options else 4
    for writer in WEAKENED:
        for scenario in SCENARIOS:
            yield "", scenario, writer, False, 4
        yield "", SCENARIOS[3], writer, True, 1
    yield "", FORGETFUL, "old-goes-first", False, 4


def run_block_case(
    session: Session, program: Path, file_system: FileSystem, options: str, scenario: Scenario,
    writer: str, has_neighbour: bool, subset_count: int,
) -> None:
    real_writer = "ours" if writer == "old-goes-first" else writer
    recording = blocks.record(session.driver, program, session.scratch, file_system, options,
                              scenario, real_writer, has_neighbour)
    what = scenario.name + (", neighbour" if has_neighbour else "")
    what += f" [{options}]" if options else ""
    slug = what.replace(" ", "-").replace(",", "").strip("[]")
    case = session.kept / f"{file_system.kind}-{writer}-{slug}"

    def outcomes() -> Iterable[tuple[str, str]]:
        with blocks.Replayer(session.driver, session.scratch, recording) as replayer:
            for state in blocks.states(recording, subset_count, session.seed):
                problem = replayer.violation(state)
                if problem and (writer == "ours" or session.arguments.keep_all):
                    if not case.exists():
                        recording.save(case)
                    problem += f"; again: {sys.argv[0]} --replay {case} --state {state}"
                yield str(state), problem

    session.group("blocks", file_system.kind, writer, what, outcomes)


def run_shutdown(session: Session) -> None:
    linux.require_loop_devices()
    for kind in ("ext4", "xfs"):  # btrfs cannot do it
        if not session.wanted(kind):
            continue
        file_system = FILE_SYSTEMS[kind]
        try:
            file_system.require()
        except CannotRun as reason:
            session.skip(f"shutdown on {kind}", reason)
            continue
        with ShutDown(session.driver, session.scratch, file_system) as machine:
            for scenario in [SCENARIOS[3]] if session.is_short else SCENARIOS:
                session.group("shutdown", kind, "ours", scenario.name,
                              lambda: machine.after_call_sweep(
                                  scenario, "ours", 4 if session.is_short else 1))
            for writer in ["naive"] if session.is_short else WEAKENED:
                session.group("shutdown", kind, writer, SCENARIOS[1].name,
                              lambda: machine.after_call_sweep(
                                  SCENARIOS[1], writer, 8 if session.is_short else 1))
            chance = random.Random(session.seed)
            session.group("shutdown", kind, "ours", "at random times",
                          lambda: (machine.at_random("ours", chance)
                                   for _ in range(10 if session.is_short else 200)))


INSTRUMENTS: dict[str, Callable[[Session], None]] = {
    "blocks": run_blocks,
    "shutdown": run_shutdown,
}


# MARK: Command line

def replay(session: Session) -> int:
    """One state of a recording that was kept."""
    recording = blocks.load(Path(session.arguments.replay))
    state = blocks.State.parse(session.arguments.state)
    with blocks.Replayer(session.driver, session.scratch, recording) as replayer:
        problem = replayer.violation(state)
    print(f"violation: {problem}" if problem else "ok")
    return 1 if problem else 0


def find_driver() -> Path:
    path = ROOT / ".build/release/store-driver"
    if not path.exists():
        subprocess.run(["swift", "build", "-c", "release", "--product", "store-driver",
                        "--package-path", ROOT], check=True)
    return path


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a minute at most")
    parser.add_argument("--only", default=",".join(INSTRUMENTS), help="instruments, by commas")
    parser.add_argument("--file-systems", default="tmpfs," + ",".join(FILE_SYSTEMS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--driver", type=Path, help="store-driver; else it is built")
    parser.add_argument("--keep-cases", default="power-cut-cases",
                        help="where recordings with violations go")
    parser.add_argument("--keep-all", action="store_true", help="also those of weakened writers")
    parser.add_argument("--replay", metavar="CASE", help="a recording that was kept")
    parser.add_argument("--state", help="of --replay: CUT/DROPPED/TORN")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    # As Ctrl-C: everything is unwound, and mounts go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments.driver = arguments.driver or find_driver()
    try:
        linux.enter_own_namespace()
        session = Session(arguments)
    except CannotRun as reason:
        print(f"SKIPPED: everything: {reason}")
        return 2
    try:
        if arguments.replay:
            return replay(session)
        for name in arguments.only.split(","):
            try:
                INSTRUMENTS[name](session)
            except CannotRun as reason:
                session.skip(name, reason)
        return session.finish()
    finally:
        session.driver.stop()


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C")
    sys.exit(main())
