//! Whether what was sent is live: the relay asks the hosted zone's name servers, here a scripted one.

use std::net::SocketAddr;

use secondary53_tests::primary::{Config, Rtype, SoaBehaviour};

use crate::page::{get, shown};
use crate::process::Place;
use crate::sqs::Sqs;
use crate::{primary, zone};

/// A relay that asks these servers.
fn place(sqs: &Sqs, primary: SocketAddr, servers: &[SocketAddr]) -> Place {
    let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
    let text = format!(
        "[queue.main]\nurl = \"http://127.0.0.1/0/main.fifo\"\nregion = \"eu-west-1\"\n[primary.main]\naddress = \"{primary}\"\n\
         [[zone]]\nname = \"example.com\"\nconfirm_servers = {servers:?}\n"
    );
    Place::new(sqs.address, &text)
}

#[tokio::test]
async fn what_was_sent_is_seen_to_become_live() {
    let (sqs, primary, server) = (
        Sqs::start().await,
        primary(Config::new().zone(zone(1))).await,
        primary(Config::new().zone(zone(1)).soa_behaviour(SoaBehaviour::TruncatedOverUdp)).await,
    );
    // A server that does not answer is no reason to wait for ever.
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let place = place(&sqs, primary.address(), &[silent.local_addr().unwrap(), server.address()]);
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    let first = shown(&relay, |zone| zone["status"] == "current" && zone["live_serial"] == 1).await;
    assert!(first["live_at"].is_string());

    primary.set_zone(zone(2));
    primary.notify(relay.address).await.unwrap();
    shown(&relay, |zone| zone["sent_serial"] == 2).await;
    let asked = server.count(Rtype::SOA);
    server.set_soa_behaviour(SoaBehaviour::Honest);
    server.wait_for(Rtype::SOA, asked + 1).await.unwrap();
    let behind = shown(&relay, |zone| zone["sent_serial"] == 2).await;
    assert_eq!((&behind["status"], &behind["live_serial"]), (&"behind".into(), &1.into()));
    server.set_zone(zone(2));
    shown(&relay, |zone| zone["status"] == "current" && zone["live_serial"] == 2).await;
    relay.logged(&["live", "zone=example.com.", "serial=2", "since_sent="]).await;
    let (_, metrics) = get(&relay, "/metrics").await;
    for line in
        ["secondary53_relay_live_seconds_count 1", "secondary53_relay_zone_serial{zone=\"example.com.\",at=\"live\"} 2"]
    {
        assert!(metrics.lines().any(|given| given == line), "{line}\n{metrics}");
    }
    // It is not asked for any more.
    let asked = server.count(Rtype::SOA);
    primary.notify(relay.address).await.unwrap();
    relay.logged(&["notified", "outcome=NotNewer"]).await;
    assert_eq!(server.count(Rtype::SOA), asked);
    assert!(relay.stop().await.success());

    // After a restart it is asked once, when the primary was.
    let relay = place.run().await;
    relay.logged(&["current", "serial=2"]).await;
    shown(&relay, |zone| zone["live_serial"] == 2).await;
    assert_eq!(sqs.accepted().len(), 2);
}
