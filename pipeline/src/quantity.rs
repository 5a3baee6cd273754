//! Numbers and sizes as people read them, as the trainer writes them.

pub(crate) use ratdata_console::{grouped, sized, sized_f};
