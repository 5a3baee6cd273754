#!/usr/bin/env bash
# Runs a command that finds Mesa's software GPU as its only GPU, through wgpu and OpenGL.
#
#   scripts/software_gpu.sh COMMAND ...
#
# Status: that of the command. 0 too where Mesa is not there and cannot be installed, which is printed.
set -euo pipefail

has_mesa() {
  ldconfig -p | grep -q 'libEGL\.so' && find /usr/lib* -path '*dri/swrast_dri.so' 2>/dev/null | grep -q .
}

if ! has_mesa; then
  { apt-get update -qq && apt-get install -y -qq libegl1 libgl1-mesa-dri; } >/dev/null 2>&1 || true
  has_mesa || { echo "the tests on a software GPU are left out: Mesa is not there, and apt-get cannot install it"; exit 0; }
fi

# Without Vulkan's drivers, wgpu takes OpenGL. OpenGL needs no display, but a folder for its sockets.
export VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
exec "$@"
