#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| face_liveness_gateway::fuzzing::policy(bytes));
