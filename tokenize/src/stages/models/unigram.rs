//! Unigram: the pieces of a unit whose scores add up to the most.
//!
//! Scores are added from left to right as `tokenizers` adds them, and of two ways with the same score the one
//! found first stays, which is the one whose last piece begins first. So the ids are the same to the last bit
//! of rounding. For that reason a unit is not cut further, however long it is.

use super::super::stop::Stop;
use super::Scratch;
use super::piece_link::{LONGEST_LINKED, MOST_LINKED, link, to_link, utf8_len};
use super::trie::Trie;

/// What an unknown character is worth less than the worst piece.
const UNKNOWN_PENALTY: f64 = 10.0;

/// The model.
#[derive(Debug)]
pub(in super::super) struct Unigram {
    trie: Trie,
    scores: Vec<f64>,
    unknown: Option<u32>,
    unknown_score: f64,
    /// The piece of each byte, where the model falls back to bytes and has all of those it needs.
    bytes: Option<Box<[Option<u32>; 256]>>,
    /// One less than a power of two: how far back scores are looked up.
    window: usize,
}

impl Unigram {
    /// Makes a model of pieces and their scores.
    ///
    /// # Errors
    ///
    /// The reason why it is left to the oracle.
    pub(in super::super) fn new(
        pieces: &[(String, f64)],
        unknown: Option<u32>,
        byte_fallback: bool,
    ) -> Result<Self, String> {
        let longest = pieces.iter().map(|(piece, _)| piece.len()).max().unwrap_or(0);
        if longest > LONGEST_LINKED || pieces.len() > MOST_LINKED {
            return Err("its pieces are too long or too many".into());
        }
        if unknown.is_some_and(|id| id as usize >= pieces.len()) {
            return Err("its `unk_id` is the id of no piece".into());
        }
        let texts = pieces.iter().map(|(piece, _)| piece.as_str());
        let trie = Trie::new(texts.zip(0..)).ok_or("its pieces have too many beginnings")?;
        let bytes = byte_fallback.then(|| {
            let piece = |byte: usize| trie.id_of(&format!("<0x{byte:02X}>"));
            Box::new(std::array::from_fn(piece))
        });
        let least = pieces.iter().fold(f64::INFINITY, |least, (_, score)| least.min(*score));
        Ok(Self {
            trie,
            scores: pieces.iter().map(|(_, score)| *score).collect(),
            unknown,
            unknown_score: least - UNKNOWN_PENALTY,
            bytes,
            window: (longest.max(4) + 1).next_power_of_two() - 1,
        })
    }

    /// Appends the ids of a unit.
    pub(super) fn encode(&self, unit: &str, scratch: &mut Scratch) -> Result<(), Stop> {
        self.find_links(unit, scratch)?;
        turn(&mut scratch.links);
        let mut at = 0;
        while at < unit.len() {
            let (len, id) = link(scratch.links[at]);
            let start = at;
            at += len;
            if Some(id) != self.unknown {
                scratch.ids.push(id);
                continue;
            }
            // Unknown pieces next to each other are one.
            while at < unit.len() {
                let (len, id) = link(scratch.links[at]);
                if Some(id) != self.unknown {
                    break;
                }
                at += len;
            }
            self.unknown(&unit[start..at], id, &mut scratch.ids);
        }
        Ok(())
    }

    /// For each place where a piece may end, finds the best one, as its length and id.
    fn find_links(&self, unit: &str, scratch: &mut Scratch) -> Result<(), Stop> {
        let Scratch { links, scores, .. } = scratch;
        links.clear();
        links.resize(unit.len() + 1, 0);
        scores.resize(scores.len().max(self.window + 1), 0.0);
        scores[0] = 0.0;
        let bytes = unit.as_bytes();
        let mut start = 0;
        while let Some(&lead) = bytes.get(start) {
            let here = scores[start & self.window];
            let char_len = utf8_len(lead);
            let mut is_known = false;
            let mut node = self.trie.root();
            for (&byte, len) in bytes[start..].iter().zip(1..) {
                let Some(next) = self.trie.step(node, byte) else { break };
                node = next;
                if let Some(id) = node.id() {
                    let end = start + len;
                    let (sum, best) =
                        (self.scores[id as usize] + here, &mut scores[end & self.window]);
                    if links[end] == 0 || sum > *best {
                        *best = sum;
                        links[end] = to_link(len, id);
                    }
                    is_known |= len == char_len;
                }
            }
            let end = start + char_len;
            let (sum, best) = (self.unknown_score + here, &mut scores[end & self.window]);
            if !is_known && (links[end] == 0 || sum > *best) {
                *best = sum;
                // A model without an unknown piece has an error to tell.
                links[end] = to_link(char_len, self.unknown.ok_or(Stop::Oracle)?);
            }
            start += char_len;
        }
        Ok(())
    }

    /// Appends the ids of a text that is unknown: those of its bytes, where the model has them.
    fn unknown(&self, text: &str, unknown: u32, ids: &mut Vec<u32>) {
        if let Some(id) = self.trie.id_of(text) {
            ids.push(id);
            return;
        }
        if let Some(bytes) = &self.bytes {
            let before = ids.len();
            let found = text.bytes().map(|byte| bytes[usize::from(byte)]);
            ids.extend(found.clone().flatten());
            if ids.len() - before == text.len() {
                return;
            }
            ids.truncate(before);
        }
        ids.push(unknown);
    }

    /// Returns how much memory the tables take, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.trie.memory() + self.scores.len() * size_of::<f64>()
    }
}

/// Turns the links of the best way around: each is then where its piece begins, not where it ends.
fn turn(links: &mut [u32]) {
    let mut at = links.len() - 1;
    let mut after = 0;
    loop {
        let this = std::mem::replace(&mut links[at], after);
        if at == 0 {
            break;
        }
        after = this;
        at -= link(this).0;
    }
}
