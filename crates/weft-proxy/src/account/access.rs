//! The access log: one line on standard error for each inbound request, in Apache's common format or as JSON with Linkerd's keys.
//!
//! What a line says of the request is taken at its head, and only when the log is on. Lines wait in a bounded queue for a thread that
//! writes them: when nobody reads standard error, lines are lost and counted, and no request waits. What a client sends cannot end a line
//! or a field, nor be longer than [`FIELD`].

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri, Version};
use weft_core::identity::Client;

use super::{Arrival, families};
use crate::http::orig_proto;
use crate::metrics::{Counter, Labels, Shard};
use crate::settings::AccessLog as Format;

/// Lines that wait to be written.
const WAITING: usize = 4096;
/// Bytes of one field that a client sent.
const FIELD: usize = 2048;
/// Bytes written at once.
const BATCH: usize = 64 << 10;

/// Starts the thread that writes. It ends when the last sender is gone and everything is written.
pub(crate) fn start() -> std::io::Result<(SyncSender<String>, JoinHandle<()>)> {
    let (lines, queue) = sync_channel(WAITING);
    let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write(&queue))?;
    Ok((lines, thread))
}

fn write(queue: &Receiver<String>) {
    while let Ok(mut batch) = queue.recv() {
        while batch.len() < BATCH
            && let Ok(line) = queue.try_recv()
        {
            batch.push_str(&line);
        }
        // There is nowhere to say that standard error is closed.
        let _ = std::io::stderr().lock().write_all(batch.as_bytes());
    }
}

/// One worker's end of the log.
pub(crate) struct AccessLog {
    format: Format,
    lines: SyncSender<String>,
    lost: Counter,
    wall: fn() -> SystemTime,
}

/// What a line says of a request, taken at its head.
pub(super) struct Seen {
    at: SystemTime,
    version: Version,
    host: String,
    user_agent: String,
    trace_id: String,
    /// The status of an answer that this proxy gave itself.
    pub(super) answered: Option<u16>,
}

/// The rest of a line.
pub(super) struct Exchange<'a> {
    pub(super) from: &'a Arrival,
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) status: Option<u16>,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) total: Duration,
}

impl AccessLog {
    pub(crate) fn new(format: Format, lines: SyncSender<String>, shard: &Shard, wall: fn() -> SystemTime) -> Self {
        AccessLog { format, lines, lost: shard.counter(&families::ACCESS_LOG_LOST, &Labels::default()), wall }
    }

    pub(super) fn see(&self, from: &Arrival, request: &Request<()>) -> Box<Seen> {
        let headers = request.headers();
        let host = field(headers, HOST.as_str());
        Box::new(Seen {
            at: (self.wall)(),
            version: spoken(from, request),
            host: if host.is_empty() { cut(request.uri().authority().map_or("", |authority| authority.as_str())) } else { host },
            user_agent: field(headers, USER_AGENT.as_str()),
            trace_id: trace_id(headers),
            answered: None,
        })
    }

    pub(super) fn write(&self, seen: &Seen, exchange: &Exchange<'_>) {
        let line = match self.format {
            Format::Apache => apache(seen, exchange),
            Format::Json => json(seen, exchange),
        };
        if self.lines.try_send(line).is_err() {
            self.lost.add(1);
        }
    }
}

/// The version that the client spoke, which its proxy may have carried over another.
fn spoken(from: &Arrival, request: &Request<()>) -> Version {
    match request.headers().get(orig_proto::HEADER) {
        Some(carried) if from.client != Client::Plaintext && carried.as_bytes().starts_with(b"HTTP/1.0") => Version::HTTP_10,
        Some(_) if from.client != Client::Plaintext => Version::HTTP_11,
        _ => request.version(),
    }
}

/// The first of the usual headers that is there; of `traceparent` the part that names the trace.
fn trace_id(headers: &HeaderMap) -> String {
    for name in ["x-b3-traceid", "x-request-id", "x-amzn-trace-id"] {
        let id = field(headers, name);
        if !id.is_empty() {
            return id;
        }
    }
    field(headers, "traceparent").split('-').nth(1).unwrap_or_default().to_owned()
}

