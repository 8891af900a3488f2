"""Power cuts, block by block: every legal state of a disk after any write of a recorded run."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from disk import Disk
from file_systems import FILE_SYSTEMS, FileSystem
from linux import BlockLog, LoopDevice, mounted
from store import STORE, Driver, Ledger, Scenario

WRITE, FLUSH, MARK = 1, 2, 3
MAGIC = 0x474F4C42
SECTOR, BLOCK = 512, 4096


@dataclass(frozen=True)
class Record:
    kind: int
    offset: int
    data: bytes


def parse(log: bytes) -> list[Record]:
    records = []
    position = 0
    while position < len(log):
        magic, kind, offset, length = struct.unpack_from("=IIQQ", log, position)
        position += 24
        if magic != MAGIC or position + length > len(log):
            raise RuntimeError("the block log is damaged")
        records.append(Record(kind, offset, log[position:position + length]))
        position += length
    return records


@dataclass(frozen=True)
class Recording:
    """What reached the disk during a scenario, in order."""

    base: bytes
    records: list[Record]
    file_system: FileSystem
    options: str
    scenario: Scenario

    def ledger(self, cut: int) -> Ledger:
        """What was promised before record `cut`."""
        ledger = Ledger()
        for record in self.records[:cut]:
            if record.kind == MARK:
                for line in record.data.decode().splitlines():
                    ledger.read(line)
        return ledger

    def save(self, directory: Path) -> None:
        """Keeps it, so that a state can be looked at again."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "base").write_bytes(self.base)
        with open(directory / "log", "wb") as file:
            for record in self.records:
                file.write(struct.pack("=IIQQ", MAGIC, record.kind, record.offset,
                                       len(record.data)) + record.data)
        about = {"file_system": self.file_system.kind, "options": self.options,
                 "scenario": self.scenario.name, "keep": self.scenario.keep}
        (directory / "about.json").write_text(json.dumps(about) + "\n")


@dataclass(frozen=True)
class State:
    """A disk after a power cut.

    Writes before the last flush are there. Of those after it, and before record `cut`, each may be
    missing; of the last one only the first sectors may be there.
    """

    cut: int
    dropped: tuple[int, ...] = ()
    torn: int | None = None

    def __str__(self) -> str:
        dropped = ",".join(map(str, self.dropped)) or "-"
        return f"{self.cut}/{dropped}/{'-' if self.torn is None else self.torn}"

    @staticmethod
    def parse(text: str) -> State:
        cut, dropped, torn = text.split("/")
        return State(int(cut), tuple(map(int, dropped.split(","))) if dropped != "-" else (),
                     int(torn) if torn != "-" else None)


def record(
    driver: Driver, program: Path, scratch: Path, file_system: FileSystem, options: str,
    scenario: Scenario, writer: str, has_neighbour: bool,
) -> Recording:
    """Plays a scenario over a logged device."""
    base = file_system.image(scratch)
    image, log, target = scratch / "recorded", scratch / "log", scratch / "mount"
    image.write_bytes(base)
    target.mkdir(exist_ok=True)
    with BlockLog(program, image, log, scratch / "blocklog.mount") as blocks:
        with LoopDevice(blocks.image) as device, \
                mounted(device.path, target, file_system.kind, options):
            arguments: list[str | Path] = ["--writer", writer, "--marks", blocks.marks]
            if has_neighbour:
                arguments += ["--neighbour", target / "neighbour"]
            for words in scenario.plays:
                if not driver.play(target / STORE, words, Ledger(), *arguments):
                    raise RuntimeError(f"{scenario.name} failed on a sound disk")
    records = parse(log.read_bytes())
    image.unlink()
    log.unlink()
    return Recording(base, records, file_system, options, scenario)


