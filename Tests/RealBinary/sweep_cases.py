"""Cases of a sweep: one system call of a run, and how it is disturbed."""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import Callable

import traces
from harness import Result, could_not_run
from traces import Call

ERRORS = {"EIO": 5, "ENOSPC": 28, "EINTR": 4, "EDQUOT": 122, "EROFS": 30, "EMFILE": 24}


@dataclasses.dataclass(frozen=True)
class Place:
    """One call of a run: the n-th of its name, from the start of the process."""

    call: Call
    ordinal: int


@dataclasses.dataclass(frozen=True)
class Case:
    place: Place
    kind: str  # kill, once, sticky
    error: str | None = None

    @property
    def injection(self) -> str:
        name, when = self.place.call.name, self.place.ordinal
        if self.kind == "kill":
            return f"{name}:signal=KILL:when={when}"
        return f"{name}:error={self.error}:when={when}{'+' if self.kind == 'sticky' else ''}"

    def __str__(self) -> str:
        return f"{self.kind} {self.error or ''} {self.place.call.name}:{self.place.ordinal}"


def places(calls: list[Call], begins: Callable[[Call], bool]) -> list[Place]:
    """The calls from the first that `begins`, each counted from the start of the process."""
    if len({call.thread for call in calls}) != 1:
        could_not_run("the program uses several threads: strace counts calls for each of them")
    counts: collections.Counter[str] = collections.Counter()
    result: list[Place] = []
    has_begun = False
    for call in calls:
        counts[call.name] += 1
        has_begun = has_begun or begins(call)
        if has_begun:
            result.append(Place(call, counts[call.name]))
    return result


def did_happen(case: Case, result: Result, calls: list[Call]) -> bool:
    """Whether strace disturbed the very call that the undisturbed run made at this place."""
    meant = case.place.call
    if case.kind == "kill":
        same = [call for call in calls if call.name == meant.name]
        return (result.status == -9 and len(same) == case.place.ordinal
                and same[-1].subject == meant.subject and same[-1].result.startswith("?"))
    injected = [call for call in calls if call.is_injected and call.name == meant.name]
    return bool(injected) and injected[0].subject == meant.subject


def is_named(call: Call, said: str) -> bool:
    """Whether a message says which call failed."""
    return any(
        f"{name} failed with" in said or f"{name} of the directory failed" in said
        for name in traces.REPORTED_NAMES.get(call.name, [call.name]))


class Tally:
    """Counts cases and violations, a line for each group."""

    def __init__(self) -> None:
        self.cases = 0
        self.missed = 0
        self.violations: list[str] = []

    def group(self, title: str, cases: list[Case], check: Callable[[Case], list[str] | None]):
        start, done, missed, wrong = time.monotonic(), 0, 0, 0
        said = len(self.violations)
        for case in cases:
            found = check(case)
            if found is None:
                missed += 1
                self.violations.append(f"{title}: {case}: the call was not reached as counted")
                continue
            done += 1
            wrong += bool(found)
            for violation in found:
                self.violations.append(f"{title}: {case} ({case.place.call}): {violation}")
        self.cases += done
        self.missed += missed
        for violation in self.violations[said:][:50]:
            print(f"VIOLATION {violation}")
        print(f"{title:34} {done:5} cases  {missed} not reached  {wrong} with violations  "
              f"{time.monotonic() - start:6.1f} s", flush=True)
