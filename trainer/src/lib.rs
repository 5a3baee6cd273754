//! The Burn trainer.

pub mod data;
pub mod device;
pub mod experiment;
pub mod model;
pub mod optim;
pub mod reference;
pub mod scan;
pub mod train;
