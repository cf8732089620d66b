#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| edgepool_fuzz::entry(bytes));
