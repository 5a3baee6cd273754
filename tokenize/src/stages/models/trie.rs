//! A vocabulary as a trie of bytes, in one array.
//!
//! The children of a node lie at `base ^ byte`, where no two nodes have the same base. So a child is known by
//! its byte alone, and a step takes one read:
//!
//! ```text
//! bits 0-7  8       9-35   40-63
//! byte      is used base   id + 1, or 0 where no piece ends here
//! ```

/// The largest number of nodes that bases reach.
const MOST_NODES: usize = 1 << 27;

const USED: u64 = 1 << 8;
const BASE: u32 = 9;
const BASE_MASK: u64 = (1 << 27) - 1;
const VALUE: u32 = 40;

/// A node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node(u64);

impl Node {
    /// Returns the id of the piece that ends here.
    #[inline]
    pub(crate) fn id(self) -> Option<u32> {
        ((self.0 >> VALUE) as u32).checked_sub(1)
    }

    #[inline]
    fn base(self) -> usize {
        (self.0 >> BASE & BASE_MASK) as usize
    }
}

/// Pieces by their bytes.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
}

impl Trie {
    /// Makes a trie of pieces and their ids; of equal pieces, the last one counts.
    ///
    /// Returns none where there are too many beginnings of pieces.
    pub(crate) fn new<'a>(pieces: impl Iterator<Item = (&'a str, u32)>) -> Option<Self> {
        let mut sorted: Vec<(&[u8], u32)> =
            pieces.map(|(piece, id)| (piece.as_bytes(), id)).collect();
        // Stable, so that the last of equal ones stays the last.
        sorted.sort_by(|one, other| one.0.cmp(other.0));
        sorted.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
        let mut builder = Builder::default();
        builder.build(&sorted)?;
        Some(Self { nodes: builder.nodes })
    }

    /// Returns the node of the empty text.
    #[inline]
    pub(crate) fn root(&self) -> Node {
        self.nodes[0]
    }

    /// Returns the node after one more byte.
    #[inline]
    pub(crate) fn step(&self, node: Node, byte: u8) -> Option<Node> {
        let next = *self.nodes.get(node.base() ^ usize::from(byte))?;
        (next.0 & (USED | 0xff) == USED | u64::from(byte)).then_some(next)
    }

    /// Returns the node of a text that some piece begins with.
    pub(super) fn walk(&self, node: Node, text: &[u8]) -> Option<Node> {
        text.iter().try_fold(node, |node, &byte| self.step(node, byte))
    }

    /// Returns the id of a piece.
    pub(super) fn id_of(&self, piece: &str) -> Option<u32> {
        self.walk(self.root(), piece.as_bytes()).and_then(Node::id)
    }

    /// Returns how much memory the array takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.nodes.len() * size_of::<Node>()
    }
}

/// Nodes in a block: the children of one node are in one block.
const BLOCK: usize = 256;

/// How many blocks with free places are looked through for a node.
const OPEN_BLOCKS: usize = 24;

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    blocks: Vec<TrieBlock>,
    /// The blocks that may still take nodes, oldest first.
    open: Vec<usize>,
}

/// Which places of a block are taken, and which bases are in use.
#[derive(Clone, Default)]
struct TrieBlock {
    places: [u64; 4],
    bases: [u64; 4],
    taken: usize,
    /// How often nothing was found here.
    failures: usize,
}

impl TrieBlock {
    fn is_free(&self, place: usize) -> bool {
        self.places[place >> 6] >> (place & 63) & 1 == 0
    }

    fn is_base(&self, base: usize) -> bool {
        self.bases[base >> 6] >> (base & 63) & 1 == 1
    }

    fn take(&mut self, place: usize) {
        self.places[place >> 6] |= 1 << (place & 63);
        self.taken += 1;
    }

    /// Finds a base for the children of these bytes.
    fn base(&self, bytes: &[u8]) -> Option<usize> {
        let first = usize::from(*bytes.first()?);
        for (word, taken) in self.places.iter().enumerate() {
            let mut free = !taken;
            while free != 0 {
                let base = (word << 6 | free.trailing_zeros() as usize) ^ first;
                free &= free - 1;
                let fits = |byte: &u8| self.is_free(base ^ usize::from(*byte));
                if !self.is_base(base) && bytes[1..].iter().all(fits) {
                    return Some(base);
                }
            }
        }
        None
    }
}

