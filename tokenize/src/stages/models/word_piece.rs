//! `WordPiece`: again and again the longest piece that the rest of a word begins with.

use super::super::stop::Stop;
use super::Scratch;
use super::trie::{Node, Trie};

/// The model.
#[derive(Debug)]
pub(in super::super) struct WordPiece {
    trie: Trie,
    /// The node of the prefix that pieces within a word have.
    within: Option<Node>,
    unknown: Option<u32>,
    most_chars: usize,
}

impl WordPiece {
    /// Makes a model of pieces and their ids.
    ///
    /// # Errors
    ///
    /// The reason why it is left to the oracle.
    pub(in super::super) fn new<'a>(
        pieces: impl Iterator<Item = (&'a str, u32)>,
        prefix: &str,
        unknown: &str,
        most_chars: usize,
    ) -> Result<Self, String> {
        let trie = Trie::new(pieces).ok_or("its pieces have too many beginnings")?;
        let within = trie.walk(trie.root(), prefix.as_bytes());
        Ok(Self { within, unknown: trie.id_of(unknown), trie, most_chars })
    }

    /// Appends the ids of a word.
    pub(super) fn encode(&self, word: &str, scratch: &mut Scratch) -> Result<(), Stop> {
        let ids = &mut scratch.ids;
        let before = ids.len();
        let is_long = word.len() > self.most_chars && word.chars().count() > self.most_chars;
        if is_long || !self.pieces(word.as_bytes(), ids) {
            ids.truncate(before);
            // A vocabulary without the unknown piece has an error to tell.
            ids.push(self.unknown.ok_or(Stop::Oracle)?);
        }
        Ok(())
    }

    /// Appends the pieces of a word; returns false where it has none.
    fn pieces(&self, word: &[u8], ids: &mut Vec<u32>) -> bool {
        let mut start = 0;
        while start < word.len() {
            let begin = if start == 0 { Some(self.trie.root()) } else { self.within };
            let Some(mut node) = begin else { return false };
            let mut longest = None;
            for (&byte, end) in word[start..].iter().zip(start + 1..) {
                let Some(next) = self.trie.step(node, byte) else { break };
                node = next;
                if let Some(id) = node.id() {
                    longest = Some((end, id));
                }
            }
            let Some((end, id)) = longest else { return false };
            ids.push(id);
            start = end;
        }
        true
    }

    /// Returns how much memory the tables take, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.trie.memory()
    }
}
