//! The command line as a value. Does nothing with it.

use std::net::SocketAddr;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Serves what the other modes ask for.
    Answer,
    /// HTTP/1 at a constant rate.
    Rate,
    /// HTTP/1, every connection asking again as soon as it was answered.
    Closed,
    /// gRPC messages on streams that stay open.
    Stream,
    /// Opaque bytes, both ways at once.
    Tcp,
    /// Opaque connections, one after the other.
    Connect,
    /// HTTP/1 connections that ask once and stay.
    Idle,
    /// Carries bytes from each way's listener to its target.
    Relay,
}

/// Of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) listen: SocketAddr,
    pub(crate) target: SocketAddr,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) mode: Mode,
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) connections: usize,
    /// On each connection.
    pub(crate) streams: usize,
    /// Messages of one stream that may be unanswered.
    pub(crate) window: usize,
    /// Requests per second over all connections.
    pub(crate) rate: f64,
    pub(crate) time: Duration,
    /// Where `answer` listens; 0 is any port.
    pub(crate) grpc: u16,
    pub(crate) tcp: u16,
    pub(crate) ways: Vec<Way>,
}

impl Arguments {
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let mode = mode(&words.next().ok_or("say a mode")?)?;
        let mut read = Arguments {
            mode,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            path: "/".into(),
            connections: 1,
            streams: 1,
            window: 8,
            rate: 1000.0,
            time: Duration::from_secs(3),
            grpc: 0,
            tcp: 0,
            ways: Vec::new(),
        };
        if !matches!(mode, Mode::Answer | Mode::Relay) {
            read.target(&words.next().ok_or("say an address: IP:PORT or http://IP:PORT/PATH")?)?;
        }
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
            read.option(&name, &value)?;
        }
        if read.connections == 0 || read.streams == 0 || read.window == 0 || read.rate <= 0.0 {
            return Err("connections, streams, window and rate are at least 1".into());
        }
        Ok(read)
    }

    fn target(&mut self, text: &str) -> Result<(), String> {
        let text = text.strip_prefix("http://").unwrap_or(text);
        let (address, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        self.address = number(address, "an address")?;
        if !path.is_empty() {
            self.path = path.into();
        }
        Ok(())
    }

    fn option(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--connections" => self.connections = number(value, name)?,
            "--streams" => self.streams = number(value, name)?,
            "--window" => self.window = number(value, name)?,
            "--rate" => self.rate = number(value, name)?,
            "--seconds" => self.time = Duration::try_from_secs_f64(number(value, name)?).map_err(|error| format!("{name}: {error}"))?,
            "--grpc" => self.grpc = number(value, name)?,
            "--tcp" => self.tcp = number(value, name)?,
            "--way" => self.ways.push(way(value)?),
            _ => return Err(format!("there is no option {name}")),
        }
        Ok(())
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    Ok(match text {
        "answer" => Mode::Answer,
        "rate" => Mode::Rate,
        "closed" => Mode::Closed,
        "stream" => Mode::Stream,
        "tcp" => Mode::Tcp,
        "connect" => Mode::Connect,
        "idle" => Mode::Idle,
        "relay" => Mode::Relay,
        _ => return Err(format!("there is no mode {text}; there are answer, rate, closed, stream, tcp, connect, idle and relay")),
    })
}

fn way(text: &str) -> Result<Way, String> {
    let (listen, target) = text.split_once('=').ok_or("--way: say LISTEN=TARGET, both IP:PORT")?;
    Ok(Way { listen: number(listen, "--way")?, target: number(target, "--way")? })
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{what}: {text} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split(' ').map(String::from))
    }

    /// Requirement: address, path and options are taken from where the bench writes them.
    #[test]
    fn a_line_is_read() {
        let read = parse("rate http://198.18.0.9:8080/a/b --connections 16 --rate 500 --seconds 1.5").unwrap();
        assert_eq!((read.mode, read.address, read.path.as_str()), (Mode::Rate, "198.18.0.9:8080".parse().unwrap(), "/a/b"));
        assert_eq!((read.connections, read.rate, read.time), (16, 500.0, Duration::from_millis(1500)));
        assert_eq!(parse("tcp 127.0.0.1:1").unwrap().path, "/");
        assert_eq!(parse("answer --grpc 8082 --tcp 8083").unwrap().tcp, 8083);
        let ways = parse("relay --way 127.0.0.1:1=127.0.0.1:2 --way 0.0.0.0:3=198.18.0.9:4").unwrap().ways;
        assert_eq!(ways[1], Way { listen: "0.0.0.0:3".parse().unwrap(), target: "198.18.0.9:4".parse().unwrap() });
    }

    /// Requirement: what cannot be meant is refused with its name.
    #[test]
    fn a_bad_line_is_refused() {
        for (line, named) in [
            ("shout 127.0.0.1:1", "shout"),
            ("rate localhost:1", "localhost"),
            ("rate 127.0.0.1:1 --rates 3", "--rates"),
            ("rate 127.0.0.1:1 --rate", "--rate"),
            ("rate 127.0.0.1:1 --rate 0", "rate"),
            ("rate 127.0.0.1:1 --seconds -1", "--seconds"),
            ("rate", "address"),
            ("relay --way 127.0.0.1:1", "--way"),
            ("relay --way 127.0.0.1:1=localhost:2", "localhost"),
        ] {
            assert!(parse(line).unwrap_err().contains(named), "{line}");
        }
    }
}
