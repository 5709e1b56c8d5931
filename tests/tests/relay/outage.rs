//! Nothing is lost while SQS is away, refuses the credentials or throttles: once that is over the newest of each zone
//! arrives, and what has not changed is not sent again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use secondary53_tests::primary::{Config, Primary, Transport, ZoneFile};
use secondary53_tests::stack::wait::{GENEROUS, until};
use secondary53_zone::Serial;

use super::page::get;
use super::primary;
use super::process::{Place, Relay};
use super::sqs::{Accepted, Sqs};

/// Zones of each world here.
pub const ZONES: usize = 20;
/// Those that change; the others are not to be sent a second time.
const CHANGING: usize = 15;
/// Sends at once, to one queue.
const SENDS: usize = 8;

pub fn name(number: usize) -> String {
    format!("z{number}.example")
}

pub fn zone(number: usize, serial: u32) -> ZoneFile {
    let text = format!("@ 300 SOA ns host {serial} 3600 1 86400 60\n@ 300 NS ns\nns 300 A 192.0.2.{}\n", serial % 250);
    ZoneFile::parse_in(&name(number), &text).unwrap()
}

/// A primary of all zones, at their first serial.
pub async fn primary_of_all() -> Primary {
    primary((0..ZONES).fold(Config::new(), |config, number| config.zone(zone(number, 1)))).await
}

/// What a relay of all zones is told.
pub fn config(primary: &Primary, url: &str) -> String {
    let mut text = format!(
        "[queue.main]\nurl = \"{url}\"\nregion = \"eu-west-1\"\n[timers]\nrefresh_min = \"1s\"\nretry_min = \"1s\"\n\
         [primary.main]\naddress = \"{}\"\n",
        primary.address()
    );
    for number in 0..ZONES {
        writeln!(text, "[[zone]]\nname = \"{}\"\nconfirm = false", name(number)).unwrap();
    }
    text
}

pub const QUEUE: &str = "http://127.0.0.1/000000000000/main.fifo";

/// The zones of these numbers have this serial from now on, and the relay is told so.
pub async fn change(primary: &Primary, relay: &Relay, numbers: impl IntoIterator<Item = usize>, serial: u32) {
    for number in numbers {
        primary.set_zone(zone(number, serial));
        notify(primary, relay, number).await;
    }
}

async fn notify(primary: &Primary, relay: &Relay, number: usize) {
    let apex = name(number).parse().unwrap();
    primary.notify_zone(&apex, relay.address, Transport::Tcp).await.unwrap();
}

/// The serials of each zone, in the order in which they came.
pub fn serials(accepted: &[Accepted]) -> BTreeMap<String, Vec<Serial>> {
    let mut serials: BTreeMap<String, Vec<Serial>> = BTreeMap::new();
    for Accepted { message, .. } in accepted {
        serials.entry(message.zone.to_string()).or_default().push(message.serial);
    }
    serials
}

/// Whether the last that came of each of these zones is this serial.
pub fn have(accepted: &[Accepted], numbers: impl IntoIterator<Item = usize>, serial: u32) -> bool {
    let serials = serials(accepted);
    let last = |number| serials.get(&(name(number) + ".")).and_then(|serials| serials.last());
    numbers.into_iter().all(|number| last(number) == Some(&Serial(serial)))
}

/// All zones were sent, and are stored.
pub async fn sent_all(relay: &Relay, serial: u32) {
    for number in 0..ZONES {
        relay.logged(&["sent", &format!("zone={}.", name(number)), &format!("serial={serial}")]).await;
    }
}

#[tokio::test]
async fn while_sqs_is_away_the_relay_is_killed_and_nothing_is_lost() {
    let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
    let address = sqs.address;
    let place = Place::new(address, &config(&primary, QUEUE));
    let relay = place.run().await;
    sent_all(&relay, 1).await;
    assert_eq!(sqs.stop().await.len(), ZONES);

    change(&primary, &relay, 0..CHANGING, 2).await;
    relay.logged(&["not sent", "serial=2"]).await;
    relay.kill().await;
    let relay = place.run().await;
    relay.logged(&["not sent", "serial=2"]).await;
    for serial in 3..6 {
        change(&primary, &relay, 0..CHANGING, serial).await;
    }
    for number in 0..CHANGING {
        relay.logged(&["transferred", &format!("zone={}.", name(number)), "serial=5"]).await;
    }
    relay.kill().await;

    // It is back; the relay is killed again in the midst of what it sends.
    let relay = place.run().await;
    let sqs = Sqs::start_at(address).await;
    sqs.wait_for(1).await;
    relay.kill().await;
    let relay = place.run().await;
    let accepted = sqs.wait_until(|accepted| have(accepted, 0..CHANGING, 5)).await;
    // Of the others it is known that they are what was sent.
    for number in CHANGING..ZONES {
        relay.logged(&["current", &format!("zone={}.", name(number))]).await;
    }
    assert!(relay.stop().await.success());
    let serials = serials(&accepted);
    assert_eq!(serials.len(), CHANGING, "{serials:?}");
    assert!(serials.values().flatten().all(|serial| *serial == Serial(5)), "{serials:?}");
}

