//! The Burn trainer.
