//! Parses one head from the front of a buffer, or says that more bytes are needed, or rejects it.
//!
//! Lines are found here, not by `httparse`: it accepts a bare LF, and it cannot say which limit was passed. Field values and
//! the request target are slices of the bytes that were read, not copies. Never consumes a byte of an incomplete head.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{HOST, HeaderName, HeaderValue};
use http::uri::Uri;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use httparse::Status;

use super::framing::{BodyFraming, request_framing, response_framing};
use super::{Limits, Rejected};
use crate::detect::METHOD_LIMIT;

/// The reason phrase of a response when it is not the registered one; lives in the response's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(pub Bytes);

/// One request head, and how its body is framed. `None`: not complete yet, nothing was consumed.
///
/// The head comes as it was sent: hop-by-hop fields and an absolute-form target are still in it.
pub fn parse_request(buf: &mut BytesMut, limits: &Limits) -> Result<Option<(Request<()>, BodyFraming)>, Rejected> {
    // RFC 9112 §2.2: one empty line before a request is ignored (old clients end a body with one).
    let skip = if buf.starts_with(b"\r\n") { 2 } else { 0 };
    let Some(end) = head_end(&buf[skip..], limits, Some(limits.request_line))? else {
        return Ok(None);
    };
    buf.advance(skip);
    let bytes = buf.split_to(end).freeze();

    let mut slots = [MaybeUninit::uninit(); SLOTS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(&bytes, &mut slots[..limits.headers.min(SLOTS)]) {
        Ok(Status::Complete(used)) if used == bytes.len() => {}
        Ok(_) => return Err(Rejected::bad("malformed head")),
        Err(error) => return Err(explain(error, &bytes)),
    }
    // Set by httparse whenever it reports a complete head.
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Rejected::bad("malformed request line"));
    };
    if method.len() > METHOD_LIMIT {
        return Err(Rejected::bad("method is too long"));
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Rejected::bad("malformed method"))?;
    let uri = parse_target(&method, bytes.slice_ref(target.as_bytes()))?;
    let headers = collect(parsed.headers, &bytes)?;
    let version = version(minor);
    check_host(&method, version, &uri, &headers)?;
    let framing = request_framing(version, &headers)?;
    if method == Method::CONNECT && framing != BodyFraming::None {
        return Err(Rejected::bad("a body in connect"));
    }

    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    Ok(Some((request, framing)))
}

/// One response head to a request with `method`. Every rejection carries 502.
pub fn parse_response(buf: &mut BytesMut, method: &Method, limits: &Limits) -> Result<Option<(Response<()>, BodyFraming)>, Rejected> {
    let Some(end) = head_end(buf, limits, None).map_err(Rejected::in_response)? else {
        return Ok(None);
    };
    let bytes = buf.split_to(end).freeze();
    response(&bytes, method, limits).map(Some).map_err(Rejected::in_response)
}

fn response(bytes: &Bytes, method: &Method, limits: &Limits) -> Result<(Response<()>, BodyFraming), Rejected> {
    let mut slots = [MaybeUninit::uninit(); SLOTS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let slots = &mut slots[..limits.headers.min(SLOTS)];
    match config.parse_response_with_uninit_headers(&mut parsed, bytes, slots) {
        Ok(Status::Complete(used)) if used == bytes.len() => {}
        Ok(_) => return Err(Rejected::bad("malformed head")),
        Err(error) => return Err(explain(error, bytes)),
    }
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(Rejected::bad("malformed status line"));
    };
    let status = StatusCode::from_u16(code).map_err(|_| Rejected::bad("malformed status code"))?;
    let headers = collect(parsed.headers, bytes)?;
    let version = version(minor);
    let framing = response_framing(method, status, version, &headers)?;

    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    if let Some(said) = parsed.reason.filter(|said| status.canonical_reason() != Some(said)) {
        response.extensions_mut().insert(Reason(bytes.slice_ref(said.as_bytes())));
    }
    Ok((response, framing))
}

