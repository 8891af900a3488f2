#!/usr/bin/env python3
"""Cuts the power of real file systems, fills them up, and looks at what is left of a store."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import blocks
import exhaustion
import linux
from file_systems import BTRFS, EXT4, FILE_SYSTEMS, THIN_EXT4, XFS, FileSystem
from linux import CannotRun
from shutdown import ShutDown
from store import FORGETFUL, SCENARIOS, WEAKENED, Driver, Scenario

ROOT = Path(__file__).resolve().parents[2]

EXPLANATION = """\
instruments (--only):
  blocks    a loop device over a FUSE program that logs every block write and
            flush; prefixes, subsets of unflushed writes, torn writes
  shutdown  FS_IOC_SHUTDOWN after every call, and at random times
  thin      an image with more room than the disk below it: write-back fails
  quota     a btrfs quota in steps of 4 KiB
  inodes    0 to 5 inodes left
  sizes     free space in steps of 4 KiB around what a save needs
  limits    RLIMIT_FSIZE and RLIMIT_NOFILE

Writers that leave a sync out must lose data: an instrument that does not see
it is blind, and that is an error.

exit status: 0 no violation; 1 violations, or a blind instrument;
             2 something was skipped, and says what is missing, or it broke
"""


@dataclass
class Total:
    states: int = 0
    violations: int = 0
    seconds: float = 0


class Session:
    """What is run, where, and what came out."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.is_short: bool = arguments.short
        self.seed: int = arguments.seed
        self.kept = Path(arguments.keep_cases)
        self.driver = Driver(Path("store-driver"))
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
        outcomes: Callable[[], Iterable[tuple[str, str]]], refusals: Counter | None = None,
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
        print(f"{instrument:9} {where:6} {writer:18} {what:40} {count:6} states "
              f"{len(wrong):5} violations {seconds:7.1f} s", flush=True)
        for name, number in (refusals or Counter()).most_common():
            print(f"  refused {number} times: {name}", flush=True)
        if is_ours(writer):
            for line in wrong[:5]:
                print(f"  VIOLATION {line}", flush=True)
        elif wrong:
            print(f"  for example {wrong[0]}", flush=True)

    def finish(self) -> int:
        """The table, and the exit status."""
        print("\ninstrument where  writer               states violations  seconds  ms/state")
        status = 0
        for (instrument, where, writer), total in self.totals.items():
            print(f"{instrument:10} {where:6} {writer:18} {total.states:8} {total.violations:10} "
                  f"{total.seconds:8.1f} {1000 * total.seconds / max(total.states, 1):9.1f}")
        for (instrument, where, writer), total in self.totals.items():
            if is_ours(writer) and total.violations:
                status = 1
                print(f"VIOLATED: {instrument} on {where}")
            elif not is_ours(writer) and not total.violations:
                status = 1
                print(f"BLIND: {instrument} on {where} does not see what '{writer}' loses")
        ours = [total for key, total in self.totals.items() if is_ours(key[2])]
        print(f"{sum(t.states for t in ours)} states of ours, "
              f"{sum(t.violations for t in ours)} violations, seed {self.seed}")
        for line in self.skipped:
            print(line)
        return status or (2 if self.skipped else 0)


# MARK: Instruments

def is_ours(writer: str) -> bool:
    """Whether the writer keeps the whole protocol: past the page cache, or through it."""
    return writer in ("ours", "ours-cached")


def available(
    session: Session, instrument: str, file_systems: Iterable[FileSystem]
) -> Iterable[FileSystem]:
    """Those that are wanted and can be made here; others are named."""
    linux.require_loop_devices(session.scratch)
    for file_system in file_systems:
        if not session.wanted(file_system.kind):
            continue
        try:
            file_system.require()
        except CannotRun as reason:
            session.skip(f"{instrument} on {file_system.kind}", reason)
            continue
        yield file_system


