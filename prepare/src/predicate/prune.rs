//! Whether a group of rows can have one for which a predicate is true, by the ranges of its columns.

use super::parse::{Binary, Expr, Node};
use super::value::Value;
use std::cmp::Ordering;

/// What is known of a column in a group of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnRange {
    /// The least value and the largest, or bounds of them; none where that is not known.
    pub ends: Option<(Value<'static>, Value<'static>)>,
    /// Whether every value is null.
    pub all_null: bool,
}

/// Returns whether a predicate could be true for a row of the group; where nothing is known, it
/// could.
pub(super) fn may_hold(expr: &Expr, ranges: &[ColumnRange]) -> bool {
    match &expr.node {
        Node::Literal(Value::Bool(false) | Value::Null) => false,
        Node::Binary(Binary::And, left, right) => may_hold(left, ranges) && may_hold(right, ranges),
        Node::Binary(Binary::Or, left, right) => may_hold(left, ranges) || may_hold(right, ranges),
        Node::Binary(with, left, right) => match (&left.node, &right.node) {
            (Node::Column(column), Node::Literal(value)) => {
                compares(*with, &ranges[*column], value)
            }
            (Node::Literal(value), Node::Column(column)) => {
                compares(turned(*with), &ranges[*column], value)
            }
            _ => true,
        },
        Node::In { value, of, negated: false } => match &value.node {
            Node::Column(column) => {
                of.iter().any(|one| compares(Binary::Equal, &ranges[*column], one))
            }
            _ => true,
        },
        _ => true,
    }
}

/// Returns the comparison with its sides exchanged.
fn turned(with: Binary) -> Binary {
    match with {
        Binary::Less => Binary::Greater,
        Binary::AtMost => Binary::AtLeast,
        Binary::Greater => Binary::Less,
        Binary::AtLeast => Binary::AtMost,
        same => same,
    }
}

/// Returns whether some value of a column could compare so with a value.
fn compares(with: Binary, range: &ColumnRange, value: &Value<'_>) -> bool {
    if range.all_null || *value == Value::Null {
        // Nothing compares with null.
        return false;
    }
    let Some((least, most)) = &range.ends else { return true };
    let (Some(least), Some(most)) = (least.compare(value), most.compare(value)) else {
        return true;
    };
    match with {
        Binary::Equal => least != Ordering::Greater && most != Ordering::Less,
        Binary::Less => least == Ordering::Less,
        Binary::AtMost => least != Ordering::Greater,
        Binary::Greater => most == Ordering::Greater,
        Binary::AtLeast => most != Ordering::Less,
        _ => true,
    }
}
