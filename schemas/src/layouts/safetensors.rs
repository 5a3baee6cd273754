//! safetensors: the size of a JSON header as `u64`, the header, and the tensors one after the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// One tensor of a file that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: &'static str,
    /// The element type as the format calls it, such as `U16`.
    pub dtype: &'static str,
    /// The length of every axis.
    pub shape: Vec<u64>,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Returns the header after its size, padded so that the data begins at a multiple of 8.
///
/// The tensors' data follows in the order given here.
pub fn header(tensors: &[Tensor], metadata: &BTreeMap<&str, String>) -> Vec<u8> {
    let mut fields = Map::new();
    fields.insert("__metadata__".into(), json!(metadata));
    let mut from = 0;
    for tensor in tensors {
        let until = from + tensor.bytes;
        fields.insert(
            tensor.name.into(),
            json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [from, until]}),
        );
        from = until;
    }
    let mut text = Value::Object(fields).to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_lie_one_after_the_other_from_an_aligned_place() {
        let tensor = |name, dtype, n: u64, bytes| Tensor { name, dtype, shape: vec![n], bytes };
        let tensors = [tensor("document_ends", "U64", 2, 16), tensor("tokens", "U16", 3, 6)];

        let bytes = header(&tensors, &BTreeMap::from([("split", "train".to_owned())]));

        assert_eq!(bytes.len() % 8, 0);
        let parsed: Value = serde_json::from_slice(&bytes[8..]).unwrap();
        assert_eq!(parsed["tokens"]["data_offsets"], json!([16, 22]));
        assert_eq!(parsed["__metadata__"]["split"], "train");
    }
}
