//! The process's key and the request for its certificate.

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::sign::SigningKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// ECDSA P-256; made here, kept in memory, never written anywhere.
pub(super) struct Key {
    signing: Arc<dyn SigningKey>,
    request: Vec<u8>,
}

impl Key {
    /// A new key, and a request (PKCS #10, DER) for exactly one DNS name.
    pub(super) fn generate(name: &str) -> Result<Self, String> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| error.to_string())?;
        let mut params = CertificateParams::new(vec![name.to_string()]).map_err(|error| error.to_string())?;
        // The library's default is a common name of its own; the identity service wants none.
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&pair).map_err(|error| error.to_string())?.der().to_vec();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(|error| error.to_string())?;
        Ok(Key { signing, request })
    }

    pub(super) fn signing(&self) -> &Arc<dyn SigningKey> {
        &self.signing
    }

    pub(super) fn request(&self) -> &[u8] {
        &self.request
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::extensions::{GeneralName, ParsedExtension};
    use x509_parser::prelude::FromDer;

    use super::*;

    /// Requirement: the request names the workload once, as a DNS name, has an empty subject, and is signed with the key.
    #[test]
    fn the_request_holds_one_name_and_no_subject() {
        let name = "web.default.serviceaccount.identity.weft.cluster.local";
        let key = Key::generate(name).unwrap();
        let (rest, request) = X509CertificationRequest::from_der(key.request()).unwrap();
        assert!(rest.is_empty());
        assert_eq!(request.certification_request_info.subject.iter().count(), 0);
        let names: Vec<_> = request
            .requested_extensions()
            .unwrap()
            .filter_map(|extension| match extension {
                ParsedExtension::SubjectAlternativeName(san) => Some(san.general_names.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(names, [GeneralName::DNSName(name)]);
        assert_eq!(key.signing().algorithm(), rustls::SignatureAlgorithm::ECDSA);
    }
}
