//! The kernels as CUDA C++, on a machine without a GPU.
//!
//! `CubeCL` compiles a kernel when it is launched, on a device. Its generator needs no device, so this
//! file calls it for each kernel, type of elements and type of addresses.

use cubecl::ir::FloatKind;
use cubecl::prelude::*;
use cubecl::{CompilationError, Compiler as _};
use cubecl_cpp::shared::{CompilationOptions, CppCompiler, CppSupportedFeatures};
use cubecl_cpp::target::Cuda;

use crate::machine::Machine;
use crate::{
    adamw, cross_entropy, embedding, gelu, output_gate, rms_norm, rotation, scan, softmax,
};

/// A kernel as CUDA C++.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaSource {
    /// The kernel's name, with the types that it was compiled for.
    pub name: String,
    /// The program.
    pub text: String,
}

/// Returns all kernels as CUDA C++: in bf16 and f32 where they take both, and with addresses of 32
/// and 64 bits.
///
/// # Errors
/// Returns the generator's error for a kernel that it does not compile.
pub fn cuda_sources() -> Result<Vec<CudaSource>, CompilationError> {
    let mut sources: Vec<CudaSource> = Vec::new();
    let options = CompilationOptions {
        // As the CUDA runtime sets them.
        supports_features: CppSupportedFeatures {
            fast_math: true,
            dp4a: true,
            ..CppSupportedFeatures::default()
        },
        ..CompilationOptions::default()
    };
    for addresses in [AddressType::U32, AddressType::U64] {
        for (element, type_name) in [(FloatKind::F32, "f32"), (FloatKind::BF16, "bf16")] {
            let machine = Machine::new(ElemType::Float(element), addresses);
            let kernels = [
                adamw::kernels(&machine),
                cross_entropy::kernels(&machine),
                embedding::kernels(&machine),
                gelu::kernels(&machine),
                output_gate::kernels(&machine),
                rms_norm::kernels(&machine),
                rotation::kernels(&machine),
                scan::kernels(&machine),
                softmax::kernels(&machine),
            ];
            for (name, kernel) in kernels.into_iter().flatten() {
                let definition = define_kernel(&*kernel)?;
                let text =
                    CppCompiler::<Cuda>::default().compile(definition, &options)?.to_string();
                // A kernel that takes one type only is the same for both.
                if sources.iter().all(|source| source.text != text) {
                    sources
                        .push(CudaSource { name: format!("{name}_{type_name}_{addresses}"), text });
                }
            }
        }
    }
    Ok(sources)
}
