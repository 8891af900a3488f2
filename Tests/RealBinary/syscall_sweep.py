#!/usr/bin/env python3
"""Kills the real programs before every storage system call, and fails each such call.

For every scenario a first, undisturbed run under strace(1) counts the calls. Then, for every call,
the run is repeated from the same store and

  kill    killed with SIGKILL before the call;
  once    the call fails with each errno, without being made;
  sticky  that call and all later ones of its kind fail.

After each, the store must hold every acknowledged checkpoint, every file under a checkpoint's name
must be intact by ckpt-verify, and earlier files must have the bytes they had. What went wrong must
have been said with call and errno. Then the run is resumed without disturbance and must end with
the state of a run that was never disturbed, and no temporary file may be left.

Calls that several scenarios share are failed in one of them, and killed at in all.

A case counts only if strace says that it failed the very call that was meant, or if the program
died of the kill at that call. The programs run on one thread, so that the calls have one order.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from typing import Callable, Iterator

import harness
import migration_sweep
import traces
from harness import Listing, Result, Workplace, could_not_run
from sweep_cases import ERRORS, Case, Place, Tally, did_happen, is_named, places
from tool_sweep import TOOLS, ToolSweep
from traces import Call


@dataclasses.dataclass
class Scenario:
    """A store, and a run that goes on from it."""

    name: str
    max_steps: int
    limit: int | None = None
    saves: int = 1
    # The first and the last call, by name, that other scenarios do not have; None for the ends.
    # Every call is killed at, but only these are failed.
    own: tuple[str | None, str | None] = (None, None)
    # The store is what a run leaves that is killed before this call; empty if None.
    killed_before: tuple[str, str] | None = None
    always: tuple[str, ...] = ()  # injections that make the scenario, in every run of it


SCENARIOS = [
    Scenario("first save", 1),
    Scenario("next save", 2, killed_before=("openat", ".step-000000002.g000002.*.tmp")),
    Scenario("save, retention", 3, limit=2, own=("renameat2", None),
             killed_before=("openat", ".step-000000003.g000003.*.tmp")),
    Scenario("save, retention to one", 2, limit=1, own=("renameat2", None),
             killed_before=("openat", ".step-000000002.g000002.*.tmp")),
    Scenario("resume, retention owed", 3, limit=2, saves=0,
             killed_before=("unlinkat", "step-000000001.g000001.ckpt")),
    Scenario("resume, dead writer's temporary", 2, own=(None, "unlinkat"),
             killed_before=("fsync", ".step-000000002.g000002.*.tmp")),
    Scenario("save by link and unlink", 2, own=("linkat", None),
             killed_before=("openat", ".step-000000002.g000002.*.tmp"),
             always=("renameat2:error=EINVAL",)),
]


class TrainingSweep:
    """One scenario, prepared: the store it begins with, the calls, and what must come out."""

    def __init__(self, work: Workplace, scenario: Scenario) -> None:
        self.work, self.scenario = work, scenario
        keeping = ["--save_total_limit", str(scenario.limit)] if scenario.limit else []
        self.fresh = work.train(*keeping, max_steps=scenario.max_steps)
        self.command = [*self.fresh, "--resume_from_checkpoint"]
        self.template = None
        self.promised: list[str] = []
        if scenario.killed_before:
            self.make_template()
        self.before = harness.contents(self.template) if self.template else {}
        work.clear(self.template)
        result, calls = self.trace(self.command)
        if result.status != 0 or not result.digest:
            could_not_run(f"{scenario.name}: the undisturbed run failed: {result.errors}")
        self.digest = result.digest
        self.events = self.without_times(result)
        # The loader and the text come first; with the text closed, everything is the library's.
        places_of_text = [i for i, call in enumerate(calls) if "text.txt" in call.subject]
        self.calls = calls[places_of_text[-1] + 1:]
        self.places = [place for place in places(calls, lambda call: call is self.calls[0])
                       if not self.is_other(place.call)]

    def trace(self, command: list[str], *more: str, calls: list[str] | None = None):
        names = calls or traces.STORAGE_CALLS
        extra = [injection.split(":")[0] for injection in self.scenario.always]
        return traces.traced(
            self.work, command, {*names, *extra}, [*self.scenario.always, *more])

    def make_template(self) -> None:
        """A store as a killed process leaves it, and what had been acknowledged in it."""
        name, subject = self.scenario.killed_before
        self.work.clear()
        result, calls = self.trace(self.fresh)
        subjects = [call.subject for call in calls if call.name == name]
        wanted = [i for i, text in enumerate(subjects, 1) if text.endswith(subject)]
        if not wanted:
            could_not_run(f"{self.scenario.name}: no {name} of {subject} in {subjects}")
        self.work.clear()
        result, _ = self.trace(self.fresh, f"{name}:signal=KILL:when={wanted[0]}", calls=[name])
        if result.status != -9:
            could_not_run(f"{self.scenario.name}: the run to begin with was not killed")
        self.promised = harness.acknowledged(result)
        if self.scenario.name == "resume, retention owed":
            # Killed after the save and before its event.
            self.promised = Listing.of(self.work.store).checkpoints
        self.template = self.work.path / "template"
        shutil.rmtree(self.template, ignore_errors=True)
        shutil.copytree(self.work.store, self.template)

    def is_other(self, call: Call) -> bool:
        """Standard error and the trace are no storage; nor is the call that is always failed."""
        if call.name == "write" and call.descriptor != "1":
            return True
        return call.name in {injection.split(":")[0] for injection in self.scenario.always}

    @staticmethod
    def without_times(result: Result) -> list[dict]:
        return [{key: value for key, value in event.items() if key != "seconds"}
                for event in harness.json_lines(result.output)]

    def is_in_save(self, place: Place) -> bool:
        """Whether the place is between the temporary file and the event of the save."""
        calls = [other.call for other in self.places]
        first = next(i for i, call in enumerate(calls) if ".tmp" in call.subject)
        last = max(i for i, call in enumerate(calls) if call.name == "fsync")
        event = next(i for i, call in enumerate(calls) if i > last and call.name == "write")
        return first <= self.places.index(place) <= event

    # MARK: Cases

    def kills(self, only_save: bool = False) -> list[Case]:
        return [Case(place, "kill") for place in self.places
                if not only_save or self.is_in_save(place)]

    def failures(self, kind: str, errors: list[str]) -> list[Case]:
        names = [place.call.name for place in self.places]
        first, last = self.scenario.own
        start = names.index(first) if first else 0
        end = names.index(last) + 1 if last else len(names)
        # An event that cannot be written is no storage; EndToEndTests have that.
        return [Case(place, kind, error) for error in errors for place in self.places[start:end]
                if place.call.name != "write"]

    def check(self, case: Case) -> list[str] | None:
        self.work.clear(self.template)
        result, calls = self.trace(
            self.command, case.injection, calls=[case.place.call.name])
        if not did_happen(case, result, calls):
            return None
        promised = self.promised + harness.acknowledged(result)
        found = [] if case.kind == "kill" else self.check_end(case, result)
        found += harness.store_violations(
            self.work, promised, self.before, self.scenario.limit)
        before = {**self.before, **harness.contents(self.work.store)}
        return found + self.check_resume(promised, before)

    def check_end(self, case: Case, result: Result) -> list[str]:
        """What a run must say that was not killed."""
        if result.timed_out:
            return ["it hangs"]
        if result.status not in (0, 1):
            return [f"it ended with {result.status}: {result.errors[-500:]}"]
        found: list[str] = []
        failed = result.events("save_failed")
        saved = self.promised + harness.acknowledged(result)
        is_saved = any(harness.step_of(name) == self.scenario.max_steps for name in saved)
        if result.status == 0 and not (result.digest == self.digest and is_saved):
            found.append("success without the state and a save of it")
        if result.digest not in (None, self.digest):
            found.append("it ends in another state")
        if case.error == "EINTR" and case.kind == "once":
            # A signal that is handled must change nothing at all. But a close that was failed from
            # outside was not made, so that the file stays locked by its own process.
            is_close = case.place.call.name == "close"
            if result.status != 0 or failed or (
                    not is_close and self.without_times(result) != self.events):
                found.append(f"an interrupt was not repeated: {self.last(result)}")
        if result.status != 0 or failed:
            said = result.errors + " ".join(event["error"] for event in failed)
            if not is_named(case.place.call, said):
                found.append(f"the call is not named: {self.last(result)}")
            if f"(errno {ERRORS[case.error]})" not in said:
                found.append(f"{case.error} is not named: {self.last(result)}")
        return found

    @staticmethod
    def last(result: Result) -> str:
        lines = [line for line in result.errors.splitlines() if not line.startswith("step ")]
        return f"status {result.status}: " + " | ".join(lines[-3:])

    def check_resume(self, promised: list[str], before: dict[str, bytes]) -> list[str]:
        if self.scenario.always:
            result, _ = self.trace(self.command, calls=["renameat2"])
        else:
            result = self.work.run(self.command)
        if result.status != 0:
            return [f"it cannot be resumed: {self.last(result)}"]
        found: list[str] = []
        if result.digest != self.digest:
            found.append("resumed, it ends in another state")
        if result.events("save_failed") or any(e["skipped"] for e in result.events("resumed")):
            found.append(f"resuming was no matter of course: {result.output}")
        last = max((harness.step_of(name) for name in promised), default=0)
        resumed = max((event["step"] for event in result.events("resumed")), default=0)
        if resumed < last:
            found.append(f"resumed from step {resumed}, and {last} was acknowledged")
        listing = Listing.of(self.work.store)
        if listing.temporaries:
            found.append(f"temporary files stay behind: {listing.temporaries}")
        # The one that was resumed from may stay beside the ones to keep.
        if self.scenario.limit and len(listing.checkpoints) > self.scenario.limit + 1:
            found.append(f"too many are kept: {listing.checkpoints}")
        return found + harness.store_violations(
            self.work, promised + harness.acknowledged(result), before, self.scenario.limit)


def groups(
    work: Workplace, arguments
) -> Iterator[tuple[str, list[Case], Callable[[Case], list[str] | None]]]:
    errors = arguments.errors
    for scenario in SCENARIOS:
        if arguments.short and scenario.name != "next save":
            continue
        if arguments.only and arguments.only not in scenario.name:
            continue
        sweep = TrainingSweep(work, scenario)
        yield f"{scenario.name}: kill", sweep.kills(only_save=arguments.short), sweep.check
        kinds = [("once", ["EIO", "ENOSPC"])] if arguments.short else [
            ("once", errors), ("sticky", errors)]
        for kind, names in kinds:
            yield f"{scenario.name}: {kind}", sweep.failures(kind, names), sweep.check
    for tool in TOOLS:
        if arguments.only and arguments.only not in tool.name:
            continue
        sweep = ToolSweep(work, tool)
        if arguments.short:
            yield f"{tool.name}: once", sweep.cases("once", ["EIO"]), sweep.check
            continue
        yield f"{tool.name}: kill", sweep.cases("kill", [None]), sweep.check
        for kind in ["once", "sticky"]:
            yield f"{tool.name}: {kind}", sweep.cases(kind, errors), sweep.check
    name = migration_sweep.NAME
    if not arguments.only or arguments.only in name:
        sweep = migration_sweep.MigrationSweep(work)
        if arguments.short:
            yield f"{name}: kill", sweep.cases("kill", [None])[::4], sweep.check
            return
        yield f"{name}: kill", sweep.cases("kill", [None]), sweep.check
        for kind in ["once", "sticky"]:
            yield f"{name}: {kind}", sweep.cases(kind, errors), sweep.check


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument(
        "--short", action="store_true",
        help="kills at every call of one save, EIO and ENOSPC once at every call; under a minute")
    parser.add_argument(
        "--errors", nargs="+", choices=ERRORS, default=list(ERRORS), metavar="ERRNO",
        help="only these errors")
    parser.add_argument("--only", metavar="TEXT", help="only scenarios and tools named so")
    arguments = parser.parse_args()
    start, tally = time.monotonic(), Tally()
    traces.require_strace()
    with Workplace.create(arguments, in_memory=True) as work:
        for title, cases, check in groups(work, arguments):
            tally.group(title, cases, check)
    print(f"{tally.cases} cases, {tally.missed} not reached, {len(tally.violations)} violations, "
          f"{time.monotonic() - start:.0f} s")
    if tally.cases == 0:
        could_not_run("no case was run")
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
