"""Artifacts for the tests, made by the program that the wheel installs."""

import json
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
TINY = ROOT / "tokenize" / "examples" / "tiny" / "tokenizer.json"
STAND_IN = HERE / "stand_in"

try:
    import torch  # noqa: F401

    HAS_TORCH = True
except ImportError:
    HAS_TORCH = False
    # Only the base classes that the package builds on; see its docstring.
    sys.path.insert(0, str(STAND_IN))

TASK = """\
prompt = "Q: {q}\\nA:"
[splits.train]
source = "questions.jsonl"
answers = ["a"]
"""


def pytest_report_header():
    if HAS_TORCH:
        return f"torch {torch.__version__}"
    return "torch is not installed: ratdata.torch runs on a stand-in for its base classes, and no model is trained"


@pytest.fixture(scope="session")
def program():
    """The program `ratdata` of this environment."""
    path = pathlib.Path(sysconfig.get_path("scripts")) / "ratdata"
    assert path.is_file(), f"{path}: the wheel installs the program here"
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory, program):
    """A folder with a tokenizer, and an artifact of each layout."""
    folder = tmp_path_factory.mktemp("artifacts")
    shutil.copy(TINY, folder / "tokenizer.json")
    with open(folder / "corpus.jsonl", "w", encoding="utf-8") as file:
        for number in range(400):
            text = f"Hello world {number}, the text of the world. " * (1 + number % 7)
            file.write(json.dumps({"text": text}) + "\n")
    with open(folder / "questions.jsonl", "w", encoding="utf-8") as file:
        for number in range(60):
            file.write(json.dumps({"q": f"the text {number}?", "a": "world " * (1 + number % 5)}) + "\n")
    with open(folder / "pairs.jsonl", "w", encoding="utf-8") as file:
        for number in range(60):
            pair = {"prompt": f"the text {number}?", "chosen": " world" * (1 + number % 5), "rejected": " the text"}
            file.write(json.dumps(pair) + "\n")
    (folder / "task.toml").write_text(TASK)
    shared = ["--tokenizer", "tokenizer.json"]
    task = ["sft", "--task-file", "task.toml", *shared, "--max-length", "96"]
    for arguments in [
        ["tokenize", "--input", "corpus.jsonl", "--out", "tokens", *shared, "--val-fraction", "0.05"],
        ["pack", "--input", "tokens", "--out", "packed", "--seq-len", "64"],
        ["pack", "--input", "tokens", "--out", "rows", "--seq-len", "64", "--materialize"],
        [*task, "--out", "pairs"],
        [*task, "--out", "masked", "--packing", "best-fit"],
        ["sft", "--task", "preference", "--input", "pairs.jsonl", "--out", "preferences", *shared, "--max-length", "96"],
    ]:
        done = subprocess.run([program, *arguments, "--quiet"], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"ratdata {' '.join(arguments)}: {done.stderr}"
    return folder


@pytest.fixture(autouse=True)
def in_folder(monkeypatch, folder):
    """Every test runs in the folder, so that examples can name its files."""
    monkeypatch.chdir(folder)
