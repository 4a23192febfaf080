#![no_main]

// Only the parser is used here.
#[allow(dead_code)]
#[path = "../../crates/weft-proxy/src/settings.rs"]
mod settings;

#[path = "../checks/settings.rs"]
mod checks;

mod control {
    // Only its type is used here.
    #[allow(dead_code)]
    #[path = "../../../crates/weft-proxy/src/control/place.rs"]
    pub(crate) mod place;
}

use settings::{DEFINITIONS, Settings};

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::any(data));
