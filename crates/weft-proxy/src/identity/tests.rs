//! Against a certificate authority in the process.
#![allow(clippy::disallowed_methods, reason = "the certificates that are issued here are valid now")]

use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::sync::mpsc;

use super::*;
use crate::clock;
use crate::metrics::{Format, Registry};

const NAME: &str = "web.default.serviceaccount.identity.weft.cluster.local";

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certify(ca: &Ca, request: &CertifyRequest, life: Duration) -> CertifyResponse {
    let der = request.certificate_signing_request.clone().into();
    let mut csr = CertificateSigningRequestParams::from_der(&der).unwrap();
    csr.params.not_before = (clock::wall() - Duration::from_secs(60)).into();
    csr.params.not_after = (clock::wall() + life).into();
    let leaf = csr.signed_by(ca).unwrap();
    CertifyResponse { leaf_certificate: leaf.der().to_vec(), intermediate_certificates: vec![], valid_until: None }
}

struct Setting {
    _dir: tempfile::TempDir,
    token: PathBuf,
    config: Config,
}

fn setting() -> Setting {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let backoff = Backoff { min: Duration::from_millis(1), max: Duration::from_millis(5), jitter: 0.0 };
    let config = Config {
        local_name: NAME.into(),
        token_file: token.clone(),
        min_refresh: Duration::from_millis(20),
        max_refresh: Duration::from_secs(86_400),
        backoff,
        chance: || 0.0,
        now: clock::wall,
    };
    Setting { _dir: dir, token, config }
}

/// Requirement: the certificate comes after failures too, is the one that was issued for this key, and metrics tell when it ends.
#[tokio::test]
async fn a_certificate_is_obtained_and_published() {
    let setting = setting();
    let ca = ca("anchor");
    let anchors = anchors::fixed(&ca.pem()).unwrap();
    let (renewal, Seen { mut certified, status }) = Renewal::new(setting.config.clone(), anchors).unwrap();
    let asked = Mutex::new(0);
    let run = renewal.run_with(|request| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        let answer = match *asked {
            1 => Err(GrpcStatus::unavailable("not yet")),
            2 => Ok(certify(&self::ca("somebody else"), &request, Duration::from_secs(3600))),
            _ => Ok(certify(&ca, &request, Duration::from_secs(3600))),
        };
        assert_eq!((request.identity.as_str(), request.token.as_slice()), (NAME, b"first".as_slice()));
        async move { answer }
    });
    tokio::select! {
        () = run => unreachable!("it never ends"),
        certified = certified.wait_for(Option::is_some) => {
            let certified = certified.unwrap().clone().unwrap();
            assert_eq!(certified.chain.len(), 1);
            let left = certified.not_after.duration_since(clock::wall()).unwrap();
            assert!(left > Duration::from_secs(3500) && left <= Duration::from_secs(3600), "{left:?}");
        }
    }
    let registry = Registry::new(Duration::ZERO);
    registry.collect(move |samples| status.sample(samples));
    let metrics = registry.render(Format::Text, clock::now());
    assert!(metrics.contains("control_identity_cert_refreshes_total 1\n"), "{metrics}");
    assert!(metrics.contains("control_identity_cert_refresh_failures_total 2\n"), "{metrics}");
}

/// Requirement: the token is read from its file for every request, as it is replaced while the process lives; the key stays.
#[tokio::test]
async fn renewal_reads_the_token_again() {
    let setting = setting();
    let ca = ca("anchor");
    let (renewal, Seen { mut certified, .. }) = Renewal::new(setting.config.clone(), anchors::fixed(&ca.pem()).unwrap()).unwrap();
    let (tokens, mut asked) = mpsc::unbounded_channel();
    let run = renewal.run_with(|request| {
        tokens.send((request.token.clone(), request.certificate_signing_request.clone())).unwrap();
        // The certificate is due for renewal at once: 70 % of nothing.
        let answer = CertifyResponse {
            valid_until: Some((clock::wall() + Duration::from_millis(40)).into()),
            ..certify(&ca, &request, Duration::from_secs(3600))
        };
        async move { Ok(answer) }
    });
    let check = async {
        certified.wait_for(Option::is_some).await.unwrap();
        std::fs::write(&setting.token, "second").unwrap();
        let (first, csr) = asked.recv().await.unwrap();
        assert_eq!(first, b"first");
        while let Some((token, again)) = asked.recv().await {
            assert_eq!(again, csr);
            if token == b"second" {
                return;
            }
        }
    };
    tokio::select! {
        () = run => unreachable!("it never ends"),
        () = check => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("the second token was never sent"),
    }
}

