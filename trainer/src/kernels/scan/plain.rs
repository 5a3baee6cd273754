//! The scans in tensor operations, one time step after another: the slow twin of the kernels.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

/// Runs the recurrence of [`scan`](super::scan) for inputs as wide as the gates.
///
/// # Shapes
/// `gate` (before its sigmoid, with its bias), `inputs` and the output: [rows, seq, width]; `carry`: [rows or 1, seq, 1].
pub(super) fn plain_scan(gate: Tensor<3>, inputs: &Tensor<3>, carry: &Tensor<3>) -> Tensor<3> {
    let [rows, seq, width] = inputs.dims();
    let gate = sigmoid(gate);
    let new = (gate.clone().neg() + 1.0) * inputs.clone();
    let kept = gate * carry.clone();
    let mut state = Tensor::zeros([rows, 1, width], &inputs.device());
    let mut states = Vec::with_capacity(seq);
    for t in 0..seq {
        state = kept.clone().narrow(1, t, 1) * state + new.clone().narrow(1, t, 1);
        states.push(state.clone());
    }
    Tensor::cat(states, 1)
}

mod tests {
    use burn::tensor::{DType, Device, Distribution, TensorData};
    use proptest::prelude::*;

    use super::super::{scan, scan_with_keys};
    use super::*;
    use crate::device::test_device;

    const CHUNK: usize = 5;

    /// The tensors of a case.
    struct Case {
        projected: Tensor<3>,
        bias: Tensor<1>,
        carry: Tensor<3>,
        width: usize,
    }

    impl Case {
        fn new([rows, seq, width]: [usize; 3], key_width: usize, carry: Tensor<3>) -> Self {
            let device = test_device().unwrap().autodiff();
            let spread = Distribution::Uniform(-2.0, 2.0);
            let channels = 3 * width + 2 * key_width;
            let projected = Tensor::random([rows, seq, channels], spread, &device).require_grad();
            let bias = Tensor::random([width], spread, &device).require_grad();
            Self { projected, bias, carry, width }
        }

        fn part(&self, first: usize, count: usize) -> Tensor<3> {
            self.projected.clone().narrow(2, first, count)
        }

        fn plain(&self, inputs: &Tensor<3>) -> Tensor<3> {
            let gate = self.part(2 * self.width, self.width) + self.bias.clone().unsqueeze();
            plain_scan(gate, inputs, &self.carry)
        }

        /// Compares outputs, and the derivatives of all of them together and of each alone. A graph of derivatives
        /// serves once.
        fn assert_alike<const N: usize>(
            &self,
            found: impl Fn() -> [Tensor<3>; N],
            expected: impl Fn() -> [Tensor<3>; N],
            what: &str,
        ) {
            let spread = Distribution::Uniform(-1.0, 1.0);
            let worst = |a: Tensor<1>, b: Tensor<1>| (a - b).abs().max().into_scalar::<f32>();
            let flat = |tensor: Tensor<3>| tensor.flatten::<1>(0, 2);
            let cotangents =
                found().map(|tensor| Tensor::random(tensor.dims(), spread, &tensor.device()));
            for (number, (found, expected)) in found().into_iter().zip(expected()).enumerate() {
                let off = worst(flat(found), flat(expected));
                assert!(off < 1e-5, "{what}: output {number} is {off} off");
            }
            for numbers in std::iter::once(0..N).chain((0..N).map(|number| number..number + 1)) {
                let slopes = |outputs: [Tensor<3>; N]| {
                    let outputs = outputs[numbers.clone()].iter().zip(&cotangents[numbers.clone()]);
                    let sums = outputs.map(|(output, by)| (output.clone() * by.clone()).sum());
                    sums.reduce(|a, b| a + b).unwrap().backward()
                };
                let (by_found, by_expected) = (slopes(found()), slopes(expected()));

                let off = worst(
                    flat(self.projected.grad(&by_found).unwrap()),
                    flat(self.projected.grad(&by_expected).unwrap()),
                );
                assert!(off < 2e-5, "{what}: by the projection for {numbers:?}: {off}");
                // The sum of the derivatives of all tokens.
                let [rows, seq, _] = self.projected.dims();
                let none = || Tensor::zeros(self.bias.dims(), &self.bias.device().inner());
                let by_bias = self.bias.grad(&by_expected).unwrap_or_else(none);
                let off = worst(self.bias.grad(&by_found).unwrap(), by_bias);
                let tolerance = 2e-6 * (10 + rows * seq) as f32;
                assert!(off < tolerance, "{what}: by the bias for {numbers:?}: {off}");
            }
        }

        fn values(&self, what: &str) {
            let found = || {
                let (projected, bias) = (self.projected.clone(), self.bias.clone());
                let found = scan(projected, bias, self.carry.clone(), DType::F32);
                [found.z, found.values]
            };
            let expected = || {
                let values = self.plain(&self.part(self.width, self.width));
                [self.part(0, self.width), values]
            };
            self.assert_alike(found, expected, what);
        }

