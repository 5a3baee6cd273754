//! The words and signs of a predicate.

use std::ops::Range;

use super::error::PredicateError;

/// One word or sign, and where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Int(i64),
    Float(f64),
    Text(String),
    /// A name, with dots where it is nested, or a word such as `and`.
    Name(String),
    /// A name in back quotes, which is never a word of the language.
    Quoted(String),
    Sign(&'static str),
    End,
}

/// The signs, longer ones before those that they begin with.
const SIGNS: [&str; 17] =
    ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "="];

/// Cuts a text into tokens; the last is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, PredicateError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, len) = if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|sign: char| sign.is_ascii_digit()))
        {
            number(text, at)?
        } else if first == '"' || first == '\'' {
            quoted(text, at, first)?
        } else if first == '`' {
            let end = rest[1..].find('`').ok_or_else(|| {
                PredicateError::new(text, at..text.len(), "this name has no closing back quote")
            })?;
            (TokenKind::Quoted(rest[1..=end].to_owned()), end + 2)
        } else if first.is_alphabetic() || first == '_' {
            let is_name = |sign: char| sign.is_alphanumeric() || matches!(sign, '_' | '.');
            let len = rest.find(|sign: char| !is_name(sign)).unwrap_or(rest.len());
            (TokenKind::Name(rest[..len].to_owned()), len)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (TokenKind::Sign(sign), sign.len())
        } else {
            let found = format!("found `{first}`, which no predicate has");
            let hint = match first {
                '&' => Some("write `and`"),
                '|' => Some("write `or`"),
                '!' => Some("write `not`, or `!=`"),
                _ => None,
            };
            let wrong = PredicateError::new(text, at..at + first.len_utf8(), found);
            return Err(match hint {
                Some(hint) => wrong.hinted(hint),
                None => wrong,
            });
        };
        tokens.push(Token { kind, at: at..at + len });
        at += len;
    }
    tokens.push(Token { kind: TokenKind::End, at: text.len()..text.len() });
    Ok(tokens)
}

fn number(text: &str, at: usize) -> Result<(TokenKind, usize), PredicateError> {
    let rest = &text[at..];
    let mut len = 0;
    let bytes = rest.as_bytes();
    while let Some(&byte) = bytes.get(len) {
        let exponent_sign = matches!(byte, b'+' | b'-') && matches!(bytes[len - 1], b'e' | b'E');
        if byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || exponent_sign {
            len += 1;
        } else {
            break;
        }
    }
    let digits = rest[..len].replace('_', "");
    let kind = match (digits.parse(), digits.parse::<f64>()) {
        (Ok(whole), _) => TokenKind::Int(whole),
        (_, Ok(number)) if number.is_finite() => TokenKind::Float(number),
        _ => {
            let wrong = format!("`{}` is no number", &rest[..len]);
            return Err(PredicateError::new(text, at..at + len, wrong));
        }
    };
    Ok((kind, len))
}

fn quoted(text: &str, at: usize, quote: char) -> Result<(TokenKind, usize), PredicateError> {
    let mut value = String::new();
    let mut signs = text[at..].char_indices().skip(1);
    while let Some((place, sign)) = signs.next() {
        if sign == quote {
            return Ok((TokenKind::Text(value), place + 1));
        }
        if sign != '\\' {
            value.push(sign);
            continue;
        }
        match signs.next() {
            Some((_, 'n')) => value.push('\n'),
            Some((_, 't')) => value.push('\t'),
            Some((_, same @ ('\\' | '"' | '\''))) => value.push(same),
            // A regular expression has escapes of its own.
            Some((_, other)) => value.extend(['\\', other]),
            None => break,
        }
    }
    Err(PredicateError::new(text, at..text.len(), "this text has no closing quote"))
}
