"""The lines of the README and of docs/python.md for PyTorch, run as they are in the files."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest
import torch

import ratdata.torch

ROOT = pathlib.Path(__file__).parent.parent.parent
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "python.md"


def block(page):
    """Returns the block of a page that reads batches for PyTorch."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    training = [text for text in blocks if "import ratdata.torch" in text or "import torch, ratdata.torch" in text]
    assert len(training) == 1, f"{page.name} has one block of Python that imports `ratdata.torch`"
    return training[0]


def test_the_readme_trains_in_ten_lines(folder):
    text = block(README)
    lines = [line for line in text.splitlines() if line.strip()]

    assert len(lines) <= 10
    if torch.__version__ == "stand-in":
        pytest.skip("torch is not installed: no model is trained; the lines that read batches are run by another test")
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    losses = [float(number) for number in re.findall(r"\d+\.\d+", done.stdout)]
    assert len(losses) > 1
    assert losses[-1] < losses[0], done.stdout


def test_the_lines_of_the_readme_that_read_batches_give_what_its_model_takes():
    """Without torch, too: the line that names the data, and the loop over it with another body."""
    tree = ast.parse(block(README))
    [names_data] = [line for line in tree.body if isinstance(line, ast.Assign) and "ratdata" in ast.unparse(line)]
    [loop] = [line for line in tree.body if isinstance(line, ast.For)]
    taken = {node.slice.value for node in ast.walk(loop) if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "batch"}
    loop.body = ast.parse("seen.append((iteration, batch))").body
    seen, names = [], {"ratdata": ratdata}
    names["seen"] = seen

    exec(compile(ast.Module([names_data, loop], []), str(README), "exec"), names)

    assert taken == {"input_ids", "labels"}
    assert [iteration for iteration, _ in seen] == list(range(100))
    for _, batch in seen:
        for name in taken:
            assert tuple(batch[name].shape) == (16, 64)


def test_the_loop_of_the_page_runs_with_any_model():
    calls = []

    class Model:
        """What the page calls a model: it takes ids and labels, and its answer has a loss."""

        loss = 1.5

        def __call__(self, ids, labels):
            assert ids.shape == labels.shape
            calls.append(tuple(ids.shape))
            return self

        def state_dict(self):
            return {"weights": "..."}

    # A single epoch, where the page's loop has no end.
    text = block(PAGE)
    once = text.replace("seed=1)", "seed=1, epochs=1)").replace("seq_len=1024", "seq_len=64")
    assert once.count("epochs=1") == 1 and once.count("seq_len=64") == 1
    names = {"model": Model()}

    exec(compile(once, str(PAGE), "exec"), names)

    assert calls[:2] == [(8, 64), (8, 64)]
    assert names["checkpoint"]["data"]["samples"] == sum(rows for rows, _ in calls)