        fn with_keys(&self, key_width: usize, chunk_len: Option<usize>, what: &str) {
            let found = || {
                let (projected, bias) = (self.projected.clone(), self.bias.clone());
                let carry = self.carry.clone();
                let found =
                    scan_with_keys(projected, bias, carry, key_width, chunk_len, DType::F32);
                [found.z, found.values, found.q, found.keys]
            };
            let expected = || {
                let keys = self.part(3 * self.width + key_width, key_width);
                [
                    self.part(0, self.width),
                    self.plain(&self.part(self.width, self.width)),
                    self.part(3 * self.width, key_width),
                    self.plain(&keys.repeat(&[1, 1, self.width / key_width])),
                ]
            };
            self.assert_alike(found, expected, what);
        }
    }

    fn marks(rows: &[Vec<bool>], device: &Device) -> Tensor<3> {
        let seq = rows[0].len();
        let flat: Vec<f32> =
            rows.iter().flatten().map(|&begins| if begins { 0.0 } else { 1.0 }).collect();
        Tensor::from_data(TensorData::new(flat, [rows.len(), seq, 1]), device)
    }

    fn every(chunk_len: usize, seq: usize, device: &Device) -> Tensor<3> {
        marks(&[(0..seq).map(|t| t % chunk_len == 0).collect()], device)
    }

    #[test]
    fn rows_of_any_length_are_those_of_the_plain_form() {
        let device = test_device().unwrap().autodiff();
        for seq in 1..=3 * CHUNK + 1 {
            let carry = every(seq, seq, &device);
            Case::new([2, seq, 7], 0, carry.clone()).values(&format!("values of {seq}"));
            let case = Case::new([3, seq, 6], 3, carry);
            case.with_keys(3, None, &format!("values and keys of {seq}"));
            let case = Case::new([2, seq, 9], 3, every(CHUNK, seq, &device));
            case.with_keys(3, Some(CHUNK), &format!("chunks of {seq}"));
        }
    }

    /// More tokens than a thread takes at a time, and rows that a GPU cuts into segments.
    #[test]
    fn long_rows_are_those_of_the_plain_form() {
        let device = test_device().unwrap().autodiff();
        let seq = 300;
        Case::new([1, seq, 3], 0, every(seq, seq, &device)).values("a long row");
        Case::new([2, seq, 2], 0, every(130, seq, &device)).values("long rows with documents");
        let case = Case::new([2, seq, 4], 2, every(CHUNK, seq, &device));
        case.with_keys(2, None, "long rows of chunks by marks");
        case.with_keys(2, Some(CHUNK), "long rows of chunks");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn packed_rows_are_those_of_the_plain_form(
            begins in prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.2), 17), 2),
            (width, key_width) in prop::sample::select(vec![(1, 1), (6, 2), (5, 5), (8, 1), (33, 11)]),
        ) {
            let mut begins = begins;
            for row in &mut begins {
                row[0] = true;
            }
            let carry = marks(&begins, &test_device().unwrap().autodiff());

            Case::new([2, 17, width], 0, carry.clone()).values("packed values");
            Case::new([2, 17, width], key_width, carry).with_keys(key_width, None, "packed keys");
        }
    }

    /// In bf16 each state is the exact one, rounded once, and so are the derivatives but for their states.
    #[test]
    fn bf16_loses_no_more_than_its_own_rounding() {
        let device = test_device().unwrap().autodiff();
        if !device.supports_dtype(DType::BF16) {
            println!("{device:?} has no bf16: not tested there");
            return;
        }
        let case = Case::new([2, 20, 8], 4, every(CHUNK, 20, &device));
        let narrow = case.projected.clone().cast(burn::tensor::FloatDType::BF16).detach();
        let run = |projected: Tensor<3>, states: DType| {
            let projected = projected.detach().require_grad();
            let (bias, carry) = (case.bias.clone(), case.carry.clone());
            let found = scan_with_keys(projected.clone(), bias, carry, 4, Some(CHUNK), states);
            assert_eq!(found.keys.dtype(), states);
            let wide = |tensor: Tensor<3>| tensor.cast(burn::tensor::FloatDType::F32);
            let sum = (wide(found.keys.clone()) + wide(found.values.clone())).sum();
            let slopes = sum.backward();
            let list = |tensor: Tensor<3>| -> Vec<f32> {
                tensor.into_data().convert::<f32>().try_to_vec().unwrap()
            };
            let by_projected = projected.grad(&slopes).unwrap();
            [list(found.keys), list(found.values), list(by_projected)]
        };

        let found = run(narrow.clone(), DType::BF16);
        let expected = run(narrow.cast(burn::tensor::FloatDType::F32), DType::F32);

        for (tensor, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // Derivatives read states that are rounded: by up to 2^-8, five times a gate's slope of a quarter, twice.
            let allowed = if tensor == 2 { 0.015 } else { 1e-4 };
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() <= b.abs() / 128.0 + allowed, "{tensor}: {a} for {b}");
            }
        }
    }
}
