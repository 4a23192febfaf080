//! Records of TLS 1.3 in one direction (RFC 8446, section 5): where one ends, sealing, opening.
//!
//! Decides whether bytes are a record of this connection, next in turn, and untouched on their way. It never reads or writes a socket, and
//! never asks what a record means.

use std::fmt;
use std::ops::Range;

use rustls::{AlertDescription, ConnectionTrafficSecrets, ContentType};

use super::cipher::{Cipher, NONCE, Suite, TAG};

/// The first bytes of a record: its type, a version and the length of the rest.
pub(super) const HEAD: usize = 5;
/// Major and minor alike: 3.3 was TLS 1.2, and newer ones say the same.
const VERSION: u8 = 3;
/// The type behind the content.
const KIND: usize = 1;
/// What a record adds to its content.
pub(super) const OVERHEAD: usize = HEAD + KIND + TAG;
/// The most that one record may hold.
pub(super) const CONTENT: usize = 1 << 14;
/// The most that may follow a head: content, its type, padding and the tag.
const LENGTH: usize = CONTENT + 256;
/// The longest record.
pub(super) const MOST: usize = HEAD + LENGTH;

/// A record that ends the connection, and the alert that tells the peer so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) AlertDescription);

/// A key with the number of records that it was used for.
struct Key {
    cipher: Cipher,
    iv: [u8; NONCE],
    used: u64,
}

impl Key {
    fn new((used, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Self, rustls::Error> {
        let (suite, key, iv) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Suite::Aes128Gcm, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Suite::Aes256Gcm, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (Suite::Chacha20Poly1305, key, iv),
            _ => return Err(unusable()),
        };
        let cipher = Cipher::new(suite, key.as_ref()).ok_or_else(unusable)?;
        let iv = iv.as_ref().try_into().map_err(|_| unusable())?;
        Ok(Key { cipher, iv, used })
    }

    /// For the next record: one that was used before would give the key away.
    fn nonce(&mut self) -> Option<[u8; NONCE]> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.used.to_be_bytes()) {
            *byte ^= number;
        }
        self.used = self.used.checked_add(1)?;
        Some(nonce)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("used", &self.used).finish_non_exhaustive()
    }
}

fn unusable() -> rustls::Error {
    rustls::Error::General("a cipher suite that the mesh does not offer".into())
}

/// Makes records.
#[derive(Debug)]
pub(super) struct Sealer(Key);

impl Sealer {
    /// With the secrets and the number of the next record. Fails on a suite that is not of TLS 1.3.
    pub(super) fn new(secrets: (u64, ConnectionTrafficSecrets)) -> Result<Self, rustls::Error> {
        Key::new(secrets).map(Sealer)
    }

    /// Records made so far.
    pub(super) fn used(&self) -> u64 {
        self.0.used
    }

    /// Adds a record with `content`, no more than [`CONTENT`] bytes, to `out`. Fails when the key has made all the records that it can.
    pub(super) fn seal(&mut self, kind: ContentType, content: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        let head = head(content.len())?;
        let nonce = self.0.nonce().ok_or(EXHAUSTED)?;
        out.extend_from_slice(&head);
        self.0.cipher.seal_from(nonce, &head, content, kind.into(), out).ok_or(EXHAUSTED)
    }

    /// The same with content that `fill` adds to `out`, since it lies in pieces.
    pub(super) fn gather(&mut self, kind: ContentType, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Wrong> {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD]);
        let inner = out.len();
        fill(out);
        let head = head(out.len() - inner)?;
        out[start..inner].copy_from_slice(&head);
        let nonce = self.0.nonce().ok_or(EXHAUSTED)?;
        self.0.cipher.seal(nonce, &head, kind.into(), inner, out).ok_or(EXHAUSTED)
    }
}

/// The head of a record with `content` bytes in it.
fn head(content: usize) -> Result<[u8; HEAD], Wrong> {
    let [high, low] = u16::try_from(content + KIND + TAG).map_err(|_| EXHAUSTED)?.to_be_bytes();
    Ok([ContentType::ApplicationData.into(), VERSION, VERSION, high, low])
}

/// No record can be made.
const EXHAUSTED: Wrong = Wrong(AlertDescription::InternalError);

/// Reads records.
#[derive(Debug)]
pub(super) struct Opener(Key);

impl Opener {
    /// As [`Sealer::new`].
    pub(super) fn new(secrets: (u64, ConnectionTrafficSecrets)) -> Result<Self, rustls::Error> {
        Key::new(secrets).map(Opener)
    }

    /// Opens a whole record in its place: its type and where in it the content is.
    pub(super) fn open(&mut self, record: &mut [u8]) -> Result<(ContentType, Range<usize>), Wrong> {
        let Some((head, sealed)) = record.split_first_chunk_mut::<HEAD>() else { return Err(Wrong(AlertDescription::DecodeError)) };
        let nonce = self.0.nonce().ok_or(Wrong(AlertDescription::InternalError))?;
        let inner = self.0.cipher.open(nonce, head, sealed).ok_or(Wrong(AlertDescription::BadRecordMac))?;
        if inner.len() > CONTENT + KIND {
            return Err(Wrong(AlertDescription::RecordOverflow));
        }
        // Zeros behind the type hide how long the content is.
        let kind = inner.iter().rposition(|byte| *byte != 0).ok_or(Wrong(AlertDescription::UnexpectedMessage))?;
        Ok((inner[kind].into(), HEAD..HEAD + kind))
    }
}

/// The length of the record that `bytes` begin with, or none where its end has not come. After a handshake every record is protected.
pub(super) fn whole(bytes: &[u8]) -> Result<Option<usize>, Wrong> {
    let Some((&[kind, major, _, high, low], rest)) = bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
    if ContentType::from(kind) != ContentType::ApplicationData {
        return Err(Wrong(AlertDescription::UnexpectedMessage));
    }
    // Says nothing, but is never another: these bytes are no head.
    if major != VERSION {
        return Err(Wrong(AlertDescription::DecodeError));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LENGTH {
        return Err(Wrong(AlertDescription::RecordOverflow));
    }
    Ok((rest.len() >= length).then_some(HEAD + length))
}
