//! The queue behind TLS, as AWS's are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use secondary53_tests::primary::{Config, Primary};
use secondary53_tests::zones::incompressible;
use secondary53_zone::Serial;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::process::{Place, Relay};
use super::sqs::Sqs;
use super::{APEX, primary, zone};

/// Records whose message is near the largest that SQS takes.
const MANY: usize = 700;

/// TLS in front of a queue, with a certificate for one name.
struct Front {
    address: SocketAddr,
    /// The CA of its certificate.
    authority: PathBuf,
    connections: watch::Receiver<usize>,
    /// Requests that are read and not passed on, their connections closed.
    lost: watch::Sender<usize>,
}

impl Front {
    async fn start(directory: &Path, name: &str, behind: SocketAddr) -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = directory.join(format!("{name}.pem"));
        std::fs::write(&file, authority.self_signed(&authority_key).unwrap().pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (lost, (counting, connections)) = (watch::Sender::new(0), watch::channel(0));
        let losing = lost.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, losing, counting) = (acceptor.clone(), losing.clone(), counting.clone());
                tokio::spawn(async move {
                    // A client that does not like the certificate hangs up.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    counting.send_modify(|count| *count += 1);
                    let (mut reading, mut writing) = tokio::io::split(stream);
                    let (mut answers, mut requests) = TcpStream::connect(behind).await.unwrap().into_split();
                    tokio::join!(
                        async {
                            let mut octets = vec![0; 64 << 10];
                            while let Ok(length @ 1..) = reading.read(&mut octets).await {
                                let mut is_lost = false;
                                losing.send_if_modified(|left| {
                                    is_lost = *left > 0;
                                    *left -= usize::from(is_lost);
                                    is_lost
                                });
                                if is_lost {
                                    break;
                                }
                                requests.write_all(&octets[..length]).await.unwrap();
                            }
                            _ = requests.shutdown().await;
                        },
                        async {
                            _ = tokio::io::copy(&mut answers, &mut writing).await;
                            _ = writing.shutdown().await;
                        }
                    );
                });
            }
        });
        Self { address, authority: file, connections, lost }
    }

    /// A relay that is told of it, and trusts its CA alone or whom the system trusts.
    async fn run(&self, place: &Place, trusted: bool) -> Relay {
        let (url, authority) = (format!("https://{}", self.address), self.authority.display().to_string());
        let environment = [("AWS_ENDPOINT_URL_SQS", url.as_str()), ("SSL_CERT_FILE", authority.as_str())];
        place.run_in(&environment[..=usize::from(trusted)]).await
    }
}

async fn world(name: &str) -> (TempDir, Primary, Sqs, Front, Place) {
    let directory = TempDir::new().unwrap();
    let (primary, sqs) = (primary(Config::new().zone(zone(1))).await, Sqs::start().await);
    let front = Front::start(directory.path(), name, sqs.address).await;
    let place = Place::with_zone(sqs.address, primary.address(), APEX);
    (directory, primary, sqs, front, place)
}

#[tokio::test]
async fn a_queue_is_reached_over_tls_and_its_connection_is_used_again() {
    let (_directory, primary, sqs, front, place) = world("127.0.0.1").await;
    let relay = front.run(&place, true).await;
    assert_eq!(sqs.wait_for(1).await[0].message.serial, Serial(1));
    // A large one, in many records of TLS.
    primary.set_zone(incompressible(2, MANY).unwrap());
    primary.notify(relay.address).await.unwrap();
    let sent = sqs.wait_for(2).await.remove(1);
    assert_eq!((sent.message.serial, sent.snapshot().zone().record_count()), (Serial(2), MANY + 3));
    assert_eq!(*front.connections.borrow(), 1);
    relay.logged(&["sent", "serial=2"]).await;

    // The queue closes it just when it is used again: asked once more, over another, within the same attempt to send.
    front.lost.send_replace(1);
    primary.set_zone(zone(3));
    primary.notify(relay.address).await.unwrap();
    assert_eq!(sqs.wait_for(3).await[2].message.serial, Serial(3));
    relay.logged(&["sent", "serial=3"]).await;
    assert_eq!((*front.connections.borrow(), *front.lost.borrow()), (2, 0));
    assert!(!relay.log().contains("not sent"), "{}", relay.log());
    assert!(relay.stop().await.success());
    assert_eq!(sqs.accepted().len(), 3);
}

#[tokio::test]
async fn a_queue_whose_certificate_is_not_right_gets_nothing() {
    for (name, trusted, why) in
        [("127.0.0.1", false, "UnknownIssuer"), ("sqs.example", true, "certificate not valid for name \"127.0.0.1\"")]
    {
        let (_directory, _primary, sqs, front, place) = world(name).await;
        let relay = front.run(&place, trusted).await;
        relay.logged(&["not sent", why]).await;
        assert_eq!((sqs.accepted().len(), *front.connections.borrow()), (0, 0));
    }
}
