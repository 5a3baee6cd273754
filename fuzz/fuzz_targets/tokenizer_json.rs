//! `cargo fuzz run tokenizer_json --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratdata_fuzz::tokenizer_json(bytes));
