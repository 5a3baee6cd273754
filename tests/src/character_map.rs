//! Makes character maps of SentencePiece, small and plain.

use std::collections::BTreeMap;

/// Children of a node, by their bytes; a text that ends there has the place of what it becomes.
#[derive(Default)]
struct Node {
    children: BTreeMap<u8, Node>,
    becomes: Option<u32>,
}

/// Returns a character map that writes each of these texts as another one.
///
/// It has the layout of `Darts`: a double array of `u32`, where a child lies at `base ^ byte` and the value of a text
/// is the child of a zero byte. Here each node has 256 places of its own for its children, so that no search for
/// free ones is needed.
///
/// # Panics
///
/// The texts are too many for a small map.
pub fn character_map(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut root = Node::default();
    let mut texts = Vec::new();
    for (from, to) in pairs {
        let mut node = &mut root;
        for byte in from.bytes() {
            node = node.children.entry(byte).or_default();
        }
        node.becomes = Some(narrow(texts.len()));
        texts.extend_from_slice(to.as_bytes());
        texts.push(0);
    }
    // A unit that no byte leads to has the label of a value, and the root has a place before all others.
    let mut units = vec![1 << 31; 256];
    units[0] = place(&root, 0, 0, &mut units);
    let mut map = narrow(units.len() * 4).to_le_bytes().to_vec();
    map.extend(units.into_iter().flat_map(u32::to_le_bytes));
    map.extend(texts);
    map
}

/// Adds the places of a node's children, and returns the unit of the node, which lies at `at`.
fn place(node: &Node, label: u8, at: usize, units: &mut Vec<u32>) -> u32 {
    let base = units.len();
    units.resize(base + 256, 1 << 31);
    if let Some(becomes) = node.becomes {
        units[base] = becomes | 1 << 31;
    }
    for (byte, child) in &node.children {
        let there = base + usize::from(*byte);
        let unit = place(child, *byte, there, units);
        units[there] = unit;
    }
    let is_whole = u32::from(node.becomes.is_some());
    u32::from(label) | is_whole << 8 | narrow(at ^ base) << 10
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).ok().filter(|number| *number < 1 << 21).expect("the map is small")
}
