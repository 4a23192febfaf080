//! The administration port: metrics, readiness, log level.
//!
//! Served on the admin thread with hyper, as nothing here is on anybody's request path. It shows and sets what it is given; it knows
//! nothing of traffic. What changes the process is for callers on a loopback address only.

use std::convert::Infallible;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::metrics::Format;
use crate::ready::Readiness;

/// Connections at a time; more wait in the backlog.
const CONNECTIONS: usize = 64;
/// A connection that shows no request for so long is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// More is no log filter.
const BODY_LIMIT: usize = 8 << 10;

/// What is shown and set.
pub(crate) struct Admin {
    pub(crate) readiness: Readiness,
    /// The whole text of /metrics.
    pub(crate) metrics: Box<dyn Fn(Format) -> String + Send + Sync>,
    /// This workload's certificate and what it trusts.
    pub(crate) identity: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// The process's environment.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) log_level: Box<dyn LogLevel>,
    /// Asks the process to stop; `None`: not by this way.
    pub(crate) shutdown: Option<mpsc::Sender<()>>,
}

/// What is logged, changeable while the process runs.
pub(crate) trait LogLevel: Send + Sync {
    /// The directives in force.
    fn current(&self) -> String;
    /// Replaces them; the error says what is wrong with the new ones.
    fn set(&self, directives: &str) -> Result<(), String>;
}

type Answer = Response<Full<Bytes>>;

/// Accepts and serves, for ever.
pub(crate) async fn serve(listener: TcpListener, admin: Arc<Admin>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let admin = admin.clone();
                tokio::spawn(async move {
                    connection(stream, peer.ip(), admin).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, usually: it passes, but not at once.
                tracing::warn!(%error, "the admin port cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, admin: Arc<Admin>) {
    let service = service_fn(move |request| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(answer(request, peer, &admin).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = serving.await {
        tracing::debug!(%peer, %error, "admin connection");
    }
}

async fn answer(request: Request<Incoming>, peer: IpAddr, admin: &Admin) -> Answer {
    let path = request.uri().path().to_string();
    match (path.as_str(), request.method()) {
        ("/live", _) => text(StatusCode::OK, "live\n"),
        ("/ready", _) => ready(&admin.readiness),
        ("/metrics", &Method::GET) => metrics(&*admin.metrics, request.headers()),
        ("/identity.json", &Method::GET) => json((admin.identity)().to_string()),
        ("/env.json", &Method::GET) => environment(&admin.environment, request.uri().query()),
        ("/proxy-log-level" | "/shutdown", _) if !is_loopback(peer) => text(StatusCode::FORBIDDEN, "only from a loopback address\n"),
        ("/proxy-log-level", &Method::GET) => text(StatusCode::OK, format!("{}\n", admin.log_level.current())),
        ("/proxy-log-level", &Method::PUT) => set_log_level(request, &*admin.log_level).await,
        ("/shutdown", &Method::POST) => shutdown(admin.shutdown.as_ref()),
        ("/metrics" | "/env.json" | "/identity.json", _) => not_allowed("GET"),
        ("/proxy-log-level", _) => not_allowed("GET, PUT"),
        ("/shutdown", _) => not_allowed("POST"),
        _ => text(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn ready(readiness: &Readiness) -> Answer {
    match readiness.missing().as_slice() {
        [] => text(StatusCode::OK, "ready\n"),
        missing => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", "))),
    }
}

fn metrics(lines: &dyn Fn(Format) -> String, headers: &HeaderMap) -> Answer {
    let format = Format::accepted(headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()));
    let lines = lines(format);
    let mut answer = if accepts_gzip(headers) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let compressed = encoder.write_all(lines.as_bytes()).and_then(|()| encoder.finish());
        let mut answer = text(StatusCode::OK, compressed.expect("writing to memory does not fail"));
        answer.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().expect("a valid value"));
        answer
    } else {
        text(StatusCode::OK, lines)
    };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    answer.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    answer
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        let refused = parts.any(|q| q.strip_prefix("q=").and_then(|q| q.parse().ok()).is_some_and(|q: f32| q == 0.0));
        named && !refused
    })
}