def run_blocks(session: Session) -> None:
    program = linux.compile_block_log(session.scratch)
    kinds = (EXT4, XFS) if session.is_short else (EXT4, XFS, BTRFS)
    for file_system in available(session, "blocks", kinds):
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
        if file_system is EXT4:
            yield "", SCENARIOS[0], "ours", True, 0
        for writer in WEAKENED:
            yield "", SCENARIOS[1], writer, False, 0
        return
    is_deep = session.arguments.deep
    for options in file_system.options:
        # The usual way to mount it is searched more closely.
        for scenario in SCENARIOS if is_deep or not options else (SCENARIOS[0], SCENARIOS[3]):
            yield options, scenario, "ours", False, 2 if options else 4
        crowded = (SCENARIOS[0],) if options else (SCENARIOS[0], SCENARIOS[3], SCENARIOS[5])
        for scenario in SCENARIOS if is_deep else crowded:
            yield options, scenario, "ours", True, 4 if is_deep else 0 if options else 1
    for scenario in SCENARIOS if is_deep else (SCENARIOS[0], SCENARIOS[3]):
        yield "", scenario, "ours-cached", False, 4
    for writer in WEAKENED:
        for scenario in SCENARIOS if is_deep else (SCENARIOS[0], SCENARIOS[3]):
            yield "", scenario, writer, False, 4
        yield "", SCENARIOS[0], writer, True, 1
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
                if problem and (is_ours(writer) or session.arguments.keep_all):
                    if not case.exists():
                        recording.save(case)
                    problem += f"; again: {sys.argv[0]} --replay {case} --state {state}"
                yield str(state), problem

    session.group("blocks", file_system.kind, writer, what, outcomes)


def run_shutdown(session: Session) -> None:
    is_short = session.is_short
    for file_system in available(session, "shutdown", (EXT4, XFS)):  # btrfs cannot do it
        kind = file_system.kind
        with ShutDown(session.driver, session.scratch, file_system) as machine:
            for scenario in [SCENARIOS[3]] if is_short else SCENARIOS:
                session.group("shutdown", kind, "ours", scenario.name,
                              lambda: machine.after_call_sweep(
                                  scenario, "ours", 8 if is_short else 1))
            for writer in ["naive"] if is_short else WEAKENED:
                session.group("shutdown", kind, writer, SCENARIOS[1].name,
                              lambda: machine.after_call_sweep(
                                  SCENARIOS[1], writer, 8 if is_short else 1))
            chance = random.Random(session.seed)
            session.group("shutdown", kind, "ours", "at random times",
                          lambda: (machine.at_random("ours", chance)
                                   for _ in range(5 if is_short else 200)))


def run_thin(session: Session) -> None:
    rooms = [4] if session.is_short else [1, 2, 3, 4, 6, 8, 9]
    kinds = [THIN_EXT4] if session.is_short else [THIN_EXT4, XFS, BTRFS]
    for file_system in available(session, "thin", kinds):
        for writer in ["ours", "ours-cached", "retry-sync"]:
            refusals: Counter = Counter()
            session.group("thin", file_system.kind, writer, "write-back fails",
                          lambda: exhaustion.thin(session.driver, session.scratch, file_system,
                                                  writer, rooms, refusals), refusals)


def run_quota(session: Session) -> None:
    steps = range(0, 60, 20) if session.is_short else range(-1, 80)
    for file_system in available(session, "quota", [BTRFS]):
        linux.require_tools("btrfs")
        refusals: Counter = Counter()
        session.group("quota", "btrfs", "ours", "a limit in steps of 4 KiB",
                      lambda: exhaustion.quota(session.driver, session.scratch, file_system, steps,
                                               refusals), refusals)


def run_inodes(session: Session) -> None:
    for file_system in available(session, "inodes", [EXT4]):
        refusals: Counter = Counter()
        session.group("inodes", file_system.kind, "ours", "0 to 5 inodes left",
                      lambda: exhaustion.inodes(session.driver, session.scratch, refusals),
                      refusals)


