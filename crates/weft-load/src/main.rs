//! `weft-load MODE ADDRESS [--OPTION VALUE]...`: the bench's load generator. Reads the command line, runs one mode on one thread and
//! prints one JSON object, or ends with 1 and says why.

mod answer;
mod arguments;
mod clock;
mod closed;
mod connect;
mod descriptors;
mod grpc;
mod http1;
mod idle;
mod latency;
mod pace;
mod rate;
mod relay;
mod stream;
mod tcp;

use std::process::ExitCode;

use serde_json::Value;
use tokio::task::LocalSet;

use crate::arguments::{Arguments, Mode};

/// Why a mode could not do its work, for people.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("weft-load: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Value, Failure> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, ask(arguments))
}

async fn ask(arguments: Arguments) -> Result<Value, Failure> {
    match arguments.mode {
        Mode::Answer => answer::run(arguments.grpc, arguments.tcp).await,
        Mode::Rate => rate::run(&arguments).await,
        Mode::Closed => closed::run(&arguments).await,
        Mode::Stream => stream::run(&arguments).await,
        Mode::Tcp => tcp::run(&arguments).await,
        Mode::Connect => connect::run(&arguments).await,
        Mode::Idle => idle::run(&arguments).await,
        Mode::Relay => relay::run(&arguments.ways).await,
    }
}
