#!/usr/bin/env bash
# Runs the tests of kernels, layers and models on a software GPU, through wgpu and OpenGL.
#
#   scripts/test_wgpu.sh
#
# Status 0: all passed, or Mesa is not there and cannot be installed, which is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

export RATDATA_TEST_DEVICE=wgpu
test=(scripts/software_gpu.sh cargo test --locked -p ratdata-train --features wgpu)
"${test[@]}" --lib -- kernels:: model:: optim:: device::
"${test[@]}" --test goldens in_f32