/// Requirement: while the identity service fails, the last good certificate stays in force up to its end, and not longer.
#[tokio::test]
async fn the_last_certificate_stays_to_its_end() {
    let setting = setting();
    let ca = ca("anchor");
    let (renewal, Seen { mut certified, .. }) = Renewal::new(setting.config.clone(), anchors::fixed(&ca.pem()).unwrap()).unwrap();
    let asked = Mutex::new(0);
    let end = clock::wall() + Duration::from_millis(400);
    let run = renewal.run_with(|request| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        let answer = if *asked == 1 {
            Ok(CertifyResponse { valid_until: Some(end.into()), ..certify(&ca, &request, Duration::from_secs(3600)) })
        } else {
            Err(GrpcStatus::unavailable("gone"))
        };
        async move { answer }
    });
    let check = async {
        certified.wait_for(Option::is_some).await.unwrap();
        certified.wait_for(Option::is_none).await.unwrap();
        assert!(clock::wall() >= end);
    };
    tokio::select! {
        () = run => unreachable!("it never ends"),
        () = check => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("the ended certificate is still published"),
    }
    assert!(*asked.lock().unwrap() > 2);
}

/// Requirement: anchors are watched; a bundle that grows is published with the certificate in force, a broken one changes nothing,
/// and one that no longer covers the certificate brings a new request.
#[tokio::test]
async fn new_anchors_are_published() {
    let setting = setting();
    let (old, new) = (ca("old"), ca("new"));
    let path = setting.token.with_file_name("anchors.pem");
    std::fs::write(&path, old.pem()).unwrap();
    let (receiver, watched) = anchors::watched(&path).unwrap();
    let (renewal, Seen { mut certified, .. }) = Renewal::new(setting.config.clone(), receiver.clone()).unwrap();
    let issuer = Mutex::new(&old);
    let run = renewal.run_with(|request| {
        let answer = certify(*issuer.lock().unwrap(), &request, Duration::from_secs(3600));
        async move { Ok(answer) }
    });
    let check = async {
        let first = certified.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        assert_eq!(first.roots.len(), 1);

        std::fs::write(&path, "not a certificate").unwrap();
        std::fs::write(&path, format!("{}{}", old.pem(), new.pem())).unwrap();
        let both = certified.wait_for(|c| c.as_ref().is_some_and(|c| c.roots.len() == 2)).await.unwrap().clone().unwrap();
        assert_eq!(both.chain, first.chain);

        *issuer.lock().unwrap() = &new;
        std::fs::write(&path, new.pem()).unwrap();
        let reissued = certified.wait_for(|c| c.as_ref().is_some_and(|c| c.chain != first.chain)).await.unwrap().clone().unwrap();
        assert_eq!(reissued.roots.len(), 1);
    };
    tokio::select! {
        () = run => unreachable!("it never ends"),
        () = watched.run(Duration::from_millis(5)) => unreachable!("it never ends"),
        () = check => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("the new anchors were not published"),
    }
}

/// Requirement: renewal comes at 70 % of the remaining life, not before the least and not after the longest time.
#[test]
fn renewal_is_due_at_seven_tenths() {
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let (min, max) = (Duration::from_secs(10), Duration::from_secs(86_400));
    for (life, due) in [(3600, 2520), (10, 10), (0, 10), (86_400 * 365, 86_400), (86_400, 60_480)] {
        assert_eq!(refresh_in(now, now + Duration::from_secs(life), min, max), Duration::from_secs(due), "life {life}");
    }
    assert_eq!(refresh_in(now, now - Duration::from_secs(5), min, max), min);
}

/// Requirement: anchors that are no certificates are refused when the process starts, and the message says so.
#[test]
fn anchors_must_be_certificates() {
    assert!(anchors::fixed("").unwrap_err().contains("no certificate"));
    assert!(anchors::fixed("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
}