/// A trailer section with its closing empty line, from the front of `buf`.
pub(super) fn parse_trailers(buf: &mut BytesMut, limits: &Limits) -> Result<Option<HeaderMap>, Rejected> {
    if buf.starts_with(b"\r\n") {
        buf.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let Some(end) = head_end(buf, limits, None)? else {
        return Ok(None);
    };
    let bytes = buf.split_to(end).freeze();
    let mut slots = [httparse::EMPTY_HEADER; SLOTS];
    match httparse::parse_headers(&bytes, &mut slots[..limits.headers.min(SLOTS)]) {
        Ok(Status::Complete((used, fields))) if used == bytes.len() => collect(fields, &bytes).map(Some),
        Ok(_) => Err(Rejected::bad("malformed trailers")),
        Err(error) => Err(explain(error, &bytes)),
    }
}

/// The length of the head at the front of `buf`, its empty line included. Checks line ends, folding and limits on the way,
/// so that what is wrong is refused before the rest has come.
fn head_end(buf: &[u8], limits: &Limits, first_line: Option<usize>) -> Result<Option<usize>, Rejected> {
    let mut line = 0;
    let mut lines = 0;
    for lf in memchr::memchr_iter(b'\n', &buf[..buf.len().min(limits.head)]) {
        if lf == line || buf[lf - 1] != b'\r' {
            return Err(Rejected::bad("a line ends with a bare lf"));
        }
        if lines == 0 && first_line.is_some_and(|limit| lf >= limit) {
            return Err(TOO_LONG);
        }
        if lf == line + 1 {
            return if lines == 0 { Err(Rejected::bad("an empty line instead of a head")) } else { Ok(Some(lf + 1)) };
        }
        match buf[line] {
            b' ' | b'\t' => return Err(Rejected::bad("a line begins with white space (obsolete folding)")),
            // Some readers take it for the end of the head, and would answer while this one still waits for it.
            b'\r' => return Err(BARE_CR),
            _ => {}
        }
        line = lf + 1;
        lines += 1;
        if lines > limits.headers + 1 {
            return Err(TOO_MANY);
        }
    }
    if lines == 0 && first_line.is_some_and(|limit| buf.len() >= limit) {
        return Err(TOO_LONG);
    }
    if buf.len() >= limits.head {
        return Err(Rejected::too_large("head is too large"));
    }
    Ok(None)
}

/// RFC 9112 §3.2: which of the four forms the target has, and whether this method may use it.
fn parse_target(method: &Method, target: Bytes) -> Result<Uri, Rejected> {
    if memchr::memchr(b'#', &target).is_some() {
        return Err(Rejected::bad("a fragment in the request target"));
    }
    let origin = target.first() == Some(&b'/');
    let asterisk = target.as_ref() == b"*";
    if *method == Method::CONNECT {
        return connect_target(target);
    }
    if asterisk && *method != Method::OPTIONS {
        return Err(Rejected::bad("the target * is for options only"));
    }
    let raw = target.clone();
    let uri = Uri::from_maybe_shared(target).map_err(|_| MALFORMED_TARGET)?;
    if origin || asterisk {
        return Ok(uri);
    }
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(MALFORMED_TARGET) };
    match &raw[scheme.len() + 3 + authority.as_str().len()..] {
        _ if !is_host(authority.as_str().as_bytes()) => Err(MALFORMED_TARGET),
        // The server as a whole, which the last proxy would have to write as an asterisk (RFC 9112 §3.2.4); servers read it as the root.
        [] if *method == Method::OPTIONS => Err(MALFORMED_TARGET),
        [] | [b'/', ..] => Ok(uri),
        // A query without a path: some readers put a slash before it, some do not.
        _ => Err(MALFORMED_TARGET),
    }
}

fn connect_target(target: Bytes) -> Result<Uri, Rejected> {
    const ODD: Rejected = Rejected::bad("the target of connect is not host:port");
    if !is_host(&target) {
        return Err(ODD);
    }
    let uri = Uri::from_maybe_shared(target).map_err(|_| ODD)?;
    if uri.port_u16().is_some_and(|port| port > 0) { Ok(uri) } else { Err(ODD) }
}

