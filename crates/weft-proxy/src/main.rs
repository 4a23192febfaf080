//! The Weft data plane: one process beside every workload.
//!
//! Reads its settings, sets up logging, and runs. A wrong setting is named and nothing starts.
#![deny(unsafe_code)]

mod accept;
mod account;
mod admin;
mod app;
mod balance;
mod bell;
mod cache;
mod clock;
mod connect;
mod control;
mod detect;
mod discover;
mod drain;
mod r#gen;
mod http;
#[cfg(test)]
mod icount;
mod identity;
mod inbound;
mod io;
mod limit;
mod live;
mod log;
mod metrics;
mod outbound;
mod process;
mod ready;
mod reference;
mod relay;
mod residence;
mod send;
mod settings;
mod socket;
mod tls;
mod transport;
mod worker;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    if std::env::args().any(|arg| arg == "--version" || arg == "-V") {
        println!("weft-proxy {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    if std::env::args().any(|arg| arg == "--settings") {
        print!("{}", settings::page());
        return ExitCode::SUCCESS;
    }
    if std::env::args().any(|arg| arg == "--metrics") {
        print!("{}", reference::page());
        return ExitCode::SUCCESS;
    }
    let mut settings = match settings::Settings::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())) {
        Ok(settings) => settings,
        Err(problems) => {
            for problem in problems {
                eprintln!("weft-proxy: {problem}");
            }
            return ExitCode::from(64);
        }
    };
    let level = match log::start(&settings.log, settings.log_format) {
        Ok(level) => level,
        Err(why) => {
            eprintln!("weft-proxy: LINKERD2_PROXY_LOG: {why}");
            return ExitCode::from(64);
        }
    };
    settings.settle_cores(std::thread::available_parallelism().map_or(1, usize::from));
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment: Vec<_> = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    for warning in settings::warnings(environment.iter().map(|(name, _)| name.as_str())) {
        tracing::warn!("{warning}");
    }
    match app::run(settings, environment, Box::new(level)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            eprintln!("weft-proxy: {why}");
            ExitCode::FAILURE
        }
    }
}
