"""The lines with which the README trains a model, run as they are."""

import pathlib
import re
import subprocess
import sys

import pytest
import torch

README = pathlib.Path(__file__).parent.parent.parent / "README.md"


def block():
    """Returns the block of README.md that trains on token bins."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    training = [text for text in blocks if "ratdata.torch" in text]
    assert len(training) == 1, "README.md has one block of Python with `ratdata.torch`"
    return training[0]


def test_the_readme_trains_in_ten_lines(folder):
    lines = [line for line in block().splitlines() if line.strip()]

    assert len(lines) <= 10
    if torch.__version__ == "stand-in":
        pytest.skip("torch is not installed: the lines are not run")
    done = subprocess.run([sys.executable, "-c", block()], cwd=folder, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    losses = [float(number) for number in re.findall(r"\d+\.\d+", done.stdout)]
    assert len(losses) > 1
    assert losses[-1] < losses[0], done.stdout