/// RFC 9112 §3.2: exactly one Host, which names a host, and the same one as an absolute target or that of CONNECT.
fn check_host(method: &Method, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Rejected> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return if version == Version::HTTP_11 { Err(Rejected::bad("no host")) } else { Ok(()) };
    };
    if hosts.next().is_some() {
        return Err(Rejected::bad("more than one host"));
    }
    if !host.is_empty() && !is_host(host.as_bytes()) {
        return Err(Rejected::bad("malformed host"));
    }
    let Some(target) = uri.authority() else { return Ok(()) };
    let same = if *method == Method::CONNECT {
        // Clients differ in whether Host repeats the port.
        [target.as_str(), target.host()].iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host.as_bytes()))
    } else {
        same_authority(target.as_str().as_bytes(), host.as_bytes(), uri.scheme_str())
    };
    if same { Ok(()) } else { Err(Rejected::bad("host differs from the request target")) }
}

fn same_authority(target: &[u8], host: &[u8], scheme: Option<&str>) -> bool {
    let default: &[u8] = if scheme == Some("https") { b":443" } else { b":80" };
    let bare = |name| <[u8]>::strip_suffix(name, default).unwrap_or(name);
    bare(target).eq_ignore_ascii_case(bare(host))
}

/// A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. Narrower than RFC 3986: what no host has in its name and
/// readers treat differently (user information, commas, percent-encoding, an empty port) is not taken.
fn is_host(text: &[u8]) -> bool {
    let (named, port) = match text {
        [b'[', rest @ ..] => {
            let Some(end) = memchr::memchr(b']', rest) else { return false };
            let address = std::str::from_utf8(&rest[..end]).ok();
            (address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()), &rest[end + 1..])
        }
        _ => {
            let (name, port) = text.split_at(memchr::memchr(b':', text).unwrap_or(text.len()));
            (!name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)), port)
        }
    };
    named
        && match port {
            [] => true,
            [b':', digits @ ..] => {
                (1..=5).contains(&digits.len())
                    && digits.iter().all(u8::is_ascii_digit)
                    && digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= u32::from(u16::MAX)
            }
            _ => false,
        }
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn collect(fields: &[httparse::Header<'_>], bytes: &Bytes) -> Result<HeaderMap, Rejected> {
    // A map that has to grow for what proxies add takes its memory twice.
    let mut headers = HeaderMap::with_capacity(fields.len() + ADDED);
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Rejected::bad("malformed field name"))?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
            .map_err(|_| Rejected::bad("control character in a field value"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn explain(error: httparse::Error, bytes: &[u8]) -> Rejected {
    let bare_cr = memchr::memchr_iter(b'\r', bytes).any(|cr| bytes.get(cr + 1) != Some(&b'\n'));
    if bare_cr {
        return BARE_CR;
    }
    match error {
        httparse::Error::HeaderName => Rejected::bad("malformed field name"),
        httparse::Error::HeaderValue => Rejected::bad("control character in a field value"),
        httparse::Error::NewLine => Rejected::bad("malformed line end"),
        httparse::Error::Status => Rejected::bad("malformed status line"),
        httparse::Error::Token => Rejected::bad("malformed request line"),
        httparse::Error::TooManyHeaders => TOO_MANY,
        httparse::Error::Version => Rejected::bad("version is neither http/1.0 nor http/1.1"),
    }
}

const SLOTS: usize = 256;
/// Fields that proxies put on a message on its way.
const ADDED: usize = 4;
const BARE_CR: Rejected = Rejected::bad("a bare cr");
const MALFORMED_TARGET: Rejected = Rejected::bad("malformed request target");
const TOO_LONG: Rejected = Rejected { status: StatusCode::URI_TOO_LONG, reason: "request line is too long" };
const TOO_MANY: Rejected = Rejected::too_large("too many fields");
