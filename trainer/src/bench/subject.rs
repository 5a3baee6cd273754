//! What is measured, by name: a layer such as `rat:16`, or layers by turns.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use thiserror::Error;

use crate::model::MixerKind;

/// A pattern of sequence layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The layers, repeated over the blocks.
    pub mixers: Vec<MixerKind>,
    /// Tokens in a chunk of `rat`, where the name says it.
    pub chunk_len: Option<NonZeroUsize>,
}

/// A name is not a subject.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "found `{0}`, expected layers with `+` between: `attention`, `local_attention`, `rnn`, `rat` or `rat:CHUNK`"
)]
pub struct SubjectError(String);

const NAMES: [(MixerKind, &str); 4] = [
    (MixerKind::Attention, "attention"),
    (MixerKind::LocalAttention, "local_attention"),
    (MixerKind::Rnn, "rnn"),
    (MixerKind::Rat, "rat"),
];

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let wrong = || SubjectError(text.to_owned());
        let (mut mixers, mut chunk_len) = (Vec::new(), None);
        for part in text.split('+') {
            let (name, chunk) = match part.split_once(':') {
                Some((name, chunk)) => (name, Some(chunk.parse().map_err(|_| wrong())?)),
                None => (part, None),
            };
            let known = NAMES.iter().find(|(_, known)| *known == name).ok_or_else(wrong)?;
            if chunk.is_some() {
                if known.0 != MixerKind::Rat || chunk_len.is_some_and(|other| chunk != Some(other))
                {
                    return Err(wrong());
                }
                chunk_len = chunk;
            }
            mixers.push(known.0);
        }
        Ok(Self { mixers, chunk_len })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mixer) in self.mixers.iter().enumerate() {
            let name = NAMES.iter().find(|(kind, _)| kind == mixer).map_or("", |(_, name)| name);
            write!(f, "{}{name}", if number == 0 { "" } else { "+" })?;
            if let (MixerKind::Rat, Some(chunk)) = (mixer, self.chunk_len) {
                write!(f, ":{chunk}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        for text in ["attention", "rat:16", "rat:64+local_attention", "rnn", "rat"] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        for text in ["", "rta", "rat:0", "rnn:16", "rat:16+rat:64", "rat:x"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
