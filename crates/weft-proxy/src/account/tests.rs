use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use weft_core::model::{Authentication, Authorization, InboundPolicy, InboundProtocol, Network, Resource, ServerIdentity};
use weft_core::outcome::{Blame, Cause, Retry, Stage};
use weft_core::policy;
use weft_core::retry::Stop;

use super::*;
use crate::metrics::{Format, SERIES_LIMIT};

/// An account book with a clock that stands still until it is told.
struct Book {
    registry: Registry,
    accounts: Rc<Accounts>,
    now: Rc<Cell<Instant>>,
}

impl Book {
    #[expect(clippy::disallowed_methods, reason = "a clock has to begin somewhere")]
    fn new() -> Self {
        let (registry, now) = (Registry::new(Duration::from_secs(600)), Rc::new(Cell::new(Instant::now())));
        let clock = now.clone();
        Book { accounts: Rc::new(Accounts::new(&registry, move || clock.get())), registry, now }
    }

    fn pass(&self, millis: u64) {
        self.now.set(self.now.get() + Duration::from_millis(millis));
    }

    /// The value of the one series of `name` that has all of `labels`.
    #[track_caller]
    fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.registry.render(Format::Text, self.now.get());
        let fits = |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label));
        let lines: Vec<_> = text.lines().filter(fits).collect();
        assert!(lines.len() < 2, "{lines:#?}");
        lines.first().map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }
}

fn policy(authorizations: Vec<Arc<Authorization>>) -> InboundPolicy {
    InboundPolicy { protocol: InboundProtocol::Opaque, server: Meta::default_named("all-unauthenticated"), authorizations }
}

fn open() -> InboundPolicy {
    let networks = vec![Network { net: "0.0.0.0/0".parse().unwrap(), except: vec![] }];
    let meta = Meta::default_named("everybody");
    policy(vec![Arc::new(Authorization { meta, networks, authentication: Authentication::Unauthenticated })])
}

fn arrival(client: Client) -> Arrival {
    Arrival { remote: "10.0.0.9:555".parse().unwrap(), target: "10.0.0.1:8080".parse().unwrap(), client }
}

fn refusal() -> Refusal {
    Refusal::new(Stage::Connect, Blame::Server, Retry::Safe, Cause::ConnectFailed, "connection refused")
}

fn endpoint() -> Arc<Endpoint> {
    let identity = Identity::parse("voting.default").unwrap();
    let labels = Arc::new([("pod".to_owned(), "voting-0".to_owned())].into());
    let identity = Some(ServerIdentity { identity, server_name: "voting.default".into() });
    Arc::new(Endpoint { identity, labels, ..Endpoint::unmeshed("10.0.0.2:80".parse().unwrap()) })
}

/// Requirement: an inbound exchange counts once in each of its metrics, latency up to the first byte, and says who came.
#[test]
fn an_inbound_exchange_counts_once() {
    let (book, port) = (Book::new(), open());
    let from = arrival(Client::Identified(Identity::parse("web.default").unwrap()));
    for _ in 0..2 {
        let request = Request::get("/x").body(()).unwrap();
        let mut record = book.accounts.inbound(&from, &request);
        record.permitted(&policy::http(&port, &from.client, from.remote.ip(), &request).unwrap());
        record.responded(200);
        book.pass(7);
        record.response_data(10);
        book.pass(600);
        record.ended(200, None);
    }
    let who =
        ["direction=\"inbound\"", "tls=\"true\",client_id=\"web.default\"", "target_addr=\"10.0.0.1:8080\"", "authz_name=\"everybody\""];
    assert_eq!(book.value("request_total", &who), 2.0);
    assert_eq!(book.value("inbound_http_authz_allow_total", &who), 2.0);
    let well = ["status_code=\"200\"", "classification=\"success\"", "srv_kind=\"default\",srv_name=\"all-unauthenticated\""];
    assert_eq!(book.value("response_total", &well), 2.0);
    assert_eq!(book.value("response_latency_ms_sum", &who), 14.0);
    assert_eq!(book.value("response_latency_ms_bucket", &["le=\"10\""]), 2.0);
    assert_eq!(book.value("inbound_http_statuses_total", &["parent_name=\"all-unauthenticated\"", "http_status=\"200\""]), 2.0);
    assert_eq!(book.value("inbound_http_requests_total", &[]), 2.0);
    assert_eq!(book.value("inbound_http_request_duration_seconds_bucket", &["le=\"1\""]), 2.0);
}

