//! A tensor as the kernels take it, and how many threads they get.

use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::FloatKind;
use cubecl::prelude::*;

/// A contiguous tensor on a GPU.
#[derive(Clone, Debug)]
pub struct Operand {
    binding: TensorBinding,
    element: ElemType,
}

impl Operand {
    /// Takes a tensor whose elements are of a type.
    ///
    /// # Panics
    /// Panics where the tensor is not contiguous.
    pub fn new(binding: TensorBinding, element: ElemType) -> Self {
        let mut stride = 1;
        for (&length, &found) in binding.shape.iter().zip(binding.strides.iter()).rev() {
            assert!(
                length == 1 || found == stride,
                "a kernel's operand is contiguous: {binding:?}"
            );
            stride *= length;
        }
        Self { binding, element }
    }

    /// Makes an f32 tensor whose values are not set.
    pub(crate) fn empty(client: &Client, shape: [usize; 3]) -> Self {
        let count: usize = shape.iter().product();
        let handle = client.empty(count * size_of::<f32>());
        let strides = [shape[1] * shape[2], shape[2], 1];
        #[expect(unsafe_code, reason = "a buffer's shape")]
        // SAFETY: the buffer was made for the shape, without gaps.
        let binding =
            unsafe { TensorBinding::from_raw_parts(handle, strides.into(), shape.into()) };
        Self::new(binding, ElemType::Float(FloatKind::F32))
    }

    /// Returns the lengths of the dimensions.
    pub(crate) fn shape<const D: usize>(&self) -> [usize; D] {
        let found = self.binding.shape.iter().copied().collect::<Vec<_>>();
        <[usize; D]>::try_from(found.as_slice())
            .unwrap_or_else(|_| unreachable!("a kernel's operand has {D} dimensions: {found:?}"))
    }

    pub(crate) fn len(&self) -> usize {
        self.binding.size()
    }

    pub(crate) fn element(&self) -> ElemType {
        self.element
    }

    /// Returns the type that holds every place in the tensor.
    pub(crate) fn addresses(&self) -> AddressType {
        AddressType::from_len(self.len())
    }

    pub(crate) fn into_buffer(self) -> BufferArg {
        self.binding.into_buffer_arg()
    }
}

/// The vectors of a tensor on a GPU that lie at one distance, as some channels of a wider tensor do.
#[derive(Clone, Debug)]
pub struct Vectors {
    binding: TensorBinding,
    element: ElemType,
    distance: usize,
}

impl Vectors {
    /// Takes a tensor whose elements are of a type, or nothing where its vectors do not lie at one distance.
    pub fn new(binding: TensorBinding, element: ElemType) -> Option<Self> {
        let lengths: Vec<usize> = binding.shape.iter().copied().collect();
        let strides: Vec<usize> = binding.strides.iter().copied().collect();
        let (&width, lengths) = lengths.split_last()?;
        let (&step, strides) = strides.split_last()?;
        let (mut distance, mut expected) = (None, None);
        let several = |(length, _): &(&usize, &usize)| **length > 1;
        for (&length, &stride) in lengths.iter().zip(strides).rev().filter(several) {
            if expected.is_some_and(|expected| expected != stride) {
                return None;
            }
            distance.get_or_insert(stride);
            expected = Some(stride * length);
        }
        let distance = distance.unwrap_or(width);
        (step == 1 || width == 1).then_some(Self { binding, element, distance })
    }

    /// Asserts that there is a vector for each of an operand, of as many elements of one type.
    pub(crate) fn assert_like(&self, operand: &Operand) {
        assert!(
            self.binding.shape == operand.binding.shape && self.element == operand.element,
            "a kernel's operands are alike: {self:?} and {operand:?}"
        );
    }

    /// Returns how many elements a vector has.
    pub(crate) fn width(&self) -> usize {
        self.binding.shape.iter().copied().last().unwrap_or(1)
    }

    /// Returns how many elements lie between the starts of two vectors.
    pub(crate) fn distance(&self) -> usize {
        self.distance
    }

    /// Returns the type that holds every place in the wider tensor.
    pub(crate) fn addresses(&self) -> AddressType {
        AddressType::from_len(self.binding.size() / self.width().max(1) * self.distance)
    }

    pub(crate) fn into_buffer(self) -> BufferArg {
        self.binding.into_buffer_arg()
    }
}

/// Asserts that operands have one shape, and elements of one type.
pub(crate) fn assert_alike<const N: usize>(operands: [&Operand; N]) {
    let first = operands[0];
    for other in &operands[1..] {
        assert!(
            first.binding.shape == other.binding.shape && first.element == other.element,
            "a kernel's operands are alike: {first:?} and {other:?}"
        );
    }
}

/// Returns how many cubes of how many units make so many threads, or a few more.
pub(crate) fn threads(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new(client, count);
    (calculate_cube_count_elemwise(client, count, dim), dim)
}
