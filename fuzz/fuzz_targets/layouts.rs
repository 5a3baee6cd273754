//! `cargo fuzz run layouts --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratdata_fuzz::layouts(bytes));
