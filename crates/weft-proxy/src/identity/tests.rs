//! Against a certificate authority in the process, by a clock of our own: tokio's paused time, which nothing here waits for from
//! outside, and a time of day that follows it and can be set.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::clock;
use crate::metrics::{Format, Registry};

const NAME: &str = "web.default.serviceaccount.identity.weft.cluster.local";
const HOUR: Duration = Duration::from_secs(3600);
/// Longer than anything here takes.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

type Ca = CertifiedIssuer<'static, KeyPair>;

thread_local! {
    /// What time it was at some moment of tokio's.
    static TIME: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) };
}

fn now() -> SystemTime {
    let (moment, time) = TIME.get().expect("the clock is set");
    time + moment.elapsed()
}

fn set(time: SystemTime) {
    TIME.set(Some((Instant::now(), time)));
}

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certify(ca: &Ca, request: &CertifyRequest, life: Duration) -> CertifyResponse {
    let der = request.certificate_signing_request.clone().into();
    let mut csr = CertificateSigningRequestParams::from_der(&der).unwrap();
    csr.params.not_before = (now() - Duration::from_secs(20)).into();
    csr.params.not_after = (now() + life).into();
    let leaf = csr.signed_by(ca).unwrap();
    CertifyResponse { leaf_certificate: leaf.der().to_vec(), intermediate_certificates: vec![], valid_until: None }
}

struct Setting {
    _dir: tempfile::TempDir,
    token: PathBuf,
    config: Config,
}

fn setting() -> Setting {
    set(UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(10), jitter: 0.0 };
    let config = Config {
        local_name: NAME.into(),
        token_file: token.clone(),
        pace: Pace { min: Duration::from_secs(10), max: 24 * HOUR },
        backoff,
        chance: || 0.5,
        now,
    };
    Setting { _dir: dir, token, config }
}

fn metrics(status: Arc<Status>) -> String {
    let registry = Registry::new(Duration::ZERO);
    registry.collect(move |samples| status.sample(samples));
    registry.render(Format::Text, clock::now())
}

/// Runs both until `check` is done.
async fn while_running(run: impl Future<Output = ()>, check: impl Future<Output = ()>) {
    tokio::select! {
        () = run => unreachable!("it never ends"),
        () = check => {}
        () = sleep(FOR_EVER) => panic!("what the test waits for never came"),
    }
}

/// Requirement: the certificate comes after failures too, is the one that was issued for this key, and metrics tell when it ends.
#[tokio::test(start_paused = true)]
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
            2 => Ok(certify(&self::ca("somebody else"), &request, HOUR)),
            _ => Ok(certify(&ca, &request, HOUR)),
        };
        assert_eq!((request.identity.as_str(), request.token.as_slice()), (NAME, b"first".as_slice()));
        async move { answer }
    });
    while_running(run, async {
        let certified = certified.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        assert_eq!(certified.chain.len(), 1);
        let left = certified.not_after.duration_since(now()).unwrap();
        assert!(left > HOUR - Duration::from_secs(2) && left <= HOUR, "{left:?}");
    })
    .await;
    let metrics = metrics(status);
    assert!(metrics.contains("control_identity_cert_refreshes_total 1\n"), "{metrics}");
    assert!(metrics.contains("control_identity_cert_refresh_failures_total 2\n"), "{metrics}");
}

/// Requirement: the token is read from its file for every request, as it is replaced while the process lives; the key stays.
#[tokio::test(start_paused = true)]
async fn renewal_reads_the_token_again() {
    let setting = setting();
    let ca = ca("anchor");
    let (renewal, Seen { mut certified, .. }) = Renewal::new(setting.config.clone(), anchors::fixed(&ca.pem()).unwrap()).unwrap();
    let (tokens, mut asked) = mpsc::unbounded_channel();
    let run = renewal.run_with(|request| {
        tokens.send((request.token.clone(), request.certificate_signing_request.clone())).unwrap();
        let answer = certify(&ca, &request, HOUR);
        async move { Ok(answer) }
    });
    while_running(run, async {
        certified.wait_for(Option::is_some).await.unwrap();
        std::fs::write(&setting.token, "second").unwrap();
        let (first, csr) = asked.recv().await.unwrap();
        let (second, again) = asked.recv().await.unwrap();
        assert_eq!((first.as_slice(), second.as_slice()), (b"first".as_slice(), b"second".as_slice()));
        assert_eq!(again, csr);
    })
    .await;
}

/// Requirement: while the identity service fails, the last good certificate stays in force to its last moment and not longer, and the
/// metrics say when that is, that there was one certificate and that renewal failed.
#[tokio::test(start_paused = true)]
async fn the_last_certificate_stays_to_its_end() {
    let setting = setting();
    let ca = ca("anchor");
    let (renewal, Seen { mut certified, status }) = Renewal::new(setting.config.clone(), anchors::fixed(&ca.pem()).unwrap()).unwrap();
    let asked = Mutex::new(0);
    let end = now() + HOUR;
    let run = renewal.run_with(|request| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        let answer = if *asked == 1 { Ok(certify(&ca, &request, HOUR)) } else { Err(GrpcStatus::unavailable("gone")) };
        async move { answer }
    });
    while_running(run, async {
        certified.wait_for(Option::is_some).await.unwrap();
        certified.wait_for(Option::is_none).await.unwrap();
        let late = now().duration_since(end).unwrap();
        assert!(late < Duration::from_secs(1), "{late:?}");
    })
    .await;
    assert!(*asked.lock().unwrap() > 50);
    let metrics = metrics(status);
    let ends = end.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(metrics.contains(&format!("control_identity_cert_expiration_timestamp_seconds {ends}\n")), "{metrics}");
    assert!(metrics.contains("control_identity_cert_refreshes_total 1\n"), "{metrics}");
    assert!(!metrics.contains("control_identity_cert_refresh_failures_total 0\n"), "{metrics}");
}

