"""What the wheel installs next to the module."""

import pathlib
import subprocess
import sys

import pytest

import ratdata


@pytest.mark.parametrize("name", ["ratdata", "ratdata-train"])
def test_the_programs_have_the_version_of_the_module(name, program):
    said = subprocess.run([program.with_name(name), "--version"], capture_output=True, text=True, check=True)

    assert said.stdout.split()[-1] == ratdata.__version__


@pytest.mark.parametrize(
    "path, text",
    [
        ("share/man/man1/ratdata.1", ".TH ratdata 1"),
        ("share/man/man1/ratdata-tokenize.1", "ratdata-tokenize"),
        ("share/bash-completion/completions/ratdata", "complete"),
        ("share/zsh/site-functions/_ratdata", "#compdef ratdata"),
        ("share/fish/vendor_completions.d/ratdata.fish", "complete -c ratdata"),
    ],
)
def test_manual_pages_and_completions_are_installed(path, text):
    assert text in (pathlib.Path(sys.prefix) / path).read_text()


def test_the_program_finds_the_trainer(program):
    listed = subprocess.run([program, "train"], capture_output=True, text=True, check=True)

    assert "tiny-rat" in listed.stdout
