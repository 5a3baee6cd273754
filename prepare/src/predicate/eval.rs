//! Computes a predicate for a row, with the three values of SQL: true, false and null.

use std::cmp::Ordering;

use super::parse::{Binary, Expr, Node};
use super::value::{Type, Value};

/// The columns of a row, as a predicate asks for them.
pub trait Columns {
    /// Returns the value of a column, by its place among the predicate's columns.
    ///
    /// # Errors
    ///
    /// The row cannot be read, or has a value there that no predicate can use.
    fn value(&self, column: usize) -> Result<Value<'_>, String>;
}

/// Computes a part of a predicate; an error names what a row has instead of what is needed.
pub(super) fn eval<'a>(
    expr: &'a Expr,
    names: &[String],
    row: &'a dyn Columns,
) -> Result<Value<'a>, String> {
    Ok(match &expr.node {
        Node::Literal(value) => value.clone(),
        Node::Column(column) => row.value(*column)?,
        Node::Not(inner) => match truth(inner, names, row)? {
            Some(is) => Value::Bool(!is),
            None => Value::Null,
        },
        Node::Negative(inner) => match typed(inner, Type::Number, names, row)? {
            Value::Int(number) => number.checked_neg().map_or(Value::Null, Value::Int),
            Value::Float(number) => Value::Float(-number),
            _ => Value::Null,
        },
        Node::Binary(Binary::And, left, right) => match truth(left, names, row)? {
            Some(false) => Value::Bool(false),
            left => match (left, truth(right, names, row)?) {
                (_, Some(false)) => Value::Bool(false),
                (Some(true), Some(true)) => Value::Bool(true),
                _ => Value::Null,
            },
        },
        Node::Binary(Binary::Or, left, right) => match truth(left, names, row)? {
            Some(true) => Value::Bool(true),
            left => match (left, truth(right, names, row)?) {
                (_, Some(true)) => Value::Bool(true),
                (Some(false), Some(false)) => Value::Bool(false),
                _ => Value::Null,
            },
        },
        Node::Binary(with, left, right) => {
            let (one, two) = (eval(left, names, row)?, eval(right, names, row)?);
            match with {
                Binary::Add
                | Binary::Subtract
                | Binary::Multiply
                | Binary::Divide
                | Binary::Remainder => arithmetic(*with, &one, &two)
                    .ok_or_else(|| mismatch(left, &one, right, &two, names))?,
                _ => compared(*with, &one, &two)
                    .ok_or_else(|| mismatch(left, &one, right, &two, names))?,
            }
        }
        Node::In { value, of, negated } => {
            let found = eval(value, names, row)?;
            if found == Value::Null {
                return Ok(Value::Null);
            }
            let is = of.iter().any(|one| found.compare(one) == Some(Ordering::Equal));
            Value::Bool(is != *negated)
        }
        Node::IsNull { value, negated } => {
            Value::Bool((eval(value, names, row)? == Value::Null) != *negated)
        }
        Node::Call(function, arguments) => {
            let mut values = Vec::with_capacity(arguments.len());
            for (place, argument) in arguments.iter().enumerate() {
                values.push(typed(argument, function.argument(place), names, row)?);
            }
            function.call(&values)
        }
    })
}

/// Computes what has to be true or false; none is null.
pub(super) fn truth(
    expr: &Expr,
    names: &[String],
    row: &dyn Columns,
) -> Result<Option<bool>, String> {
    match typed(expr, Type::Bool, names, row)? {
        Value::Bool(is) => Ok(Some(is)),
        _ => Ok(None),
    }
}

fn typed<'a>(
    expr: &'a Expr,
    wanted: Type,
    names: &[String],
    row: &'a dyn Columns,
) -> Result<Value<'a>, String> {
    let value = eval(expr, names, row)?;
    if value == Value::Null || value.kind().fits(wanted) {
        return Ok(value);
    }
    Err(format!("{} is {}, expected {wanted}", named(expr, names), value.what()))
}

fn named(expr: &Expr, names: &[String]) -> String {
    match &expr.node {
        Node::Column(column) => format!("`{}`", names[*column]),
        _ => "a value".to_owned(),
    }
}

fn mismatch(
    left: &Expr,
    one: &Value<'_>,
    right: &Expr,
    two: &Value<'_>,
    names: &[String],
) -> String {
    let (left, right) = (named(left, names), named(right, names));
    format!("{left} is {}, and {right} is {}", one.what(), two.what())
}

/// Compares two values; none where their types differ.
fn compared(with: Binary, one: &Value<'_>, two: &Value<'_>) -> Option<Value<'static>> {
    if *one == Value::Null || *two == Value::Null {
        return Some(Value::Null);
    }
    if !one.kind().fits(two.kind()) {
        return None;
    }
    // A number that is none compares with nothing.
    let order = one.compare(two);
    Some(Value::Bool(match with {
        Binary::Equal => order == Some(Ordering::Equal),
        Binary::Unequal => order != Some(Ordering::Equal),
        Binary::Less => order == Some(Ordering::Less),
        Binary::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Binary::Greater => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }))
}

/// Computes with two numbers; none where one is no number. A division by zero is null.
fn arithmetic(with: Binary, one: &Value<'_>, two: &Value<'_>) -> Option<Value<'static>> {
    if *one == Value::Null || *two == Value::Null {
        return Some(Value::Null);
    }
    if let (Value::Int(one), Value::Int(two)) = (one, two) {
        let whole = match with {
            Binary::Add => one.checked_add(*two),
            Binary::Subtract => one.checked_sub(*two),
            Binary::Multiply => one.checked_mul(*two),
            Binary::Remainder => one.checked_rem(*two),
            _ => None,
        };
        if let Some(whole) = whole {
            return Some(Value::Int(whole));
        }
    }
    let (one, two) = (one.number()?, two.number()?);
    let number = match with {
        Binary::Add => one + two,
        Binary::Subtract => one - two,
        Binary::Multiply => one * two,
        Binary::Remainder => one % two,
        _ => one / two,
    };
    Some(if number.is_finite() { Value::Float(number) } else { Value::Null })
}
