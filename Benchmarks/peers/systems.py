"""The systems that are compared: how each saves and loads, by its own means.

`save(path, durable)` leaves a file or a directory at `path`. With `durable` all of it is synced, as a
checkpoint must be before the one before it may go, and the system uses as many threads as there are
cores; without, everything is as it is stock. `load(path)` returns arrays of which every byte is in memory.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from measure import sync
from state import State


class System:
    name: str
    version: str

    def save(self, path: Path, durable: bool) -> None:
        raise NotImplementedError

    def load(self, path: Path) -> Any:
        raise NotImplementedError

    def arrays(self, loaded: Any) -> dict[str, np.ndarray]:
        """What was loaded, as numpy has it; not measured."""
        return loaded


class Torch(System):
    name = "torch.save"

    def __init__(self, state: State) -> None:
        import torch

        self.torch = torch
        self.version = torch.__version__
        self.tensors = {name: self._tensor(state, name) for name in state.arrays}

    def _tensor(self, state: State, name: str) -> Any:
        tensor = self.torch.from_numpy(state.arrays[name])
        is_half = state.dtypes[name] == "bfloat16"
        return tensor.view(self.torch.bfloat16) if is_half else tensor

    def save(self, path: Path, durable: bool) -> None:
        self.torch.save(self.tensors, path)
        if durable:
            sync(path)

    def load(self, path: Path) -> Any:
        return self.torch.load(path, weights_only=True)

    def arrays(self, loaded: Any) -> dict[str, np.ndarray]:
        bits = self.torch.uint8
        return {name: tensor.reshape(-1).view(bits).numpy() for name, tensor in loaded.items()}


class Safetensors(Torch):
    name = "safetensors"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        import safetensors
        import safetensors.torch

        self.module = safetensors.torch
        self.version = safetensors.__version__

    def save(self, path: Path, durable: bool) -> None:
        self.module.save_file(self.tensors, path)
        if durable:
            sync(path)

    def load(self, path: Path) -> Any:
        loaded = self.module.load_file(path)
        # It maps the file: nothing is read until it is looked at.
        for tensor in loaded.values():
            array = tensor.reshape(-1).view(self.torch.uint8).numpy()
            whole = len(array) // 8 * 8
            array[:whole].view(np.uint64).sum()
            array[whole:].sum()
        return loaded


class SafetensorsNumpy(System):
    """Where there is no torch. bfloat16 is saved as the bits it has."""

    name = "safetensors (numpy)"

    def __init__(self, state: State) -> None:
        import safetensors
        import safetensors.numpy

        self.module = safetensors.numpy
        self.version = safetensors.__version__
        self.state = state

    def save(self, path: Path, durable: bool) -> None:
        self.module.save_file(self.state.arrays, path)
        if durable:
            sync(path)

    def load(self, path: Path) -> Any:
        loaded = self.module.load_file(path)
        for array in loaded.values():
            array.sum()
        return loaded


class Distributed(Torch):
    name = "PyTorch DCP"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        import torch.distributed.checkpoint as dcp

        # That there is one process only is meant.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        self.dcp = dcp
        self.target = {
            name: self.torch.zeros_like(tensor) for name, tensor in self.tensors.items()
        }

    def save(self, path: Path, durable: bool) -> None:
        threads = (os.cpu_count() or 1) if durable else 1
        writer = self.dcp.FileSystemWriter(path, thread_count=threads)
        self.dcp.save(self.tensors, storage_writer=writer, no_dist=True)
        if durable:
            sync(path)

    def load(self, path: Path) -> Any:
        self.dcp.load(self.target, storage_reader=self.dcp.FileSystemReader(path), no_dist=True)
        return self.target


def _halves(state: State) -> dict[str, np.ndarray]:
    """The arrays with bfloat16 as a dtype, which JAX's library of dtypes has."""
    import ml_dtypes

    return {
        name: array.view(ml_dtypes.bfloat16) if state.dtypes[name] == "bfloat16" else array
        for name, array in state.arrays.items()
    }


class Orbax(System):
    name = "Orbax"

    def __init__(self, state: State) -> None:
        import orbax.checkpoint

        self.checkpointer = orbax.checkpoint.PyTreeCheckpointer()
        self.version = orbax.checkpoint.__version__
        self.tree = _halves(state)

    def save(self, path: Path, durable: bool) -> None:
        self.checkpointer.save(path.absolute(), self.tree)
        if durable:
            sync(path)

    def load(self, path: Path) -> Any:
        return self.checkpointer.restore(path.absolute())


class TensorStore(System):
    name = "TensorStore, Blosc shuffle + zstd 1"

    def __init__(self, state: State) -> None:
        import importlib.metadata

        import tensorstore

        self.tensorstore = tensorstore
        self.version = importlib.metadata.version("tensorstore")
        self.tree = _halves(state)

    def _open(self, path: Path, name: str, array: np.ndarray | None) -> Any:
        store = {"driver": "file", "path": str(path / name)}
        if array is None:
            return self.tensorstore.open({"driver": "zarr", "kvstore": store})
        compressor = {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1}
        metadata = {
            "shape": array.shape,
            "dtype": "bfloat16" if array.dtype.name == "bfloat16" else array.dtype.str,
            "chunks": [max(1, size) for size in self._chunk(array)],
            "compressor": compressor,
        }
        spec = {"driver": "zarr", "kvstore": store, "metadata": metadata}
        return self.tensorstore.open(spec, create=True)

    @staticmethod
    def _chunk(array: np.ndarray) -> list[int]:
        """Rows of about 4 MiB."""
        if array.ndim < 2:
            return list(array.shape)
        row_byte_count = array.nbytes // array.shape[0]
        return [min(array.shape[0], max(1, (4 << 20) // row_byte_count)), *array.shape[1:]]

    def save(self, path: Path, durable: bool) -> None:
        opened = [(self._open(path, name, array), array) for name, array in self.tree.items()]
        for write in [future.result().write(array) for future, array in opened]:
            write.result()
        if durable:
            sync(path)

    def load(self, path: Path) -> Any:
        opened = {name: self._open(path, name, None) for name in self.tree}
        reads = {name: future.result().read() for name, future in opened.items()}
        return {name: read.result() for name, read in reads.items()}


def installed(state: State) -> tuple[list[System], list[str]]:
    """The systems there are, and why others are not."""
    systems: list[System] = []
    missing: list[str] = []
    kinds: list[Callable[[State], System]] = [
        Torch, Safetensors, Distributed, Orbax, TensorStore,
    ]
    for kind in kinds:
        try:
            systems.append(kind(state))
        except ImportError as error:
            missing.append(f"{kind.name}: {error}")
    if not any(isinstance(system, Torch) for system in systems):
        systems.append(SafetensorsNumpy(state))
    return systems, missing
