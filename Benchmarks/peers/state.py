"""The state that all systems save, read from what `ckpt-bench dump` has written."""

import json
from pathlib import Path

import numpy as np

# bfloat16 is no dtype of numpy's: its bits are, and each system makes of them what it has.
_DTYPES = {"float32": np.float32, "bfloat16": np.uint16}


class State:
    """Arrays by name, each in memory of its own, as a program would hold them."""

    def __init__(self, directory: Path) -> None:
        self.facts = json.loads((directory / "state.json").read_text())
        self.arrays: dict[str, np.ndarray] = {}
        self.dtypes: dict[str, str] = {}
        with open(directory / "state.bin", "rb", buffering=0) as file:
            for tensor in self.facts["tensors"]:
                array = np.empty(tensor["shape"], _DTYPES[tensor["dtype"]])
                file.seek(tensor["offset"])
                view = memoryview(array.reshape(-1).view(np.uint8))
                while len(view) > 0:
                    view = view[file.readinto(view) :]
                self.arrays[tensor["name"]] = array
                self.dtypes[tensor["name"]] = tensor["dtype"]

    @property
    def byte_count(self) -> int:
        return self.facts["bytes"]

    def require_same(self, system: str, arrays: dict[str, np.ndarray]) -> None:
        """Ends the program if not every byte came back."""
        for name, array in self.arrays.items():
            loaded = np.asarray(arrays[name]).reshape(-1).view(np.uint8)
            if not np.array_equal(loaded, array.reshape(-1).view(np.uint8)):
                raise SystemExit(f"run: {system} gave another {name} than was saved")