#[tokio::test]
async fn refused_credentials_are_told_with_what_to_do_and_asked_for_now_and_then() {
    for (status, code, told) in [
        (403, "InvalidClientTokenId", "AWS does not know the relay's access key, or it is not active"),
        (
            403,
            "SignatureDoesNotMatch",
            "the relay's secret key is not that of its access key, or this host's clock is wrong",
        ),
        (403, "ExpiredToken", "the relay's credentials have expired"),
        (400, "AccessDeniedException", "allow the relay's credentials sqs:SendMessage on this queue"),
        (400, "KmsAccessDenied", "kms:GenerateDataKey"),
    ] {
        let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
        sqs.refuse(move |_| Some((status, Some(code))));
        let place = Place::new(sqs.address, &config(&primary, QUEUE));
        let began = now();
        let relay = place.run().await;
        sqs.wait_for_requests(4).await;
        let requests = sqs.requests();
        assert!(requests <= most(began), "{requests} requests");
        change(&primary, &relay, 0..CHANGING, 2).await;
        relay.logged(&["not sent", code, "These are the words of AWS.", told]).await;
        for number in 0..CHANGING {
            relay.logged(&["transferred", &format!("zone={}.", name(number)), "serial=2"]).await;
        }
        // Not only those that have tried.
        let zones = until(GENEROUS, "that all zones are in trouble", async || {
            let zones: serde_json::Value = serde_json::from_str(&get(&relay, "/zones").await.1).unwrap();
            Ok((zones["trouble"] == ZONES).then_some(zones))
        });
        let zones = zones.await.unwrap();
        for zone in zones["zones"].as_array().unwrap() {
            let error = zone["error"].as_str().unwrap();
            assert!(zone["status"] == "unsent" && error.contains(code) && error.contains(told), "{zone}");
        }
        let (_, page) = get(&relay, "/").await;
        assert!(page.contains("<b>Queue main</b> has accepted nothing for") && page.contains(code), "{page}");

        sqs.refuse(|_| None);
        let newest = |accepted: &[Accepted]| have(accepted, 0..CHANGING, 2) && have(accepted, CHANGING..ZONES, 1);
        // And nothing that was overtaken.
        assert_eq!(sqs.wait_until(newest).await.len(), ZONES);
        assert!(relay.stop().await.success());
    }
}

#[tokio::test]
async fn credentials_that_were_changed_count_from_a_reload_on() {
    let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
    sqs.refuse(|access_key| (access_key != "NEW").then_some((403, Some("InvalidClientTokenId"))));
    let place = Place::new(sqs.address, &config(&primary, QUEUE));
    let file = place.config().with_file_name("credentials");
    let write = |key: &str| {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n");
        std::fs::write(&file, text).unwrap();
    };
    write("OLD");
    let environment = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
    ];
    let relay = place.run_in(&environment).await;
    relay.logged(&["not sent", "InvalidClientTokenId"]).await;
    write("NEW");
    relay.reload("reloaded").await;
    sqs.wait_until(|accepted| have(accepted, 0..ZONES, 1)).await;
    assert!(relay.stop().await.success());
}

#[tokio::test]
async fn what_is_throttled_arrives_by_few_requests() {
    for (status, code) in
        [(400, Some("RequestThrottled")), (400, Some("ThrottlingException")), (400, Some("KmsThrottled")), (503, None)]
    {
        let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
        let place = Place::new(sqs.address, &config(&primary, QUEUE));
        let relay = place.run().await;
        sent_all(&relay, 1).await;
        let (before, began) = (sqs.requests(), now());
        sqs.refuse(move |_| Some((status, code)));
        change(&primary, &relay, 0..CHANGING, 2).await;
        relay.logged(&["not sent", code.unwrap_or("503")]).await;
        sqs.wait_for_requests(before + 6).await;
        let refused = sqs.requests() - before;
        // The SDK tries twice.
        assert!(refused <= 2 * most(began), "{refused} requests");
        sqs.refuse(|_| None);
        let accepted = sqs.wait_until(|accepted| have(accepted, 0..CHANGING, 2)).await;
        assert_eq!(accepted.len(), ZONES + CHANGING);
        assert!(sqs.requests() - before <= 2 * most(began) + CHANGING);
        assert!(relay.stop().await.success());
    }
}

/// The most requests since then to a queue that refuses all: those that were sent before the first was refused, and then one
/// after another, with half a second or more between them. No zone has a time of its own.
fn most(began: Instant) -> usize {
    1 + SENDS + 2 * usize::try_from(began.elapsed().as_secs() + 1).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "requests are counted against the time they took")]
fn now() -> Instant {
    Instant::now()
}
