"""The writer under test, what it was promised, and the checker of what is left."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from linux import die_with_parent, start

STORE = "runs/a"
"""Where the store is on the file system; neither directory is there at first."""


@dataclass(frozen=True)
class Scenario:
    """What training programs do to a store, one after the other; see `store-driver --help`."""

    name: str
    plays: tuple[str, ...]
    keep: int = 0
    """How many checkpoints retention leaves; 0 if there is none."""


SCENARIOS = [
    Scenario("first save", ("save:10",)),
    Scenario("next saves", ("save:10 save:20 save:30",)),
    Scenario("a step again", ("save:10 save:10", "save:10")),
    Scenario("retention", ("save:10 retain:2 save:20 retain:2 save:30 retain:2 save:40 retain:2",),
             keep=2),
    Scenario("keep one", ("save:10 save:20 retain:1 save:30 retain:1",), keep=1),
    Scenario("owed retention", ("save:10 save:20 save:30 save:40", "owed:1 save:50 retain:1"),
             keep=1),
]

FORGETFUL = Scenario("old goes first", ("save:10 forget save:20 forget save:30",))

WEAKENED = ["no-file-sync", "no-directory-sync", "naive"]


@dataclass
class Ledger:
    """What was tried and promised, from the marks of `store-driver play`."""

    attempted: dict[int, int] = field(default_factory=dict)
    acknowledged: dict[int, int] = field(default_factory=dict)
    """Acknowledged, and not given up to retention."""
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    byte_count: int = 0
    """Of the file that was acknowledged last."""
    call_count: int = 0

    def read(self, mark: str) -> None:
        word, _, rest = mark.partition(" ")
        numbers = [int(part) for part in rest.split() if part.isdigit()]
        if word == "attempt":
            self.attempted[numbers[0]] = numbers[1]
        elif word == "acknowledged":
            self.acknowledged[numbers[0]] = numbers[1]
            self.byte_count = numbers[2]
        elif word == "retain":
            kept = sorted(self.acknowledged)[-numbers[0]:]
            self.acknowledged = {number: self.acknowledged[number] for number in kept}
        elif word == "calls":
            self.call_count = numbers[0]
        elif word in ("failed", "untyped"):
            self.failures.append(mark)
        elif word == "warning":
            self.warnings.append(rest)
        elif word != "removed":
            raise ValueError(f"an unknown mark: {mark}")

    @property
    def key(self) -> tuple:
        return tuple(self.attempted.items()), tuple(self.acknowledged.items())


def listed(checkpoints: dict[int, int]) -> str:
    return ",".join(f"{generation}:{step}" for generation, step in checkpoints.items())


def finish(process: subprocess.Popen) -> tuple[str, str]:
    """What it printed until its end, which comes at once if we are interrupted."""
    try:
        return process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise


class Driver:
    """The executable `store-driver`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server: subprocess.Popen | None = None

    def play(self, directory: Path, words: str, ledger: Ledger, *options: str | Path) -> bool:
        """Plays; whether all of it succeeded."""
        process = start([self.path, "play", directory, *words.split(), *options],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        output, errors = finish(process)
        for line in output.splitlines():
            ledger.read(line)
        if process.returncode not in (0, 1):
            raise RuntimeError(f"store-driver ended with {process.returncode}: {errors.strip()}")
        return process.returncode == 0

    def play_limited(
        self, directory: Path, words: str, ledger: Ledger, set_limit: Callable[[], None]
    ) -> int:
        """Plays under a limit; the exit status, of which any is possible."""
        def before() -> None:
            die_with_parent()
            set_limit()

        process = start([self.path, "play", directory, *words.split()], before,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in finish(process)[0].splitlines():
            ledger.read(line)
        return process.returncode

    def check(self, directory: Path, ledger: Ledger, keep: int = 0, saves: bool = True) -> str:
        """The violation, or nothing."""
        if self.server is None or self.server.poll() is not None:
            self.server = start([self.path, "serve"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True, bufsize=1)
        fields = [str(directory), listed(ledger.acknowledged), listed(ledger.attempted),
                  str(keep), "save" if saves else "read-only"]
        self.server.stdin.write("\t".join(fields) + "\n")
        self.server.stdin.flush()
        verdict = self.server.stdout.readline().strip()
        if verdict.startswith("ok "):
            return ""
        return verdict.removeprefix("violation ") or "the checker died"

    def stop(self) -> None:
        if self.server is not None:
            self.server.stdin.close()
            self.server.wait()
            self.server = None
