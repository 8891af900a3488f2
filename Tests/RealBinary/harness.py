"""What the suites of this folder share: the programs, and a store's state.

Standard library only. Nothing here knows how a checkpoint is written inside: the real ckpt-verify
says what is intact, and the names are those of docs/format.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Iterable, Iterator, NoReturn, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEMORY = pathlib.Path("/dev/shm")
STORE = "run"  # of every case, relative to the directory it runs in
CHECKPOINT = re.compile(r"step-(\d{9,})\.g(\d{6,})\.ckpt")
TEMPORARY = re.compile(r"\.step-\d{9,}\.g\d{6,}\.[0-9a-f]{32}\.tmp")


def could_not_run(reason: str) -> NoReturn:
    """Ends the suite: nothing was tested, which must not pass for success."""
    print(f"SKIPPED: {reason}", flush=True)
    sys.exit(2)


# MARK: Arguments


def parser(description: str) -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit status: 0 no violation, 1 violations, 2 could not run")
    result.add_argument(
        "--bin", type=pathlib.Path, default=ROOT / ".build/release", metavar="DIR",
        help="where train-lm and ckpt-verify are (default: .build/release)")
    result.add_argument(
        "--directory", type=pathlib.Path, default=None, metavar="DIR",
        help="where to work (default: where temporary files go, in memory if the suite may)")
    return result


@dataclasses.dataclass
class Workplace:
    """A directory to work in, removed at the end, and the programs under test."""

    path: pathlib.Path
    programs: pathlib.Path

    @classmethod
    def create(cls, arguments: argparse.Namespace, in_memory: bool = False) -> Workplace:
        """A new one; a suite that provides the faults itself needs no disk."""
        for name in ["train-lm", "ckpt-verify"]:
            if not os.access(arguments.bin / name, os.X_OK):
                could_not_run(
                    f"{arguments.bin / name} is missing: swift build -c release --product {name}")
        base = arguments.directory
        if in_memory and base is None and os.access(MEMORY, os.W_OK):
            base = MEMORY
        if base is not None and not os.access(base, os.W_OK):
            could_not_run(f"{base} cannot be written")
        # Without symbolic links, as a trace shows it; entered by the ordinary user of some cases.
        path = pathlib.Path(tempfile.mkdtemp(prefix="real-binary-", dir=base)).resolve()
        path.chmod(0o755)
        write_text(path / "text.txt")
        return cls(path, arguments.bin.resolve())

    def __enter__(self) -> Workplace:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def store(self) -> pathlib.Path:
        return self.path / STORE

    def clear(self, template: pathlib.Path | None = None) -> None:
        """Makes the store a copy of a template, or removes it."""
        if self.store.is_symlink() or self.store.exists() and not self.store.is_dir():
            self.store.unlink()
        shutil.rmtree(self.store, ignore_errors=True)
        if template is not None:
            shutil.copytree(template, self.store)

    def train(
        self, *more: str, max_steps: int, save_steps: int = 1, width: int = 8
    ) -> list[str]:
        """The command of a run of a tiny model, on one thread so that all calls are in order."""
        return [
            str(self.programs / "train-lm"), "--data", "text.txt", "--output_dir", STORE,
            "--n_layer", "1", "--n_head", "1", "--n_embd", str(width), "--block_size", "8",
            "--batch_size", "1", "--warmup_steps", "1", "--threads", "1", "--seed", "1",
            "--eval_steps", "1000000000", "--logging_steps", "1000000000",
            "--max_steps", str(max_steps), "--save_steps", str(save_steps), *more,
        ]

    def run(self, command: Sequence[str], timeout: float = 60, **options: object) -> Result:
        return run(command, self.path, timeout, **options)

    def verify(self) -> Verification:
        """What the real ckpt-verify says of the store."""
        command = [str(self.programs / "ckpt-verify"), "--jobs", "1", "--json", STORE]
        return Verification(self.run(command))


def write_text(path: pathlib.Path) -> None:
    words = ("checkpoint save resume the a step of disk state is durable bytes and tensor names "
             "when power fails").split()
    generator = random.Random(7)
    path.write_text(" ".join(generator.choice(words) for _ in range(120)))


# MARK: Processes


@dataclasses.dataclass
class Result:
    """How a program ended, and what it printed."""

    status: int  # as Python has it: minus the signal that ended it
    output: str
    errors: str
    seconds: float = 0
    timed_out: bool = False

    def events(self, name: str) -> list[dict]:
        return [event for event in json_lines(self.output) if event.get("event") == name]

    @property
    def digest(self) -> str | None:
        done = self.events("done")
        return done[-1]["state_sha256"] if done else None


def json_lines(text: str) -> list[dict]:
    """The objects of a text; a last line that a kill cut short is none."""
    objects = []
    for line in text.splitlines():
        try:
            objects.append(json.loads(line))
        except ValueError:
            continue
    return objects


def run(command: Sequence[str], cwd: pathlib.Path, timeout: float, **options: object) -> Result:
    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True, **options)
    with ended(process):
        try:
            output, errors = process.communicate(timeout=timeout)
            return Result(process.returncode, output, errors, time.monotonic() - start)
        except subprocess.TimeoutExpired:
            kill(process)
            output, errors = process.communicate()
            return Result(process.returncode, output, errors, timeout, timed_out=True)


def kill(process: subprocess.Popen) -> None:
    """Ends a process, and what it traces if it is strace in a session of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


