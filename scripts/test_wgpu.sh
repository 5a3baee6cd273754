#!/usr/bin/env bash
# Runs the tests of kernels, layers and models on a software GPU, through wgpu and OpenGL.
#
#   scripts/test_wgpu.sh
#
# Status 0: all passed, or Mesa is not there and cannot be installed, which is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

has_mesa() {
  ldconfig -p | grep -q 'libEGL\.so' && find /usr/lib* -path '*dri/swrast_dri.so' 2>/dev/null | grep -q .
}

if ! has_mesa; then
  { apt-get update -qq && apt-get install -y -qq libegl1 libgl1-mesa-dri; } >/dev/null 2>&1 || true
  has_mesa || { echo "the tests on a software GPU are left out: Mesa is not there, and apt-get cannot install it"; exit 0; }
fi

# Without Vulkan's drivers, wgpu takes OpenGL. OpenGL needs no display, but a folder for its sockets.
export VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
export RATDATA_TEST_DEVICE=wgpu
test=(cargo test --locked -p ratdata-train --features wgpu)
"${test[@]}" --lib -- kernels:: model:: optim:: device::
"${test[@]}" --test goldens in_f32
