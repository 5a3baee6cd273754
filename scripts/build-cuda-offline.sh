#!/usr/bin/env bash
# Builds the trainer with CUDA where only the package registry can be reached.
#
# The CUDA runtime of CubeCL links a compiler back end on LLVM, whose build downloads LLVM from a
# release page. The same runtime has a second back end, CUDA C++ through NVRTC, which needs no
# LLVM. This script puts a stub in the place of the first one, for this build alone, and selects
# the second; a normal build with internet is `cargo build --release --features cuda`.
#
#   scripts/build-cuda-offline.sh [check|build] [further arguments of cargo]
set -euo pipefail
cd "$(dirname "$0")/.."

verb=${1:-build}
shift || true
version=$(sed -n '/^name = "cubecl-llvm"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
stub=target/cuda-offline/cubecl-llvm
mkdir -p "$stub/src"

cat >"$stub/Cargo.toml" <<EOF
[package]
name = "cubecl-llvm"
version = "$version"
edition = "2024"
[workspace]
[features]
default = ["std"]
std = []
nvptx = []
amdgpu = []
tracing = []
pliron-dump = []
[dependencies]
cubecl-core = { version = "$version", default-features = false, features = ["std", "nvidia"] }
cubecl-runtime = { version = "$version", default-features = false, features = ["std"] }
cubecl-server = { version = "$version", default-features = false, features = ["std"] }
EOF

cat >"$stub/src/lib.rs" <<'EOF'
//! Stands in for the LLVM back end in a build that selects CUDA C++; it compiles nothing.

use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_server::compiler::{CompilationError, Compiler};
use cubecl_server::kernel::BufferIOAttr;

pub mod nvptx {
    pub mod ptx_version {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(());
        impl PtxVersion {
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }
        impl core::fmt::Display for PtxVersion {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("none")
            }
        }
    }
}

pub mod shared {
    pub mod lowered_features {
        pub enum GpuTarget {
            Nvptx,
        }
        pub fn restrict_features<T>(_properties: &mut T, _target: GpuTarget) {}
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub enum LlvmTarget {
    #[default]
    Nvptx,
}

#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    pub target: LlvmTarget,
}

#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    pub arch: Option<()>,
    pub sm_arch: Option<SmArch>,
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    pub grid_constants: bool,
}

#[derive(Clone, Debug)]
pub struct NvptxModule {
    pub shared_memory_size: usize,
    pub ir: String,
    pub ptx: Vec<core::ffi::c_char>,
    pub entrypoint: String,
    pub io: Vec<BufferIOAttr>,
}

#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PlironArtifact {
    NvptxCode(NvptxModule),
}

impl core::fmt::Display for PlironArtifact {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no code")
    }
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &Self::CompilationOptions,
    ) -> Result<Self::Representation, CompilationError> {
        unimplemented!("this build has the CUDA C++ back end alone")
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
EOF

# The patch is of this build alone; the lock file is put back as it was.
cp Cargo.lock target/cuda-offline/Cargo.lock.before
trap 'cp target/cuda-offline/Cargo.lock.before Cargo.lock' EXIT
profile=()
[ "$verb" = build ] && profile=(--release)
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/cuda-offline/build} cargo \
    --config "patch.crates-io.cubecl-llvm.path=\"$PWD/$stub\"" \
    "$verb" "${profile[@]}" -p ratdata-train --features cuda-cpp "$@"
