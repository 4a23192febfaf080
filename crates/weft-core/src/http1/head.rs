//! Parses one head from the front of a buffer, or says that more bytes are needed, or rejects it.
//!
//! Lines are found here, not by `httparse`: it accepts a bare LF, and it cannot say which limit was passed. Field values and
//! the request target are slices of the bytes that were read, not copies. Never consumes a byte of an incomplete head.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};
use http::uri::{Authority, Uri};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use httparse::Status;

use super::framing::{BodyFraming, request_framing, response_framing};
use super::{Limits, Rejected};

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
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Rejected::bad("malformed method"))?;
    let uri = parse_target(&method, bytes.slice_ref(target.as_bytes()))?;
    let headers = collect(parsed.headers, &bytes)?;
    let version = version(minor);
    check_host(&method, version, &uri, &headers)?;
    let framing = request_framing(version, &headers)?;

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
        if matches!(buf[line], b' ' | b'\t') {
            return Err(Rejected::bad("a line begins with white space (obsolete folding)"));
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
    const MALFORMED: Rejected = Rejected::bad("malformed request target");
    if memchr::memchr(b'#', &target).is_some() {
        return Err(Rejected::bad("a fragment in the request target"));
    }
    let origin = target.first() == Some(&b'/');
    let asterisk = target.as_ref() == b"*";
    if *method == Method::CONNECT {
        let uri = Uri::from_maybe_shared(target).map_err(|_| MALFORMED)?;
        let authority_only = uri.scheme().is_none() && !origin && !asterisk;
        return if authority_only && uri.port().is_some() && !has_userinfo(uri.authority()) {
            Ok(uri)
        } else {
            Err(Rejected::bad("the target of connect is not host:port"))
        };
    }
    if asterisk && *method != Method::OPTIONS {
        return Err(Rejected::bad("the target * is for options only"));
    }
    let uri = Uri::from_maybe_shared(target).map_err(|_| MALFORMED)?;
    if !origin && !asterisk && (uri.scheme().is_none() || has_userinfo(uri.authority())) {
        return Err(MALFORMED);
    }
    Ok(uri)
}

/// RFC 9112 §3.2: exactly one Host, which names a host, and the same one as an absolute target.
fn check_host(method: &Method, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Rejected> {
    let mut hosts = headers.get_all(http::header::HOST).iter();
    let Some(host) = hosts.next() else {
        return if version == Version::HTTP_11 { Err(Rejected::bad("no host")) } else { Ok(()) };
    };
    if hosts.next().is_some() {
        return Err(Rejected::bad("more than one host"));
    }
    if !host.is_empty() {
        let named = Authority::try_from(host.as_bytes()).map_err(|_| Rejected::bad("malformed host"))?;
        if has_userinfo(Some(&named)) {
            return Err(Rejected::bad("malformed host"));
        }
    }
    match uri.authority() {
        Some(target) if *method != Method::CONNECT && !same_authority(target.as_str(), host, uri.scheme_str()) => {
            Err(Rejected::bad("host differs from the request target"))
        }
        _ => Ok(()),
    }
}

fn same_authority(target: &str, host: &HeaderValue, scheme: Option<&str>) -> bool {
    let default = if scheme == Some("https") { ":443" } else { ":80" };
    let bare = |name: &[u8]| name.strip_suffix(default.as_bytes()).unwrap_or(name).to_ascii_lowercase();
    bare(target.as_bytes()) == bare(host.as_bytes())
}

fn has_userinfo(authority: Option<&Authority>) -> bool {
    authority.is_some_and(|authority| authority.as_str().contains('@'))
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn collect(fields: &[httparse::Header<'_>], bytes: &Bytes) -> Result<HeaderMap, Rejected> {
    let mut headers = HeaderMap::with_capacity(fields.len());
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
        return Rejected::bad("a bare cr");
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
const TOO_LONG: Rejected = Rejected { status: StatusCode::URI_TOO_LONG, reason: "request line is too long" };
const TOO_MANY: Rejected = Rejected::too_large("too many fields");
