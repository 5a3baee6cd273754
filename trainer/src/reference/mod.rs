//! The slow twins of the layers: the definitions in f64, one scalar at a time.
