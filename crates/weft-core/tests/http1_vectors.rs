//! Requirement: the codec makes of each stream of bytes in `tests/vectors/http1.json` exactly what stands beside it, whole and however it is cut.

#[path = "../../../fuzz/checks/reading.rs"]
mod reading;

use serde::Deserialize;
use weft_core::detect::{self, Kind};

use reading::{Ending, Message, Reader, Understood, fields};

#[derive(Deserialize)]
struct Row {
    kind: String,
    subject: String,
    name: String,
    bytes: Text,
    detected: Option<String>,
    answers: Option<String>,
    messages: Vec<Said>,
    end: End,
}

/// Characters are bytes; long texts are parts and how often each comes.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Parts(Vec<(String, usize)>),
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        let latin1 = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect::<Vec<u8>>();
        match self {
            Text::Plain(text) => latin1(text),
            Text::Parts(parts) => parts.iter().flat_map(|(part, times)| latin1(part).repeat(*times)).collect(),
        }
    }
}

#[derive(Deserialize)]
struct Said {
    method: Option<String>,
    target: Option<Text>,
    status: Option<u16>,
    reason: Option<String>,
    version: String,
    headers: Vec<(String, Text)>,
    framing: String,
    body: Text,
    trailers: Vec<(String, Text)>,
    keeps: bool,
    upgrade: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum End {
    Quiet(String),
    Refused { status: u16, reason: String },
}

impl Row {
    fn expected(&self) -> Understood {
        let messages = self.messages.iter().map(Said::message).collect();
        let ending = match &self.end {
            End::Quiet(how) if how == "end" => Ending::End,
            End::Quiet(_) => Ending::More,
            End::Refused { status, reason } => Ending::Refused(*status, reason.clone()),
        };
        (messages, ending)
    }
}

impl Said {
    fn message(&self) -> Message {
        let start = match (&self.method, &self.target, self.status, &self.reason) {
            (Some(method), Some(target), ..) => (method.clone(), target.bytes()),
            (_, _, Some(status), Some(reason)) => (status.to_string(), Text::Plain(reason.clone()).bytes()),
            _ => panic!("a message is a request or a response"),
        };
        Message {
            start,
            version: if self.version == "1.0" { "1.0" } else { "1.1" },
            headers: fields(self.headers.iter().map(|(name, value)| (name.clone(), value.bytes()))),
            framing: self.framing.clone(),
            body: self.body.bytes(),
            trailers: fields(self.trailers.iter().map(|(name, value)| (name.clone(), value.bytes()))),
            keeps: self.keeps,
            upgrade: self.upgrade.unwrap_or(false),
        }
    }
}

fn table() -> Vec<Row> {
    serde_json::from_str(include_str!("../../../tests/vectors/http1.json")).expect("the table is well formed")
}

fn understand<'a>(row: &Row, parts: impl IntoIterator<Item = &'a [u8]>) -> Understood {
    let answers = (row.kind == "response").then(|| row.answers.as_deref().unwrap_or("GET").parse().expect("a method"));
    let mut reader = Reader::new(answers);
    for part in parts {
        reader.feed(part);
    }
    reader.end()
}

#[track_caller]
fn compare(row: &Row, found: &Understood, how: &str) {
    let expected = row.expected();
    assert!(*found == expected, "{} {}: {} ({how}):\nfound    {found:?}\nexpected {expected:?}", row.kind, row.subject, row.name);
}

/// Requirement: a stream that comes at once is understood, or refused, as the table says.
#[test]
fn every_row_is_decided_as_it_says() {
    let rows = table();
    assert!(rows.iter().filter(|row| row.kind == "request").count() >= 300);
    let mut wrong = Vec::new();
    for row in rows {
        let found = understand(&row, [&row.bytes.bytes()[..]]);
        if found != row.expected() {
            let shown: String = format!("{found:?}").chars().take(400).collect();
            wrong.push(format!("{} {}: {}: found {shown}", row.kind, row.subject, row.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Requirement: it makes no difference where a stream is cut into two, nor that it comes byte by byte.
#[test]
fn it_makes_no_difference_how_a_stream_is_cut() {
    for row in table() {
        let bytes = row.bytes.bytes();
        // Of long streams a sample: every place near the begin and the end, some between; of the largest a few.
        let near = if bytes.len() > 20_000 { 20 } else { 200 };
        let step = |at: usize| if at < near || at + near > bytes.len() { 1 } else { 1 + bytes.len() / 20 };
        let mut at = 0;
        while at < bytes.len() {
            let (first, second) = bytes.split_at(at);
            compare(&row, &understand(&row, [first, second]), &format!("cut at byte {at}"));
            at += step(at);
        }
        let size = if bytes.len() > 10_000 { 1000 } else { 1 };
        compare(&row, &understand(&row, bytes.chunks(size)), "byte by byte");
    }
}

/// Requirement: the first bytes of a connection are told as the table says: no request that is taken passes as bytes, whose policy would not see it.
#[test]
fn every_request_is_detected_as_it_says() {
    for row in table().iter().filter(|row| row.kind == "request") {
        let found = match detect::http(&row.bytes.bytes()) {
            Some(Kind::Http1) => "http1",
            Some(Kind::Opaque) => "opaque",
            None => "more",
            other => panic!("{}: {other:?}", row.name),
        };
        assert_eq!(Some(found), row.detected.as_deref(), "{}: {}", row.subject, row.name);
        assert!(row.messages.is_empty() || found == "http1", "{}: {}", row.subject, row.name);
    }
}
