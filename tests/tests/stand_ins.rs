//! What we rely on in the stand-ins for AWS, and in the name servers, without a binary of ours: when the pipeline fails,
//! these say whether the world around it is to blame.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its functions")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use secondary53_tests::stack::ministack::Ministack;
use secondary53_tests::stack::name_server::{NameServer, ZoneFile};
use secondary53_tests::stack::wait::{GENEROUS, until};
use secondary53_tests::stack::{StackError, bind, knot, pass_over_missing, programs};

#[tokio::test]
async fn a_worker_gets_the_messages_and_fails_them_one_by_one() -> Result<(), StackError> {
    pass_over_missing(messages_through_a_worker().await)
}

async fn messages_through_a_worker() -> Result<(), StackError> {
    let dir = tempfile::tempdir().unwrap();
    let bootstrap = dir.path().join("echo-bootstrap");
    // Speaks the Lambda runtime API; fails what says "fail", and tells in the log what it got.
    let script = format!("#!{}\n{ECHO_BOOTSTRAP}", programs::in_venv("python3")?.display());
    std::fs::write(&bootstrap, script).unwrap();
    std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();

    let ministack = Ministack::start(dir.path(), programs::free_address()?).await?;
    let queues = ministack.queue_pair_of("trial", Duration::from_secs(1), 5).await?;
    let environment = BTreeMap::from([("DLQ_URL", queues.dead_letter.clone())]);
    ministack.worker("trial", &bootstrap, &environment, &queues).await?;

    ministack.send(&queues.main, "example.com", "hello", &[("zone", "example.com")]).await?;
    let line = ministack.process.logged("got hello").await?;
    assert!(line.contains("zone=example.com"), "{line}");
    assert!(line.contains(&queues.dead_letter), "{line}");
    until(GENEROUS, "the queue empty", async || Ok((ministack.depth(&queues.main).await? == 0).then_some(()))).await?;

    // Of two groups, the failed one is tried five times and then moved; the other one is done at once.
    ministack.send(&queues.main, "example.com", "fail", &[("zone", "example.com")]).await?;
    ministack.send(&queues.main, "example.org", "world", &[("zone", "example.org")]).await?;
    let dead = ministack.take(&queues.dead_letter).await?;
    assert_eq!(dead.body(), Some("fail"));
    let attributes = dead.message_attributes().unwrap();
    assert_eq!(attributes["zone"].string_value(), Some("example.com"));
    let log = ministack.process.log_text();
    assert_eq!(log.matches("got fail").count(), 5, "{log}");
    assert_eq!(log.matches("got world").count(), 1, "{log}");
    assert_eq!(ministack.depth(&queues.main).await?, 0);
    Ok(())
}

const ECHO_BOOTSTRAP: &str = r#"
import json, os, urllib.request

invocation = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(invocation + "next") as answer:
        request, event = answer.headers["Lambda-Runtime-Aws-Request-Id"], json.load(answer)
    failures = []
    for record in event["Records"]:
        zone = record["messageAttributes"]["zone"]["stringValue"]
        print("got " + record["body"], "zone=" + zone, os.environ["DLQ_URL"], flush=True)
        if record["body"] == "fail":
            failures.append({"itemIdentifier": record["messageId"]})
    body = json.dumps({"batchItemFailures": failures}).encode()
    urllib.request.urlopen(invocation + request + "/response", data=body).close()
"#;

#[tokio::test]
async fn bind_takes_updates_and_tells_of_them() -> Result<(), StackError> {
    pass_over_missing(updates("named", async |dir, zone, notify| bind::start(dir, zone, notify).await).await)
}

#[tokio::test]
async fn knot_takes_updates_and_tells_of_them() -> Result<(), StackError> {
    pass_over_missing(updates("knotd", async |dir, zone, notify| knot::start(dir, zone, notify).await).await)
}

async fn updates(
    daemon: &str,
    start: impl AsyncFn(&Path, &ZoneFile, std::net::SocketAddr) -> Result<NameServer, StackError>,
) -> Result<(), StackError> {
    let dir = tempfile::tempdir().unwrap();
    let zone = ZoneFile { zone: "example.com".to_owned(), text: ZONE.to_owned() };
    let listen = programs::free_address()?;
    let server = start(dir.path(), &zone, listen).await?;
    assert_eq!(server.serial().await?, 7);

    // Only now: Knot would wait for an answer to its first NOTIFY before it takes an update.
    let (udp, tcp) =
        (tokio::net::UdpSocket::bind(listen).await.unwrap(), tokio::net::TcpListener::bind(listen).await.unwrap());
    server.update(&["add new.example.com. 60 A 192.0.2.1", "delete old.example.com. A"]).await?;
    assert!(server.serial().await? > 7);
    let held = server.transfer().await?;
    let new = &held[&key("new.example.com", "A")];
    assert_eq!((new.ttl, new.values.as_slice()), (60, ["192.0.2.1".to_owned()].as_slice()));
    assert!(!held.contains_key(&key("old.example.com", "A")));
    assert_eq!(held[&key("example.com", "TXT")].values, ["\"a b\" \"c\"", "\"d\""]);
    assert_eq!(held[&key("example.com", "SOA")].values.len(), 1);

    let refused = server.update(&["add new.example.net. 60 A 192.0.2.1"]).await.unwrap_err().to_string();
    assert!(refused.contains("NOTZONE") || refused.contains("REFUSED"), "{refused}");

    let mut octets = [0; 512];
    let notified = async {
        tokio::select! {
            heard = udp.recv_from(&mut octets) => heard.map(drop),
            called = tcp.accept() => called.map(drop),
        }
    };
    tokio::time::timeout(GENEROUS, notified).await.unwrap_or_else(|_| panic!("{daemon} sends no NOTIFY")).unwrap();
    Ok(())
}

fn key(owner: &str, kind: &str) -> (String, String) {
    (owner.to_owned(), kind.to_owned())
}

const ZONE: &str = r#"$ORIGIN example.com.
$TTL 300
@    SOA ns host 7 600 60 86400 60
@    NS  ns
@    TXT "a b" "c"
@    TXT "d"
ns   A   192.0.2.53
old  A   192.0.2.2
"#;
