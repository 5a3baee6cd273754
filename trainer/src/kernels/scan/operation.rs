//! The operations of `rnn` and `rat`: one interface over the backends, and their backward pass.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, FloatDType, Shape, Tensor};

use super::sizes::{Parts, ScanSizes};
use crate::kernels::outputs::{OutputSlopes, output, unread};
use crate::kernels::slices::{cast, slice};

/// The backends that scan: the operations as the dispatcher sees them.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait ScanBackend: Backend {
    /// Returns output gates and states of values.
    fn scan(
        projected: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        carry: FloatTensor<Self>,
        sizes: ScanSizes,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Returns output gates, states of values, queries, and states of keys.
    fn scan_with_keys(
        projected: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        carry: FloatTensor<Self>,
        sizes: ScanSizes,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// What a scan of values makes of a projection: [rows, seq, width].
#[derive(Clone, Debug)]
pub(crate) struct Scanned {
    /// The output gates, before their sigmoid.
    pub(crate) z: Tensor<3>,
    /// The states, in the type that the caller chose.
    pub(crate) values: Tensor<3>,
}

/// What a scan of values and keys makes of a projection.
#[derive(Clone, Debug)]
pub(crate) struct ScannedWithKeys {
    /// The output gates, before their sigmoid: [rows, seq, width].
    pub(crate) z: Tensor<3>,
    /// The states of the values, in the type that the caller chose: [rows, seq, width].
    pub(crate) values: Tensor<3>,
    /// The queries: [rows, seq, `key_width`].
    pub(crate) q: Tensor<3>,
    /// The states of the keys, which repeat the keys for all channels: [rows, seq, width].
    pub(crate) keys: Tensor<3>,
}

/// Runs `y_t = g_t c_t y_{t-1} + (1 - g_t) v_t` along each row in f32, with `g = sigmoid(gate + bias)`.
///
/// For the backward pass it keeps the projection and the states, and nothing of single time steps.
///
/// # Shapes
/// `projected`: [rows, seq, 3 · width], the output gates, the values and the gates; `bias`: `[width]`; `carry`, 0 where
/// the states begin from zero and 1 elsewhere: [rows or 1, seq, 1].
pub(crate) fn scan(
    projected: Tensor<3>,
    bias: Tensor<1>,
    carry: Tensor<3>,
    states: DType,
) -> Scanned {
    let sizes = ScanSizes { key_width: None, chunk_len: None, states };
    let (projected, bias) = (projected.into_dispatch(), bias.into_dispatch());
    let (z, values) =
        <Dispatch as ScanBackend>::scan(projected, bias, carry.into_dispatch(), sizes);
    Scanned { z: Tensor::from_dispatch(z), values: Tensor::from_dispatch(values) }
}

/// Runs the scan of [`scan`] over values and keys, whose gates are the same.
///
/// # Shapes
/// `projected`: [rows, seq, 3 · width + 2 · `key_width`]: queries and keys come after the gates. `chunk_len` says that
/// `carry` is 0 at its multiples and nowhere else.
pub(crate) fn scan_with_keys(
    projected: Tensor<3>,
    bias: Tensor<1>,
    carry: Tensor<3>,
    key_width: usize,
    chunk_len: Option<usize>,
    states: DType,
) -> ScannedWithKeys {
    let sizes = ScanSizes { key_width: Some(key_width), chunk_len, states };
    let (projected, bias) = (projected.into_dispatch(), bias.into_dispatch());
    let (z, values, q, keys) =
        <Dispatch as ScanBackend>::scan_with_keys(projected, bias, carry.into_dispatch(), sizes);
    let [z, values, q, keys] = [z, values, q, keys].map(Tensor::from_dispatch);
    ScannedWithKeys { z, values, q, keys }
}

/// What both passes read.
#[derive(Clone, Debug)]
pub(crate) struct Inputs<B: Backend> {
    pub(super) projected: FloatTensor<B>,
    pub(super) bias: FloatTensor<B>,
    pub(super) carry: FloatTensor<B>,
}

/// The states, in the type of the sizes: [rows, seq, width].
#[derive(Clone, Debug)]
pub(crate) struct States<B: Backend> {
    pub(super) values: FloatTensor<B>,
    pub(super) keys: Option<FloatTensor<B>>,
}

/// The derivatives by the outputs of a scan, in the type of the projection.
#[derive(Clone, Debug)]
pub(crate) struct Slopes<B: Backend> {
    pub(super) z: FloatTensor<B>,
    pub(super) values: FloatTensor<B>,
    /// By queries and by states of keys.
    pub(super) keys: Option<[FloatTensor<B>; 2]>,
}

/// The two passes that a backend implements.
pub(crate) trait ScanKernels: Backend {
    /// Computes the states.
    fn states(inputs: Inputs<Self>, sizes: ScanSizes) -> States<Self>;

    /// Computes the derivatives by the projection and by the bias.
    ///
    /// With `s_t = dy_t + g_{t+1} c_{t+1} s_{t+1}`, computed from the end: `dx_t = s_t (1 - g_t)` and
    /// `dg_t = s_t (c_t y_{t-1} - x_t)`.
    fn slopes(
        inputs: Inputs<Self>,
        states: States<Self>,
        slopes: Slopes<Self>,
        sizes: ScanSizes,
    ) -> [FloatTensor<Self>; 2];
}

macro_rules! scan_on {
    ($backend:ty) => {
        impl ScanBackend for $backend {
            fn scan(
                projected: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                carry: FloatTensor<Self>,
                sizes: ScanSizes,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let z = slice::<Self>(&projected, 2, &Parts::of::<Self>(&projected, sizes).z);
                (z, Self::states(Inputs { projected, bias, carry }, sizes).values)
            }

            fn scan_with_keys(
                projected: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                carry: FloatTensor<Self>,
                sizes: ScanSizes,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                let parts = Parts::of::<Self>(&projected, sizes);
                let cut = |range| slice::<Self>(&projected, 2, range);
                let (z, q) = (cut(&parts.z), cut(&parts.queries));
                let states = Self::states(Inputs { projected, bias, carry }, sizes);
                (z, states.values, q, present(states.keys))
            }
        }
    };
}

scan_on!(Flex);
#[cfg(feature = "cube")]
scan_on!(burn::backend::Cube);

/// Returns an output that the operation has.
fn present<T>(output: Option<T>) -> T {
    output.unwrap_or_else(|| unreachable!("a scan with keys has states of keys"))
}

/// The numbers of the outputs.
const Z: usize = 0;
const VALUES: usize = 1;
const QUERIES: usize = 2;
const KEYS: usize = 3;

#[derive(Debug)]
struct Scan(ScanSizes);

#[derive(Clone, Debug)]
struct Saved<B: Backend> {
    inputs: Inputs<B>,
    states: States<B>,
    slopes: OutputSlopes<B, 4>,
}

impl<B: ScanKernels> Backward<B, 2> for Scan {
    type State = Saved<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        drop(grads.consume::<B>(&ops.node));
        let Saved { inputs, states, slopes } = ops.state;
        let mut slopes = slopes.take();
        let (projected, parts) = (&inputs.projected, Parts::of::<B>(&inputs.projected, self.0));
        let mut slope = |number: usize, width: usize| {
            let known = slopes[number].take();
            let known = known.map(|slope| cast::<B>(slope, projected.dtype()));
            known.unwrap_or_else(|| zeros::<B>(projected, width))
        };
        let slopes = Slopes {
            z: slope(Z, parts.width()),
            values: slope(VALUES, parts.width()),
            keys: self.0.key_width.map(|key_width| {
                let by_q = slope(QUERIES, key_width);
                [by_q, slope(KEYS, parts.width())]
            }),
        };
        let by_inputs = B::slopes(inputs, states, slopes, self.0);
        for (node, slope) in ops.parents.into_iter().zip(by_inputs) {
            if let Some(node) = node {
                grads.register::<B>(node.id, slope);
            }
        }
    }
}

/// Makes the derivatives by an output that the loss does not depend on.
fn zeros<B: Backend>(projected: &FloatTensor<B>, width: usize) -> FloatTensor<B> {
    let [rows, seq, _] = projected.shape().dims();
    let dtype = FloatDType::from(projected.dtype());
    B::float_zeros(Shape::from([rows, seq, width]), &projected.device(), dtype)
}

/// Runs a scan, and returns its outputs by their numbers.
fn tracked<B: ScanKernels, C: CheckpointStrategy>(
    inputs: [FloatTensor<Autodiff<B, C>>; 3],
    sizes: ScanSizes,
) -> [Option<FloatTensor<Autodiff<B, C>>>; 4] {
    let nodes = [inputs[0].node(), inputs[1].node()];
    let [projected, bias, carry] = inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive);
    let parts = Parts::of::<B>(&projected, sizes);
    let z = slice::<B>(&projected, 2, &parts.z);
    let q = sizes.key_width.map(|_| slice::<B>(&projected, 2, &parts.queries));
    let (slopes, unread) = (OutputSlopes::new(), unread::<B>(&projected));
    let inputs = Inputs::<B> { projected, bias, carry };
    let states = B::states(inputs.clone(), sizes);
    let operation = match Scan(sizes).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let saved = Saved { inputs, states: states.clone(), slopes: slopes.clone() };
            prep.finish(saved, unread)
        }
        OpsKind::UnTracked(prep) => prep.finish(unread),
    };
    let out = |number, value| output::<B, C, 4>(&operation, &slopes, number, value);
    [
        Some(out(Z, z)),
        Some(out(VALUES, states.values)),
        q.map(|q| out(QUERIES, q)),
        states.keys.map(|keys| out(KEYS, keys)),
    ]
}

impl<B: ScanKernels, C: CheckpointStrategy> ScanBackend for Autodiff<B, C> {
    fn scan(
        projected: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        carry: FloatTensor<Self>,
        sizes: ScanSizes,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [z, values, ..] = tracked::<B, C>([projected, bias, carry], sizes);
        (present(z), present(values))
    }

    fn scan_with_keys(
        projected: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        carry: FloatTensor<Self>,
        sizes: ScanSizes,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let outputs = tracked::<B, C>([projected, bias, carry], sizes);
        outputs.map(present).into()
    }
}
