//! Checkpoints of the reference, as PyTorch lays them out.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use ratdata_train::model::ModelConfig;
use ratdata_train::train::{TrainError, read_weights};

/// Made by `scripts/make_pytorch_fixture.py`; its values are 0, 1, 2 … over 1024, in the order of
/// the names.
fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reference.pt")
}

fn config(d_model: usize) -> ModelConfig {
    toml::from_str(&format!(
        "vocab_size = 11\nd_model = {d_model}\nlayers = 2\nhead_dim = 4\nseq_len = 8\n\
         chunk_len = 4\nmixers = [\"rat\"]"
    ))
    .unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn a_state_dict_of_the_reference_is_read_by_its_names() {
    let mut model = config(8).init(&Device::flex(), 1);

    read_weights(&mut model, &checkpoint(), Some("model")).unwrap();

    let counted = |from: usize, len: usize| {
        (from..from + len).map(|at| at as f32 / 1024.0).collect::<Vec<_>>()
    };
    assert_eq!(values(model.wte.val()), counted(0, 88));
    assert_eq!(values(model.layers[0].seq.input_norm.val()), counted(88, 8));
    assert_eq!(values(model.layers[0].seq.in_proj.val()), counted(96, 40 * 8));
    assert_eq!(values(model.layers[0].seq.out_proj.val()), counted(416, 64));
    let last = 88 + 2 * (8 + 320 + 64 + 8 + 8 + 256 + 256);
    assert_eq!(values(model.ln.val()), counted(last, 8));
}

#[test]
fn a_state_dict_of_another_model_is_refused() {
    let mut model = config(16).init(&Device::flex(), 1);

    let refused = read_weights(&mut model, &checkpoint(), Some("model")).unwrap_err();

    assert!(matches!(refused, TrainError::Weights(_)), "{refused}");
    assert!(refused.to_string().contains("weights of another model"), "{refused}");
}
