//! Predicates: which rows to keep, in a small typed language.
//!
//! ```text
//! text -> tokens     lexer.rs
//!      -> Expr       parse.rs       recursive descent; functions are in function.rs
//!      -> Predicate  here           its types are checked with those of a file's columns
//!      -> Value      eval.rs        true, false or null for a row
//!      -> bool       prune.rs       whether a row group can have such a row
//! ```

mod error;
mod eval;
mod function;
mod lexer;
mod parse;
mod prune;
#[cfg(test)]
mod tests;
mod value;

pub use error::PredicateError;
pub use eval::Columns;
pub use prune::ColumnRange;
pub use value::{Type, Value};

use function::Function;
use parse::{Binary, Expr, Node, parse};

/// A predicate over the columns of rows.
#[derive(Clone, Debug)]
pub struct Predicate {
    text: String,
    expr: Expr,
    columns: Vec<String>,
}

impl Predicate {
    /// Parses a predicate.
    ///
    /// # Errors
    ///
    /// The text is no predicate, or compares what never compares.
    pub fn parse(text: &str) -> Result<Self, PredicateError> {
        let (expr, columns) = parse(text)?;
        let predicate = Self { text: text.to_owned(), expr, columns };
        predicate.check(&vec![Type::Any; predicate.columns.len()])?;
        Ok(predicate)
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the names of the columns, with dots where they are nested.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Checks the types; `types` are those of the columns.
    ///
    /// # Errors
    ///
    /// A part of it has another type than it is used as.
    pub fn check(&self, types: &[Type]) -> Result<(), PredicateError> {
        self.expect(&self.expr, Type::Bool, types)
    }

    /// Returns the error that a column is not there.
    pub fn no_column(&self, column: usize, present: &[String]) -> PredicateError {
        let name = &self.columns[column];
        let at = place_of(&self.expr, column).unwrap_or(0..self.text.len());
        let wrong = PredicateError::new(&self.text, at, format!("no column `{name}`"));
        wrong.hinted(format!("the columns are: {}", present.join(", ")))
    }

    /// Computes the predicate for a row; none is null: a column that it needs has no value there.
    ///
    /// # Errors
    ///
    /// The row has a value of another type than the predicate needs, in words.
    pub fn holds(&self, row: &dyn Columns) -> Result<Option<bool>, String> {
        eval::truth(&self.expr, &self.columns, row)
    }

    /// Returns whether it could be true for a row of a group whose columns have these ranges.
    pub fn may_hold(&self, ranges: &[ColumnRange]) -> bool {
        prune::may_hold(&self.expr, ranges)
    }

    fn expect(&self, expr: &Expr, wanted: Type, types: &[Type]) -> Result<(), PredicateError> {
        let found = self.type_of(expr, types)?;
        if found.fits(wanted) {
            return Ok(());
        }
        let wrong = format!("this is {found}, expected {wanted}");
        Err(PredicateError::new(&self.text, expr.at.clone(), wrong))
    }

    fn type_of(&self, expr: &Expr, types: &[Type]) -> Result<Type, PredicateError> {
        match &expr.node {
            Node::Literal(value) => Ok(value.kind()),
            Node::Column(column) => Ok(types[*column]),
            Node::Not(inner) => self.expect(inner, Type::Bool, types).map(|()| Type::Bool),
            Node::Negative(inner) => self.expect(inner, Type::Number, types).map(|()| Type::Number),
            Node::IsNull { value, .. } => self.type_of(value, types).map(|_| Type::Bool),
            Node::In { value, of, .. } => {
                let found = self.type_of(value, types)?;
                for one in of {
                    let at = expr.at.clone();
                    self.check_language(value, &Expr { node: Node::Literal(one.clone()), at })?;
                }
                match of.iter().find(|one| !one.kind().fits(found)) {
                    None => Ok(Type::Bool),
                    Some(other) => {
                        let wrong = format!("{found} is looked for among {}", other.what());
                        Err(PredicateError::new(&self.text, expr.at.clone(), wrong))
                    }
                }
            }
            Node::Call(function, arguments) => {
                for (place, argument) in arguments.iter().enumerate() {
                    self.expect(argument, function.argument(place), types)?;
                }
                Ok(function.result())
            }
            Node::Binary(Binary::And | Binary::Or, left, right) => {
                self.expect(left, Type::Bool, types)?;
                self.expect(right, Type::Bool, types)?;
                Ok(Type::Bool)
            }
            Node::Binary(
                Binary::Add
                | Binary::Subtract
                | Binary::Multiply
                | Binary::Divide
                | Binary::Remainder,
                left,
                right,
            ) => {
                self.expect(left, Type::Number, types)?;
                self.expect(right, Type::Number, types)?;
                Ok(Type::Number)
            }
            Node::Binary(_, left, right) => {
                let (one, two) = (self.type_of(left, types)?, self.type_of(right, types)?);
                self.check_language(left, right)?;
                self.check_language(right, left)?;
                if one.fits(two) {
                    return Ok(Type::Bool);
                }
                let wrong = format!("{one} is compared with {two}");
                Err(PredicateError::new(&self.text, expr.at.clone(), wrong))
            }
        }
    }
}

impl Predicate {
    /// Refuses to compare the language of a text with what is the code of none: no row would be kept.
    fn check_language(&self, call: &Expr, other: &Expr) -> Result<(), PredicateError> {
        match (&call.node, &other.node) {
            (Node::Call(Function::Lang, _), Node::Literal(Value::Text(code)))
                if !Function::is_language(code) =>
            {
                let wrong = format!("`{code}` is the code of no language that `lang` knows");
                let wrong = PredicateError::new(&self.text, other.at.clone(), wrong);
                Err(wrong.hinted("the codes are those of ISO 639-3, such as `eng`, `deu` or `cmn`"))
            }
            _ => Ok(()),
        }
    }
}

/// Returns where a column first stands in a predicate.
fn place_of(expr: &Expr, column: usize) -> Option<std::ops::Range<usize>> {
    match &expr.node {
        Node::Column(this) => (*this == column).then(|| expr.at.clone()),
        Node::Literal(_) => None,
        Node::Not(inner) | Node::Negative(inner) => place_of(inner, column),
        Node::In { value, .. } | Node::IsNull { value, .. } => place_of(value, column),
        Node::Binary(_, left, right) => place_of(left, column).or_else(|| place_of(right, column)),
        Node::Call(_, arguments) => arguments.iter().find_map(|one| place_of(one, column)),
    }
}
