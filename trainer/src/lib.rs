//! The Burn trainer.

pub mod device;
pub mod model;
pub mod optim;
pub mod reference;
pub mod scan;
