//! SentencePiece's character map: a double array of UTF-8 bytes, whose values are places in a list of texts.

/// A character map.
#[derive(Debug)]
pub(crate) struct CharacterMap {
    units: Vec<u32>,
    texts: String,
}

/// A place beyond the array, where a well-formed map never leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl CharacterMap {
    /// Reads a map: the length of the array in bytes, the array, the texts, each with a zero after it.
    ///
    /// Returns none where it is malformed.
    pub(crate) fn new(map: &[u8]) -> Option<Self> {
        let (len, rest) = map.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()? / 4 * 4;
        let (array, texts) = rest.split_at_checked(len)?;
        let units = array.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        Some(Self { units, texts: String::from_utf8(texts.to_vec()).ok()? })
    }

    /// Returns whether some mapped text begins with these bytes.
    pub(crate) fn has_beginning(&self, bytes: &[u8]) -> bool {
        let unit = |at: usize| self.units.get(at).copied();
        let mut at = unit(0).map(offset);
        for &byte in bytes {
            let next = at.map(|at| at ^ usize::from(byte));
            let here = next.and_then(unit).filter(|here| label(*here) == u32::from(byte));
            at = next.zip(here).map(|(next, here)| next ^ offset(here));
        }
        at.is_some()
    }

    /// Returns how many bytes the longest text has that a mapped one becomes.
    pub(crate) fn longest(&self) -> usize {
        self.texts.split('\0').map(str::len).max().unwrap_or(0)
    }

    /// Returns how much memory the map takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.units.len() * size_of::<u32>() + self.texts.len()
    }

    /// Calls `each` for the beginnings of a text that the map has, from short to long, with the length and what
    /// it becomes, until it returns false.
    ///
    /// # Errors
    ///
    /// The map leads beyond its array or its texts.
    #[inline]
    pub(crate) fn beginnings<'a>(
        &'a self,
        text: &[u8],
        mut each: impl FnMut(usize, &'a str) -> bool,
    ) -> Result<(), Malformed> {
        let unit = |at: usize| self.units.get(at).copied().ok_or(Malformed);
        let mut at = offset(unit(0)?);
        for (&byte, len) in text.iter().zip(1..) {
            at ^= usize::from(byte);
            let here = unit(at)?;
            if label(here) != u32::from(byte) {
                return Ok(());
            }
            at ^= offset(here);
            if here >> 8 & 1 == 1 {
                let value = (unit(at)? & (u32::MAX >> 1)) as usize;
                let rest = self.texts.get(value..).ok_or(Malformed)?;
                let end = memchr::memchr(0, rest.as_bytes()).unwrap_or(rest.len());
                if !each(len, &rest[..end]) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Returns the byte that leads to a unit; that of a value is none.
#[inline]
fn label(unit: u32) -> u32 {
    unit & (1 << 31 | 0xff)
}

/// Returns where the children of a unit are.
#[inline]
fn offset(unit: u32) -> usize {
    (unit >> 10 << ((unit & 1 << 9) >> 6)) as usize
}
