"""Samples, the quiet disk, and the statistics: the same as in ckpt-bench."""

import json
import os
import random
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Sample:
    seconds: float
    cpu_seconds: float
    byte_count: int

    @property
    def rate(self) -> float:
        return self.byte_count / self.seconds


def wait_for_quiet_disk() -> None:
    """Writes to the disk what waits to be written, whoever wrote it."""
    for _ in range(20):
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        if sum(int(fields[name].split()[0]) for name in ("Dirty", "Writeback")) < 16 << 10:
            return
        os.sync()


def measured(run: Callable[[], object], byte_count: int) -> tuple[Sample, object]:
    """Runs something once, by the clock; also what it gave."""
    wait_for_quiet_disk()
    cpu = _cpu_seconds()
    start = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    return Sample(seconds, _cpu_seconds() - cpu, byte_count), result


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def interval(values: list[float], seed: int) -> tuple[float, float, float]:
    """The median and its 95 % confidence interval by the bootstrap."""
    chance = random.Random(seed)
    medians = sorted(
        statistics.median(chance.choices(values, k=len(values))) for _ in range(4000)
    )
    return statistics.median(values), medians[100], medians[3899]


def files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def sync(path: Path) -> None:
    """Makes a file, or a directory with all in it, durable: its bytes and its name."""
    everything = [path, *path.rglob("*")] if path.is_dir() else [path]
    for entry in [*everything, path.parent]:
        descriptor = os.open(entry, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def warm(path: Path) -> None:
    """Brings all files into the page cache."""
    for file in files_of(path):
        with open(file, "rb", buffering=0) as opened:
            while opened.read(1 << 20):
                pass


def drop(path: Path) -> None:
    """Takes all files, which are synced, out of the page cache."""
    for file in files_of(path):
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


class Server:
    """ckpt-bench's own arms, in a process that has started and holds its state."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.state = self._answer()
        while (event := self._answer())["event"] != "ready":
            pass
        self.arms = [arm["arm"] for arm in event["arms"]]
        self.sizes = {file["compression"]: file["bytes"] for file in event["files"]}

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line.startswith("{"):
            raise SystemExit(f"run: ckpt-bench ended: {line.strip() or 'it says nothing'}")
        return json.loads(line)

    def measure(self, arm: str) -> Sample:
        self.process.stdin.write(arm + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        return Sample(answer["seconds"], answer["cpu_seconds"], answer["bytes"])

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
