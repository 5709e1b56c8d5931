//! Transfers over TLS (RFC 9103) from real primaries, and the certificates that are not taken.

mod mutual;

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use secondary53_tests::stack::name_server::{NameServer, Security, ServerTls, TsigKey, ZoneFile};
use secondary53_tests::stack::{StackError, bind, nsd, pass_over_missing, programs};
use secondary53_zone::Serial;
use secondary53_zone::message::Reason;
use tempfile::TempDir;

use crate::process::Place;
use crate::sqs::Sqs;

const APEX: &str = "example.com";
const KEY: &str = "relay.example.";
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const HOSTS: usize = 5_000;

#[tokio::test]
async fn a_zone_comes_over_tls_from_bind() -> Result<(), StackError> {
    pass_over_missing(follow_bind().await)
}

#[tokio::test]
async fn a_zone_comes_over_tls_from_nsd() -> Result<(), StackError> {
    pass_over_missing(follow_nsd().await)
}

#[tokio::test]
async fn a_certificate_that_is_not_right_is_refused_and_told() -> Result<(), StackError> {
    pass_over_missing(refuse().await)
}

/// A CA in a file of its own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let file = dir.join(name);
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// A certificate for 127.0.0.1 and ns.example, valid until that year.
    fn certify(&self, dir: &Path, until: i32) -> Result<ServerTls, StackError> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1", "ns.example"].map(str::to_owned)).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        let (certificate, key_file) = (dir.join("certificate.pem"), dir.join("key.pem"));
        std::fs::write(&certificate, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let protocol = "TLSv1.3".to_owned();
        Ok(ServerTls { address: programs::free_address()?, certificate, key: key_file, protocol, clients: None })
    }
}

fn zone() -> ZoneFile {
    let hosts: String = (0..HOSTS).map(|host| format!("host{host} A 10.0.{}.{}\n", host / 250, host % 250)).collect();
    let head = "@ SOA ns host 1 3600 1 86400 60\n@ NS ns\nns A 192.0.2.1\n";
    ZoneFile { zone: APEX.to_owned(), text: format!("$ORIGIN {APEX}.\n$TTL 300\n{head}{hosts}") }
}

/// What the relay is told: its only primary.
fn text(primary: &str) -> String {
    let queue = "url = \"http://127.0.0.1/000000000000/main.fifo\"\nregion = \"eu-west-1\"";
    let rest = "[timers]\nretry_min = \"1s\"\n[limits]\ntransfer_idle = \"5s\"";
    format!("[queue.main]\n{queue}\n{rest}\n{primary}\n[[zone]]\nname = \"{APEX}\"\n")
}

fn primary(tls: &ServerTls, authority: &Authority, more: &str) -> String {
    let ca = authority.file.display();
    format!("[primary.main]\naddress = \"{}\"\ntls = true\ntls_ca_file = \"{ca}\"\n{more}", tls.address)
}

async fn follow_bind() -> Result<(), StackError> {
    let (dir, sqs, listen) = (TempDir::new().unwrap(), Sqs::start().await, programs::free_address()?);
    let authority = Authority::new(dir.path(), "ca.pem");
    let tls = authority.certify(dir.path(), 2100)?;
    let key = TsigKey { name: KEY.to_owned(), algorithm: "hmac-sha512".to_owned(), secret: SECRET.to_owned() };
    let security = Security { key: Some(key), tls: Some(tls.clone()) };
    let server: NameServer = bind::start_with(dir.path(), &zone(), listen, &security).await?;

    let key = format!("key = \"{KEY}\"\n[key.\"{KEY}\"]\nalgorithm = \"hmac-sha512\"\nsecret = \"{SECRET}\"\n");
    let place = Place::at(listen, sqs.address, &text(&primary(&tls, &authority, &key)));
    let relay = place.run().await;
    let first = sqs.wait_for(1).await.remove(0);
    assert_eq!((first.message.serial, first.snapshot().zone().record_count()), (Serial(1), HOSTS + 3));
    server.update(&["add new.example.com. 60 A 192.0.2.9"]).await?;
    let second = sqs.wait_for(2).await.remove(1);
    assert_eq!((second.message.serial, second.message.reason), (Serial(2), Reason::Notify));
    assert_eq!(second.snapshot().zone().record_count(), HOSTS + 4);
    assert!(relay.stop().await.success());

    // By its name; and what it took was TLS: in plain, the same server gives no zone.
    std::fs::remove_dir_all(place.state()).unwrap();
    place.reconfigure(&text(&primary(&tls, &authority, &format!("tls_name = \"ns.example\"\n{key}"))));
    let (good, log) = place.once().await;
    assert!(good, "{log}");
    std::fs::remove_dir_all(place.state()).unwrap();
    place.reconfigure(&text(&format!("[primary.main]\naddress = \"{}\"\n{key}", server.address)));
    let (good, log) = place.once().await;
    assert!(!good && log.contains("says REFUSED"), "{log}");
    Ok(())
}

