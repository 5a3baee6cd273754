#!/usr/bin/env bash
# Does all GPU work in one go, in less than ten minutes: agreement with the reference and the CPU,
# layer times and the speed of 1.3B beside PyTorch's.
#
#   scripts/gpu_check.sh [RESULTS]     (a file of JSON Lines, gpu_check.jsonl by default)
#
# Prints the results as tables for docs/performance.md. Status 0: all was measured and agrees.
#
# Build first: `cargo build --release --features cuda --example gpu_check`, or
# `scripts/build-cuda-offline.sh build --example gpu_check`.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

results=${1:-gpu_check.jsonl}
program=
for folder in target/release target/cuda-offline/build/release; do
    [ -x "$folder/examples/gpu_check" ] && program=$folder/examples/gpu_check
done
[ -n "$program" ] || { echo "gpu_check is not built, see the head of $0" >&2; exit 1; }
status=0
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || status=1
timeout 310 "$program" "$results" || { echo "gpu_check ended with status $?" >&2; status=1; }
[ -f "$results" ] || exit 1
if python3 -c 'import torch' 2>/dev/null; then
    timeout 275 python3 scripts/gpu_check.py "$results" ||
        { echo "gpu_check.py ended with status $?" >&2; status=1; }
else
    echo "no PyTorch here: its half of the comparison is left out" >&2
    status=1
fi
python3 scripts/gpu_check.py "$results" --table || status=1
exit "$status"
