#!/usr/bin/env python3
"""Checks that the real train-lm makes its system calls in the order of the protocol.

Each scenario of syscall_sweep.py is run once under strace(1), undisturbed, and what it did is held
against docs/crash-safety.md, section 3: from an exclusively created temporary file to the
synchronised directory, and only then the removal of victims and the event. Exactly two syncs a
save; every file is reached through the descriptor of the store's directory, is opened with
O_CLOEXEC and not through a link.

--print shows the calls of each scenario.
"""

from __future__ import annotations

import re
import sys

import harness
import traces
from harness import Workplace
from syscall_sweep import SCENARIOS, TrainingSweep
from traces import Call

SYNCS = {"fsync", "fdatasync", "syncfs", "sync"}
TEMPORARY = re.compile(r"(run )?\.step-\d{9}\.g\d{6}\.\*\.tmp")


class Trace:
    """The calls of one scenario, and what is wrong with them."""

    def __init__(self, sweep: TrainingSweep) -> None:
        self.sweep = sweep
        self.store = str(sweep.work.store)
        self.calls = [call for call in sweep.calls
                      if call.name != "write" or call.descriptor == "1"]
        self.violations: list[str] = []

    def require(self, is_met: bool, claim: str, *calls: Call) -> None:
        if not is_met:
            shown = "; ".join(f"{call.name}({call.arguments}) = {call.result}" for call in calls)
            self.violations.append(f"{self.sweep.scenario.name}: not so: {claim}. {shown}")

    def indices(self, name: str, subject: str = ".*", arguments: str = "") -> list[int]:
        """The calls of a name about a subject, both patterns."""
        return [i for i, call in enumerate(self.calls)
                if re.fullmatch(name, call.name) and re.fullmatch(subject, call.subject)
                and re.search(arguments, call.arguments)]

    def check(self) -> None:
        self.check_reach()
        saves = self.indices("openat", TEMPORARY.pattern, "O_CREAT")
        expected = self.sweep.scenario.saves
        self.require(len(saves) == expected, f"there are {expected} saves")
        for first in saves:
            self.check_save(first)
        if self.sweep.template is None:
            self.check_creation()
        if self.sweep.scenario.limit:
            self.check_retention()

    # MARK: Rules

    def check_reach(self) -> None:
        """Nothing but the directory itself is reached by a path."""
        for call in self.calls:
            if call.name in ("openat", "openat2", "open", "creat"):
                self.require("O_CLOEXEC" in call.arguments, "every open has O_CLOEXEC", call)
                self.require(
                    "O_NOFOLLOW" in call.arguments or "O_DIRECTORY" in call.arguments,
                    "no file is opened through a link", call)
            if call.name == "mkdir" or "O_DIRECTORY" in call.arguments:
                continue
            for name in call.names:
                self.require(
                    not name or call.path == self.store and "/" not in name,
                    "files are named relative to the store's descriptor", call)
        both = self.indices("renameat2|linkat")
        for call in (self.calls[i] for i in both):
            directories = re.findall(r"\d+<([^>]*)>", call.arguments)
            self.require(directories == [self.store] * 2, "a name stays in the store", call)
        lock = self.indices("flock", r"\.lock", r"LOCK_EX\|LOCK_NB")
        created = self.indices("openat", TEMPORARY.pattern, "O_CREAT")
        self.require(
            len(lock) == 1 and all(lock[0] < i for i in created), "the writer's lock comes first")

    def check_save(self, first: int) -> None:
        calls = self.calls
        self.require(
            "O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600" in calls[first].arguments,
            "the temporary file is new, private and no link", calls[first])
        temporary = harness.TEMPORARY.search(calls[first].arguments)[0]
        on_it = [i for i, call in enumerate(calls)
                 if i > first and (call.path or "").endswith(temporary)]
        names = " ".join(calls[i].name for i in on_it)
        self.require(
            re.fullmatch(
                "flock fallocate (fcntl )?(pwrite64 (sync_file_range )?)+newfstatat ftruncate "
                "fsync close", names) is not None,
            "it is locked, reserved, written, measured, cut, synced and closed, and nothing else: "
            + names)
        writes = [i for i in on_it if calls[i].name == "pwrite64"]
        end = 0
        for start, stop in traces.transfers(
                [calls[i] for i in writes], "pwrite64", calls[on_it[0]].subject):
            self.require(start == end, f"it is written from start to end, at {end} as well")
            end = stop
        cut = next(calls[i] for i in on_it if calls[i].name == "ftruncate")
        self.require(cut.arguments.endswith(f", {end}"), "it is cut to what was written", cut)

        published = self.check_publication(on_it[-1], temporary)
        self.require(
            calls[published + 1].name == "fsync" and calls[published + 1].path == self.store,
            "the directory is synced next", calls[published + 1])
        self.require(
            calls[published + 2].name == "newfstatat" and calls[published + 2].path == self.store,
            "whether it is still there is asked", calls[published + 2])
        event = next(i for i, call in enumerate(calls) if i > first and call.name == "write")
        self.require(
            '\\"event\\":\\"saved\\"' in calls[event].arguments, "the event follows", calls[event])
        syncs = [i for i, call in enumerate(calls) if first < i < event and call.name in SYNCS]
        self.require(len(syncs) == 2, f"a save has two syncs and not {len(syncs)}")
        self.require(published + 1 < event, "the event comes after the last sync", calls[event])
        victims = self.indices("unlinkat", r"run step-.*\.ckpt")
        self.require(
            all(i > published + 1 for i in victims), "nothing is removed before the last sync")

    def check_publication(self, closed: int, temporary: str) -> int:
        """Returns where the last call is that publishes."""
        rename = next(i for i, call in enumerate(self.calls)
                      if i > closed and call.name == "renameat2")
        call = self.calls[rename]
        self.require(rename == closed + 1, "it is published once it is closed", call)
        final = temporary[1:].rsplit(".", 2)[0] + ".ckpt"
        self.require(call.names == [temporary, final], f"it becomes {final}", call)
        self.require("RENAME_NOREPLACE" in call.arguments, "nothing is replaced", call)
        if not call.is_injected:
            return rename
        link, unlink = self.calls[rename + 1: rename + 3]
        self.require(
            link.name == "linkat" and link.names == [temporary, final] and link.result == "0",
            "a second name takes the place of a rename", link)
        self.require(
            unlink.name == "unlinkat" and unlink.names == [temporary], "the first name goes",
            unlink)
        return rename + 2

    def check_creation(self) -> None:
        """A new directory is durable before a file is put into it."""
        made = self.indices("mkdir", "run")
        synced = self.indices("fsync", re.escape(self.sweep.work.path.name))
        opened = self.indices("openat", r"run \.lock")
        self.require(
            len(made) == len(synced) == 1 and made[0] < synced[0] < opened[0],
            "the store's directory is made and synced in its parent before it is used")
        self.require("0700" in self.calls[made[0]].arguments, "it is private", self.calls[made[0]])

    def check_retention(self) -> None:
        """A victim goes under its lock, and the only predecessor after the new file was read."""
        removed = self.indices("unlinkat", r"run step-.*\.ckpt")
        self.require(len(removed) == 1, "one victim is removed")
        victim = self.calls[removed[0]].names[0]
        before = self.calls[: removed[0]]
        locked = [i for i in self.indices("flock", re.escape(victim), "LOCK_EX") if i < removed[0]]
        named = [i for i in self.indices("newfstatat", "run " + re.escape(victim))
                 if i < removed[0]]
        self.require(
            bool(locked) and bool(named) and locked[-1] < named[-1],
            "a victim is locked, and then asked whether its name still stands for it")
        synced = [call for call in before if call.name in SYNCS]
        if self.sweep.scenario.saves == 0:
            kept = {call.subject for call in synced if call.subject.endswith(".ckpt")}
            self.require(
                kept == {name for name in self.sweep.before if name != victim}
                and synced[-1].path == self.store,
                "what stays of another process is synced, the files and then the directory")
        if self.sweep.scenario.limit == 1:
            self.check_read_back(before)

    def check_read_back(self, before: list[Call]) -> None:
        rename = next(i for i, call in enumerate(before) if call.name == "renameat2")
        new = before[rename].names[1]
        dropped = [i for i, call in enumerate(before)
                   if call.name == "fadvise64" and call.subject == new]
        self.require(len(dropped) == 1, "the new file's pages are dropped")
        byte_count = (self.sweep.work.store / new).stat().st_size
        gaps = traces.gaps(
            traces.transfers(before[dropped[0]:], "pread64", new), byte_count)
        self.require(not gaps, f"all of the new file is read back, {gaps} as well")


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--print", action="store_true", help="show the calls of each scenario")
    arguments = parser.parse_args()
    count = 0
    traces.require_strace()
    with Workplace.create(arguments, in_memory=True) as work:
        for scenario in SCENARIOS:
            trace = Trace(TrainingSweep(work, scenario))
            if arguments.print:
                print(scenario.name, *trace.calls, sep="\n  ")
            trace.check()
            print(f"{scenario.name:34} {len(trace.calls):4} calls  "
                  f"{len(trace.violations)} violations", flush=True)
            for violation in trace.violations:
                print(f"VIOLATION {violation}")
            count += len(trace.violations)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
