#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rekognition_emulator::fuzzing::http(bytes));