/// Requirement: a denied request is counted as denied, under the rule that denied it, and not as a request passed on.
#[test]
fn a_denied_request_is_counted_as_denied() {
    let (book, port, from) = (Book::new(), policy(vec![]), arrival(Client::Plaintext));
    let request = Request::get("/").body(()).unwrap();
    let denied = policy::http(&port, &from.client, from.remote.ip(), &request).unwrap_err();
    book.accounts.inbound(&from, &request).denied(&denied);
    assert_eq!(book.value("inbound_http_authz_deny_total", &["no_tls_reason=\"no_tls_from_remote\"", "srv_name=\"all-un"]), 1.0);
    assert_eq!(book.value("inbound_http_errors_total", &["error=\"unauthorized\"", "target_port=\"8080\""]), 1.0);
    assert_eq!(book.value("request_total", &[]) + book.value("response_total", &[]), 0.0);
}

/// Requirement: a refusal is counted under its cause, stage, blame and whether a retry is safe, for requests and for connections alike.
#[test]
fn a_refusal_is_counted_in_the_words_of_its_log_line() {
    let (book, request) = (Book::new(), Request::get("/").body(()).unwrap());
    let target = "10.1.0.1:80".parse().unwrap();
    book.accounts.outbound(target, "voting", &request).refused(&refusal());
    book.accounts.stream_refused(Direction::Outbound, "10.0.0.9:555".parse().unwrap(), target, &refusal());
    let words = ["error=\"connect_failed\",stage=\"connect\",blame=\"server\",retry=\"safe\"", "target_port=\"80\""];
    assert_eq!(book.value("outbound_http_errors_total", &words), 1.0);
    assert_eq!(book.value("outbound_tcp_errors_total", &words), 1.0);
}

/// Requirement: each attempt counts at its endpoint, the request once at its route; gRPC ends by its code, not by 200.
#[test]
fn attempts_count_at_endpoints_and_requests_at_routes() {
    let (book, endpoint) = (Book::new(), endpoint());
    let meta = |kind: &str, name: &str| {
        Meta::Resource(Arc::new(Resource {
            kind: kind.into(),
            name: name.into(),
            namespace: "default".into(),
            port: 80,
            ..Default::default()
        }))
    };
    let (parent, route) = (meta("Service", "voting"), meta("GRPCRoute", "vote"));
    let request = Request::post("/p.S/Vote").header(CONTENT_TYPE, "application/grpc+proto").body(()).unwrap();
    let mut record = book.accounts.outbound("10.1.0.1:80".parse().unwrap(), "voting:80", &request);
    record.routed(&parent, Some(&route), RouteKind::Grpc);
    record.sent(&endpoint);
    record.attempt_failed(&refusal());
    record.sent(&endpoint);
    record.ended(200, Some(13));
    drop(record);
    let to = ["direction=\"outbound\",authority=\"voting:80\"", "server_id=\"voting.default\"", "dst_pod=\"voting-0\""];
    assert_eq!(book.value("request_total", &to), 2.0);
    assert_eq!(book.value("response_total", &["classification=\"failure\"", "error=\"connect_failed\""]), 1.0);
    assert_eq!(book.value("response_total", &["status_code=\"200\",classification=\"failure\",grpc_status=\"13\""]), 1.0);
    let route = ["parent_kind=\"Service\",parent_namespace=\"default\",parent_name=\"voting\",parent_port=\"80\"", "route_name=\"vote\""];
    assert_eq!(book.value("outbound_grpc_route_request_statuses_total", &[&route[..], &["grpc_status=\"13\""]].concat()), 1.0);
    assert_eq!(book.value("outbound_grpc_route_request_duration_seconds_count", &route), 1.0);
}