fn field(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| cut(&String::from_utf8_lossy(value.as_bytes()))).unwrap_or_default()
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(FIELD)].to_owned()
}

/// As the client asked for it, without the host, which stands by itself.
fn target(uri: &Uri) -> String {
    match uri.path_and_query() {
        Some(path) => cut(path.as_str()),
        None => cut(&uri.to_string()),
    }
}

/// `client identity - [time] "request" status bytes`.
fn apache(seen: &Seen, exchange: &Exchange<'_>) -> String {
    let mut line = String::with_capacity(256);
    let Exchange { from, method, uri, status, response_bytes, .. } = exchange;
    // Writing to a string does not fail.
    let _ = write!(line, "{} {} - [{}] \"", from.remote, identity(&from.client).unwrap_or("-"), Civil::of(seen.at).common());
    escape(&mut line, method.as_str());
    line.push(' ');
    escape(&mut line, &target(uri));
    let _ = write!(line, " {:?}\" ", seen.version);
    match status {
        Some(status) => line.push_str(&status.to_string()),
        None => line.push('-'),
    }
    let _ = writeln!(line, " {response_bytes}");
    line
}

fn json(seen: &Seen, exchange: &Exchange<'_>) -> String {
    let Exchange { from, method, uri, status, request_bytes, response_bytes, total } = exchange;
    let mut line = String::with_capacity(512);
    let mut text = |name: &str, value: &str| {
        let comma = if line.is_empty() { '{' } else { ',' };
        let _ = write!(line, "{comma}\"{name}\":{}", serde_json::Value::from(value));
    };
    text("client.addr", &from.remote.to_string());
    text("client.id", identity(&from.client).unwrap_or("-"));
    text("timestamp", &Civil::of(seen.at).iso());
    text("method", method.as_str());
    text("uri", &target(uri));
    text("version", &format!("{:?}", seen.version));
    text("trace_id", &seen.trace_id);
    text("user_agent", &seen.user_agent);
    text("host", &seen.host);
    let status = status.map_or_else(|| "null".to_owned(), |status| status.to_string());
    let nanos = total.as_nanos();
    let _ =
        writeln!(line, ",\"status\":{status},\"request_bytes\":{request_bytes},\"response_bytes\":{response_bytes},\"total_ns\":{nanos}}}");
    line
}

fn identity(client: &Client) -> Option<&str> {
    match client {
        Client::Identified(identity) => Some(identity.as_str()),
        Client::TlsAnonymous | Client::Plaintext => None,
    }
}

/// As Apache does: quotes and backslashes with a backslash, all but printable ASCII as `\xhh`.
fn escape(line: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => line.extend(['\\', byte.into()]),
            b' '..=b'~' => line.push(byte.into()),
            _ => line.push_str(&format!("\\x{byte:02x}")),
        }
    }
}

/// A time of day in UTC.
struct Civil {
    year: i64,
    month: usize,
    day: u64,
    second: u64,
    nanos: u32,
}

impl Civil {
    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        // Years are counted from March, so that the leap day is the last of its year; 400 of them have 146,097 days.
        let day = since.as_secs() / 86_400 + 719_468;
        let (era, day) = (day / 146_097, day % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let from_march = (5 * day + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Civil {
            year: (era * 400 + year + u64::from(month <= 2)) as i64,
            month: month as usize,
            day: day - (153 * from_march + 2) / 5 + 1,
            second: since.as_secs() % 86_400,
            nanos: since.subsec_nanos(),
        }
    }

    fn clock(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.second / 3600, self.second / 60 % 60, self.second % 60)
    }

    fn iso(&self) -> String {
        format!("{}-{:02}-{:02}T{}.{:09}Z", self.year, self.month, self.day, self.clock(), self.nanos)
    }

