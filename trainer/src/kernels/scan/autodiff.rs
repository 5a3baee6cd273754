//! The scan's backward pass in Burn's graph of derivatives.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{ScanBackend, ScanKernels};

#[derive(Debug)]
struct Scan;

impl<B: ScanKernels> Backward<B, 2> for Scan {
    /// Gates, inputs and states.
    type State = [FloatTensor<B>; 3];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [gate, x, states] = ops.state;
        let (by_gate, by_x) = B::scan_backward(gate, x, states, grad);
        for (node, value) in ops.parents.into_iter().zip([by_gate, by_x]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, value);
            }
        }
    }
}

impl<B: ScanKernels, C: CheckpointStrategy> ScanBackend for Autodiff<B, C> {
    fn gated_scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Scan.prepare::<C>([gate.node(), x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (gate, x) = (gate.into_primitive(), x.into_primitive());
                let states = B::scan(gate.clone(), x.clone());
                prep.finish([gate, x, states.clone()], states)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::scan(gate.into_primitive(), x.into_primitive()))
            }
        }
    }
}
