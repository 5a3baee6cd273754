//! The normalizer `Precompiled`: SentencePiece's character map, as `tokenizers` applies it.
//!
//! The map is looked up for each grapheme cluster of less than six bytes, and where the map has no beginning of the cluster, for each of
//! its characters. What it finds is the *shortest* beginning, and it takes the place of the whole cluster:
//! `\r\n` becomes what `\r` becomes.
//!
//! Two characters that are no part of longer clusters have a boundary between them (see
//! [`Traits::ALONE`]), so only stretches with others are cut into clusters by the rules of Unicode.

use unicode_segmentation::UnicodeSegmentation;

use super::super::stop::Stop;
use super::super::traits::Traits;
use super::alignment::first_of;
use super::character_map::CharacterMap;

/// The step.
#[derive(Debug)]
pub(in super::super) struct Precompiled {
    map: CharacterMap,
    /// Which characters of ASCII stay as they are wherever they stand alone.
    stays: [bool; 128],
}

/// Clusters of this length and longer are not looked up.
const LONGEST_CLUSTER: usize = 6;

impl Precompiled {
    /// Reads a map; none where it is malformed.
    pub(in super::super) fn new(map: &[u8]) -> Option<Self> {
        let mut precompiled = Self { map: CharacterMap::new(map)?, stays: [false; 128] };
        for byte in 0..128 {
            let character = char::from(byte);
            let found = precompiled.find(character.encode_utf8(&mut [0; 4]));
            let is_alone = character != '\r';
            precompiled.stays[usize::from(byte)] = is_alone && found == Ok(None);
        }
        Some(precompiled)
    }

    /// Returns what the shortest mapped beginning of a text becomes.
    fn find(&self, text: &str) -> Result<Option<&str>, Stop> {
        // `tokenizers` looks no further than a zero.
        let end = memchr::memchr(0, text.as_bytes()).unwrap_or(text.len());
        let mut found = None;
        let walked = self.map.beginnings(&text.as_bytes()[..end], |_, becomes| {
            found = Some(becomes);
            false
        });
        // Where `tokenizers` would read beyond the array, it has to say so itself.
        walked.map_err(|_| Stop::Oracle)?;
        Ok(found)
    }

    /// See [`super::Normalizer::apply`].
    pub(super) fn apply(&self, text: &str, out: &mut String) -> Result<bool, Stop> {
        let bytes = text.as_bytes();
        let mut done = 0;
        let mut changed = false;
        let mut put = |start: usize, end: usize, becomes: &str| {
            out.push_str(&text[done..start]);
            out.push_str(becomes);
            (done, changed) = (end, true);
        };
        let mut at = 0;
        while at < bytes.len() {
            let stays = |byte: &u8| self.stays.get(usize::from(*byte)).copied().unwrap_or(false);
            let plain = bytes[at..].iter().position(|byte| !stays(byte));
            let odd = plain.map_or(bytes.len(), |len| at + len);
            let Some(character) = text[odd..].chars().next() else { break };
            let end = odd + character.len_utf8();
            if matches!(character, '\n' | '\r') {
                // A line end has a boundary on both sides, and none between the two characters of `\r\n`.
                let is_pair = character == '\r' && bytes.get(end) == Some(&b'\n');
                at = if is_pair { end + 1 } else { end };
                self.cluster(odd, &text[odd..at], &mut put)?;
                continue;
            }
            if is_alone(character) && text[end..].chars().next().is_none_or(is_alone) {
                if let Some(becomes) = self.find(&text[odd..end])? {
                    put(odd, end, becomes);
                }
                at = end;
                continue;
            }
            // Its cluster may begin with the character before it, and ends at the latest where one that
            // stands alone meets another.
            let start = if odd > at && !is_alone(character) { odd - 1 } else { odd };
            let end = clusters_end(text, end, character);
            for (place, cluster) in text[start..end].grapheme_indices(true) {
                self.cluster(start + place, cluster, &mut put)?;
            }
            at = end;
        }
        if changed {
            out.push_str(&text[done..]);
        }
        Ok(changed)
    }

    /// Replaces a cluster, or what of its characters is mapped.
    fn cluster(
        &self,
        at: usize,
        cluster: &str,
        put: &mut impl FnMut(usize, usize, &str),
    ) -> Result<(), Stop> {
        if cluster.len() < LONGEST_CLUSTER
            && let Some(becomes) = self.find(cluster)?
        {
            put(at, at + cluster.len(), becomes);
            return Ok(());
        }
        for (place, character) in cluster.char_indices() {
            let end = place + character.len_utf8();
            if let Some(becomes) = self.find(&cluster[place..end])? {
                put(at + place, at + end, becomes);
            }
        }
        Ok(())
    }

    /// See [`super::Normalizer::first`].
    pub(super) fn first(&self, text: &str, first: usize) -> Result<usize, Stop> {
        let mut changes: Vec<(char, isize)> = Vec::new();
        let mut is_mapped = false;
        let wanted = text[..first].chars().count();
        for cluster in text.graphemes(true) {
            let whole = if cluster.len() < LONGEST_CLUSTER { self.find(cluster)? } else { None };
            if let Some(whole) = whole {
                is_mapped = true;
                record(&mut changes, cluster, whole);
            } else {
                for (place, character) in cluster.char_indices() {
                    let part = &cluster[place..place + character.len_utf8()];
                    let becomes = self.find(part)?;
                    is_mapped |= becomes.is_some();
                    record(&mut changes, part, becomes.unwrap_or(part));
                }
            }
            // The last one may still take in characters that are removed after it. If it was added to the first
            // character, it then stands for a later one.
            let Some(((_, last), settled)) = changes.split_last() else { continue };
            let taken = settled.iter().filter(|(_, change)| *change <= 0);
            let taken: usize = taken.map(|(_, change)| change.unsigned_abs() + 1).sum();
            let enough = if *last <= 0 { wanted } else { wanted + 1 };
            if taken >= enough {
                break;
            }
        }
        Ok(if is_mapped { first_of(text, first, changes) } else { first })
    }
}

fn is_alone(character: char) -> bool {
    Traits::of(character).has(Traits::ALONE)
}

/// Returns the first place from `at` on that is between two characters that stand alone; `before` is the
/// character in front of `at`.
fn clusters_end(text: &str, at: usize, before: char) -> usize {
    let mut before = is_alone(before);
    for (place, character) in text[at..].char_indices() {
        let alone = is_alone(character);
        if before && alone {
            return at + place;
        }
        before = alone;
    }
    text.len()
}

/// Records the change of one text to another, as `tokenizers` does. What is removed counts for the character
/// before, and for none where there is none.
fn record(changes: &mut Vec<(char, isize)>, old: &str, new: &str) {
    let (old_len, new_len) = (old.chars().count(), new.chars().count());
    changes.extend(new.chars().map(|character| (character, 0)));
    for (_, change) in changes.iter_mut().rev().take(new_len.saturating_sub(old_len)) {
        *change = 1;
    }
    if let Some((_, change)) = changes.last_mut() {
        *change -= old_len.saturating_sub(new_len).cast_signed();
    }
}
