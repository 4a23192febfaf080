//! Our wire types against the published ones.
//!
//! `tests/vectors/wire` holds a message of every kind with every field set, written by the control plane's language.
//! Here the published crate and our generated types read the same bytes: they must agree on every field's name and
//! value, skip nothing, and write the same bytes back. This test never looks at our `.proto` files: a wrong number, type
//! or name in them is what it is for.

mod kinds;
#[path = "../../src/gen/mod.rs"]
mod wire;

use std::{collections::BTreeSet, fmt::Debug, fs, path::Path};

use linkerd2_proxy_api as published;
use prost::Message;

/// Reads the bytes on both sides, compares names and values by their debug form, and lets each side read the other's.
fn same<O: Message + Default + PartialEq + Debug, P: Message + Default + PartialEq + Debug>(kind: &str, bytes: &[u8]) {
    let ours = complete::<O>(kind, bytes);
    let theirs = complete::<P>(kind, bytes);
    assert_eq!(debug(&ours), debug(&theirs), "{kind}: the same fields");
    assert_eq!(ours.encode_to_vec(), theirs.encode_to_vec(), "{kind}: the same bytes");
    assert!(O::decode(&*theirs.encode_to_vec()).unwrap() == ours, "{kind}: ours read what theirs wrote");
    assert!(P::decode(&*ours.encode_to_vec()).unwrap() == theirs, "{kind}: theirs read what ours wrote");
}

/// Decodes and checks that nothing was skipped as unknown: field order may differ, length may not.
fn complete<M: Message + Default>(kind: &str, bytes: &[u8]) -> M {
    let message = M::decode(bytes).unwrap_or_else(|error| panic!("{kind}: {error}"));
    assert_eq!(message.encoded_len(), bytes.len(), "{kind}: every field is known");
    message
}

/// The debug form with each struct's fields sorted: the order in which a file declares them means nothing.
fn debug(message: &impl Debug) -> String {
    let text = format!("{message:#?}");
    canonical(&text.lines().collect::<Vec<_>>(), false)
}

fn canonical(lines: &[&str], sort: bool) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut items = Vec::new();
    let mut rest = lines;
    while let Some((open, after)) = rest.split_first() {
        if !open.ends_with(['{', '[', '(']) {
            items.push((*open).to_owned());
            rest = after;
            continue;
        }
        let end = after.iter().position(|line| indent(line) == indent(open)).unwrap();
        let inside = canonical(&after[..end], open.ends_with('{'));
        items.push(format!("{open}\n{inside}\n{}", after[end]));
        rest = &after[end + 1..];
    }
    if sort {
        items.sort();
    }
    items.join("\n")
}

macro_rules! checks {
    (
        both { $($name:literal => $($path:ident)::+;)* }
        published { $($published:literal => $($published_path:ident)::+;)* }
        ours { $($ours:literal => $($ours_path:ident)::+;)* }
    ) => {
        const KINDS: &[&str] = &[$($name,)* $($published,)* $($ours,)*];

        fn check(kind: &str, bytes: &[u8]) {
            match kind {
                $($name => same::<wire::$($path)::+, published::$($path)::+>(kind, bytes),)*
                $($published => drop(complete::<published::$($published_path)::+>(kind, bytes)),)*
                $($ours => drop(complete::<wire::$($ours_path)::+>(kind, bytes)),)*
                _ => panic!("{kind}: no such kind in kinds.rs"),
            }
        }
    };
}

kinds::for_each_kind!(checks);

/// Every kind of message means the same to us and to the published crate, whoever wrote it.
#[test]
fn every_message_kind_is_read_alike() {
    let mut seen = BTreeSet::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/wire");
    for file in fs::read_dir(&directory).unwrap() {
        let content = fs::read(file.unwrap().path()).unwrap();
        let mut rest = &*content;
        while !rest.is_empty() {
            let kind = String::from_utf8(part(&mut rest).to_vec()).unwrap();
            check(&kind, part(&mut rest));
            seen.insert(kind);
        }
    }
    assert_eq!(seen, KINDS.iter().map(ToString::to_string).collect(), "a vector for each kind");
}

/// The transport header as Linkerd's proxies write it: port 8080, a name, HTTP/2.
#[test]
fn the_transport_header_has_the_known_bytes() {
    use wire::transport_header::{Header, SessionProtocol, session_protocol};

    let header = Header {
        port: 8080,
        name: "web:80".into(),
        session_protocol: Some(SessionProtocol { kind: Some(session_protocol::Kind::Http2(session_protocol::Http2 {})) }),
    };

    assert_eq!(header.encode_to_vec(), b"\x08\x90\x3f\x12\x06web:80\x1a\x02\x12\x00");
}

/// Takes one length-prefixed part off the front.
fn part<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (length, after) = rest.split_first_chunk::<4>().unwrap();
    let (part, after) = after.split_at(u32::from_be_bytes(*length) as usize);
    *rest = after;
    part
}
