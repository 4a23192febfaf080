//! Decides what a head says about its connection (RFC 9112 §9, RFC 9110 §7.6.1 and §7.8): whether it lasts, whether it is to
//! become another protocol, and which fields end at this hop. Never touches framing fields.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Version};

use super::BodyFraming;

/// Whether the connection may carry another message after this one (RFC 9112 §9.3).
pub fn keep_alive(version: Version, headers: &HeaderMap) -> bool {
    if has_token(headers, &CONNECTION, "close") {
        return false;
    }
    version == Version::HTTP_11 || has_token(headers, &CONNECTION, "keep-alive")
}

/// Whether the client asks for another protocol and may get it (RFC 9110 §7.8).
///
/// Upgrading to `h2c` is not granted: it was withdrawn (RFC 9113 §3.1), and what came after it would escape policy.
/// With a body neither: the body would have to pass before the protocol changes, and nobody sends that.
pub fn upgrade_requested(request: &Request<()>, framing: BodyFraming) -> bool {
    request.version() == Version::HTTP_11
        && matches!(framing, BodyFraming::None | BodyFraming::Length(0))
        && request.headers().contains_key(UPGRADE)
        && has_token(request.headers(), &CONNECTION, "upgrade")
        && !has_token(request.headers(), &UPGRADE, "h2c")
}

/// Removes the fields that concern this connection only (RFC 9110 §7.6.1): `connection` and what it names, `keep-alive`,
/// `proxy-connection`, `http2-settings`, `transfer-encoding`, and `te` except for `trailers`, which is what gRPC asks for.
/// `upgrade` stays where `upgrade` is true. A `connection` field cannot remove what framing, routing or trailers depend on.
pub fn strip_hop_by_hop(headers: &mut HeaderMap, upgrade: bool) {
    // Most heads have no such field, and this one look is all that they cost: a head is stripped several times on its way.
    if !headers.iter().any(|(name, value)| ends_here(name, value, upgrade)) {
        return;
    }
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
            .filter_map(|token| HeaderName::from_bytes(token).ok())
            .filter(|name| ![HOST, CONTENT_LENGTH, TE, TRAILER, UPGRADE, EXPECT].contains(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in &OF_ONE_HOP {
        headers.remove(name);
    }
    if headers.contains_key(TE) {
        let trailers = tokens(headers, &TE).any(|coding| coding.eq_ignore_ascii_case(TRAILERS));
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    if !upgrade {
        headers.remove(UPGRADE);
    }
}

/// Whether this field, as it is, is one that `strip_hop_by_hop` takes off or changes.
fn ends_here(name: &HeaderName, value: &HeaderValue, upgrade: bool) -> bool {
    *name == CONNECTION || (*name == TE && value.as_bytes() != TRAILERS) || (*name == UPGRADE && !upgrade) || OF_ONE_HOP.contains(name)
}

/// Whether a field has a meaning behind a body. One that frames or routes a message, or concerns a connection, has none there, and a
/// reader that moves trailers among the headers would obey it (RFC 9110 §6.5.1).
pub(super) fn may_be_trailer(name: &HeaderName) -> bool {
    ![CONTENT_LENGTH, HOST, CONNECTION, TE, UPGRADE].contains(name) && !OF_ONE_HOP.contains(name)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers.get_all(name).into_iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

static OF_ONE_HOP: [HeaderName; 4] = [
    TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];
const TRAILERS: &[u8] = b"trailers";