/// NSD chooses no ALPN; and it takes transfers over TCP beside those over TLS.
async fn follow_nsd() -> Result<(), StackError> {
    let (dir, sqs, listen) = (TempDir::new().unwrap(), Sqs::start().await, programs::free_address()?);
    let authority = Authority::new(dir.path(), "ca.pem");
    let tls = authority.certify(dir.path(), 2100)?;
    let key = TsigKey { name: KEY.to_owned(), algorithm: "hmac-sha256".to_owned(), secret: SECRET.to_owned() };
    let security = Security { key: Some(key), tls: Some(tls.clone()) };
    let _server = nsd::start_with(dir.path(), &zone(), listen, &security).await?;

    let key = format!("key = \"{KEY}\"\n[key.\"{KEY}\"]\nalgorithm = \"hmac-sha256\"\nsecret = \"{SECRET}\"\n");
    let place = Place::at(listen, sqs.address, &text(&primary(&tls, &authority, &key)));
    let relay = place.run().await;
    let first = sqs.wait_for(1).await.remove(0);
    assert_eq!((first.message.serial, first.snapshot().zone().record_count()), (Serial(1), HOSTS + 3));

    let changed = zone().text.replace("host 1 3600", "host 2 3600") + "new A 192.0.2.9\n";
    nsd::reload(dir.path(), &ZoneFile { text: changed, ..zone() }).await?;
    let second = sqs.wait_for(2).await.remove(1);
    assert_eq!((second.message.serial, second.message.reason), (Serial(2), Reason::Notify));
    assert_eq!(second.snapshot().zone().record_count(), HOSTS + 4);
    assert!(relay.stop().await.success());
    Ok(())
}

async fn refuse() -> Result<(), StackError> {
    let (dir, sqs, nobody) = (TempDir::new().unwrap(), Sqs::start().await, programs::free_address()?);
    let authority = Authority::new(dir.path(), "ca.pem");
    let other = Authority::new(dir.path(), "other.pem");
    let place = Place::new(sqs.address, "");
    for (until, protocol, authority_here, more, told) in [
        (2100, "TLSv1.3", &other, "", "the certificate of the primary is signed by no CA that is trusted here"),
        (
            2100,
            "TLSv1.3",
            &authority,
            "tls_name = \"other.example\"\n",
            "the certificate of the primary is not for other.example, but for",
        ),
        (2021, "TLSv1.3", &authority, "", "the certificate of the primary has expired"),
        (
            2100,
            "TLSv1.2",
            &authority,
            "",
            "the primary closed the connection within the handshake: does it serve TLS 1.3 at this port?",
        ),
    ] {
        let here = TempDir::new().unwrap();
        let tls = ServerTls { protocol: protocol.to_owned(), ..authority.certify(here.path(), until)? };
        let security = Security { key: None, tls: Some(tls.clone()) };
        let _server = bind::start_with(here.path(), &zone(), nobody, &security).await?;
        place.reconfigure(&text(&primary(&tls, authority_here, more)));
        let (good, log) = place.once().await;
        assert!(!good && log.contains(&format!("TLS failed: {told}")), "{told}\n{log}");
    }
    // The system's roots are no more trustful.
    let tls = authority.certify(dir.path(), 2100)?;
    let _server =
        bind::start_with(dir.path(), &zone(), nobody, &Security { key: None, tls: Some(tls.clone()) }).await?;
    place.reconfigure(&text(&format!("[primary.main]\naddress = \"{}\"\ntls = true\n", tls.address)));
    let (good, log) = place.once().await;
    assert!(!good && (log.contains("no CA that is trusted here") || log.contains("the system's roots")), "{log}");
    assert!(sqs.accepted().is_empty());
    Ok(())
}
