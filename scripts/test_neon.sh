#!/usr/bin/env bash
# Tests the NEON forms of the engine's vector instructions on a machine of another kind: builds the module alone for
# 64-bit ARM and runs its tests under QEMU. Needs `rustup target add aarch64-unknown-linux-gnu` and, on Debian,
# `apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
crate=${CARGO_TARGET_DIR:-$root/target}/neon
mkdir -p "$crate/src" "$crate/schemas/src"
cat > "$crate/Cargo.toml" <<END
[package]
name = "neon"
version = "0.0.0"
edition = "2024"

[dependencies]
ratdata-schemas = { path = "schemas" }

[dev-dependencies]
proptest = "1"

[workspace]
members = ["schemas"]
END
cat > "$crate/schemas/Cargo.toml" <<END
[package]
name = "ratdata-schemas"
version = "0.0.0"
edition = "2024"
END
cat > "$crate/schemas/src/lib.rs" <<END
#[path = "$root/schemas/src/narrow.rs"]
mod narrow;
pub use narrow::narrow;
END
cat > "$crate/src/lib.rs" <<END
#![allow(unused)]
mod engine {
    #[path = "$root/tokenize/src/engine/mask.rs"]
    pub(crate) mod mask;
    #[path = "$root/tokenize/src/engine/simd/mod.rs"]
    pub(crate) mod simd;
}
END
cp "$root/rust-toolchain.toml" "$crate/"
cd "$crate"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
CARGO_TARGET_DIR=$crate/target cargo test --lib --target aarch64-unknown-linux-gnu "$@"
