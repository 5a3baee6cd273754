//! Buffers on a device of wgpu.

use cubecl::device::WgpuDevice;
use cubecl::ir::FloatKind;
use cubecl::prelude::*;
use cubecl::server::Handle;
use ratdata_gpu::{Operand, Vectors};

/// Buffers of f32 on the device.
pub(crate) struct Gpu {
    pub(crate) client: Client,
}

/// A tensor on the device.
pub(crate) struct Buffer {
    handle: Handle,
    shape: Vec<usize>,
    element: ElemType,
}

impl Gpu {
    pub(crate) fn open() -> Self {
        Self { client: cubecl::device::Device::Wgpu(WgpuDevice::default()).client() }
    }

    pub(crate) fn upload(&self, values: &[f64], shape: &[usize]) -> Buffer {
        let words = values.iter().map(|&value| (value as f32).to_bits());
        self.upload_words(words, shape, ElemType::Float(FloatKind::F32))
    }

    pub(crate) fn upload_words(
        &self,
        words: impl Iterator<Item = u32>,
        shape: &[usize],
        element: ElemType,
    ) -> Buffer {
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        Buffer { handle: self.client.create_from_slice(&bytes), shape: shape.to_vec(), element }
    }

    pub(crate) fn empty(&self, shape: &[usize]) -> Buffer {
        // A value that a kernel forgets shows.
        self.upload(&vec![f64::NAN; shape.iter().product()], shape)
    }

    pub(crate) fn read(&self, buffer: &Buffer) -> Vec<f64> {
        let bytes = self.client.read_one_unchecked(buffer.handle.clone());
        let (words, _) = bytes.as_chunks::<4>();
        words.iter().map(|&word| f64::from(f32::from_le_bytes(word))).collect()
    }
}

impl Buffer {
    pub(crate) fn operand(&self) -> Operand {
        let mut strides = vec![1; self.shape.len()];
        for at in (1..self.shape.len()).rev() {
            strides[at - 1] = strides[at] * self.shape[at];
        }
        Operand::new(self.binding(strides), self.element)
    }

    fn binding(&self, strides: Vec<usize>) -> TensorBinding {
        #[expect(unsafe_code, reason = "a buffer's shape")]
        // SAFETY: the buffer was made for the shape; where the strides leave gaps, for these too, or it is not read.
        unsafe {
            TensorBinding::from_raw_parts(
                self.handle.clone(),
                strides.into(),
                self.shape.clone().into(),
            )
        }
    }

    pub(crate) fn try_vectors(&self, strides: [usize; 3]) -> Option<Vectors> {
        Vectors::new(self.binding(strides.to_vec()), self.element)
    }

    pub(crate) fn vectors(&self, strides: [usize; 3]) -> Vectors {
        self.try_vectors(strides).unwrap()
    }
}