@contextlib.contextmanager
def ended(process: subprocess.Popen) -> Iterator[None]:
    """No process outlives the suite, even if that is interrupted."""
    try:
        yield
    finally:
        if process.poll() is None:
            kill(process)
            process.communicate()


# MARK: A store


@dataclasses.dataclass
class Verification:
    """The verdicts of ckpt-verify on a store."""

    result: Result

    @property
    def verdicts(self) -> dict[str, str]:
        """By name, of each checkpoint."""
        return {
            os.path.basename(event["path"]): event["status"]
            for event in self.result.events("checkpoint")
        }


def generation_of(name: str) -> int:
    match = CHECKPOINT.fullmatch(name)
    if not match:
        raise ValueError(f"{name} is no checkpoint's name")
    return int(match[2])


def step_of(name: str) -> int:
    match = CHECKPOINT.fullmatch(name)
    if not match:
        raise ValueError(f"{name} is no checkpoint's name")
    return int(match[1])


@dataclasses.dataclass
class Listing:
    """The names in a store, sorted by what they are."""

    checkpoints: list[str]
    temporaries: list[str]
    others: list[str]

    @classmethod
    def of(cls, store: pathlib.Path) -> Listing:
        names = sorted(os.listdir(store)) if store.is_dir() else []
        checkpoints = [name for name in names if CHECKPOINT.fullmatch(name)]
        temporaries = [name for name in names if TEMPORARY.fullmatch(name)]
        known = {".lock", *checkpoints, *temporaries}
        return cls(checkpoints, temporaries, [name for name in names if name not in known])


def contents(store: pathlib.Path) -> dict[str, bytes]:
    """The bytes of every checkpoint of a store, by name."""
    return {name: (store / name).read_bytes() for name in Listing.of(store).checkpoints}


def acknowledged(result: Result) -> list[str]:
    """The names of the checkpoints whose saves a run reported as durable."""
    return [os.path.basename(event["path"]) for event in result.events("saved")]


def store_violations(
    work: Workplace, promised: Iterable[str], before: dict[str, bytes], limit: int | None
) -> list[str]:
    """What is wrong with a store at rest, however it came about.

    - promised: every checkpoint that was ever acknowledged.
    - before: the bytes that checkpoints had earlier.
    - limit: how many checkpoints retention keeps; None if it removes nothing.
    """
    found: list[str] = []
    listing = Listing.of(work.store)
    found += [f"a foreign name is in the store: {name}" for name in listing.others]
    verification = work.verify() if listing.checkpoints else None
    verdicts = verification.verdicts if verification else {}
    for name in listing.checkpoints:
        if verdicts.get(name) != "ok":
            found.append(f"{name} is {verdicts.get(name, 'not mentioned')} by ckpt-verify")
    if verification and verification.result.status != 0:
        found.append(f"ckpt-verify exits with {verification.result.status}")
    for name, bytes_before in before.items():
        if name in listing.checkpoints and (work.store / name).read_bytes() != bytes_before:
            found.append(f"{name} has other bytes than before")
    for name in sorted(set(promised)):
        if name in listing.checkpoints:
            continue
        newer = [other for other in listing.checkpoints if verdicts.get(other) == "ok"
                 and generation_of(other) > generation_of(name)]
        if limit is None or len(newer) < limit:
            found.append(f"{name} was acknowledged and is gone; newer intact: {newer}")
    return found
