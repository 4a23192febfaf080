//! Where log lines go and which are written. The level can be changed while the process runs; what is logged is each module's affair.

use std::sync::{Mutex, PoisonError};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::admin::LogLevel;
use crate::settings::LogFormat;

/// The handle on what is logged.
pub(crate) struct Level {
    filter: reload::Handle<EnvFilter, Registry>,
    /// As they were written.
    directives: Mutex<String>,
}

/// Starts logging to standard error. Errors say what is wrong with the directives.
pub(crate) fn start(directives: &str, format: LogFormat) -> Result<Level, String> {
    let (layer, filter) = reload::Layer::new(parse(directives)?);
    let lines = match format {
        LogFormat::Plain => fmt::layer().with_writer(std::io::stderr).with_ansi(false).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(layer).with(lines).init();
    Ok(Level { filter, directives: Mutex::new(directives.to_owned()) })
}

impl LogLevel for Level {
    fn current(&self) -> String {
        self.directives.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, directives: &str) -> Result<(), String> {
        let filter = parse(directives)?;
        let mut current = self.directives.lock().unwrap_or_else(PoisonError::into_inner);
        self.filter.reload(filter).map_err(|error| error.to_string())?;
        directives.clone_into(&mut current);
        Ok(())
    }
}

fn parse(directives: &str) -> Result<EnvFilter, String> {
    let given: Vec<_> = directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    if given.is_empty() {
        return Err("no directives: give a level such as info, or a list of target=level such as warn,weft=info".to_owned());
    }
    let full: Vec<_> = given.iter().map(|directive| full(directive)).collect();
    EnvFilter::try_new(full.join(",")).map_err(|error| format!("{directives:?} is no list of target=level directives: {error}"))
}

/// People write the product's name, which stands for the modules of the program and for its exchanges alike.
fn full(directive: &str) -> String {
    match directive.strip_prefix("weft=") {
        Some(level) => format!("weft={level},weft_proxy={level}"),
        None => directive.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: the product's name stands for everything that it logs, exchanges included; what is no directive is explained.
    #[test]
    fn directives_are_read() {
        assert_eq!(parse("warn,weft=debug").unwrap().to_string(), "weft_proxy=debug,weft=debug,warn");
        assert_eq!(parse("weft::exchange=debug").unwrap().to_string(), "weft::exchange=debug");
        for wrong in ["", " , ", "weft=loud", "=debug=", "a=b=c"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
