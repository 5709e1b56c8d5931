//! Primaries that demand a certificate of the relay (RFC 9103 §9.3.3).

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use secondary53_tests::primary::{Config, Primary};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::*;

#[tokio::test]
async fn a_zone_comes_from_bind_that_demands_a_certificate() -> Result<(), StackError> {
    pass_over_missing(follow_bind().await)
}

/// What the relay shows, as its configuration has it.
fn shown(identity: &ServerTls) -> String {
    let (certificate, key) = (identity.certificate.display(), identity.key.display());
    format!("tls_cert_file = \"{certificate}\"\ntls_key_file = \"{key}\"\n")
}

async fn follow_bind() -> Result<(), StackError> {
    let (dir, sqs, listen) = (TempDir::new().unwrap(), Sqs::start().await, programs::free_address()?);
    let [ours, other] = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let (authority, clients) = (Authority::new(dir.path(), "ca.pem"), Authority::new(dir.path(), "clients.pem"));
    let tls = ServerTls { clients: Some(clients.file.clone()), ..authority.certify(dir.path(), 2100)? };
    let security = Security { key: None, tls: Some(tls.clone()) };
    let server = bind::start_with(dir.path(), &zone(), listen, &security).await?;
    let identity = clients.certify(ours.path(), 2100)?;
    let place = Place::at(listen, sqs.address, "");

    // Its last words may be lost with the connection, which is reset where something comes after they were said.
    let lost = ["closed the connection", "reset by peer"];
    let stranger = shown(&authority.certify(other.path(), 2100)?);
    for (identity, told) in [
        (String::new(), "TLS failed: the primary demands a certificate of the relay: name one as tls_cert_file"),
        (stranger, "TLS failed: the primary does not take the certificate in tls_cert_file: it says UnknownCA"),
    ] {
        place.reconfigure(&text(&primary(&tls, &authority, &identity)));
        let (good, log) = place.once().await;
        assert!(!good && (log.contains(told) || lost.iter().any(|lost| log.contains(lost))), "{told}\n{log}");
    }
    assert!(sqs.accepted().is_empty());

    place.reconfigure(&text(&primary(&tls, &authority, &shown(&identity))));
    let relay = place.run().await;
    let first = sqs.wait_for(1).await.remove(0);
    assert_eq!((first.message.serial, first.snapshot().zone().record_count()), (Serial(1), HOSTS + 3));
    server.update(&["add new.example.com. 60 A 192.0.2.9"]).await?;
    let second = sqs.wait_for(2).await.remove(1);
    assert_eq!((second.message.serial, second.message.reason), (Serial(2), Reason::Notify));
    assert!(relay.stop().await.success());
    Ok(())
}

/// TLS in front of the scripted primary; it notes the certificates that it is shown.
async fn gate(tls: &ServerTls, behind: SocketAddr, seen: watch::Sender<Vec<Option<CertificateDer<'static>>>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = match &tls.clients {
        None => builder.unwrap().with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(clients).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.unwrap().with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_file(&tls.certificate).unwrap()];
    let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(&tls.key).unwrap()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(tls.address).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match acceptor.accept(stream).into_fallible().await {
                Ok(mut stream) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first().cloned());
                    seen.send_modify(|seen| seen.push(shown.map(CertificateDer::into_owned)));
                    let mut primary = TcpStream::connect(behind).await.unwrap();
                    tokio::spawn(async move { copy_bidirectional(&mut stream, &mut primary).await });
                }
                // Read to the end, so that what was said is not lost in a reset.
                Err((_, mut stream)) => drop(stream.read_to_end(&mut Vec::new()).await),
            }
        }
    });
}

#[tokio::test]
async fn a_certificate_is_shown_to_who_asks_and_to_nobody_else() {
    let [dir, ours, other, old] = [(); 4].map(|()| TempDir::new().unwrap());
    let (authority, clients) = (Authority::new(dir.path(), "ca.pem"), Authority::new(dir.path(), "clients.pem"));
    let scripted = Primary::start(Config::new().zone(crate::zone(1))).await.unwrap();
    let sqs = Sqs::start().await;
    let place = Place::new(sqs.address, "");
    let (seen, _) = watch::channel(Vec::new());
    let identity = clients.certify(ours.path(), 2100).unwrap();
    let certificate = CertificateDer::from_pem_file(&identity.certificate).unwrap();

    let open = authority.certify(dir.path(), 2100).unwrap();
    gate(&open, scripted.address(), seen.clone()).await;
    place.reconfigure(&text(&primary(&open, &authority, &shown(&identity))));
    let (good, log) = place.once().await;
    assert!(good, "{log}");
    assert!(seen.send_replace(Vec::new()).iter().all(Option::is_none));

    let demanding = ServerTls {
        address: programs::free_address().unwrap(),
        clients: Some(clients.file.clone()),
        ..authority.certify(dir.path(), 2100).unwrap()
    };
    gate(&demanding, scripted.address(), seen.clone()).await;
    std::fs::remove_dir_all(place.state()).unwrap();
    for (identity, told) in [
        (String::new(), "TLS failed: the primary demands a certificate of the relay"),
        (shown(&authority.certify(other.path(), 2100).unwrap()), "it says UnknownCA"),
        (shown(&clients.certify(old.path(), 2021).unwrap()), "it says CertificateExpired"),
    ] {
        place.reconfigure(&text(&primary(&demanding, &authority, &identity)));
        let (good, log) = place.once().await;
        assert!(!good && log.contains(told), "{told}\n{log}");
    }
    assert!(seen.borrow().is_empty());
    place.reconfigure(&text(&primary(&demanding, &authority, &shown(&identity))));
    let (good, log) = place.once().await;
    assert!(good, "{log}");
    let seen = seen.borrow();
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.as_ref() == Some(&certificate)), "{seen:?}");
}
