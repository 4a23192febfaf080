#![no_main]

// Each target uses one of the checks.
#[allow(dead_code, reason = "each target needs its own part of it")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::http1_request(data));
