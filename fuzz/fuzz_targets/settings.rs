#![no_main]

// Only the parser is used here. The proxy is no library, so its files are read where they are.
#[allow(dead_code, unused_imports, reason = "each target needs its own part of it")]
#[path = "../../crates/weft-proxy/src"]
mod proxy {
    pub(crate) mod settings;
}

#[allow(dead_code, reason = "each target needs its own part of it")]
#[path = "../../crates/weft-proxy/src/control"]
mod control {
    pub(crate) mod place;
}

/// Stands for the proxy's type, which comes with all of HTTP/2.
#[allow(dead_code, reason = "each target needs its own part of it")]
mod http {
    pub(crate) mod h2 {
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Windows {
            pub(crate) stream: u32,
            pub(crate) connection: u32,
        }
    }
}

#[path = "../checks/settings.rs"]
mod checks;

use proxy::settings::{DEFINITIONS, Settings};

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::any(data));
