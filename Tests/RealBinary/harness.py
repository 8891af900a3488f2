"""What the suites of this folder share: the programs, traces of system calls, and a store's state.

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
STRACE = "/usr/bin/strace"
MEMORY = pathlib.Path("/dev/shm")
STORE = "run"  # of every case, relative to the directory it runs in
CHECKPOINT = re.compile(r"step-(\d{9,})\.g(\d{6,})\.ckpt")
TEMPORARY = re.compile(r"\.step-\d{9,}\.g\d{6,}\.[0-9a-f]{32}\.tmp")

# Every system call through which the library reaches a disk now, and those it might take up.
STORAGE_CALLS = (
    "openat,openat2,open,creat,mkdir,mkdirat,close,pread64,preadv,preadv2,read,pwrite64,pwritev,"
    "pwritev2,write,fsync,fdatasync,sync_file_range,syncfs,sync,fallocate,ftruncate,fchmod,flock,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,newfstatat,fstat,statx,fstatfs,statfs,"
    "getdents64,fadvise64,io_uring_enter"
).split(",")

# Errors report calls by the names of the library's seam. Listing a directory, the C library asks
# for the status of its descriptor first.
REPORTED_NAMES = {"newfstatat": ["fstat", "getdents64"], "mkdirat": ["mkdir"]}


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
    def create(cls, arguments: argparse.Namespace, is_traced: bool = False) -> Workplace:
        """A new one; a suite that traces needs strace(1), and no disk, whose faults it provides."""
        for name in ["train-lm", "ckpt-verify"]:
            if not os.access(arguments.bin / name, os.X_OK):
                could_not_run(
                    f"{arguments.bin / name} is missing: swift build -c release --product {name}")
        base = arguments.directory
        if is_traced:
            require_strace()
            if base is None and os.access(MEMORY, os.W_OK):
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


# MARK: Traces


@dataclasses.dataclass(frozen=True)
class Call:
    """One line of strace -f -y."""

    thread: int
    name: str
    arguments: str
    result: str

    @property
    def is_injected(self) -> bool:
        return "(INJECTED)" in self.result

    @property
    def path(self) -> str | None:
        """What the descriptor in the first place stands for."""
        match = re.match(r"(?:\d+|AT_FDCWD)<([^>]*)>", self.arguments)
        return match[1] if match else None

    @property
    def descriptor(self) -> str:
        return self.arguments.split("<", 1)[0]

    @property
    def names(self) -> list[str]:
        """The paths among the arguments; the buffers of transfers are none."""
        if self.name in ("pread64", "pwrite64", "read", "write"):
            return []
        return re.findall(r'"((?:[^"\\]|\\.)*)"', self.arguments)

    @property
    def subject(self) -> str:
        """What the call is about, the same in each run: no random digits, no process number."""
        subject = " ".join([os.path.basename(self.path or ""), *self.names]).strip()
        return re.sub(r"[0-9a-f]{32}|(?<=pipe:\[)\d+", "*", subject)

    def __str__(self) -> str:
        return f"{self.name}({self.subject})"


def parse_trace(text: str) -> list[Call]:
    """The calls of a trace in the order in which they ended, or began if they never did."""
    calls: list[Call] = []
    open_calls: dict[int, str] = {}
    for line in text.splitlines():
        match = re.match(r"(?:(\d+) +)?(.*)", line)
        thread, rest = int(match[1] or 0), match[2]
        if rest.startswith(("+++", "---")):
            continue
        if rest.endswith("<unfinished ...>"):
            open_calls[thread] = rest[: -len("<unfinished ...>")].rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if resumed:
            rest = open_calls.pop(thread, "") + resumed[1]
        calls += parse_call(thread, rest)
    for thread, rest in open_calls.items():
        calls += parse_call(thread, rest + ") = ?")
    return calls


def parse_call(thread: int, text: str) -> list[Call]:
    # The last ") = " is the end: a name may hold one, a result does not.
    match = re.match(r"(\w+)\((.*)\)\s+= (.*)$", text)
    return [Call(thread, match[1], match[2], match[3])] if match else []


def require_strace() -> None:
    """strace(1) is there, and may trace and inject here."""
    if not os.access(STRACE, os.X_OK):
        could_not_run(f"{STRACE} is missing: apt-get install strace")
    probe = subprocess.run(
        [STRACE, "-f", "-qq", "-o", "/dev/stdout", "-e", "trace=close", "-e",
         "inject=close:error=EIO:when=1", "/bin/true"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if "INJECTED" not in probe.stdout:
        could_not_run(f"strace cannot inject here (ptrace forbidden?): {probe.stderr.strip()}")


def traced(
    work: Workplace, command: Sequence[str], calls: Iterable[str], injections: Iterable[str] = ()
) -> tuple[Result, list[Call]]:
    """Runs a command under strace with the injections, and returns the calls it logged."""
    log = work.path / "trace"
    log.unlink(missing_ok=True)
    # Not --seccomp-bpf: strace 6.1 then forgets, without a word, the signals that it should send.
    words = [STRACE, "-f", "-y", "-qq", "-o", str(log), "-e", "trace=" + ",".join(calls)]
    for injection in injections:
        words += ["-e", "inject=" + injection]
    result = work.run([*words, *command])
    return result, parse_trace(log.read_text(errors="replace"))


def transfers(calls: Iterable[Call], name: str, subject: str) -> list[tuple[int, int]]:
    """The ranges that calls of a name moved of a file, in their order."""
    ranges: list[tuple[int, int]] = []
    for call in calls:
        if call.name == name and call.subject == subject and call.result.isdigit():
            start = int(call.arguments.rsplit(", ", 1)[1])
            ranges.append((start, start + int(call.result)))
    return ranges


def gaps(ranges: Iterable[tuple[int, int]], byte_count: int) -> list[str]:
    """What of a file no range covers."""
    found: list[str] = []
    end = 0
    for start, stop in sorted(ranges):
        if start > end:
            found.append(f"{end}..<{start}")
        end = max(end, stop)
    if end < byte_count:
        found.append(f"{end}..<{byte_count}")
    return found