    fn common(&self) -> String {
        format!("{:02}/{}/{}:{} +0000", self.day, MONTHS[self.month - 1], self.year, self.clock())
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::Registry;

    fn line(format: Format, path: &str, agent: &str) -> String {
        let (lines, written) = sync_channel(1);
        let log =
            AccessLog::new(format, lines, &Registry::new(Duration::from_secs(1)).shard(), || UNIX_EPOCH + Duration::new(951_827_696, 7));
        let from = Arrival {
            remote: "10.0.0.9:555".parse().unwrap(),
            target: "10.0.0.1:8080".parse().unwrap(),
            client: Client::Identified(weft_core::identity::Identity::parse("web.default").unwrap()),
        };
        let mut request = Request::get("/").header("host", "shop").header("traceparent", "00-4bf92f-00f067-01").body(()).unwrap();
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().insert(USER_AGENT, agent.as_bytes().try_into().unwrap());
        let seen = log.see(&from, &request);
        let (method, uri) = (request.method(), request.uri());
        let total = Duration::from_micros(3);
        log.write(&seen, &Exchange { from: &from, method, uri, status: Some(200), request_bytes: 1, response_bytes: 12, total });
        written.try_recv().unwrap()
    }

    /// Requirement: a line of each format has every field where the format has it.
    #[test]
    fn lines_have_every_field() {
        assert_eq!(
            line(Format::Apache, "/a?b=c", "me"),
            "10.0.0.9:555 web.default - [29/Feb/2000:12:34:56 +0000] \"GET /a?b=c HTTP/1.1\" 200 12\n"
        );
        let said: serde_json::Value = serde_json::from_str(&line(Format::Json, "/a?b=c", "me \"too\"")).unwrap();
        assert_eq!(
            said,
            serde_json::json!({
                "client.addr": "10.0.0.9:555", "client.id": "web.default", "timestamp": "2000-02-29T12:34:56.000000007Z", "method": "GET",
                "uri": "/a?b=c", "version": "HTTP/1.1", "trace_id": "4bf92f", "user_agent": "me \"too\"", "host": "shop", "status": 200,
                "request_bytes": 1, "response_bytes": 12, "total_ns": 3000
            })
        );
    }

    /// Requirement: a full queue loses the line, and counts it; the request does not wait.
    #[test]
    fn a_full_queue_loses_lines() {
        let registry = Registry::new(Duration::from_secs(1));
        let (lines, written) = sync_channel(1);
        lines.send(String::new()).unwrap();
        let log = AccessLog::new(Format::Json, lines, &registry.shard(), || UNIX_EPOCH);
        let from = Arrival { remote: "[::1]:1".parse().unwrap(), target: "[::1]:2".parse().unwrap(), client: Client::Plaintext };
        let request = Request::get("/").body(()).unwrap();
        let (method, uri, total) = (request.method(), request.uri(), Duration::ZERO);
        let exchange = Exchange { from: &from, method, uri, status: None, request_bytes: 0, response_bytes: 0, total };
        log.write(&log.see(&from, &request), &exchange);
        assert_eq!(written.try_iter().count(), 1);
        let text = registry.render(crate::metrics::Format::Text, crate::clock::now());
        assert!(text.contains("weft_access_log_lost_total 1\n"), "{text}");
    }

    proptest! {
        /// Requirement: whatever a client sends in path and headers, a request is one line, and a JSON line is one object.
        #[test]
        fn a_request_is_one_line(path in "/[!-~]{0,80}", agent in "[ -~\u{80}-\u{ffff}]{0,80}") {
            prop_assume!(path.parse::<Uri>().is_ok());
            for format in [Format::Apache, Format::Json] {
                let line = line(format, &path, &agent);
                prop_assert_eq!(line.matches(['\n', '\r', '\u{1b}']).count(), 1);
                prop_assert!(line.ends_with('\n'));
                if format == Format::Json {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(&line).unwrap().is_object());
                }
            }
        }

        /// Requirement: a field that a client sent is cut, not carried whole.
        #[test]
        fn fields_are_cut(length in FIELD..FIELD * 4) {
            let long = "é".repeat(length);
            prop_assert!(line(Format::Json, "/", &long).len() < FIELD + 600);
        }
    }
}
