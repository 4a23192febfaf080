//! Headers that belong to one connection and not to the message (RFC 9110 7.6.1).
//!
//! Removes them before a message goes on. `te: trailers` stays: it says what the client can take, and gRPC servers ask for it.

use http::header::{CONNECTION, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue};

/// Whether the message asks for, or agrees to, an upgrade of its connection.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && names(headers).any(|name| name == UPGRADE)
}

/// Removes every header of the connection; with `upgrade`, keeps `upgrade` and says `connection: upgrade`.
pub(crate) fn strip(headers: &mut HeaderMap, upgrade: bool) {
    // Most messages have none of them, and then nothing is looked for by name twice.
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = names(headers).filter(|name| *name != TE && !(upgrade && *name == UPGRADE)).collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    if headers.contains_key(TE) {
        let trailers = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let trailers = trailers.map(str::trim).any(|coding| coding.eq_ignore_ascii_case("trailers"));
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    headers.remove(TRANSFER_ENCODING);
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else {
        headers.remove(UPGRADE);
    }
}

fn names(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> + '_ {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| HeaderName::try_from(name.trim()).ok())
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    /// Requirement: what `connection` names, and what belongs to connections by its nature, does not go on; everything else does.
    #[test]
    fn connection_headers_do_not_go_on() {
        let mut map = headers(&[
            ("connection", "close, X-Private"),
            ("connection", "keep-alive"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip, trailers"),
            ("accept", "*/*"),
        ]);
        assert!(!is_upgrade(&map));
        strip(&mut map, false);
        assert_eq!(map, headers(&[("te", "trailers"), ("accept", "*/*")]));
    }

    /// Requirement: an upgrade keeps its two headers and loses the others that `connection` names.
    #[test]
    fn an_upgrade_keeps_what_makes_it_one() {
        let mut map = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("keep-alive", "1")]);
        assert!(is_upgrade(&map));
        strip(&mut map, true);
        assert_eq!(map, headers(&[("upgrade", "websocket"), ("connection", "upgrade")]));
    }
}
