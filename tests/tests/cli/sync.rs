//! What `sync` does where not all goes well, and with a primary of some size.

use std::process::{Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use secondary53_tests::primary::{Config, Primary};
use secondary53_tests::stack::name_server::{Security, ServerTls, TsigKey, ZoneFile};
use secondary53_tests::stack::wait::{GENEROUS, until};
use secondary53_tests::stack::{StackError, bind, pass_over_missing, programs};
use secondary53_tests::strict::{self, Server, ZoneSpec};
use secondary53_tests::zones::incompressible;
use serde_json::{Value, json};

use super::{ID, World, file, finished, finished_within, secondary53, told};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_rrset_is_named_and_all_else_is_applied() {
    let records = "good A 192.0.2.1\nbad A 192.0.2.2\nbad MX 1 x\nz TXT \"good\"";
    let world = World::start(file(7, records)).await;
    world.server.refuse(ID, "bad.example.com.", "A", "No such luck").unwrap();
    let (status, _, error) = world.run(&["sync", "example.com", "--yes"]).await;
    assert_eq!(status, 1);
    assert!(error.contains("refused: bad.example.com.: ") && error.contains("No such luck"), "{error}");
    assert!(error.contains("Route 53 refused 2 RRsets: bad.example.com. A, bad.example.com. MX"), "{error}");
    let view = world.server.zone(ID).unwrap();
    assert!(view.rrset("good.example.com.", "A").is_some() && view.rrset("z.example.com.", "TXT").is_some());
    assert_eq!(view.serial, 1, "it does not claim what it does not have");

    let (status, json, _) = world.run(&["sync", "example.com", "--yes", "--json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (status, &json[0]["outcome"], &json[0]["refused"][0]["name"]),
        (1, &json!("refused"), &json!("bad.example.com."))
    );
    world.server.allow(ID, "bad.example.com.", "A").unwrap();
    assert_eq!(world.run(&["sync", "example.com", "--yes"]).await.0, 0);
    assert_eq!(world.server.zone(ID).unwrap().serial, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_until_all_name_servers_have_it() {
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let config = strict::Config { zones, propagation: Duration::from_millis(500), ..strict::Config::default() };
    let server = Server::start(config).await.unwrap();
    let primary = Primary::start(Config::new().zone(file(7, "w A 192.0.2.1"))).await.unwrap();
    let mut command = secondary53(&["sync", "example.com", "--yes", "--wait"]);
    command.arg("--primary").arg(primary.address().to_string()).env("AWS_ENDPOINT_URL_ROUTE_53", server.endpoint());
    let (status, _, error) = told(&finished(command, Vec::new()).await);
    assert!(status == 0 && error.ends_with("All of Route 53's name servers have it (INSYNC).\n"), "{error}");
    assert!(server.calls().iter().filter(|call| call.action == "GetChange").count() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_stops_between_requests() {
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let config = strict::Config { zones, processing: Duration::from_millis(200), ..strict::Config::default() };
    let server = Server::start(config).await.unwrap();
    // Each request takes 32,000 characters: these are eight.
    let primary = Primary::start(Config::new().zone(incompressible(7, 240).unwrap())).await.unwrap();
    let command = || {
        let mut command = secondary53(&["sync", "example.com", "--yes"]);
        command.arg("--primary").arg(primary.address().to_string()).env("AWS_ENDPOINT_URL_ROUTE_53", server.endpoint());
        command
    };
    let mut stopped = command();
    // A plan that nobody reads would fill a pipe.
    let child = stopped.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let changes = || {
        server.calls().iter().filter(|call| call.action == "ChangeResourceRecordSets" && call.error.is_none()).count()
    };
    until(GENEROUS, "a request that changes something", async || Ok((changes() > 0).then_some(()))).await.unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let (status, _, error) = told(&output);
    assert_eq!(status, 130, "{error}");
    let done = changes();
    assert!(done < 8 && error.contains(&format!("Stopped: {done} request")), "{done}: {error}");
    assert!(error.contains("The serial in Route 53 is still 1"), "{error}");
    assert_eq!(server.zone(ID).unwrap().serial, 1);

    assert_eq!(told(&finished(command(), Vec::new()).await).0, 0);
    assert_eq!(server.zone(ID).unwrap().serial, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_records_of_a_bind_that_wants_a_key() -> Result<(), StackError> {
    pass_over_missing(reference().await)
}

/// At Route 53's rates that is a minute and a quarter.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: make test-all"]
async fn ten_thousand_records_of_a_bind_are_synced() -> Result<(), StackError> {
    pass_over_missing(sync_reference().await)
}

async fn sync_reference() -> Result<(), StackError> {
    let (dir, zone) = (tempfile::tempdir().unwrap(), reference_zone());
    let bind = bind::start(dir.path(), &zone, programs::free_address()?).await?;
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let (request_rate, change_rate) = (Some(strict::REQUESTS), Some(strict::CHANGES));
    let config = strict::Config { zones, request_rate, change_rate, ..strict::Config::default() };
    let server = Server::start(config).await.unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = secondary53(arguments);
        command.arg("--primary").arg(bind.address.to_string()).env("AWS_ENDPOINT_URL_ROUTE_53", server.endpoint());
        told(&finished_within(5 * GENEROUS, command, Vec::new()).await)
    };
    let (status, _, error) = run(&["sync", "example.com", "--yes"]).await;
    assert_eq!(status, 0, "{error}");
    assert_eq!(server.zone(ID).unwrap().serial, 2_026_112_301);
    let calls = server.calls();
    assert!(calls.iter().all(|call| call.error.is_none()), "{:?}", calls.iter().find(|call| call.error.is_some()));
    assert_eq!(calls.len(), 13, "the name, the listing, the SOA before the first change, ten batches");
    let (status, told, error) = run(&["verify", "example.com"]).await;
    assert_eq!(status, 0, "{told}{error}");
    Ok(())
}

/// Of 10,000 records.
fn reference_zone() -> ZoneFile {
    let script = programs::workspace().join("tests/reference_zone.py");
    let written = Command::new("python3").arg(script).arg("10000").output().unwrap();
    ZoneFile { zone: "example.com".to_owned(), text: String::from_utf8(written.stdout).unwrap() }
}

async fn reference() -> Result<(), StackError> {
    const SECRET: &str = "c2Vjb25kYXJ5NTMtc2Vjb25kYXJ5NTMtc2Vjb25kYXI=";
    let dir = tempfile::tempdir().unwrap();
    let zone = reference_zone();
    let key = TsigKey { name: "relay.example.".into(), algorithm: "hmac-sha384".into(), secret: SECRET.into() };
    let security = Security { key: Some(key), ..Security::default() };
    let bind = bind::start_with(dir.path(), &zone, programs::free_address()?, &security).await?;
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let server = Server::start(strict::Config { zones, ..strict::Config::default() }).await.unwrap();
    let secret = dir.path().join("relay.key");
    std::fs::write(&secret, SECRET).unwrap();
    let key = format!("relay.example.:{}", secret.display());
    let run = async |arguments: &[&str]| {
        let mut command = secondary53(arguments);
        command.arg("--primary").arg(bind.address.to_string()).env("AWS_ENDPOINT_URL_ROUTE_53", server.endpoint());
        told(&finished(command, Vec::new()).await)
    };
    let (status, _, error) = run(&["plan", "example.com"]).await;
    assert!(status == 1 && error.contains("failed to transfer example.com."), "{error}");
    let signed = ["--key", &key, "--algorithm", "hmac-sha384"];
    let (status, plan, error) = run(&[&["plan", "example.com"], &signed[..]].concat()).await;
    assert_eq!(status, 2, "{error}");
    assert!(plan.lines().count() > 9_000);
    let (status, told, error) = run(&[&["verify", "example.com", "--quiet"], &signed[..]].concat()).await;
    assert_eq!(status, 2, "{error}");
    assert!(told.contains(" only at the primary, 0 only in Route 53; serial 2026112301 at the primary"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_certificate_must_be_right() -> Result<(), StackError> {
    pass_over_missing(over_tls().await)
}

async fn over_tls() -> Result<(), StackError> {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(at("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let certificate = CertificateParams::new(["ns.example".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    std::fs::write(at("certificate.pem"), certificate.pem()).unwrap();
    std::fs::write(at("key.pem"), key.serialize_pem()).unwrap();
    let (address, protocol) = (programs::free_address()?, "TLSv1.3".to_owned());
    let tls = ServerTls { address, certificate: at("certificate.pem"), key: at("key.pem"), protocol, clients: None };
    let text = "$TTL 300\n@ SOA ns1 host 7 3600 600 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n".to_owned();
    let zone = ZoneFile { zone: "example.com".to_owned(), text };
    let security = Security { tls: Some(tls), ..Security::default() };
    let _bind = bind::start_with(dir.path(), &zone, programs::free_address()?, &security).await?;
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let server = Server::start(strict::Config { zones, ..strict::Config::default() }).await.unwrap();
    let plan = async |more: &[&str]| {
        let mut command = secondary53(&["plan", "example.com", "--tls", "--primary", &address.to_string()]);
        command.args(more).env("AWS_ENDPOINT_URL_ROUTE_53", server.endpoint());
        told(&finished(command, Vec::new()).await)
    };
    let ca = at("ca.pem");
    let ca = ["--tls-ca-file", ca.to_str().unwrap()];
    let (status, _, error) = plan(&[&ca[..], &["--tls-name", "ns.example"]].concat()).await;
    assert_eq!(status, 2, "{error}");
    let (status, _, error) = plan(&ca).await;
    assert!(status == 1 && error.contains("TLS failed: the certificate of the primary is not for"), "{error}");
    Ok(())
}
