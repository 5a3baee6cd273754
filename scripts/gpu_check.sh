#!/usr/bin/env bash
# Does all GPU work in one go: agreement with the CPU, layer times beside PyTorch's, speed of 1.3B.
#
#   scripts/gpu_check.sh [RESULTS]     (a file of JSON Lines, gpu_check.jsonl by default)
#
# Build first: `cargo build --release -p ratdata-train --features cuda --example gpu_check`, or
# `scripts/build-cuda-offline.sh build --example gpu_check`.
set -euo pipefail
cd "$(dirname "$0")/.."

results=${1:-gpu_check.jsonl}
for folder in target/release target/cuda-offline/build/release; do
    [ -x "$folder/examples/gpu_check" ] && program=$folder/examples/gpu_check
done
[ -n "${program:-}" ] || { echo "gpu_check is not built, see the head of $0" >&2; exit 1; }
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
timeout 300 "$program" "$results" || echo "gpu_check ended with status $?" >&2
if python3 -c 'import torch' 2>/dev/null; then
    timeout 280 python3 scripts/gpu_check.py "$results" || echo "gpu_check.py ended with status $?" >&2
else
    echo "no PyTorch here: its half of the comparison is left out" >&2
fi
cat "$results"
