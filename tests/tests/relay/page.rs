//! What the relay shows over HTTP.

use std::net::SocketAddr;

use secondary53_tests::primary::{Config, SoaBehaviour};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::{Place, Relay};
use crate::sqs::Sqs;
use crate::{APEX, PATIENCE, primary, world, zone};

/// Sends a request as it is, and gives back the whole answer.
async fn exchange(page: SocketAddr, request: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(page).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    timeout(PATIENCE, exchange).await.unwrap()
}

pub async fn get(relay: &Relay, path: &str) -> (String, String) {
    let page = relay.page().await;
    let answer = exchange(page, format!("GET {path} HTTP/1.1\r\nHost: {page}\r\n\r\n").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The first zone of `/zones`, once it is as wanted.
pub async fn shown(relay: &Relay, wanted: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let (head, body) = get(relay, "/zones").await;
            assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: application/json"), "{head}");
            let zone = serde_json::from_str::<Value>(&body).unwrap()["zones"][0].take();
            if wanted(&zone) {
                return zone;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{}", relay.log()))
}

#[tokio::test]
async fn a_change_is_seen_on_its_way() {
    let (primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    let first = shown(&relay, |zone| zone["status"] == "current").await;
    assert_eq!(
        (&first["zone"], &first["primary_serial"], &first["sent_serial"]),
        (&"example.com.".into(), &1.into(), &1.into())
    );
    assert_eq!((&first["records"], &first["notified_at"], &first["error"]), (&4.into(), &Value::Null, &Value::Null));

    sqs.set_held(true);
    primary.set_zone(zone(2));
    primary.notify(relay.address).await.unwrap();
    let behind = shown(&relay, |zone| zone["status"] == "behind").await;
    assert_eq!((&behind["primary_serial"], &behind["sent_serial"]), (&2.into(), &1.into()));
    assert!(behind["behind_seconds"].is_u64() && behind["notified_at"].is_string());
    sqs.set_held(false);
    shown(&relay, |zone| zone["status"] == "current" && zone["sent_serial"] == 2).await;

    // No resolver answers here, so nothing is waited for.
    relay.logged(&["not known whether it is live", "serial=2", "resolver 127.0.0.1:1"]).await;

    let (head, metrics) = get(&relay, "/metrics").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    for line in [
        "secondary53_relay_zone_serial{zone=\"example.com.\",at=\"primary\"} 2",
        "secondary53_relay_zone_serial{zone=\"example.com.\",at=\"sent\"} 2",
        "secondary53_relay_notifies_total{outcome=\"look\"} 1",
        "secondary53_relay_looks_total{outcome=\"transferred\"} 2",
        "secondary53_relay_sends_total{queue=\"main\",outcome=\"accepted\"} 2",
        "secondary53_relay_accepted_seconds_count 1",
        "secondary53_relay_zones{status=\"current\"} 1",
    ] {
        assert!(metrics.lines().any(|given| given == line), "{line}\n{metrics}");
    }
    assert_eq!(get(&relay, "/healthz").await.1, "ok\n");
    let (head, page) = get(&relay, "/?q=EXAMPLE").await;
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains(">example.com.</td>"));
    assert!(relay.stop().await.success());
}

#[tokio::test]
async fn trouble_is_shown_until_it_is_over() {
    let (primary, sqs, place) = world(Config::new().zone(zone(10))).await;
    sqs.set_out_of_order(Some(".fifo"));
    let relay = place.run().await;
    let unsent = shown(&relay, |zone| zone["status"] == "unsent").await;
    let error = unsent["error"].as_str().unwrap();
    assert!(error.starts_with("queue main: QueueDoesNotExist"), "{error}");
    let (_, page) = get(&relay, "/").await;
    assert!(page.contains("<b>Queue main</b> has accepted nothing for"));
    sqs.set_out_of_order(None);
    shown(&relay, |zone| zone["status"] == "current").await;

    primary.set_zone(zone(9));
    primary.set_soa_behaviour(SoaBehaviour::Honest);
    assert!(relay.stop().await.success());
    let relay = place.run().await;
    let backwards = shown(&relay, |zone| zone["status"] == "backwards").await;
    assert_eq!((&backwards["primary_serial"], &backwards["sent_serial"]), (&9.into(), &10.into()));
    primary.stop().await;
    let failing = shown(&relay, |zone| zone["status"] == "failing").await;
    assert!(failing["error"].as_str().unwrap().contains("refused"), "{failing}");
}

#[tokio::test]
async fn what_is_no_request_for_it_is_refused_and_costs_little() {
    let (_primary, _sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    let page = relay.page().await;
    for (request, told) in [
        ("GET /other HTTP/1.1\r\n\r\n", "404"),
        ("POST /zones HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405"),
        ("DELETE / HTTP/1.1\r\n\r\n", "405"),
        ("HEAD /zones HTTP/1.1\r\n\r\n", "200"),
        ("junk\r\n\r\n", "400"),
    ] {
        let answer = exchange(page, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {told} ")), "{request}{answer}");
        assert!(!request.starts_with("HEAD") || answer.ends_with("\r\n\r\n"));
    }
    let long = format!("GET /?q={} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    let mut stream = TcpStream::connect(page).await.unwrap();
    // It may hang up before all is written.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));

    // Connections that say nothing do not keep others out for ever, and the zones are looked after meanwhile.
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(page).await.unwrap());
    }
    relay.logged(&["sent", "serial=1"]).await;
    drop(silent);
    assert_eq!(get(&relay, "/healthz").await.1, "ok\n");
}

#[tokio::test]
async fn the_page_is_where_the_configuration_says_or_nowhere() {
    let sqs = Sqs::start().await;
    let primary = primary(Config::new().zone(zone(1))).await;
    let place = Place::with_zone(sqs.address, primary.address(), APEX);
    let relay = place.run().await;
    let taken = relay.page().await;
    let text = std::fs::read_to_string(place.config()).unwrap();
    // Beside the first, so with a state of its own.
    let text = text.replace("/state\"", "/other\"");
    std::fs::write(place.config(), text.replace("http = \"127.0.0.1:0\"", &format!("http = \"{taken}\""))).unwrap();
    let output = timeout(PATIENCE, place.output("run", &[])).await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && told.contains(&format!("failed to listen on {taken} for the status page")),
        "{told}"
    );

    std::fs::write(place.config(), text.replace("http = \"127.0.0.1:0\"", "http = \"\"")).unwrap();
    let off = place.run().await;
    off.logged(&["sent", "zone=example.com."]).await;
    assert!(!off.log().contains("status page"));
    assert!(relay.stop().await.success());
}

#[tokio::test]
async fn the_status_command_shows_the_same_and_exits_as_it_stands() {
    let (primary, _sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    shown(&relay, |zone| zone["status"] == "current").await;
    let url = format!("http://{}", relay.page().await);
    let output = place.output("status", &["--url", &url]).await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(
        told.starts_with("ZONE          STATE    PRIMARY  SENT")
            && told.contains("example.com.  current        1     1"),
        "{told}"
    );

    // Found in the configuration, and in trouble.
    let text = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(
        place.config(),
        text.replace("http = \"127.0.0.1:0\"", &format!("http = \"{}\"", relay.page().await)),
    )
    .unwrap();
    primary.set_zone(zone(2));
    primary.set_soa_behaviour(SoaBehaviour::EmptyAnswer);
    primary.notify(relay.address).await.unwrap();
    shown(&relay, |zone| zone["status"] == "failing").await;
    let output = place.output("status", &["--json"]).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&told["trouble"], &told["zones"][0]["status"]), (&1.into(), &"failing".into()));

    assert!(relay.stop().await.success());
    let output = place.output("status", &[]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains(&format!("failed to ask the relay at {url}: ")), "{told}");
    for (given, why) in [("https://127.0.0.1", "only http://"), ("nonsense of a url", "is not a URL")] {
        let output = place.output("status", &["--url", given]).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && told.contains(why), "{told}");
    }
}
