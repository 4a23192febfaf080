//! Decides how long a message's body is (RFC 9112 §6.3), from its head alone. Never looks at a byte of the body.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

use super::Rejected;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is none, whatever the head says about a length.
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunks, then trailers.
    Chunked,
    /// Up to the end of the connection (responses only).
    UntilClose,
}

/// The framing of a request with these fields, or why it cannot be known for certain.
pub fn request_framing(version: Version, headers: &HeaderMap) -> Result<BodyFraming, Rejected> {
    Ok(match declared(version, headers)? {
        Some(framing) => framing,
        None => BodyFraming::None,
    })
}

/// The framing of a response to `method`. Errors carry 502.
pub fn response_framing(method: &Method, status: StatusCode, version: Version, headers: &HeaderMap) -> Result<BodyFraming, Rejected> {
    let declared = declared(version, headers).map_err(Rejected::in_response)?;
    let tunnel = *method == Method::CONNECT && status.is_success();
    if (status.is_informational() || status == StatusCode::NO_CONTENT || tunnel)
        && matches!(declared, Some(BodyFraming::Chunked | BodyFraming::Length(1..)))
        && !tunnel
    {
        // The sender means to send a body that nobody may read: what follows would be taken for the next response.
        return Err(Rejected::bad("a body in a response that cannot have one").in_response());
    }
    if response_has_no_body(method, status) {
        return Ok(BodyFraming::None);
    }
    Ok(declared.unwrap_or(BodyFraming::UntilClose))
}

/// Whether a response ends with its head (RFC 9112 §6.3, rules 1 and 2).
pub fn response_has_no_body(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || (*method == Method::CONNECT && status.is_success())
}

/// What the framing fields say, if they are there.
fn declared(version: Version, headers: &HeaderMap) -> Result<Option<BodyFraming>, Rejected> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Rejected::bad("both transfer-encoding and content-length")),
        (Some(coding), None) => {
            if version == Version::HTTP_10 {
                return Err(Rejected::bad("transfer-encoding in http/1.0"));
            }
            if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(Rejected::bad("transfer-encoding other than exactly chunked"));
            }
            Ok(Some(BodyFraming::Chunked))
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(Rejected::bad("repeated content-length"));
            }
            Ok(Some(BodyFraming::Length(decimal(length.as_bytes())?)))
        }
    }
}

/// `1*DIGIT` that fits: no sign, no space, no list.
fn decimal(digits: &[u8]) -> Result<u64, Rejected> {
    const INVALID: Rejected = Rejected::bad("content-length is not one decimal number");
    if digits.is_empty() {
        return Err(INVALID);
    }
    digits.iter().try_fold(0u64, |sum, &digit| {
        let digit = (digit as char).to_digit(10).ok_or(INVALID)?;
        sum.checked_mul(10).and_then(|sum| sum.checked_add(u64::from(digit))).ok_or(INVALID)
    })
}
