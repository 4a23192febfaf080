//! Writes heads and chunks. The framing fields are written from the framing that was decided and never copied from the head,
//! so a message cannot leave with two lengths. Every other field goes out byte for byte as it came.

use std::io::Write;

use bytes::{BufMut, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};

use super::connection::may_be_trailer;
use super::framing::BodyFraming;
use super::head::Reason;

/// Writes a request head. The target is written in the form that its URI has: absolute if it has a scheme, `host:port` for
/// CONNECT, else the path. [`BodyFraming::UntilClose`] is not possible in a request and is written as no body.
pub fn encode_request(head: &Request<()>, framing: BodyFraming, out: &mut BytesMut) {
    let uri = head.uri();
    out.reserve(64 + uri.path().len() + 48 * head.headers().len());
    out.put_slice(head.method().as_str().as_bytes());
    out.put_u8(b' ');
    match (uri.scheme_str(), uri.authority()) {
        (_, Some(authority)) if *head.method() == Method::CONNECT => out.put_slice(authority.as_str().as_bytes()),
        (Some(scheme), Some(authority)) => {
            out.put_slice(scheme.as_bytes());
            out.put_slice(b"://");
            out.put_slice(authority.as_str().as_bytes());
            put_path(head, out);
        }
        _ => put_path(head, out),
    }
    out.put_slice(if head.version() == Version::HTTP_10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    put_fields(head.headers(), matches!(framing, BodyFraming::None), out);
    put_framing(framing, out);
    out.put_slice(b"\r\n");
}

/// Writes a response head. With [`BodyFraming::None`] a `content-length` in the head is kept where it describes the body
/// that is left out (HEAD, 304), and removed where it is forbidden (1xx, 204; RFC 9110 §8.6).
pub fn encode_response(head: &Response<()>, framing: BodyFraming, out: &mut BytesMut) {
    let status = head.status();
    out.reserve(64 + 48 * head.headers().len());
    out.put_slice(if head.version() == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    match head.extensions().get::<Reason>() {
        Some(Reason(said)) => out.put_slice(said),
        None => out.put_slice(status.canonical_reason().unwrap_or("").as_bytes()),
    }
    out.put_slice(b"\r\n");
    let may_tell_length = !status.is_informational() && status != StatusCode::NO_CONTENT;
    put_fields(head.headers(), framing == BodyFraming::None && may_tell_length, out);
    put_framing(framing, out);
    out.put_slice(b"\r\n");
}

/// Writes the line that opens a chunk of `size` bytes; `size` is not zero, which would end the body.
pub fn encode_chunk_size(size: usize, out: &mut BytesMut) {
    debug_assert_ne!(size, 0);
    // Writing to a BytesMut cannot fail.
    let _ = write!(out.writer(), "{size:x}\r\n");
}

/// What follows the data of a chunk.
pub const fn chunk_end() -> &'static [u8] {
    b"\r\n"
}

/// Ends a chunked body. Fields that would frame or route a message, or concern a connection, are left out of the trailers (RFC 9110 §6.5.1).
pub fn encode_last_chunk(trailers: Option<&HeaderMap>, out: &mut BytesMut) {
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if may_be_trailer(name) {
            put_field(name.as_str(), value.as_bytes(), out);
        }
    }
    out.put_slice(b"\r\n");
}

fn put_path(head: &Request<()>, out: &mut BytesMut) {
    let path = head.uri().path_and_query().map_or("/", |path| path.as_str());
    out.put_slice(if path.is_empty() { b"/" } else { path.as_bytes() });
}

fn put_fields(headers: &HeaderMap, keep_length: bool, out: &mut BytesMut) {
    for (name, value) in headers {
        if name == TRANSFER_ENCODING || (name == CONTENT_LENGTH && !keep_length) {
            continue;
        }
        put_field(name.as_str(), value.as_bytes(), out);
    }
}

fn put_field(name: &str, value: &[u8], out: &mut BytesMut) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

fn put_framing(framing: BodyFraming, out: &mut BytesMut) {
    match framing {
        BodyFraming::Length(length) => {
            // Writing to a BytesMut cannot fail.
            let _ = write!(out.writer(), "content-length: {length}\r\n");
        }
        BodyFraming::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
        BodyFraming::None | BodyFraming::UntilClose => {}
    }
}