def states(recording: Recording, subset_count: int, seed: int) -> Iterator[State]:
    """Every prefix; of the writes that no flush has covered yet, subsets; torn last writes."""
    chance = random.Random(seed)
    seen: set[tuple] = set()
    writes: list[int] = []
    pending: list[int] = []
    ledger = Ledger()
    for cut, last in enumerate(recording.records, 1):
        if last.kind == FLUSH:
            pending = []
            continue
        if last.kind == WRITE:
            writes.append(cut - 1)
            pending.append(cut - 1)
        else:
            for line in last.data.decode().splitlines():
                ledger.read(line)
        candidates = [State(cut)]
        candidates += [State(cut, dropped) for dropped in subsets(pending, subset_count, chance)]
        if last.kind == WRITE and len(last.data) > BLOCK:
            torn = SECTOR * chance.randrange(1, len(last.data) // SECTOR)
            # One block is written whole or not: ext4 relies on that for its superblock.
            if last.offset + torn > BLOCK:
                candidates.append(State(cut, (), torn))
        for state in candidates:
            key = (len(writes), state.dropped, state.torn, ledger.key)
            if key not in seen:
                seen.add(key)
                yield state


def subsets(pending: list[int], count: int, chance: random.Random) -> list[tuple[int, ...]]:
    """Up to `count` sets of writes to drop: one, all but one, or any."""
    if len(pending) <= 20 and 2 ** len(pending) - 1 <= count:
        return [tuple(write for bit, write in enumerate(pending) if mask >> bit & 1)
                for mask in range(1, 2 ** len(pending))]
    result = []
    for _ in range(count):
        one = chance.choice(pending)
        share = chance.random()
        result.append(chance.choice([
            (one,), tuple(write for write in pending if write != one),
            tuple(write for write in pending if chance.random() < share)]))
    return [dropped for dropped in result if dropped]


class Replayer:
    """Puts states of a recording on a disk, mounts it and has the store checked."""

    def __init__(self, driver: Driver, scratch: Path, recording: Recording) -> None:
        self.driver = driver
        self.recording = recording
        self.target = scratch / "mount"
        self.target.mkdir(exist_ok=True)
        self.flushed = bytearray(recording.base)
        """What a flush before the last cut covers."""
        self.flushed_count = 0
        self.disk = Disk(scratch, recording.base)

    def __enter__(self) -> Replayer:
        return self

    def __exit__(self, *_: object) -> None:
        self.disk.close()

    def _advance(self, cut: int) -> list[int]:
        """Applies what a flush before the cut covers; the writes that none does."""
        pending: list[int] = []
        for index in range(self.flushed_count, cut):
            entry = self.recording.records[index]
            if entry.kind == WRITE:
                pending.append(index)
            elif entry.kind == FLUSH:
                for write in pending:
                    done = self.recording.records[write]
                    self.flushed[done.offset:done.offset + len(done.data)] = done.data
                    # So that the disk holds the block, and restoring it copies it.
                    self.disk.put(done.offset, done.data)
                pending = []
                self.flushed_count = index + 1
        return pending

    def violation(self, state: State) -> str:
        """What is wrong after this cut, or nothing. Cuts must not go back."""
        pending = self._advance(state.cut)
        self.disk.restore(self.flushed)
        for index in pending:
            entry = self.recording.records[index]
            if index in state.dropped:
                continue
            is_torn = state.torn is not None and index == pending[-1]
            self.disk.put(entry.offset, entry.data[:state.torn] if is_torn else entry.data)
        self.disk.forget_cache()
        kind, options = self.recording.file_system.kind, self.recording.options
        try:
            with mounted(self.disk.device.path, self.target, kind, options):
                ledger = self.recording.ledger(state.cut)
                return self.driver.check(
                    self.target / STORE, ledger, self.recording.scenario.keep)
        except OSError as error:
            return f"cannot be mounted: {error}"


def sweep(
    driver: Driver, scratch: Path, recording: Recording, subset_count: int, seed: int
) -> tuple[int, list[tuple[State, str]]]:
    """Tries the states of a recording: how many, and which were wrong."""
    count = 0
    violations = []
    with Replayer(driver, scratch, recording) as replayer:
        for state in states(recording, subset_count, seed):
            count += 1
            if problem := replayer.violation(state):
                violations.append((state, problem))
    return count, violations


def load(directory: Path) -> Recording:
    """A recording that was kept."""
    about = json.loads((directory / "about.json").read_text())
    scenario = Scenario(about["scenario"], (), about["keep"])
    return Recording((directory / "base").read_bytes(), parse((directory / "log").read_bytes()),
                     FILE_SYSTEMS[about["file_system"]], about["options"], scenario)
