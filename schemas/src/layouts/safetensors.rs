//! safetensors: the size of a JSON header as `u64`, the header, and the tensors one after the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::LayoutError;

/// How many bytes a header has at most, as the format's own library bounds it.
const MOST_HEADER: u64 = 100_000_000;

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

/// A tensor as a header tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// The element type as the format calls it.
    pub dtype: String,
    /// The length of every axis.
    pub shape: Vec<u64>,
    /// The byte of the file where it begins.
    pub from: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Returns how many bytes the header has that follows the first eight of a file of `file_bytes`.
///
/// # Errors
///
/// The file has no such header.
pub fn header_len(first: &[u8], file_bytes: u64) -> Result<u64, LayoutError> {
    let Ok(first) = <[u8; 8]>::try_from(first) else {
        let (what, found) = ("the size of the header", first.len() as u64);
        return Err(LayoutError::Short { what, found, expected: 8 });
    };
    let len = u64::from_le_bytes(first);
    let most = MOST_HEADER.min(file_bytes.saturating_sub(8));
    if len > most {
        return Err(LayoutError::field("the size of the header", len, format!("at most {most}")));
    }
    Ok(len)
}

/// Returns a tensor by its name, of the header without its size; none where the file has no such tensor.
///
/// # Errors
///
/// The header is no JSON, or what it says of the tensor does not fit the file.
pub fn find(
    header: &[u8],
    name: &str,
    file_bytes: u64,
) -> Result<Option<StoredTensor>, LayoutError> {
    let read: Value = serde_json::from_slice(header)
        .map_err(|wrong| LayoutError::field("the header", wrong, "an object of JSON"))?;
    let Some(said) = read.get(name) else { return Ok(None) };
    let numbers = |key: &str| -> Option<Vec<u64>> {
        said[key].as_array()?.iter().map(Value::as_u64).collect()
    };
    let (data, shown) = (header.len() as u64 + 8, said.to_string());
    let wrong = || {
        let shown: String = shown.chars().take(80).collect();
        LayoutError::field(
            "a tensor",
            format!("`{shown}`"),
            "`dtype`, `shape` and `data_offsets` in the file",
        )
    };
    let (dtype, shape) =
        (said["dtype"].as_str().ok_or_else(wrong)?, numbers("shape").ok_or_else(wrong)?);
    let offsets = numbers("data_offsets").ok_or_else(wrong)?;
    let &[begin, end] = &offsets[..] else { return Err(wrong()) };
    let bytes = end.checked_sub(begin).ok_or_else(wrong)?;
    let from = data.checked_add(begin).ok_or_else(wrong)?;
    if from.checked_add(bytes).is_none_or(|end| end > file_bytes) {
        return Err(wrong());
    }
    Ok(Some(StoredTensor { dtype: dtype.to_owned(), shape, from, bytes }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tensor_is_found_where_it_was_written() {
        let tensor = |name, dtype, n: u64, bytes| Tensor { name, dtype, shape: vec![n], bytes };
        let tensors = [tensor("ends", "U64", 2, 16), tensor("tokens", "U16", 3, 6)];
        let bytes = header(&tensors, &BTreeMap::new());
        let all = bytes.len() as u64 + 22;

        let len = header_len(&bytes[..8], all).unwrap();
        let found = find(&bytes[8..], "tokens", all).unwrap().unwrap();

        assert_eq!(len, bytes.len() as u64 - 8);
        assert_eq!((found.dtype.as_str(), found.shape, found.bytes), ("U16", vec![3], 6));
        assert_eq!(found.from, bytes.len() as u64 + 16);
        assert_eq!(find(&bytes[8..], "mask", all), Ok(None));
        assert!(find(&bytes[8..], "tokens", all - 1).is_err(), "the file was cut");
        assert!(header_len(&bytes[..8], 20).is_err());
        assert!(header_len(&bytes[..7], all).is_err());
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in any::<String>(), offsets in any::<[u64; 2]>(), size in any::<u64>()) {
            drop(find(text.as_bytes(), "tokens", size));
            let said = json!({"tokens": {"dtype": "U16", "shape": [1], "data_offsets": offsets}});
            if let Ok(Some(found)) = find(said.to_string().as_bytes(), "tokens", size) {
                prop_assert!(found.from + found.bytes <= size);
            }
        }
    }

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