/// Requirement: a certificate that ended is followed by another one as soon as the identity service is back.
#[tokio::test(start_paused = true)]
async fn an_ended_certificate_is_followed_by_another() {
    let setting = setting();
    let ca = ca("anchor");
    let (renewal, Seen { mut certified, .. }) = Renewal::new(setting.config.clone(), anchors::fixed(&ca.pem()).unwrap()).unwrap();
    let back = now() + 3 * HOUR;
    let begin = now();
    let run = renewal.run_with(|request| {
        let away = now() > begin && now() < back;
        let answer = if away { Err(GrpcStatus::unavailable("gone")) } else { Ok(certify(&ca, &request, HOUR)) };
        async move { answer }
    });
    while_running(run, async {
        certified.wait_for(Option::is_some).await.unwrap();
        certified.wait_for(Option::is_none).await.unwrap();
        certified.wait_for(Option::is_some).await.unwrap();
        let after = now().duration_since(back).unwrap();
        assert!(after <= setting.config.backoff.max, "{after:?}");
    })
    .await;
}

/// Requirement: a clock that is set forward past the moment of renewal, or back, brings a new certificate within moments, and nothing is
/// asked for meanwhile.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_brings_a_new_certificate() {
    let setting = setting();
    let ca = ca("anchor");
    let (renewal, Seen { mut certified, status }) = Renewal::new(setting.config.clone(), anchors::fixed(&ca.pem()).unwrap()).unwrap();
    let run = renewal.run_with(|request| {
        let answer = certify(&ca, &request, 24 * HOUR);
        async move { Ok(answer) }
    });
    while_running(run, async {
        certified.wait_for(Option::is_some).await.unwrap();
        sleep(HOUR).await;
        assert_eq!(status.counts().0, 1);
        for (number, time) in [(2, now() + 20 * HOUR), (3, now() - 48 * HOUR)] {
            certified.borrow_and_update();
            set(time);
            certified.changed().await.unwrap();
            let took = now().duration_since(time).unwrap();
            assert!(took <= LOOK_AT_CLOCK + Duration::from_secs(1), "{took:?}");
            assert_eq!(status.counts(), (number, 0));
        }
    })
    .await;
}

/// Requirement: anchors are watched; a bundle that grows is published with the certificate in force, which is then renewed; a broken one
/// changes nothing; one that no longer covers the certificate brings another at once; and so, soon, does any change of the file.
#[tokio::test(start_paused = true)]
async fn new_anchors_are_published() {
    let setting = setting();
    let (old, new) = (ca("old"), ca("new"));
    let path = setting.token.with_file_name("anchors.pem");
    std::fs::write(&path, old.pem()).unwrap();
    let (receiver, watched) = anchors::watched(&path).unwrap();
    let (renewal, Seen { mut certified, status }) = Renewal::new(setting.config.clone(), receiver.clone()).unwrap();
    let issuer = Mutex::new(&old);
    let run = renewal.run_with(|request| {
        let answer = certify(*issuer.lock().unwrap(), &request, 24 * HOUR);
        async move { Ok(answer) }
    });
    let check = async {
        let trusts = |count| move |c: &Option<Arc<Certified>>| c.as_ref().is_some_and(|c| c.anchors.certificates.len() == count);
        let first = certified.wait_for(trusts(1)).await.unwrap().clone().unwrap();

        std::fs::write(&path, "not a certificate").unwrap();
        sleep(2 * anchors::POLL).await;
        std::fs::write(&path, format!("{}{}", old.pem(), new.pem())).unwrap();
        let both = certified.wait_for(trusts(2)).await.unwrap().clone().unwrap();
        assert_eq!(both.chain, first.chain);
        assert_eq!(status.counts(), (1, 0));
        let began = now();
        let renewed = certified.wait_for(|c| c.as_ref().is_some_and(|c| c.chain != first.chain)).await.unwrap().clone().unwrap();
        assert!(now().duration_since(began).unwrap() <= SPREAD);

        std::fs::write(&path, format!("# again\n{}{}", old.pem(), new.pem())).unwrap();
        certified.wait_for(|c| c.as_ref().is_some_and(|c| c.chain != renewed.chain)).await.unwrap();
        assert_eq!(status.counts(), (3, 0));

        *issuer.lock().unwrap() = &new;
        let last = certified.borrow().as_ref().unwrap().chain.clone();
        let began = now();
        std::fs::write(&path, new.pem()).unwrap();
        certified.wait_for(|c| trusts(1)(c) && c.as_ref().is_some_and(|c| c.chain != last)).await.unwrap();
        // The last renewal came half of the spread after a look at the file; this one came with the next look.
        let took = now().duration_since(began).unwrap();
        assert!(took <= anchors::POLL - SPREAD / 2 + Duration::from_millis(10), "{took:?}");
        assert_eq!(status.counts(), (4, 0));
    };
    while_running(run, async {
        tokio::select! {
            () = watched.run(anchors::POLL) => unreachable!("it never ends"),
            () = check => {}
        }
    })
    .await;
}

/// Requirement: anchors that are no certificates are refused when the process starts, and the message says so.
#[test]
fn anchors_must_be_certificates() {
    assert!(anchors::fixed("").unwrap_err().contains("no certificate"));
    assert!(anchors::fixed("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
}
