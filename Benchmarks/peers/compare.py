"""Saves and loads one state with several systems in turns, and prints the ratios as tables."""

import argparse
import gc
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import Sample, Server, drop, files_of, interval, measured, warm
from state import State
from systems import System, installed

OURS = {"none": "swift-checkpoint, stored", "always": "swift-checkpoint, compressed"}
DEFAULT_BENCH = Path(__file__).parent.parent / ".build/release/ckpt-bench"

Blocks = list[dict[str, Sample]]


def main() -> None:
    options = parsed()
    if not options.ckpt_bench.exists():
        sys.exit(f"run: {options.ckpt_bench} is not built: swift build -c release in Benchmarks")
    options.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="peers-") as scratch:
        compare(options, Path(scratch))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run", description=__doc__)
    parser.add_argument("directory", type=Path, help="a scratch directory on the disk to measure")
    parser.add_argument("--state", default="gpt2-adam-fp32", help="as for ckpt-bench")
    parser.add_argument("--scale", type=float, help="of the state; default: what the memory allows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--compression", default="both", choices=["none", "always", "both"])
    parser.add_argument("--ckpt-bench", type=Path, default=DEFAULT_BENCH)
    parser.add_argument("--json", type=Path, help="a file for every sample, one object a line")
    options = parser.parse_args()
    if options.blocks < 1:
        parser.error("--blocks is at least 1")
    return options


def compare(options: argparse.Namespace, scratch: Path) -> None:
    words = ["--state", options.state, "--seed", str(options.seed)]
    # Each of these systems holds the state again, and what it loads.
    scale = options.scale or default_scale()
    words += ["--scale", str(scale)]
    server_words = ["serve", str(scratch / "ours"), "--compression", options.compression]
    server = Server([str(options.ckpt_bench), *server_words, *words])
    dump = dumped(options, scratch / "dump", words)
    if dump.facts["state_sha256"] != server.state["state_sha256"]:
        sys.exit("run: ckpt-bench has generated two different states")
    systems, missing = installed(dump)
    for reason in missing:
        print(f"run: left out {reason}", file=sys.stderr)
    files = {system.name: make_file(system, scratch) for system in systems}
    arms = own_arms(server)
    for system in systems:
        arms |= peer_arms(system, dump, files[system.name], scratch)
    blocks = measure_blocks(arms, options)
    server.close()
    sizes = {name: sum(file.stat().st_size for file in files_of(path))
             for name, path in files.items()}
    sizes |= {OURS[name]: size for name, size in server.sizes.items()}
    facts = server.state
    versions = ", ".join(f"{system.name} ({system.version})" for system in systems)
    print(f"{facts['state']}, scale {facts['scale']}, {facts['bytes'] / 1e6:.0f} MB, seed "
          f"{facts['seed']}, sha256 {facts['state_sha256']}, {options.blocks} blocks; {versions}\n")
    print_tables(blocks, [*sizes], sizes, facts["bytes"], options.seed)


def dumped(options: argparse.Namespace, directory: Path, words: list[str]) -> State:
    command = [str(options.ckpt_bench), "dump", str(directory), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return State(directory)


def default_scale() -> float:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    gigabytes = int(fields["MemAvailable"].split()[0]) / 1e6
    # Up to twelve times 1.5 GB: two copies here, two in ckpt-bench, files in the page cache.
    return round(min(1.0, gigabytes / 18), 3)


def make_file(system: System, scratch: Path) -> Path:
    """One checkpoint of a system that stays, to be loaded."""
    path = scratch / "".join(letter for letter in system.name if letter.isalnum())
    system.save(path, durable=True)
    return path


def own_arms(server: Server) -> dict[str, Callable[[], Sample]]:
    def arm(name: str) -> Callable[[], Sample]:
        return lambda: server.measure(name)

    # What a whole resume takes beside a load, ckpt-bench tells by itself; so it does for controls.
    left_out = ("-again", "copy")
    names = [name for name in server.arms if not name.endswith(left_out)]
    arms = {name: arm(name) for name in names if not name.startswith("resume-")}
    for name, title in OURS.items():
        for own, what in [("save-{}", "durable"), ("load-{}", "warm"), ("load-{}-cold", "cold")]:
            if own.format(name) in arms:
                arms[f"{title}|{what}"] = arms.pop(own.format(name))
    return arms


def peer_arms(
    system: System, state: State, path: Path, scratch: Path
) -> dict[str, Callable[[], Sample]]:
    def save(durable: bool) -> Sample:
        target = scratch / "saved"
        sample, _ = measured(lambda: system.save(target, durable), state.byte_count)
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()
        return sample

    def load(prepare: Callable[[Path], None]) -> Sample:
        prepare(path)
        sample, loaded = measured(lambda: system.load(path), state.byte_count)
        state.require_same(system.name, system.arrays(loaded))
        return sample

    return {
        f"{system.name}|durable": lambda: save(True),
        f"{system.name}|stock": lambda: save(False),
        f"{system.name}|warm": lambda: load(warm),
        f"{system.name}|cold": lambda: load(drop),
    }


def measure_blocks(
    arms: dict[str, Callable[[], Sample]], options: argparse.Namespace
) -> Blocks:
    chance = random.Random(options.seed)
    blocks: Blocks = []
    # The first one does not count.
    for number in range(-1, options.blocks):
        block = {}
        for name in chance.sample(list(arms), len(arms)):
            gc.collect()
            block[name] = arms[name]()
        if number < 0:
            continue
        blocks.append(block)
        if options.json:
            with options.json.open("a") as file:
                for name, sample in block.items():
                    event = {"event": "sample", "schema": 1, "block": number, "arm": name}
                    file.write(json.dumps(event | vars(sample)) + "\n")
    return blocks


def ratio(blocks: Blocks, arm: str, others: list[str], seed: int) -> str:
    """How fast an arm is beside the fastest of others, or a dash if it was not measured."""
    others = [name for name in others if name in blocks[0]]
    if arm not in blocks[0] or not others:
        return "–"
    ratios = [block[arm].rate / max(block[name].rate for name in others) for block in blocks]
    median, low, high = interval(ratios, seed)
    return f"{median:.2f} ({low:.2f}–{high:.2f})"


def print_tables(
    blocks: Blocks, names: list[str], sizes: dict[str, int], byte_count: int, seed: int
) -> None:
    writes = ["write-64k", "write-8m", "write-direct"]
    print("Speed beside the limits, median (95 % interval); W, K and D as for ckpt-bench:\n")
    print("| system | size | durable save of W | stock save of W | load of K | cold load of D |")
    print("|---|---|---|---|---|---|")
    columns = [("durable", writes), ("stock", writes), ("warm", ["read"]), ("cold", ["read-cold"])]
    for name in names:
        cells = [ratio(blocks, f"{name}|{what}", others, seed) for what, others in columns]
        print(f"| {name} | {sizes[name] / byte_count:.2f} | {' | '.join(cells)} |")
    for own in [title for title in OURS.values() if f"{title}|durable" in blocks[0]]:
        print(f"\nSpeed of {own}, durable in both columns of saves, beside each:\n")
        print("| beside | its durable save | its stock save | its load | its cold load |")
        print("|---|---|---|---|---|")
        for name in [name for name in names if name not in OURS.values()]:
            pairs = [("durable", "durable"), ("durable", "stock"), ("warm", "warm"), ("cold", "cold")]
            cells = [ratio(blocks, f"{own}|{mine}", [f"{name}|{its}"], seed) for mine, its in pairs]
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
