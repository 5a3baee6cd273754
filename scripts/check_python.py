#!/usr/bin/env python3
"""Builds the Python wheel, installs it in a fresh venv, and runs the tests and the type checker of the package.

usage: check_python.py --programs target/debug [--torch | --venv DIR]

The programs are those that are built already; the module is built with Cargo's profile `dev`. With `--torch` PyTorch is
installed, too (a download of gigabytes); without it `ratdata.torch` is tested on a stand-in for its base classes. Where no
venv can be made or its packages cannot be had, one line says so, and the exit status is 0. `--venv` names a venv that has
the packages, and PyTorch or not: the wheel is installed there.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Of the tests; the wheel itself asks for NumPy.
PACKAGES = ["maturin>=1.9,<2", "mypy>=1.15", "numpy>=1.23", "pytest>=8"]


class Skipped(Exception):
    """What is missing on this machine."""


def say(text):
    print(f"check_python: {text}", flush=True)


def make_venv(folder, packages):
    """Makes a venv with packages, and returns its folder of programs."""
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True, capture_output=True, timeout=1200)
    except (OSError, subprocess.SubprocessError) as wrong:
        reason = getattr(wrong, "stderr", None) or str(wrong).encode()
        last = reason.decode(errors="replace").strip().splitlines()[-1:]
        raise Skipped(f"no venv with {', '.join(packages)} can be made: {' '.join(last)}") from wrong
    return folder / "bin"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--programs", type=pathlib.Path, required=True, help="the folder of built programs")
    options.add_argument("--torch", action="store_true", help="test with PyTorch, too")
    options.add_argument("--venv", type=pathlib.Path, help="a venv with the packages, in place of a fresh one")
    given = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            own = given.venv and given.venv.resolve() / "bin"
            programs = own or make_venv(folder / "venv", PACKAGES + ["torch"] * given.torch)
        except Skipped as missing:
            say(f"skipped: {missing}")
            return
        environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

        def run(*command, cwd=ROOT):
            subprocess.run([str(word) for word in command], check=True, cwd=cwd, env=environment)

        wheels = folder / "wheels"
        build = [sys.executable, ROOT / "scripts" / "build_wheel.py", "--profile", "dev", "--out", wheels]
        run(*build, "--programs", given.programs.resolve())
        [wheel] = wheels.glob("ratdata-*.whl")
        run(programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall", wheel)
        run(programs / "python", "-m", "pytest", cwd=ROOT / "python")
        run(programs / "mypy", "--cache-dir", folder / "mypy", cwd=ROOT / "python")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as wrong:
        sys.exit(f"check_python: {wrong}")
