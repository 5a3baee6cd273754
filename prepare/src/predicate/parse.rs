//! Parses a predicate by recursive descent: a function for each level of binding.
//!
//! ```text
//! or       := and ("or" and)*
//! and      := not ("and" not)*
//! not      := "not" not | test
//! test     := sum (("==" | "!=" | "<" | "<=" | ">" | ">=") sum
//!                  | ["not"] "in" "[" literal, ... "]" | "is" ["not"] "null")?
//! sum      := product (("+" | "-") product)*
//! product  := sign (("*" | "/" | "%") sign)*
//! sign     := "-" sign | primary
//! primary  := literal | name | name "(" or, ... ")" | "(" or ")"
//! ```

use std::borrow::Cow;
use std::ops::Range;

use super::error::PredicateError;
use super::function::Function;
use super::lexer::{Token, TokenKind, tokens};
use super::value::Value;

/// A part of a predicate, and where it stands in the text.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) node: Node,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Literal(Value<'static>),
    /// A column, by its place among those of the predicate.
    Column(usize),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    In {
        value: Box<Expr>,
        of: Vec<Value<'static>>,
        negated: bool,
    },
    IsNull {
        value: Box<Expr>,
        negated: bool,
    },
    Call(Function, Vec<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    And,
    Or,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// How deep a predicate may be nested.
const DEEPEST: usize = 200;

/// What is left of the tokens of a predicate.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    pub(super) columns: Vec<String>,
}

