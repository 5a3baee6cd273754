"""Writes trainer/tests/data/reference.pt: a checkpoint as PyTorch's `torch.save` lays it out, made without PyTorch.

A checkpoint is a zip of `data.pkl`, which names tensors by storages, and one file for each storage. The
names are those of a wrapped and compiled model, the values count up, so that a test can tell them apart.
"""

import collections
import io
import pathlib
import pickle
import struct
import sys
import types
import zipfile

VOCAB, WIDTH, LAYERS, CHUNK_GROUPS, HEAD = 11, 8, 2, 2, 4


def shapes():
    yield "wte.weight", (VOCAB, WIDTH)
    for layer in range(LAYERS):
        seq, ffn = f"layers.{layer}.seq", f"layers.{layer}.ffn"
        yield f"{seq}.input_norm.weight", (WIDTH,)
        yield f"{seq}.in_proj.weight", (3 * WIDTH + 2 * CHUNK_GROUPS * HEAD, WIDTH)
        yield f"{seq}.out_proj.weight", (WIDTH, WIDTH)
        yield f"{seq}.gate_bias", (WIDTH,)
        yield f"{ffn}.ln.weight", (WIDTH,)
        yield f"{ffn}.fc1.weight", (4 * WIDTH, WIDTH)
        yield f"{ffn}.fc2.weight", (WIDTH, 4 * WIDTH)
    yield "ln.weight", (WIDTH,)


def function(module, name):
    """Stands in for a function of PyTorch that the pickle calls by name."""
    if module not in sys.modules:
        sys.modules[module] = types.ModuleType(module)
    made = types.FunctionType((lambda: None).__code__, {}, name)
    made.__module__, made.__qualname__ = module, name
    setattr(sys.modules[module], name, made)
    return made


class Storage:
    def __init__(self, key, values):
        self.key, self.values = key, values


FloatStorage = type("FloatStorage", (), {"__module__": "torch", "__qualname__": "FloatStorage"})
sys.modules["torch"] = types.ModuleType("torch")
sys.modules["torch"].FloatStorage = FloatStorage
REBUILD = function("torch._utils", "_rebuild_tensor_v2")


class Tensor:
    def __init__(self, storage, shape):
        self.storage, self.shape = storage, shape

    def __reduce__(self):
        strides, step = [], 1
        for size in reversed(self.shape):
            strides.insert(0, step)
            step *= size
        hooks = collections.OrderedDict()
        return REBUILD, (self.storage, 0, self.shape, tuple(strides), False, hooks)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", FloatStorage, value.key, "cpu", len(value.values))
        return None


def main():
    state, storages, count = collections.OrderedDict(), [], 0
    for number, (name, shape) in enumerate(shapes()):
        size = shape[0] * (shape[1] if len(shape) == 2 else 1)
        values = [float(count + at) / 1024 for at in range(size)]
        count += size
        storages.append(Storage(str(number), values))
        state[f"module._orig_mod.{name}"] = Tensor(storages[-1], shape)
    path = pathlib.Path(__file__).parent.parent / "trainer/tests/data/reference.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        def add(name, content):
            file.writestr(zipfile.ZipInfo(f"reference/{name}", (1980, 1, 1, 0, 0, 0)), content)

        buffer = io.BytesIO()
        Pickler(buffer, protocol=2).dump({"model": state, "step": 7})
        add("data.pkl", buffer.getvalue())
        add("byteorder", "little")
        for storage in storages:
            add(f"data/{storage.key}", struct.pack(f"<{len(storage.values)}f", *storage.values))
        add("version", "3\n")


if __name__ == "__main__":
    main()
