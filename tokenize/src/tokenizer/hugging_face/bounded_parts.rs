//! The parts of a Hugging Face tokenizer, with a bound on what they do to a text.
//!
//! Each is read by `tokenizers` and does what it does there. Steps that search run with our bounded
//! patterns, and what steps add to a text is counted: a replacement may write a megabyte for a letter,
//! and forty may double a text forty times.

use std::cell::Cell;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tokenizers::normalizers::Replace;
use tokenizers::pattern::{Invert, Pattern};
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::{
    Decoder, DecoderWrapper, ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper,
    PostProcessorWrapper, PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
    SplitDelimiterBehavior, TokenizerImpl,
};

use crate::bounds::boundary::{Bound, grow, leave};
use crate::bounds::limits::{MOST_REWRITING_CUTS, MOST_STEPS};
use crate::bounds::pattern::BoundedPattern;
use crate::bounds::replaced::Replaced;

/// A tokenizer of Hugging Face whose parts are bounded.
pub(super) type BoundedTokenizer =
    TokenizerImpl<ModelWrapper, Rewriting, Cutting, PostProcessorWrapper, Joining>;

const NORMALIZER: &str = "normalizer";
const PRE_TOKENIZER: &str = "pre-tokenizer";
const DECODER: &str = "decoder";

/// What replaces matches of a pattern.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    pattern: BoundedPattern,
    content: Arc<str>,
    part: &'static str,
}

impl Replacement {
    fn of(part: &'static str, replace: &Replace) -> Result<Self, String> {
        let pattern = match Replaced::of(replace)? {
            Replaced::String(text) => BoundedPattern::literal(part, &text)?,
            Replaced::Regex(text) => BoundedPattern::regex(part, &text)?,
        };
        Ok(Self { pattern, content: replace.content.as_str().into(), part })
    }

    /// Finds what is to be replaced in a text, unless the text would get too long.
    fn find(&self, text: &str) -> Result<Stretches, Bound> {
        let stretches = self.pattern.stretches(text)?;
        let matches = stretches.iter().filter(|(_, is_match)| *is_match);
        let (count, replaced) = matches
            .fold((0_usize, 0), |(count, sum), ((start, end), _)| (count + 1, sum + end - start));
        grow(self.part, count.saturating_mul(self.content.len()).saturating_sub(replaced))?;
        Ok(Stretches(Cell::new(stretches)))
    }
}

/// Matches that were found already, to be taken once.
struct Stretches(Cell<Vec<((usize, usize), bool)>>);

impl Pattern for Stretches {
    fn find_matches(&self, _inside: &str) -> tokenizers::Result<Vec<((usize, usize), bool)>> {
        Ok(self.0.take())
    }
}

/// A normalizer: its steps, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Rewriting(Vec<RewritingStep>);

#[derive(Clone, Debug)]
enum RewritingStep {
    Replace(Replacement),
    Other(NormalizerWrapper),
}

impl<'de> Deserialize<'de> for Rewriting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn add(step: NormalizerWrapper, steps: &mut Vec<RewritingStep>) -> Result<(), String> {
            match step {
                NormalizerWrapper::Sequence(inner) => {
                    return inner.into_iter().try_for_each(|step| add(step, steps));
                }
                NormalizerWrapper::Replace(replace) => {
                    steps.push(RewritingStep::Replace(Replacement::of(NORMALIZER, &replace)?));
                }
                other => steps.push(RewritingStep::Other(other)),
            }
            few(NORMALIZER, steps.len())
        }
        let mut steps = Vec::new();
        add(NormalizerWrapper::deserialize(deserializer)?, &mut steps).map_err(Error::custom)?;
        Ok(Self(steps))
    }
}

/// Returns an error where a part has too many steps.
fn few(part: &'static str, steps: usize) -> Result<(), String> {
    if steps > MOST_STEPS {
        return Err(format!("its {part} has more than {MOST_STEPS} steps"));
    }
    Ok(())
}

impl Normalizer for Rewriting {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        for step in &self.0 {
            // `tokenizers` drops what a normalizer returns, so a bound leaves another way.
            step.normalize(text)?.unwrap_or_else(|bound| leave(bound));
        }
        Ok(())
    }
}

