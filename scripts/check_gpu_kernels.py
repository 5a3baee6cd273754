#!/usr/bin/env python3
"""Proves the kernels of the crate `ratdata-gpu` on a machine without a GPU.

usage: check_gpu_kernels.py [--only cuda|wgpu] [--venv DIR] [--arch sm_90a]

cuda: each kernel is written as CUDA C++ by CubeCL's generator, for bf16 and f32 and for addresses of 32 and 64 bits, and
compiled to a program of the GPU by NVIDIA's own compiler (NVRTC, from PyPI), which needs no driver. A kernel that is
refused, or that spills registers, fails the check.

wgpu: each kernel runs on Mesa's software GPU, next to a plain loop (`gpu/tests/kernels/`).

Where NVRTC or Mesa cannot be installed, a line says so, and that part counts as passed.
"""

import argparse
import ctypes
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The compiler, the headers that CubeCL's programs include, and `crt/mma.h`, which one of those includes.
WHEELS = ["nvidia-cuda-nvrtc-cu12==12.8.*", "nvidia-cuda-runtime-cu12==12.8.*", "nvidia-cuda-nvcc-cu12==12.8.*"]
REFUSED = 'extern "C" __global__ void wrong(float* x) { x[threadIdx.x] = no_such_function(x[0]); }'
# Nobody runs what is compiled here for long: compile fast. These are variables of Cargo.
BUILD = {"CARGO_PROFILE_DEV_OPT_LEVEL": "0", "CARGO_PROFILE_DEV_DEBUG": "false", "CARGO_INCREMENTAL": "0"}


def say(text):
    print(f"check_gpu_kernels: {text}", flush=True)


def target():
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()


def cargo(*arguments, before=()):
    begun = time.monotonic()
    command = [*before, os.environ.get("CARGO", "cargo"), *arguments]
    status = subprocess.run(command, cwd=ROOT, env=os.environ | BUILD).returncode
    say(f"cargo {arguments[0]}: {time.monotonic() - begun:.0f} s")
    return status == 0


class Nvrtc:
    """NVIDIA's compiler of CUDA C++ at run time."""

    def __init__(self, nvidia, arch):
        library = nvidia / "cuda_nvrtc" / "lib" / "libnvrtc.so.12"
        self.library = ctypes.CDLL(str(library))
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p
        folders = [nvidia / part / "include" for part in ("cuda_runtime", "cuda_nvcc")]
        # As CubeCL calls it, and with the figures of registers.
        options = [f"--gpu-architecture={arch}", *(f"--include-path={folder}" for folder in folders), "-lineinfo",
                   "--ptxas-options=-v"]
        self.options = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))

    def compile(self, text):
        """Returns whether a program compiles, its size in bytes, and what the compiler says."""
        program = ctypes.c_void_p()
        self.expect(self.library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None))
        status = self.library.nvrtcCompileProgram(program, len(self.options), self.options)
        log = self.text(program, "ProgramLog")
        size = ctypes.c_size_t()
        if status == 0:
            self.expect(self.library.nvrtcGetCUBINSize(program, ctypes.byref(size)))
        self.expect(self.library.nvrtcDestroyProgram(ctypes.byref(program)))
        return status == 0, size.value, log

    def text(self, program, what):
        size = ctypes.c_size_t()
        self.expect(getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        text = ctypes.create_string_buffer(size.value)
        self.expect(getattr(self.library, f"nvrtcGet{what}")(program, text))
        return text.value.decode(errors="replace")

    def expect(self, status):
        if status != 0:
            raise RuntimeError(self.library.nvrtcGetErrorString(status).decode())


def install(venv):
    """Returns the folder of NVIDIA's packages in a venv, or nothing where they cannot be installed."""
    python = venv / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True)
        found = list(venv.glob("lib/python*/site-packages/nvidia/cuda_nv*"))
        if len(found) < 2:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *WHEELS], check=True, capture_output=True, timeout=900)
    except (OSError, subprocess.SubprocessError) as wrong:
        say(f"the kernels are not compiled for CUDA: NVRTC cannot be installed from PyPI: {wrong}")
        return None
    return next(venv.glob("lib/python*/site-packages/nvidia"))


def check_cuda(args):
    """Compiles each kernel for CUDA, and returns whether all compile."""
    nvidia = install(args.venv or target() / "nvrtc-venv")
    if nvidia is None:
        return True
    sources = target() / "cuda-sources"
    sources.mkdir(parents=True, exist_ok=True)
    for old in sources.glob("*.cu"):
        old.unlink()
    if not cargo("run", "--locked", "--quiet", "-p", "ratdata-gpu", "--features", "cuda-source", "--example", "cuda_sources", "--", str(sources)):
        return False
    nvrtc = Nvrtc(nvidia, args.arch)
    if nvrtc.compile(REFUSED)[0]:
        say("NVRTC compiles a program that calls a function that is not there: the check is worth nothing")
        return False
    passed = True
    programs = sorted(sources.glob("*.cu"))
    for path in programs:
        begun = time.monotonic()
        compiled, size, log = nvrtc.compile(path.read_text())
        seconds = time.monotonic() - begun
        registers = re.search(r"Used (\d+) registers", log)
        spilled = sum(int(count) for count in re.findall(r"(\d+) bytes spill stores", log))
        if not compiled:
            say(f"{path.name}: refused by NVRTC for {args.arch}:\n{log}")
        elif spilled:
            say(f"{path.name}: {spilled} bytes of registers are spilled")
        else:
            figures = f"{registers[1]} registers, " if registers else ""
            say(f"{path.stem}: {figures}{size:,} bytes, {seconds:.2f} s")
        passed &= compiled and not spilled
    if not programs:
        say("no kernel was written")
        return False
    if passed:
        say(f"{len(programs)} programs compile for {args.arch}, without spilled registers")
    return passed


def check_wgpu(_args):
    """Runs each kernel on the software GPU, and returns whether all are right."""
    return cargo("test", "--locked", "--quiet", "-p", "ratdata-gpu", "--features", "wgpu", "--test", "kernels",
                 before=[ROOT / "scripts" / "software_gpu.sh"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["cuda", "wgpu"])
    parser.add_argument("--venv", type=pathlib.Path, help="a venv with NVIDIA's packages, or the folder to make one in")
    parser.add_argument("--arch", default="sm_90a")
    args = parser.parse_args()
    checks = {"cuda": check_cuda, "wgpu": check_wgpu}
    passed = [check(args) for name, check in checks.items() if args.only in (None, name)]
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
