//! The asking side against servers on loopback: its own answering side, and an HTTP/1 server made here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_weft-load");

/// Requirement: at a constant rate every request that was due is asked and answered, on one connection and on many.
#[test]
fn a_constant_rate_asks_what_is_due() {
    let address = http1_server(5, 0);
    for connections in ["1", "7"] {
        let said = ask(&["rate", &address, "--connections", connections, "--rate", "400", "--seconds", "0.5"]);
        assert_eq!((&said["requests"], &said["failed"]), (&200.into(), &0.into()));
        assert!(0.0 < said["p50_ms"].as_f64().unwrap() && said["p50_ms"].as_f64() <= said["p99_ms"].as_f64());
    }
}

/// Requirement: a server that closes after some answers costs the request that met the close, and no more.
#[test]
fn a_connection_that_is_lost_is_replaced() {
    let address = http1_server(5, 21);
    let said = ask(&["rate", &address, "--rate", "400", "--seconds", "0.25"]);
    // One request before the schedule; then 20 answers and a loss, then four times 21 and a loss less what is left.
    assert_eq!((&said["requests"], &said["failed"]), (&96.into(), &4.into()));
}

/// Requirement: a closed loop counts the answers and every byte of their bodies, of bodies larger than any buffer too.
#[test]
fn a_closed_loop_counts_bytes() {
    let said = ask(&["closed", &http1_server(300_000, 0), "--connections", "2", "--seconds", "0.3"]);
    let (requests, bytes) = (said["requests"].as_u64().unwrap(), said["bytes"].as_u64().unwrap());
    assert_eq!(said["failed"], 0);
    assert!(requests > 0 && (requests * 300_000..=(requests + 2) * 300_000).contains(&bytes), "{said}");
}

/// Requirement: gRPC streams go on until the end and count the messages that came back.
#[test]
fn streams_count_messages() {
    let answering = Answering::start();
    let said = ask(&["stream", &answering.grpc, "--connections", "2", "--streams", "3", "--seconds", "0.3"]);
    assert_eq!(said["failed"], 0);
    assert!(said["requests"].as_u64().unwrap() > 6 * 8, "{said}");
}

/// Requirement: opaque bytes are carried both ways at once.
#[test]
fn bytes_go_both_ways() {
    let answering = Answering::start();
    let said = ask(&["tcp", &answering.tcp, "--connections", "2", "--seconds", "0.3"]);
    assert_eq!(said["failed"], 0);
    assert!(said["sent"].as_u64().unwrap() > 0 && said["received"].as_u64().unwrap() > 0, "{said}");
}

/// Requirement: connections follow each other, each for a byte there and back.
#[test]
fn connections_follow_each_other() {
    let answering = Answering::start();
    let said = ask(&["connect", &answering.tcp, "--connections", "4", "--seconds", "0.3"]);
    assert_eq!(said["failed"], 0);
    assert!(said["requests"].as_u64().unwrap() > 4, "{said}");
}

/// Requirement: idle connections are said to be open when all of them were answered, and held until the input ends.
#[test]
fn idle_connections_are_held() {
    let mut child = start(&["idle", &http1_server(5, 0), "--connections", "100"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| json(&line.unwrap()));
    assert_eq!(lines.next().unwrap()["open"], 100);
    drop(child.stdin.take());
    assert_eq!(lines.next().unwrap()["held"], 100);
    assert!(child.wait().unwrap().success());
}

/// Requirement: who cannot be reached is an error with a reason, not a window without requests.
#[test]
fn nobody_there_is_an_error() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for mode in ["rate", "closed", "stream", "tcp", "idle"] {
        let done = start(&[mode, &address]).wait_with_output().unwrap();
        assert!(!done.status.success() && done.stdout.is_empty(), "{mode}");
        assert!(String::from_utf8_lossy(&done.stderr).contains("refused"), "{mode}");
    }
}

fn ask(words: &[&str]) -> Value {
    let done = start(words).wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    json(&String::from_utf8(done.stdout).unwrap())
}

fn start(words: &[&str]) -> Child {
    Command::new(PROGRAM).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The answering side on ports of its own; gone with the value.
struct Answering {
    child: Child,
    grpc: String,
    tcp: String,
}

impl Answering {
    fn start() -> Self {
        let mut child = start(&["answer"]);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let [grpc, tcp] = ["grpc", "tcp"].map(|name| format!("127.0.0.1:{}", json(&line)[name]));
        Answering { child, grpc, tcp }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Answers every head with a body of `size`; after `most` answers it closes when it is asked once more (0: never).
fn http1_server(size: usize, most: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.unwrap(), size, most));
        }
    });
    address
}

fn serve(mut stream: TcpStream, size: usize, most: usize) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}", "x".repeat(size));
    let (mut asked, mut answered) = (Vec::new(), 0);
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(more @ 1..) => asked.extend_from_slice(&piece[..more]),
            _ => return,
        }
        if asked.ends_with(b"\r\n\r\n") {
            asked.clear();
            answered += 1;
            if (most > 0 && answered > most) || stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}
