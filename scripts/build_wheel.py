#!/usr/bin/env python3
"""Builds the Python wheel, with the programs, their completions and manual pages in it.

    scripts/build_wheel.py                                   # builds all with the profile `dist`: what is shipped
    scripts/build_wheel.py --programs target/debug --profile dev   # takes programs that are built already
    scripts/build_wheel.py --programs target/dist --lay-out DIR    # no wheel: `bin` and `share`, for an archive

The wheel installs `ratdata` and `ratdata-train` into the environment's `bin`, completions for bash, zsh and fish and
the manual pages into its `share`, and the package `ratdata`. It needs maturin: `pip install maturin`.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
# maturin takes what is in a folder of this name into the wheel, by the names of PEP 427.
DATA = ROOT / "python" / "ratdata.data"
PROGRAMS = ["ratdata", "ratdata-train"]
COMPLETIONS = {
    "bash": "bash-completion/completions/ratdata",
    "zsh": "zsh/site-functions/_ratdata",
    "fish": "fish/vendor_completions.d/ratdata.fish",
}


def run(*command):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET.resolve())}
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT, env=environment)


def lay_out(programs, scripts, share):
    """Puts programs into one folder, and their completions and manual pages into another."""
    scripts.mkdir(parents=True)
    for name in PROGRAMS:
        shutil.copy(programs / name, scripts / name)
        if shutil.which("strip"):
            run("strip", scripts / name)
    for shell, place in COMPLETIONS.items():
        script = subprocess.run([scripts / "ratdata", "completions", shell], check=True, capture_output=True)
        (share / place).parent.mkdir(parents=True)
        (share / place).write_bytes(script.stdout)
    subprocess.run(
        [scripts / "ratdata", "manual", "--out", share / "man" / "man1"], check=True, stdout=subprocess.DEVNULL
    )


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--programs", type=pathlib.Path, help="the folder of built programs (default: build them)")
    options.add_argument("--profile", default="dist", help="Cargo's profile of the module, and of programs that are built")
    options.add_argument("--lay-out", type=pathlib.Path, help="make no wheel, and lay its programs out here")
    options.add_argument("--out", type=pathlib.Path, default=TARGET / "wheels", help="where the wheel goes")
    options.add_argument("--maturin", default="maturin", help="the program maturin")
    given = options.parse_args()

    programs = given.programs
    if programs is None:
        run("cargo", "build", "--locked", "--profile", given.profile, "-p", "ratdata", "-p", "ratdata-train")
        programs = TARGET / {"dev": "debug"}.get(given.profile, given.profile)
    if given.lay_out:
        lay_out(programs.resolve(), given.lay_out / "bin", given.lay_out / "share")
        return
    shutil.rmtree(DATA, ignore_errors=True)
    lay_out(programs.resolve(), DATA / "scripts", DATA / "data" / "share")
    try:
        command = [given.maturin, "build", "--locked", "--manifest-path", "python/Cargo.toml"]
        run(*command, "--profile", given.profile, "--out", given.out.resolve())
    finally:
        shutil.rmtree(DATA)
    for wheel in sorted(given.out.glob("ratdata-*.whl")):
        print(f"{wheel}  {wheel.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    try:
        main()
    except (subprocess.CalledProcessError, OSError) as wrong:
        sys.exit(f"build_wheel: {wrong}")
