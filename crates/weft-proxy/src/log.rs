//! Where log lines go and which are written. The level can be changed while the process runs; what is logged is each module's affair.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::admin::LogLevel;
use crate::settings::LogFormat;

/// The handle on what is logged.
pub(crate) struct Level(reload::Handle<EnvFilter, Registry>);

/// Starts logging to standard error. Errors say what is wrong with the directives.
pub(crate) fn start(directives: &str, format: LogFormat) -> Result<Level, String> {
    let (filter, handle) = reload::Layer::new(parse(directives)?);
    let lines = match format {
        LogFormat::Plain => fmt::layer().with_writer(std::io::stderr).with_ansi(false).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(Level(handle))
}

impl LogLevel for Level {
    fn current(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    fn set(&self, directives: &str) -> Result<(), String> {
        let filter = parse(directives)?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

fn parse(directives: &str) -> Result<EnvFilter, String> {
    // The crate's own target has an underscore; people write the product's name.
    EnvFilter::try_new(directives.replace("weft=", "weft_proxy=")).map_err(|error| error.to_string())
}