/// Requirement: retries that a policy asked for count at their route, each once, and a success after one as such.
#[test]
fn retries_count_at_their_route() {
    let (book, endpoint, request) = (Book::new(), endpoint(), Request::get("/").body(()).unwrap());
    let parent = Meta::default_named("parent");
    for succeeds in [true, true, false] {
        let mut record = book.accounts.outbound("10.1.0.1:80".parse().unwrap(), "voting:80", &request);
        record.routed(&parent, None, RouteKind::Http);
        for _ in 0..2 {
            record.sent(&endpoint);
            record.attempt_answered(503, None);
            record.retried();
        }
        record.sent(&endpoint);
        if !succeeds {
            record.gave_up(Stop::Spent);
        }
        record.ended(if succeeds { 200 } else { 503 }, None);
    }
    let count = |name: &str| book.value(&format!("outbound_http_route_retry_{name}_total"), &["parent_name=\"parent\""]);
    assert_eq!(["requests", "successes", "limit_exceeded", "overflow"].map(count), [6.0, 2.0, 1.0, 0.0]);
    assert_eq!(book.value("response_total", &["status_code=\"503\""]), 7.0);
}

/// Requirement: an exchange that nobody ended is counted too, when its record goes.
#[test]
fn a_record_that_is_only_dropped_counts() {
    let (book, request) = (Book::new(), Request::get("/").body(()).unwrap());
    let open = || {
        let mut record = book.accounts.outbound("10.1.0.1:80".parse().unwrap(), "voting", &request);
        record.sent(&endpoint());
        record
    };
    drop(open());
    assert_eq!(book.value("response_total", &["classification=\"failure\",error=\"client_gone\""]), 1.0);
    open().responded(200);
    assert_eq!(book.value("response_total", &["status_code=\"200\",classification=\"success\",error=\"client_gone\""]), 1.0);
}

/// Requirement: connections count their bytes, and an open one is open until it is dropped.
#[test]
fn connections_count_until_they_are_dropped() {
    let book = Book::new();
    let connection = book.accounts.connected(Direction::Outbound, &endpoint());
    connection.read(3);
    connection.wrote(4);
    let to = ["direction=\"outbound\",peer=\"dst\",target_addr=\"10.0.0.2:80\"", "server_id=\"voting.default\",dst_pod=\"voting-0\""];
    assert_eq!(book.value("tcp_open_connections", &to), 1.0);
    drop(connection);
    for (name, value) in
        [("open_connections", 0.0), ("open_total", 1.0), ("close_total", 1.0), ("read_bytes_total", 3.0), ("write_bytes_total", 4.0)]
    {
        assert_eq!(book.value(&format!("tcp_{name}"), &to), value, "{name}");
    }
}

/// Requirement: however many names clients make up, the series of a family stay within their limit, the rest is counted together, nothing
/// is lost, and when the names are no longer used their series go.
#[test]
fn made_up_names_do_not_grow_the_metrics() {
    const NAMES: usize = 100_000;
    let (book, endpoint) = (Book::new(), endpoint());
    let request = Request::get("/").body(()).unwrap();
    for n in 0..NAMES {
        let mut record = book.accounts.outbound("10.1.0.1:80".parse().unwrap(), &format!("host-{n}.example"), &request);
        record.sent(&endpoint);
        record.ended(200, None);
        drop(record);
        let sni = format!("sni-{n}.example");
        drop(book.accounts.connection(Direction::Inbound, Peer::Source, "10.0.0.1:443".parse().unwrap(), Tls::Opaque(Some(&sni))));
    }
    let text = book.registry.render(Format::Text, book.now.get());
    for family in ["request_total", "response_total", "response_latency_ms_count", "tcp_open_total", "tcp_open_connections"] {
        let series: Vec<_> = text.lines().filter(|line| line.starts_with(&format!("{family}{{"))).collect();
        assert!(series.len() <= SERIES_LIMIT + 1, "{family}: {}", series.len());
        // Server names have a limit of their own, well below.
        let together = if family.starts_with("tcp_") { "sni=\"(other)\"" } else { "{overflow=\"true\"}" };
        assert!(series.iter().any(|line| line.contains(together)), "{family}");
        if family.ends_with("_total") {
            let counted: f64 = series.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
            assert_eq!(counted, NAMES as f64, "{family}");
        }
    }
    assert!(book.value("weft_metrics_overflow_total", &["family=\"request_total\""]) > 0.0);
    assert!(text.len() < 64 << 20, "{}", text.len());

    book.accounts.sweep();
    book.accounts.sweep();
    book.pass(600_000);
    let text = book.registry.render(Format::Text, book.now.get());
    assert!(!text.contains("host-") && !text.contains("sni-"), "series of names that nobody uses are shown");
}