impl RewritingStep {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<Result<(), Bound>> {
        let before = text.len();
        match self {
            Self::Replace(replacement) => match replacement.find(text.get()) {
                Ok(found) => text.replace(found, &replacement.content)?,
                Err(bound) => return Ok(Err(bound)),
            },
            Self::Other(step) => {
                let known = match step {
                    NormalizerWrapper::Prepend(prepend) => prepend.prepend.len(),
                    _ => 0,
                };
                if let Err(bound) = grow(NORMALIZER, known) {
                    return Ok(Err(bound));
                }
                step.normalize(text)?;
                let added = text.len().saturating_sub(before);
                return Ok(grow(NORMALIZER, added.saturating_sub(known)));
            }
        }
        Ok(Ok(()))
    }
}

/// A pre-tokenizer: its steps, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Cutting(Vec<CuttingStep>);

#[derive(Clone, Debug)]
enum CuttingStep {
    Split { pattern: BoundedPattern, behavior: SplitDelimiterBehavior, invert: bool },
    Other(PreTokenizerWrapper),
}

impl<'de> Deserialize<'de> for Cutting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn add(step: PreTokenizerWrapper, steps: &mut Vec<CuttingStep>) -> Result<(), String> {
            match step {
                PreTokenizerWrapper::Sequence(inner) => {
                    return inner.into_iter().try_for_each(|step| add(step, steps));
                }
                PreTokenizerWrapper::Split(split) => {
                    let pattern = match &split.pattern {
                        SplitPattern::String(text) => BoundedPattern::literal(PRE_TOKENIZER, text),
                        SplitPattern::Regex(text) => BoundedPattern::regex(PRE_TOKENIZER, text),
                    }?;
                    let (behavior, invert) = (split.behavior, split.invert);
                    steps.push(CuttingStep::Split { pattern, behavior, invert });
                }
                other => steps.push(CuttingStep::Other(other)),
            }
            few(PRE_TOKENIZER, steps.len())
        }
        let mut steps = Vec::new();
        add(PreTokenizerWrapper::deserialize(deserializer)?, &mut steps).map_err(Error::custom)?;
        // Each of these may write three bytes for one, so that few of them are many bytes.
        let rewriting = steps.iter().filter(|step| {
            use PreTokenizerWrapper::{ByteLevel, Metaspace};
            matches!(step, CuttingStep::Other(ByteLevel(_) | Metaspace(_)))
        });
        if rewriting.count() > MOST_REWRITING_CUTS {
            let wrong = format!(
                "its {PRE_TOKENIZER} writes the text in other characters more than {MOST_REWRITING_CUTS} times"
            );
            return Err(D::Error::custom(wrong));
        }
        Ok(Self(steps))
    }
}

impl PreTokenizer for Cutting {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        self.0.iter().try_for_each(|step| match step {
            CuttingStep::Split { pattern, behavior, invert: false } => {
                text.split(|_, piece| piece.split(pattern, *behavior))
            }
            CuttingStep::Split { pattern, behavior, invert: true } => {
                text.split(|_, piece| piece.split(Invert(pattern), *behavior))
            }
            CuttingStep::Other(step) => step.pre_tokenize(text),
        })
    }
}

/// A decoder: its steps, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Joining(Vec<JoiningStep>);

#[derive(Clone, Debug)]
enum JoiningStep {
    Replace(Replacement),
    Other(DecoderWrapper),
}

impl<'de> Deserialize<'de> for Joining {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn add(step: &DecoderWrapper, steps: &mut Vec<JoiningStep>) -> Result<(), String> {
            match step {
                DecoderWrapper::Sequence(inner) => {
                    return inner.get_decoders().iter().try_for_each(|step| add(step, steps));
                }
                DecoderWrapper::Replace(replace) => {
                    steps.push(JoiningStep::Replace(Replacement::of(DECODER, replace)?));
                }
                other => steps.push(JoiningStep::Other(other.clone())),
            }
            few(DECODER, steps.len())
        }
        let mut steps = Vec::new();
        add(&DecoderWrapper::deserialize(deserializer)?, &mut steps).map_err(Error::custom)?;
        Ok(Self(steps))
    }
}

