//! Each kernel on a device of wgpu next to a plain loop in `f64`.

use cubecl::device::WgpuDevice;
use cubecl::ir::FloatKind;
use cubecl::prelude::*;
use cubecl::server::Handle;
use ratdata_gpu::{Operand, gelu, scan};

/// Buffers of f32 on the device.
struct Gpu {
    client: Client,
}

/// A tensor on the device.
struct Buffer {
    handle: Handle,
    shape: Vec<usize>,
}

impl Gpu {
    fn open() -> Self {
        Self { client: cubecl::device::Device::Wgpu(WgpuDevice::default()).client() }
    }

    fn upload(&self, values: &[f64], shape: &[usize]) -> Buffer {
        let bytes: Vec<u8> =
            values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect();
        Buffer { handle: self.client.create_from_slice(&bytes), shape: shape.to_vec() }
    }

    fn empty(&self, shape: &[usize]) -> Buffer {
        // A value that a kernel forgets shows.
        self.upload(&vec![f64::NAN; shape.iter().product()], shape)
    }

    fn read(&self, buffer: &Buffer) -> Vec<f64> {
        let bytes = self.client.read_one_unchecked(buffer.handle.clone());
        let (words, _) = bytes.as_chunks::<4>();
        words.iter().map(|&word| f64::from(f32::from_le_bytes(word))).collect()
    }
}

impl Buffer {
    fn operand(&self) -> Operand {
        let mut strides = vec![1; self.shape.len()];
        for at in (1..self.shape.len()).rev() {
            strides[at - 1] = strides[at] * self.shape[at];
        }
        #[expect(unsafe_code, reason = "a buffer's shape")]
        // SAFETY: the buffer was made for the shape, without gaps.
        let binding = unsafe {
            TensorBinding::from_raw_parts(
                self.handle.clone(),
                strides.into(),
                self.shape.clone().into(),
            )
        };
        Operand::new(binding, ElemType::Float(FloatKind::F32))
    }
}

/// Values that repeat nowhere, between -2 and 2, and the same in `f32`.
fn values(count: usize, seed: u32) -> Vec<f64> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(f32::from_bits(0x3f80_0000 | state >> 9)) * 4.0 - 6.0
    };
    (0..count).map(|_| next()).collect()
}

/// The shapes of tests: one value, odd widths, several rows, more values than a cube has units.
const SHAPES: [[usize; 3]; 6] =
    [[1, 1, 1], [2, 3, 5], [3, 17, 5], [5, 16, 33], [1, 257, 3], [2, 100, 129]];

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "value {at}: {a} for {b}");
    }
}

/// Computes Φ(x) by its series, which is exact enough for |x| below 4.
fn phi(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

#[test]
fn the_gelu_and_its_derivative_are_those_of_the_loop() {
    let gpu = Gpu::open();
    for shape in SHAPES {
        let count = shape.iter().product();
        let (x, grad) = (values(count, 1), values(count, 2));
        let (y, by_x) = (gpu.empty(&shape), gpu.empty(&shape));
        let [x_there, grad_there] = [&x, &grad].map(|values| gpu.upload(values, &shape));

        gelu::forward(&gpu.client, x_there.operand(), y.operand());
        gelu::backward(&gpu.client, x_there.operand(), grad_there.operand(), by_x.operand());

        let expected: Vec<f64> = x.iter().map(|&x| x * phi(x)).collect();
        assert_close(&gpu.read(&y), &expected, 1e-6);
        let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let expected: Vec<f64> =
            x.iter().zip(&grad).map(|(&x, &grad)| grad * (phi(x) + x * density(x))).collect();
        assert_close(&gpu.read(&by_x), &expected, 2e-6);
    }
}

#[test]
fn the_scan_and_its_derivatives_are_those_of_the_loop() {
    let gpu = Gpu::open();
    for shape in SHAPES {
        let [rows, seq, width] = shape;
        let count = rows * seq * width;
        let gate: Vec<f64> =
            values(count, 3).iter().map(|value| f64::from((value / 4.0 + 0.5) as f32)).collect();
        let (x, grad) = (values(count, 4), values(count, 5));
        let [gate_there, x_there, grad_there] =
            [&gate, &x, &grad].map(|values| gpu.upload(values, &shape));
        let [states, by_gate, by_x] = [(); 3].map(|()| gpu.empty(&shape));

        scan::forward(&gpu.client, gate_there.operand(), x_there.operand(), states.operand());
        let saved = scan::Saved {
            gate: gate_there.operand(),
            x: x_there.operand(),
            states: states.operand(),
            grad: grad_there.operand(),
        };
        scan::backward(&gpu.client, saved, by_gate.operand(), by_x.operand());

        let mut expected = [(); 3].map(|()| vec![0.0; count]);
        for row in 0..rows {
            for channel in 0..width {
                let at = |t: usize| (row * seq + t) * width + channel;
                let mut state = 0.0;
                for t in 0..seq {
                    state = gate[at(t)] * state + (1.0 - gate[at(t)]) * x[at(t)];
                    expected[0][at(t)] = state;
                }
                let mut slope = 0.0;
                for t in (0..seq).rev() {
                    slope += grad[at(t)];
                    let before = if t == 0 { 0.0 } else { expected[0][at(t - 1)] };
                    expected[1][at(t)] = slope * (before - x[at(t)]);
                    expected[2][at(t)] = slope * (1.0 - gate[at(t)]);
                    slope *= gate[at(t)];
                }
            }
        }
        for (found, expected) in [&states, &by_gate, &by_x].into_iter().zip(&expected) {
            assert_close(&gpu.read(found), expected, 2e-5);
        }
    }
}
