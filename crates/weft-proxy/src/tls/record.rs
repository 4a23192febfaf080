//! Records of TLS 1.3 in one direction (RFC 8446, section 5): where one ends, sealing, opening.
//!
//! Decides whether bytes are a record of this connection, next in turn, and untouched on their way. It never reads or writes a socket, and
//! never asks what a record means.

use std::fmt;
use std::ops::Range;

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::{AlertDescription, ConnectionTrafficSecrets, ContentType};

/// The first bytes of a record: its type, a version and the length of the rest.
pub(super) const HEAD: usize = 5;
/// Major and minor alike: 3.3 was TLS 1.2, and newer ones say the same.
const VERSION: u8 = 3;
/// The type behind the content.
const KIND: usize = 1;
/// What proves that a record is untouched; all suites of TLS 1.3 have the same.
const TAG: usize = 16;
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
    key: LessSafeKey,
    iv: [u8; ring::aead::NONCE_LEN],
    used: u64,
}

impl Key {
    fn new((used, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Self, rustls::Error> {
        let (algorithm, key, iv) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(unusable()),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| unusable())?;
        let iv = iv.as_ref().try_into().map_err(|_| unusable())?;
        Ok(Key { key: LessSafeKey::new(key), iv, used })
    }

    /// For the next record: one that was used before would give the key away.
    fn nonce(&mut self) -> Option<Nonce> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.used.to_be_bytes()) {
            *byte ^= number;
        }
        self.used = self.used.checked_add(1)?;
        Some(Nonce::assume_unique_for_key(nonce))
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

    /// Adds a record to `out` with the content that `fill` adds, which is no more than [`CONTENT`] bytes. Fails when the key has made all
    /// the records that it can.
    pub(super) fn seal(&mut self, kind: ContentType, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Wrong> {
        let exhausted = || Wrong(AlertDescription::InternalError);
        let start = out.len();
        out.extend_from_slice(&[0; HEAD]);
        fill(out);
        out.push(kind.into());
        let length = u16::try_from(out.len() - start - HEAD + TAG).map_err(|_| exhausted())?;
        let [high, low] = length.to_be_bytes();
        let head = [ContentType::ApplicationData.into(), VERSION, VERSION, high, low];
        out[start..start + HEAD].copy_from_slice(&head);
        let nonce = self.0.nonce().ok_or_else(exhausted)?;
        let inner = &mut out[start + HEAD..];
        let tag = self.0.key.seal_in_place_separate_tag(nonce, Aad::from(head), inner).map_err(|_| exhausted())?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

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
        let inner = self.0.key.open_in_place(nonce, Aad::from(*head), sealed).map_err(|_| Wrong(AlertDescription::BadRecordMac))?;
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
