"""The venv that a check's packages are in: made where it is missing, and left out where it cannot be made."""

import argparse
import os
import pathlib
import subprocess
import sys


class Skipped(Exception):
    """What is missing on this machine."""


def venv_python(args, name, probe, packages, seconds=300):
    """Returns the Python of a venv that can import what `probe` names.

    The venv is `args.venv`, or the folder `name` next to `args.program`. Packages are installed where an import fails,
    within so many seconds.
    """
    folder = args.venv or args.program.parent / name
    python = folder / "bin" / "python"
    try:
        if not python.exists():
            if args.venv:
                raise Skipped(f"{folder}: no venv")
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
        if subprocess.run([python, "-c", f"import {probe}"], capture_output=True).returncode != 0:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, capture_output=True, timeout=seconds)
    except (OSError, subprocess.SubprocessError) as wrong:
        raise Skipped(f"no venv with {packages[0]} can be made: {wrong}") from wrong
    return python


def venv_options(parser):
    """Adds the options of a check that runs in a venv."""
    parser.add_argument("--venv", type=lambda text: pathlib.Path(text).absolute())
    parser.add_argument("--in-venv", action="store_true", help=argparse.SUPPRESS)


def enter_venv(args, name, probe, packages, seconds=300):
    """Runs the check again by the Python of its venv, as `venv_python` finds it; does nothing where that runs it."""
    if not args.in_venv:
        python = venv_python(args, name, probe, packages, seconds)
        os.execv(python, [python, sys.argv[0], "--in-venv", *sys.argv[1:]])