/// The proxy's own variables alone: the container's others may hold secrets of the application. `?NAME&NAME` picks some.
fn environment(all: &[(String, String)], query: Option<&str>) -> Answer {
    let wanted: Vec<_> = query.unwrap_or_default().split('&').filter(|name| !name.is_empty()).collect();
    let shown = all
        .iter()
        .filter(|(name, _)| name.starts_with("LINKERD2_PROXY_") || name.starts_with("WEFT_"))
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), if is_secret(name) { "redacted" } else { value }.into()))
        .collect::<serde_json::Map<_, _>>();
    json(serde_json::Value::from(shown).to_string())
}

/// By its words: a variable that names a file is none, nor is a keep-alive.
fn is_secret(name: &str) -> bool {
    !name.ends_with("_FILE") && name.split('_').any(|word| matches!(word, "TOKEN" | "KEY" | "SECRET" | "PASSWORD" | "CREDENTIALS"))
}

async fn set_log_level(request: Request<Incoming>, log_level: &dyn LogLevel) -> Answer {
    let body = match Limited::new(request.into_body(), BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return text(StatusCode::BAD_REQUEST, format!("the body could not be read; {BODY_LIMIT} bytes are allowed\n")),
    };
    let set = str::from_utf8(&body).map_err(|_| "not UTF-8".to_string()).and_then(|directives| log_level.set(directives.trim()));
    match set {
        Ok(()) => text(StatusCode::NO_CONTENT, ""),
        Err(why) => text(StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}

fn shutdown(stop: Option<&mpsc::Sender<()>>) -> Answer {
    match stop {
        Some(stop) => {
            // A full queue: it was asked already.
            let _ = stop.try_send(());
            text(StatusCode::OK, "shutdown\n")
        }
        None => text(StatusCode::NOT_FOUND, "LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED is not true\n"),
    }
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    answer.headers_mut().insert(ALLOW, methods.parse().expect("a valid value"));
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, "text/plain; charset=utf-8".parse().expect("a valid value"));
    answer
}

fn json(body: String) -> Answer {
    let mut answer = text(StatusCode::OK, body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An IPv4 client of an IPv6 listener has a mapped address.
fn is_loopback(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Level(Mutex<String>);

    impl LogLevel for Level {
        fn current(&self) -> String {
            self.0.lock().unwrap().clone()
        }

        fn set(&self, directives: &str) -> Result<(), String> {
            if directives == "nonsense" {
                return Err("no such level".into());
            }
            *self.0.lock().unwrap() = directives.into();
            Ok(())
        }
    }

    fn admin(shutdown: Option<mpsc::Sender<()>>) -> (Readiness, Admin) {
        let readiness = Readiness::default();
        let variables = [
            ("LINKERD2_PROXY_CORES", "2"),
            ("LINKERD2_PROXY_IDENTITY_TOKEN_FILE", "/token"),
            ("WEFT_PROXY_JOIN_TOKEN", "hush"),
            ("DATABASE_PASSWORD", "hush"),
        ];
        let admin = Admin {
            readiness: readiness.clone(),
            metrics: Box::new(|format| match format {
                Format::Text => "a_total 1\n".repeat(100),
                Format::OpenMetrics => "# EOF\n".to_owned(),
            }),
            identity: Box::new(|| serde_json::json!({"identity": "web.default"})),
            environment: variables.map(|(name, value)| (name.into(), value.into())).into(),
            log_level: Box::new(Level(Mutex::new("warn".into()))),
            shutdown,
        };
        (readiness, admin)
    }

    /// Head and body of the answer to one request over a real socket.
    async fn ask(port: u16, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (line, rest) = request.split_once('\n').unwrap_or((request, ""));
        let (headers, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
        let headers: String = headers.lines().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nhost: proxy\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("an answer with a head") + 4;
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end..].to_vec())
    }

    async fn start(admin: Admin) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve(listener, Arc::new(admin)));
        port
    }

    /// Requirement: each path answers with the documented status and text.
    #[tokio::test]
    async fn paths_answer() {
        let (stop, mut stopped) = mpsc::channel(1);
        let (readiness, admin) = admin(Some(stop));
        let port = start(admin).await;
        for (request, status, body) in [
            ("GET /live", 200, "live\n"),
            ("GET /ready", 200, "ready\n"),
            ("GET /nothing", 404, "not found\n"),
            ("GET /identity.json", 200, r#"{"identity":"web.default"}"#),
            ("POST /identity.json", 405, "method not allowed\n"),
            ("POST /metrics", 405, "method not allowed\n"),
            ("GET /shutdown", 405, "method not allowed\n"),
            ("GET /proxy-log-level", 200, "warn\n"),
            ("PUT /proxy-log-level\nx-a: b\n\nweft=debug", 204, ""),
            ("GET /proxy-log-level", 200, "weft=debug\n"),
            ("PUT /proxy-log-level\nx-a: b\n\nnonsense", 400, "no such level\n"),
            (
                "GET /env.json",
                200,
                r#"{"LINKERD2_PROXY_CORES":"2","LINKERD2_PROXY_IDENTITY_TOKEN_FILE":"/token","WEFT_PROXY_JOIN_TOKEN":"redacted"}"#,
            ),
            ("GET /env.json?LINKERD2_PROXY_CORES", 200, r#"{"LINKERD2_PROXY_CORES":"2"}"#),
            ("POST /shutdown", 200, "shutdown\n"),
        ] {
            let (head, said) = ask(port, request).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
            assert_eq!(String::from_utf8(said).unwrap(), body, "{request}");
        }
        assert_eq!(stopped.recv().await, Some(()));

        let awaited = readiness.awaits("identity");
        let (head, said) = ask(port, "GET /ready").await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert_eq!(said, b"not ready: identity\n");
        awaited.up();
        assert!(ask(port, "GET /ready").await.0.starts_with("HTTP/1.1 200 "));
    }

    /// Requirement: metrics are compressed for who accepts it, and for nobody else.
    #[tokio::test]
    async fn metrics_are_compressed_on_request() {
        let port = start(admin(None).1).await;
        for (accept, gzip) in [
            ("", false),
            ("\naccept-encoding: gzip\n", true),
            ("\naccept-encoding: br, gzip;q=0.5\n", true),
            ("\naccept-encoding: gzip;q=0\n", false),
        ] {
            let (head, body) = ask(port, &format!("GET /metrics{accept}")).await;
            assert_eq!(head.contains("content-encoding: gzip"), gzip, "{accept}: {head}");
            let mut lines = String::new();
            if gzip {
                flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut lines).unwrap();
            } else {
                lines = String::from_utf8(body).unwrap();
            }
            assert_eq!(lines, "a_total 1\n".repeat(100));
        }
    }

    /// Requirement: a scrape that asks for OpenMetrics gets it, and the answer says which format it is in.
    #[tokio::test]
    async fn metrics_come_in_the_format_asked_for() {
        let port = start(admin(None).1).await;
        for (accept, kind, end) in [
            ("", "text/plain; version=0.0.4", "a_total 1\n"),
            ("\naccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\n", "application/openmetrics-text", "# EOF\n"),
            ("\naccept: text/plain\naccept: application/openmetrics-text;q=0\n", "text/plain", "a_total 1\n"),
        ] {
            let (head, body) = ask(port, &format!("GET /metrics{accept}")).await;
            assert!(head.contains(&format!("content-type: {kind}")), "{accept}: {head}");
            assert!(body.ends_with(end.as_bytes()), "{accept}");
        }
    }

    /// Requirement: the process is stopped over HTTP only where that was switched on.
    #[tokio::test]
    async fn shutdown_is_off_by_default() {
        let port = start(admin(None).1).await;
        assert!(ask(port, "POST /shutdown").await.0.starts_with("HTTP/1.1 404 "));
    }

    /// Requirement: a client of an IPv6 listener that came by IPv4 loopback counts as local; nobody else does.
    #[test]
    fn loopback_is_recognised() {
        for (address, local) in [("127.0.0.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("198.18.0.2", false), ("fd00::2", false)]
        {
            assert_eq!(is_loopback(address.parse().unwrap()), local, "{address}");
        }
    }
}
