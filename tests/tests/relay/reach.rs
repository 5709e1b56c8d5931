//! A primary that is down, and the zones that have another.

use std::fmt::Write as _;

use secondary53_tests::primary::{Config, Rtype, SoaBehaviour, ZoneFile};

use crate::page::get;
use crate::primary;
use crate::process::Place;
use crate::sqs::Sqs;

const ZONES: usize = 40;

fn zone(number: usize, serial: u32) -> ZoneFile {
    ZoneFile::parse(&format!(
        "$ORIGIN z{number}.example.\n$TTL 300\n@ SOA ns host {serial} 1 1 86400 60\n@ NS ns\nns A 192.0.2.1\n"
    ))
    .unwrap()
}

/// Of many zones the first primary takes queries and answers none. It is asked by a few looks, not by each zone, until it is
/// back.
#[tokio::test]
async fn a_dead_first_primary_holds_up_nobody_and_is_seen_to_come_back() {
    let all = || (0..ZONES).fold(Config::new(), |config, number| config.zone(zone(number, 1)));
    let dead = primary(all().soa_behaviour(SoaBehaviour::NoAnswer)).await;
    let other = primary(all()).await;
    let sqs = Sqs::start().await;
    let mut text = format!(
        "[queue.main]\nurl = \"http://127.0.0.1/0/main.fifo\"\nregion = \"eu-west-1\"\n\
         [limits]\ntransfer_idle = \"1s\"\n[timers]\nrefresh_min = \"1s\"\nretry_min = \"1s\"\n\
         [primary.dead]\naddress = \"{}\"\n[primary.other]\naddress = \"{}\"\n",
        dead.address(),
        other.address()
    );
    for number in 0..ZONES {
        write!(text, "[[zone]]\nname = \"z{number}.example\"\nprimaries = [\"dead\", \"other\"]\n").unwrap();
    }
    let relay = Place::new(sqs.address, &text);
    let relay = relay.run().await;
    sqs.wait_for(ZONES).await;
    // Two at once until the first is given up; a look of those that waited may follow.
    let asked = dead.count(Rtype::SOA);
    assert!((1..=4).contains(&asked), "{asked} of {ZONES}:\n{}", relay.log());
    relay.logged(&["cannot be reached", &format!("primary={}", dead.address())]).await;
    let (_, metrics) = get(&relay, "/metrics").await;
    for (primary, reachable) in [(&dead, 0), (&other, 1)] {
        let line = format!("secondary53_relay_primary_reachable{{primary=\"{}\"}} {reachable}", primary.address());
        assert!(metrics.lines().any(|given| given == line), "{line}\n{metrics}");
    }

    // What it says of one zone is nobody's fault but that zone's: it is back, and refuses.
    dead.set_soa_behaviour(SoaBehaviour::EmptyAnswer);
    relay.logged(&["can be reached again", &format!("primary={}", dead.address())]).await;
    let asked = dead.count(Rtype::SOA);
    dead.wait_for(Rtype::SOA, asked + 2 * ZONES as u64).await.unwrap();
    let (_, metrics) = get(&relay, "/metrics").await;
    let line = format!("secondary53_relay_primary_reachable{{primary=\"{}\"}} 1", dead.address());
    assert!(metrics.lines().any(|given| given == line), "{line}\n{metrics}");
    assert!(relay.stop().await.success());
}
