//! Object stores behind blocking calls: S3, Google Cloud Storage, Azure, and files of web servers.
//!
//! - [`Address`] is what users write: `s3://BUCKET/KEY`.
//! - [`Object`] is what is there; [`list`], [`put()`], [`upload()`] and [`remove`] do what their names say.
//! - [`Blocks`] reads an object at any place, and fetches ahead.
//!
//! What an object is, is its size and its entity tag. Every answer is compared with what was seen first, so that
//! bytes of two contents are never mixed.
//!
//! The runtime is in `runtime.rs` alone, and the HTTP client, which is the hub's, in `http.rs`.

mod address;
mod blocks;
mod error;
mod http;
mod object;
mod runtime;
mod store;
mod upload;

pub use address::{Address, AddressError, Scheme};
pub use blocks::{BlockReader, Blocks};
pub use error::ObjectError;
pub use object::{Object, State, list, put, remove};
pub use runtime::{Pending, stop_on};
pub use upload::upload;