impl Decoder for Joining {
    fn decode_chain(&self, mut tokens: Vec<String>) -> tokenizers::Result<Vec<String>> {
        let bytes = |tokens: &[String]| tokens.iter().map(String::len).sum::<usize>();
        for step in &self.0 {
            let before = bytes(&tokens);
            tokens = match step {
                JoiningStep::Replace(replacement) => tokens
                    .iter()
                    .map(|token| replacement.replaced(token))
                    .collect::<Result<Vec<_>, Bound>>()?,
                JoiningStep::Other(step) => {
                    let joined = step.decode_chain(tokens)?;
                    grow(DECODER, bytes(&joined).saturating_sub(before))?;
                    joined
                }
            };
        }
        Ok(tokens)
    }
}

impl Replacement {
    fn replaced(&self, token: &str) -> Result<String, Bound> {
        let stretches = self.find(token)?.0.into_inner();
        let pieces =
            stretches.into_iter().map(
                |((start, end), is_match)| {
                    if is_match { &*self.content } else { &token[start..end] }
                },
            );
        Ok(pieces.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::bounds::boundary::{Broken, bounded};

    fn normalized(json: &str, text: &str) -> Result<String, Broken> {
        let rewriting: Rewriting = serde_json::from_str(json).unwrap();
        bounded(text.len(), || {
            let mut text = NormalizedString::from(text);
            rewriting.normalize(&mut text).unwrap();
            text.get().to_owned()
        })
    }

    fn replace(from: &str, to: &str) -> Value {
        serde_json::json!({"type": "Replace", "pattern": {"String": from}, "content": to})
    }

    #[test]
    fn a_normalizer_does_what_it_does_in_tokenizers() {
        let steps = serde_json::json!([
            {"type": "Prepend", "prepend": "▁"}, replace(" ", "▁"), {"type": "Lowercase"},
            {"type": "Sequence", "normalizers": [
                {"type": "Replace", "pattern": {"Regex": "é|(?=x)"}, "content": "<>"}, {"type": "NFKC"}
            ]}
        ]);
        let json = serde_json::json!({"type": "Sequence", "normalizers": steps}).to_string();
        let oracle: NormalizerWrapper = serde_json::from_str(&json).unwrap();
        for text in ["", "A Café xx", "é", "ﷺ x", "  "] {
            let mut expected = NormalizedString::from(text);
            oracle.normalize(&mut expected).unwrap();

            assert_eq!(normalized(&json, text).unwrap(), expected.get());
        }
    }

    #[test]
    fn text_that_grows_without_end_is_an_error() {
        let doubled = vec![replace("a", "aa"); 40];
        let sequence = serde_json::json!({"type": "Sequence", "normalizers": doubled}).to_string();
        let bytes = vec![serde_json::json!({"type": "ByteLevel"}); 40];
        let bytes = serde_json::json!({"type": "Sequence", "normalizers": bytes}).to_string();
        let long = replace("a", &"b".repeat(1_000_000)).to_string();
        let empty = serde_json::json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "b".repeat(500_000)});

        for json in [sequence, bytes, long, empty.to_string()] {
            let refused = normalized(&json, "aaé").unwrap_err();

            assert!(matches!(refused, Broken::Bound(Bound::Growth { part: NORMALIZER, .. })));
        }
    }

    #[test]
    fn a_decoder_that_doubles_is_an_error_and_others_decode() {
        let double =
            serde_json::json!({"type": "Sequence", "decoders": vec![replace("a", "aa"); 40]});
        let plain = serde_json::json!({"type": "Sequence", "decoders": [
            replace("▁", " "), {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
        let decoded = |json: &Value| {
            let joining: Joining = serde_json::from_str(&json.to_string()).unwrap();
            bounded(9, || joining.decode(vec!["▁a".into(), "b".into()]))
        };

        let refused = decoded(&double).unwrap().unwrap_err();

        assert!(refused.downcast_ref::<Bound>().is_some(), "{refused}");
        assert_eq!(decoded(&plain).unwrap().unwrap(), "ab");
    }
}
