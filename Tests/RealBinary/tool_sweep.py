"""The sweep of tools that read a store: they change nothing, and never call a store intact, or
damaged, that they could not read."""

from __future__ import annotations

import dataclasses
from typing import Callable

import harness
import traces
from harness import Listing, Workplace, could_not_run
from sweep_cases import ERRORS, Case, did_happen, is_named, places
from traces import Call


@dataclasses.dataclass
class Tool:
    """A tool that reads a store and changes nothing."""

    name: str
    arguments: list[str]
    # Calls whose failure must not change the answer.
    harmless: Callable[[Call], bool]


def is_harmless_to_verify(call: Call) -> bool:
    """A lock is only taken so that retention waits; closing loses nothing that was read; and that
    a name still stands for the open file is asked so that retention is noticed. preadv2 has the system
    read on."""
    return call.name in ("flock", "close", "fadvise64", "preadv2") or (
        call.name == "newfstatat" and call.subject.endswith(".ckpt") and "AT_EMPTY_PATH"
        not in call.arguments)


# A tool of the same kind is one more line here.
TOOLS = [
    Tool("ckpt-verify", ["--jobs", "1", "--json", harness.STORE], is_harmless_to_verify),
]


class ToolSweep:
    def __init__(self, work: Workplace, tool: Tool) -> None:
        self.work, self.tool = work, tool
        self.command = [str(work.programs / tool.name), *tool.arguments]
        work.clear()
        if work.run(work.train(max_steps=2)).status != 0:
            could_not_run("the store to read could not be made")
        self.before = harness.contents(work.store)
        result, calls = traces.traced(work, self.command, traces.STORAGE_CALLS)
        if result.status != 0:
            could_not_run(f"{tool.name} failed undisturbed: {result.errors}")
        self.output = result.output
        self.places = [
            place for place in places(calls, lambda call: harness.STORE in call.names)
            if place.call.name != "write"]

    def cases(self, kind: str, errors: list[str | None]) -> list[Case]:
        return [Case(place, kind, error) for error in errors for place in self.places]

    def check(self, case: Case) -> list[str] | None:
        result, calls = traces.traced(
            self.work, self.command, {case.place.call.name, "pread64"}, [case.injection])
        if not did_happen(case, result, calls):
            return None
        found: list[str] = []
        if harness.contents(self.work.store) != self.before or Listing.of(self.work.store).others:
            found.append("the store was changed")
        if case.kind == "kill":
            return found
        said = result.output + result.errors
        if result.timed_out or result.status not in (0, 2):
            return [*found, f"status {result.status}: {said[-600:]}"]
        if result.status == 0:
            # What failed once may have been asked again.
            found += [f"called intact, and not read: {gap}" for gap in self.unread(calls)]
            if result.output != self.output:
                found.append(f"another answer than undisturbed: {result.output}")
            return found
        if case.kind == "once" and (
                case.error == "EINTR" or self.tool.harmless(case.place.call)):
            found.append(f"a harmless failure counts: {said[-600:]}")
        if f"(errno {ERRORS[case.error]})" not in said or not is_named(case.place.call, said):
            found.append(f"call or errno is not named: {said[-600:]}")
        if '"damaged",' in result.output:
            found.append(f"what cannot be read is called damaged: {said[-600:]}")
        return found

    def unread(self, calls: list[Call]) -> list[str]:
        return [
            f"{name} {gap}" for name, data in self.before.items()
            for gap in traces.gaps(traces.transfers(calls, "pread64", name), len(data))]