/// Pieces that share their first bytes, whose node is not built yet.
struct Pending {
    node: usize,
    first: usize,
    last: usize,
    depth: usize,
}

impl Builder {
    /// Builds the nodes of pieces that are sorted and distinct.
    fn build(&mut self, sorted: &[(&[u8], u32)]) -> Option<()> {
        self.add_block()?;
        self.blocks[0].take(0);
        // A node without children has the base 0, so no children may lie there. The root is no child.
        self.blocks[0].bases[0] |= 1;
        let mut pending = vec![Pending { node: 0, first: 0, last: sorted.len(), depth: 0 }];
        let mut bytes = Vec::new();
        while let Some(Pending { node, mut first, last, depth }) = pending.pop() {
            if let Some((piece, id)) = sorted.get(first).filter(|_| first < last)
                && piece.len() == depth
            {
                self.nodes[node].0 |= (u64::from(*id) + 1) << VALUE;
                first += 1;
            }
            if first >= last {
                continue;
            }
            bytes.clear();
            for (piece, _) in &sorted[first..last] {
                if bytes.last() != Some(&piece[depth]) {
                    bytes.push(piece[depth]);
                }
            }
            let base = self.place(&bytes)?;
            self.nodes[node].0 |= (base as u64) << BASE;
            for &byte in &bytes {
                let child = base ^ usize::from(byte);
                self.nodes[child] = Node(USED | u64::from(byte));
                let len = sorted[first..last].partition_point(|(piece, _)| piece[depth] <= byte);
                let end = first + len;
                pending.push(Pending { node: child, first, last: end, depth: depth + 1 });
                first = end;
            }
        }
        Some(())
    }

    /// Finds places for children, and takes them; returns their base.
    fn place(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut found = None;
        for &number in self.open.iter().rev() {
            let block = &mut self.blocks[number];
            if let Some(base) = block.base(bytes) {
                found = Some((number, base));
                break;
            }
            block.failures += 1;
        }
        self.open.retain(|&number| {
            let block = &self.blocks[number];
            block.taken < BLOCK && block.failures < BLOCK
        });
        let (number, base) = if let Some(found) = found {
            found
        } else {
            let number = self.add_block()?;
            (number, self.blocks[number].base(bytes)?)
        };
        let block = &mut self.blocks[number];
        block.bases[base >> 6] |= 1 << (base & 63);
        for byte in bytes {
            block.take(base ^ usize::from(*byte));
        }
        Some(number * BLOCK + base)
    }

    fn add_block(&mut self) -> Option<usize> {
        let number = self.blocks.len();
        if (number + 1) * BLOCK > MOST_NODES {
            return None;
        }
        self.nodes.resize((number + 1) * BLOCK, Node::default());
        self.blocks.push(TrieBlock::default());
        if self.open.len() >= OPEN_BLOCKS {
            self.open.remove(0);
        }
        self.open.push(number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    use super::*;

    proptest! {
        /// A trie has the pieces that it was made of, with the last ids, and no others.
        #[test]
        fn a_trie_has_its_pieces_and_no_others(
            pieces in proptest::collection::vec("[ab\u{e9}\u{4e00}-\u{4e40}\0]{0,6}", 0..400),
            others in proptest::collection::vec("[ab\u{e9}\u{4e00}-\u{4e40}\0]{0,6}", 0..50),
        ) {
            let known: BTreeMap<&str, u32> = pieces.iter().map(String::as_str).zip(0..).collect();
            let trie = Trie::new(pieces.iter().map(String::as_str).zip(0..)).unwrap();

            for piece in pieces.iter().chain(&others) {
                prop_assert_eq!(trie.id_of(piece), known.get(piece.as_str()).copied());
            }
        }
    }

    #[test]
    fn a_large_vocabulary_fills_its_array() {
        let pieces: Vec<String> =
            (0..200_000_u32).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9))).collect();

        let trie = Trie::new(pieces.iter().map(String::as_str).zip(0..)).unwrap();

        let nodes = trie.nodes.iter().filter(|node| node.0 != 0).count();
        assert!(nodes * 10 > trie.nodes.len() * 8, "{nodes} of {}", trie.nodes.len());
        assert!(pieces.iter().zip(0..).all(|(piece, id)| trie.id_of(piece) == Some(id)));
    }
}
