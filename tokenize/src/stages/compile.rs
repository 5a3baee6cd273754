//! Makes the stages of the parts of a tokenizer, as `tokenizers` reads them.

use tokenizers::normalizers::{BertNormalizer, Replace as HfReplace};
use tokenizers::pre_tokenizers::metaspace::PrependScheme as HfScheme;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::bounds::limits::{MOST_REWRITING_CUTS, MOST_STEPS};
use crate::bounds::replaced::Replaced;
use crate::engine::Level;
use crate::engine::pre_tokenizer::gpt2::GPT2;

use super::base64::decode_base64;
use super::normalizers::{Bert, Form, Normalizer, Precompiled, Replace};
use super::pattern::Pattern;
use super::pre_tokenizers::{
    Behaviour, ByteLevel, CharSet, Cut, Metaspace, PART, PreTokenizer, PrependScheme, Runs,
};
use super::traits::Traits;

const NORMALIZER: &str = "normalizer";

/// Adds the steps of a normalizer.
///
/// # Errors
///
/// The reason why it is left to the oracle.
pub(super) fn normalizer(
    step: NormalizerWrapper,
    steps: &mut Vec<Normalizer>,
) -> Result<(), String> {
    steps.push(match step {
        NormalizerWrapper::Sequence(inner) => {
            return inner.into_iter().try_for_each(|step| normalizer(step, steps));
        }
        NormalizerWrapper::BertNormalizer(bert) => Normalizer::Bert(bert_of(bert)),
        NormalizerWrapper::StripNormalizer(strip) => {
            Normalizer::Strip { left: strip.strip_left, right: strip.strip_right }
        }
        NormalizerWrapper::StripAccents(_) => Normalizer::StripAccents,
        NormalizerWrapper::NFC(_) => Normalizer::Form(Form::Nfc),
        NormalizerWrapper::NFD(_) => Normalizer::Form(Form::Nfd),
        NormalizerWrapper::NFKC(_) => Normalizer::Form(Form::Nfkc),
        NormalizerWrapper::NFKD(_) => Normalizer::Form(Form::Nfkd),
        NormalizerWrapper::Lowercase(_) => Normalizer::Lowercase,
        NormalizerWrapper::Nmt(_) => Normalizer::Nmt,
        NormalizerWrapper::ByteLevel(_) => Normalizer::ByteLevel,
        NormalizerWrapper::Precompiled(map) => {
            let fields = serde_json::to_value(&map).map_err(|wrong| wrong.to_string())?;
            let map = fields["precompiled_charsmap"].as_str().and_then(decode_base64);
            let map = map.and_then(|map| Precompiled::new(&map));
            Normalizer::Precompiled(Box::new(map.ok_or("its character map is malformed")?))
        }
        NormalizerWrapper::Replace(replace) => Normalizer::Replace(replace_of(&replace)?),
        NormalizerWrapper::Prepend(prepend) if prepend.prepend.is_empty() => {
            return Err("its normalizer prepends an empty text".into());
        }
        NormalizerWrapper::Prepend(prepend) => Normalizer::Prepend(prepend.prepend.into()),
    });
    few(NORMALIZER, steps.len())
}

fn bert_of(bert: BertNormalizer) -> Bert {
    let strip = bert.strip_accents.unwrap_or(bert.lowercase);
    Bert::new(bert.clean_text, bert.handle_chinese_chars, strip, bert.lowercase)
}

fn replace_of(replace: &HfReplace) -> Result<Replace, String> {
    let pattern = match Replaced::of(replace)? {
        Replaced::String(text) => Pattern::text(NORMALIZER, &text)?,
        Replaced::Regex(regex) => Pattern::regex(NORMALIZER, &regex)?,
    };
    Ok(Replace::new(pattern, &replace.content))
}

