//! Whole-walk tests.
