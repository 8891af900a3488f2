"""System calls of the real programs, as strace(1) sees and disturbs them."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from typing import Iterable, Sequence

from harness import Result, Workplace, could_not_run

STRACE = "/usr/bin/strace"

# Every system call through which the library reaches a disk now, and those it might take up.
STORAGE_CALLS = (
    "openat,openat2,open,creat,mkdir,mkdirat,close,pread64,preadv,preadv2,read,pwrite64,pwritev,"
    "pwritev2,write,fsync,fdatasync,sync_file_range,syncfs,sync,fallocate,ftruncate,fchmod,flock,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,newfstatat,fstat,statx,fstatfs,statfs,"
    "getdents64,fadvise64,fcntl,io_uring_enter"
).split(",")

# Errors report calls by the names of the library's seam. Listing a directory, the C library asks
# for the status and the flags of its descriptor first.
REPORTED_NAMES = {
    "fcntl": ["fcntl", "getdents64"], "newfstatat": ["fstat", "getdents64"], "mkdirat": ["mkdir"],
}


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
        if self.name in ("pread64", "preadv", "preadv2", "pwrite64", "read", "write"):
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