/// Adds the steps of a pre-tokenizer.
///
/// # Errors
///
/// The reason why it is left to the oracle.
pub(super) fn pre_tokenizer(
    step: PreTokenizerWrapper,
    steps: &mut Vec<PreTokenizer>,
) -> Result<(), String> {
    use PreTokenizerWrapper as Hf;
    // A level that the environment misnames is an error of loading.
    let level = Level::of_machine().unwrap_or(Level::Plain);
    let runs = |cut| PreTokenizer::Runs(Box::new(Runs::new(cut, level)));
    let is_rewriting = |step: &PreTokenizer| {
        matches!(step, PreTokenizer::Metaspace(_) | PreTokenizer::ByteLevel(_))
    };
    steps.push(match step {
        Hf::Sequence(inner) => {
            return inner.into_iter().try_for_each(|step| pre_tokenizer(step, steps));
        }
        Hf::BertPreTokenizer(_) => runs(Cut::Bert),
        Hf::ByteLevel(step) => {
            let pattern = step.use_regex.then(|| Pattern::regex(PART, GPT2)).transpose()?;
            PreTokenizer::ByteLevel(ByteLevel::new(step.add_prefix_space, pattern))
        }
        Hf::Delimiter(step) => {
            PreTokenizer::Chars { set: CharSet::one(step.delimiter), behaviour: Behaviour::Removed }
        }
        Hf::Metaspace(step) => {
            let scheme = match step.prepend_scheme {
                HfScheme::First => PrependScheme::First,
                HfScheme::Never => PrependScheme::Never,
                HfScheme::Always => PrependScheme::Always,
            };
            PreTokenizer::Metaspace(Metaspace::new(step.get_replacement(), scheme, step.split))
        }
        Hf::Whitespace(_) => runs(Cut::Whitespace),
        Hf::WhitespaceSplit(_) => runs(Cut::Removed(Traits::WHITE)),
        Hf::Split(step) => PreTokenizer::Split {
            pattern: match &step.pattern {
                SplitPattern::String(text) => Pattern::text(PART, text)?,
                SplitPattern::Regex(regex) => Pattern::regex(PART, regex)?,
            },
            behaviour: behaviour(step.behavior),
            invert: step.invert,
        },
        Hf::Punctuation(step) => match behaviour(step.behavior) {
            Behaviour::Removed => runs(Cut::Removed(Traits::PUNCTUATION)),
            Behaviour::Isolated => runs(Cut::Isolated(Traits::PUNCTUATION)),
            Behaviour::Contiguous => runs(Cut::Contiguous(Traits::PUNCTUATION)),
            behaviour => PreTokenizer::Chars { set: CharSet::of(Traits::PUNCTUATION), behaviour },
        },
        Hf::Digits(step) if step.individual_digits => runs(Cut::Isolated(Traits::NUMERIC)),
        Hf::Digits(_) => runs(Cut::Contiguous(Traits::NUMERIC)),
        Hf::UnicodeScripts(_) => PreTokenizer::UnicodeScripts,
        Hf::FixedLength(step) if step.length == 0 => {
            return Err(format!("its {PART} cuts pieces of no characters"));
        }
        Hf::FixedLength(step) => PreTokenizer::FixedLength(step.length),
    });
    if steps.iter().filter(|step| is_rewriting(step)).count() > MOST_REWRITING_CUTS {
        return Err(format!(
            "its {PART} writes the text in other characters more than {MOST_REWRITING_CUTS} times"
        ));
    }
    few(PART, steps.len())
}

/// Returns an error where a part has too many steps.
fn few(part: &str, steps: usize) -> Result<(), String> {
    if steps > MOST_STEPS {
        return Err(format!("its {part} has more than {MOST_STEPS} steps"));
    }
    Ok(())
}

fn behaviour(behaviour: SplitDelimiterBehavior) -> Behaviour {
    match behaviour {
        SplitDelimiterBehavior::Removed => Behaviour::Removed,
        SplitDelimiterBehavior::Isolated => Behaviour::Isolated,
        SplitDelimiterBehavior::MergedWithPrevious => Behaviour::MergedWithPrevious,
        SplitDelimiterBehavior::MergedWithNext => Behaviour::MergedWithNext,
        SplitDelimiterBehavior::Contiguous => Behaviour::Contiguous,
    }
}