/// Parses a text; returns the predicate and the names of its columns.
pub(super) fn parse(text: &str) -> Result<(Expr, Vec<String>), PredicateError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, next: 0, depth: 0, columns: Vec::new() };
    let expr = parser.or()?;
    let token = parser.peek().clone();
    match token.kind {
        TokenKind::End => Ok((expr, parser.columns)),
        _ => Err(parser.unexpected("`and`, `or`, a comparison or the end")),
    }
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        // The last token is the end, which is never taken.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Name(name) if name.eq_ignore_ascii_case(word))
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.next += usize::from(is);
        is
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is = self.peek().kind == TokenKind::Sign(match_sign(sign));
        self.next += usize::from(is);
        is
    }

    fn unexpected(&self, expected: &str) -> PredicateError {
        let token = self.peek();
        let found = match &token.kind {
            TokenKind::End => "the end".to_owned(),
            _ => format!("`{}`", &self.text[token.at.clone()]),
        };
        let wrong = PredicateError::new(
            self.text,
            token.at.clone(),
            format!("found {found}, expected {expected}"),
        );
        if token.kind == TokenKind::Sign("=") { wrong.hinted("write `==`") } else { wrong }
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), PredicateError> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn or(&mut self) -> Result<Expr, PredicateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let at = self.peek().at.clone();
            return Err(PredicateError::new(self.text, at, "this is nested too deeply"));
        }
        let mut left = self.and()?;
        while self.takes_word("or") {
            let right = self.and()?;
            left = binary(Binary::Or, left, right);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, PredicateError> {
        let mut left = self.not()?;
        while self.takes_word("and") {
            let right = self.not()?;
            left = binary(Binary::And, left, right);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, PredicateError> {
        let begin = self.peek().at.start;
        // A chain of `not` is a loop, so that no text makes the parser run out of stack.
        let mut nots = 0;
        while self.takes_word("not") {
            nots += 1;
        }
        let test = self.test()?;
        Ok((0..nots % 2 + usize::from(nots > 1) * 2).fold(test, |inner, _| {
            let at = begin..inner.at.end;
            Expr { node: Node::Not(Box::new(inner)), at }
        }))
    }

    fn test(&mut self) -> Result<Expr, PredicateError> {
        let left = self.sum()?;
        let with = match self.peek().kind {
            TokenKind::Sign("==") => Binary::Equal,
            TokenKind::Sign("!=") => Binary::Unequal,
            TokenKind::Sign("<") => Binary::Less,
            TokenKind::Sign("<=") => Binary::AtMost,
            TokenKind::Sign(">") => Binary::Greater,
            TokenKind::Sign(">=") => Binary::AtLeast,
            _ => return self.membership(left),
        };
        self.next += 1;
        let right = self.sum()?;
        Ok(binary(with, left, right))
    }

    /// Parses what may follow a value that is not compared.
    fn membership(&mut self, value: Expr) -> Result<Expr, PredicateError> {
        let begin = value.at.start;
        let value = Box::new(value);
        if self.takes_word("is") {
            let negated = self.takes_word("not");
            if !self.is_word("null") {
                return Err(self.unexpected("`null`"));
            }
            let at = begin..self.take().at.end;
            return Ok(Expr { node: Node::IsNull { value, negated }, at });
        }
        let negated = self.is_word("not");
        if negated {
            self.next += 1;
            if !self.is_word("in") {
                return Err(self.unexpected("`in`"));
            }
        }
        if !self.takes_word("in") {
            return Ok(*value);
        }
        self.expect_sign("[")?;
        let mut of = Vec::new();
        while !self.takes_sign("]") {
            if !of.is_empty() {
                self.expect_sign(",")?;
            }
            of.push(self.literal()?);
        }
        let at = begin..self.tokens[self.next - 1].at.end;
        Ok(Expr { node: Node::In { value, of, negated }, at })
    }

    fn literal(&mut self) -> Result<Value<'static>, PredicateError> {
        let negative = self.takes_sign("-");
        let value = match &self.peek().kind {
            TokenKind::Int(number) if negative => Value::Int(-number),
            TokenKind::Float(number) if negative => Value::Float(-number),
            TokenKind::Int(number) => Value::Int(*number),
            TokenKind::Float(number) => Value::Float(*number),
            TokenKind::Text(text) if !negative => Value::Text(Cow::Owned(text.clone())),
            TokenKind::Name(name) if !negative && name.eq_ignore_ascii_case("true") => {
                Value::Bool(true)
            }
            TokenKind::Name(name) if !negative && name.eq_ignore_ascii_case("false") => {
                Value::Bool(false)
            }
            _ => return Err(self.unexpected("a number or a text in quotes")),
        };
        self.next += 1;
        Ok(value)
    }

    fn sum(&mut self) -> Result<Expr, PredicateError> {
        let mut left = self.product()?;
        loop {
            let with = match self.peek().kind {
                TokenKind::Sign("+") => Binary::Add,
                TokenKind::Sign("-") => Binary::Subtract,
                _ => return Ok(left),
            };
            self.next += 1;
            let right = self.product()?;
            left = binary(with, left, right);
        }
    }

    fn product(&mut self) -> Result<Expr, PredicateError> {
        let mut left = self.sign()?;
        loop {
            let with = match self.peek().kind {
                TokenKind::Sign("*") => Binary::Multiply,
                TokenKind::Sign("/") => Binary::Divide,
                TokenKind::Sign("%") => Binary::Remainder,
                _ => return Ok(left),
            };
            self.next += 1;
            let right = self.sign()?;
            left = binary(with, left, right);
        }
    }

    fn sign(&mut self) -> Result<Expr, PredicateError> {
        let begin = self.peek().at.start;
        let mut negative = false;
        let mut any = false;
        while self.takes_sign("-") {
            negative = !negative;
            any = true;
        }
        let inner = self.primary()?;
        if !any || !negative {
            return Ok(inner);
        }
        let at = begin..inner.at.end;
        Ok(Expr { node: Node::Negative(Box::new(inner)), at })
    }

    fn primary(&mut self) -> Result<Expr, PredicateError> {
        let Token { kind, at } = self.peek().clone();
        let node = match kind {
            TokenKind::Int(number) => Node::Literal(Value::Int(number)),
            TokenKind::Float(number) => Node::Literal(Value::Float(number)),
            TokenKind::Text(text) => Node::Literal(Value::Text(Cow::Owned(text))),
            TokenKind::Quoted(name) => self.column(name),
            TokenKind::Sign("(") => {
                self.next += 1;
                let inner = self.or()?;
                self.expect_sign(")")?;
                let end = self.tokens[self.next - 1].at.end;
                return Ok(Expr { at: at.start..end, ..inner });
            }
            TokenKind::Name(name) => match name.to_ascii_lowercase().as_str() {
                "true" => Node::Literal(Value::Bool(true)),
                "false" => Node::Literal(Value::Bool(false)),
                "null" => Node::Literal(Value::Null),
                "and" | "or" | "not" | "in" | "is" => return Err(self.unexpected(VALUE)),
                _ if self.tokens[self.next + 1].kind == TokenKind::Sign("(") => {
                    return self.call(&name, at);
                }
                _ => self.column(name),
            },
            TokenKind::Sign(_) | TokenKind::End => return Err(self.unexpected(VALUE)),
        };
        self.next += 1;
        Ok(Expr { node, at })
    }

    fn column(&mut self, name: String) -> Node {
        let known = self.columns.iter().position(|column| *column == name);
        Node::Column(known.unwrap_or_else(|| {
            self.columns.push(name);
            self.columns.len() - 1
        }))
    }

    fn call(&mut self, name: &str, at: Range<usize>) -> Result<Expr, PredicateError> {
        let function = Function::named(self.text, name, at.clone())?;
        self.next += 2;
        let mut arguments = Vec::new();
        while !self.takes_sign(")") {
            if !arguments.is_empty() {
                self.expect_sign(",")?;
            }
            arguments.push(self.or()?);
        }
        let at = at.start..self.tokens[self.next - 1].at.end;
        function.check_count(self.text, arguments.len(), &at)?;
        let last = arguments.last();
        let pattern = last.and_then(|last| match &last.node {
            Node::Literal(Value::Text(pattern)) => Some(pattern.as_ref()),
            _ => None,
        });
        let pattern_at = last.map_or(at.clone(), |last| last.at.clone());
        let function = function.compiled(self.text, pattern, pattern_at)?;
        Ok(Expr { node: Node::Call(function, arguments), at })
    }
}

fn binary(with: Binary, left: Expr, right: Expr) -> Expr {
    let at = left.at.start..right.at.end;
    Expr { node: Node::Binary(with, Box::new(left), Box::new(right)), at }
}

const VALUE: &str = "a column, a number, a text in quotes, a function or `(`";

/// Returns a sign as the lexer gives it.
fn match_sign(sign: &str) -> &'static str {
    ["(", ")", "[", "]", ",", "-"].into_iter().find(|known| *known == sign).unwrap_or("")
}