def run_sizes(session: Session) -> None:
    """ext4 and btrfs save whatever fits, to the byte.

    XFS wants some 140 KiB free before it creates a file. btrfs asks for room once more for a block
    that is written twice, also if the block is reserved: no block is.
    """
    for writer in ["ours", "no-write-check"]:
        if not session.wanted("tmpfs"):
            break
        refusals: Counter = Counter()
        session.group("sizes", "tmpfs", writer, "every number of pages",
                      lambda: exhaustion.sizes_tmpfs(session.driver, session.scratch, writer,
                                                     refusals), refusals)
    if session.is_short:
        return
    for file_system in available(session, "sizes", (EXT4, XFS, BTRFS)):
        slack = (36 if file_system is XFS else 0) * exhaustion.PAGE
        # XFS refuses to create a file long before a write fails, and btrfs whatever follows a
        # failed write: there is nothing that this writer could lose.
        for writer in ["ours", "no-write-check"] if file_system is EXT4 else ["ours"]:
            refusals = Counter()
            session.group("sizes", file_system.kind, writer, "free space in steps of 4 KiB",
                          lambda: exhaustion.sizes(session.driver, session.scratch, file_system,
                                                   writer, range(-9, 50), slack, refusals),
                          refusals)


def run_limits(session: Session) -> None:
    refusals: Counter = Counter()
    step = 4096 if session.is_short else 256
    session.group("limits", "tmpfs", "ours", "RLIMIT_FSIZE and RLIMIT_NOFILE",
                  lambda: exhaustion.limits(session.driver, session.scratch, step, refusals),
                  refusals)


INSTRUMENTS: dict[str, Callable[[Session], None]] = {
    "blocks": run_blocks,
    "shutdown": run_shutdown,
    "thin": run_thin,
    "quota": run_quota,
    "inodes": run_inodes,
    "sizes": run_sizes,
    "limits": run_limits,
}


# MARK: Command line

def probe(session: Session) -> int:
    """Whether the short form of the instruments could run, without running it."""
    needs = {"blocks": (EXT4, XFS), "shutdown": (EXT4, XFS), "thin": (EXT4,), "quota": (BTRFS,),
             "inodes": (EXT4,), "sizes": (), "limits": ()}
    for name in session.arguments.only.split(","):
        try:
            if needs[name]:
                linux.require_loop_devices(session.scratch)
            for file_system in needs[name]:
                file_system.require()
            if name == "blocks":
                program = linux.compile_block_log(session.scratch)
                image = session.scratch / "probe"
                image.write_bytes(bytes(65536))
                with linux.BlockLog(program, image, session.scratch / "log",
                                    session.scratch / "blocklog.mount"):
                    pass
        except CannotRun as reason:
            session.skip(name, reason)
    return 2 if session.skipped else 0


def replay(session: Session) -> int:
    """One state of a recording that was kept."""
    recording = blocks.load(Path(session.arguments.replay))
    state = blocks.State.parse(session.arguments.state)
    with blocks.Replayer(session.driver, session.scratch, recording) as replayer:
        problem = replayer.violation(state)
    print(f"violation: {problem}" if problem else "ok")
    return 1 if problem else 0


def build_driver() -> Path:
    linux.require_tools("swift")
    print("building store-driver", flush=True)
    linux.run_tool("swift", "build", "-c", "release", "--product", "store-driver",
                   "--package-path", ROOT)
    return ROOT / ".build/release/store-driver"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a minute at most")
    parser.add_argument("--deep", action="store_true",
                        help="every scenario in every way, four times as many states")
    parser.add_argument("--only", default=",".join(INSTRUMENTS), help="instruments, by commas")
    parser.add_argument("--file-systems", default="tmpfs," + ",".join(FILE_SYSTEMS))
    parser.add_argument("--probe", action="store_true", help="only tell whether it could run")
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
    try:
        linux.enter_own_namespace()
        session = Session(arguments)
    except CannotRun as reason:
        print(f"SKIPPED: everything: {reason}")
        return 2
    try:
        if arguments.probe:
            return probe(session)
        session.driver.path = arguments.driver or build_driver()
        if arguments.replay:
            return replay(session)
        for name in arguments.only.split(","):
            try:
                INSTRUMENTS[name](session)
            except CannotRun as reason:
                session.skip(name, reason)
        return session.finish()
    except Exception:  # not a violation, and not a success either
        traceback.print_exc()
        return 2
    finally:
        session.driver.stop()


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C")
    sys.exit(main())
