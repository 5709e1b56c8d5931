//! Several queues for one zone: each gets it, and none of them waits for another.

use secondary53_tests::primary::{Config, Primary};
use secondary53_zone::message::Reason;
use secondary53_zone::{Serial, Snapshot};

use super::process::Place;
use super::sqs::{Accepted, Sqs};
use super::{APEX, primary, zone};

/// A place for a relay that sends one zone to these queues.
fn place(sqs: &Sqs, primary: &Primary, queues: &[&str]) -> Place {
    Place::new(sqs.address, &config(primary, queues))
}

fn config(primary: &Primary, queues: &[&str]) -> String {
    let queue = |name| format!("[queue.{name}]\nurl = \"http://127.0.0.1/0/{name}.fifo\"\nregion = \"eu-west-1\"\n");
    let address = primary.address();
    let rest = format!(
        "[timers]\nretry_min = \"1s\"\n[primary.main]\naddress = \"{address}\"\n[[zone]]\nname = \"{APEX}\"\nqueues = {queues:?}\n"
    );
    queues.iter().copied().map(queue).collect::<String>() + &rest
}

fn serials(accepted: &[Accepted], queue: &str) -> Vec<Serial> {
    let of_queue = accepted.iter().filter(|accepted| accepted.queue.ends_with(queue));
    of_queue.map(|accepted| accepted.message.serial).collect()
}

#[tokio::test]
async fn every_queue_gets_it_and_the_one_that_lags_gets_the_newest() {
    let primary = primary(Config::new().zone(zone(1))).await;
    let sqs = Sqs::start().await;
    let place = place(&sqs, &primary, &["a", "b"]);
    sqs.set_out_of_order(Some("b.fifo"));
    let relay = place.run().await;
    relay.logged(&["not sent", "queue=\"b\"", "QueueDoesNotExist: The specified queue does not exist."]).await;
    sqs.wait_for_refused(2).await;
    // Not accepted by all, so not stored, and not sent to the other one again.
    assert_eq!(place.snapshots(), 0);
    assert_eq!(sqs.accepted().len(), 1);
    primary.set_zone(zone(2));
    primary.notify(relay.address).await.unwrap();
    relay.logged(&["transferred", "serial=2"]).await;
    sqs.set_out_of_order(None);
    relay.logged(&["sent", "queue=\"b\"", "serial=2"]).await;
    assert_eq!(serials(&sqs.accepted(), "b.fifo"), [Serial(2)]);
}

#[tokio::test]
async fn a_queue_that_hangs_holds_up_no_other() {
    let primary = primary(Config::new().zone(zone(1))).await;
    let sqs = Sqs::start().await;
    let place = place(&sqs, &primary, &["a", "b"]);
    sqs.hold(Some("b.fifo"));
    let relay = place.run().await;
    for serial in 1..=3 {
        primary.set_zone(zone(serial));
        primary.notify(relay.address).await.unwrap();
        relay.logged(&["sent", "queue=\"a\"", &format!("serial={serial}")]).await;
    }
    assert_eq!(serials(&sqs.accepted(), "b.fifo"), []);
    assert_eq!(place.snapshots(), 0);
    sqs.hold(None);
    relay.logged(&["sent", "queue=\"b\"", "serial=3"]).await;
    // The one that hung, and the newest; that between was superseded.
    assert_eq!(serials(&sqs.accepted(), "b.fifo"), [Serial(1), Serial(3)]);
    assert!(relay.stop().await.success());
    // Both have the last one, so it is stored.
    let octets = std::fs::read(place.state().join("example.com.snapshot")).unwrap();
    let stored = Snapshot::decode(&octets, secondary53_zone::Limits::default()).unwrap();
    assert_eq!(stored.zone().serial(), Serial(3));
}

#[tokio::test]
async fn a_queue_that_is_added_gets_what_the_others_have() {
    let primary = primary(Config::new().zone(zone(1))).await;
    let sqs = Sqs::start().await;
    let place = place(&sqs, &primary, &["a"]);
    let (good, log) = place.once().await;
    assert!(good, "{log}");
    for (queues, added, by_daemon) in [(&["a", "b"][..], "b", false), (&["a", "b", "c"], "c", true)] {
        place.reconfigure(&config(&primary, queues));
        if by_daemon {
            let relay = place.run().await;
            relay.logged(&["sent", "serial=1", &format!("queue=\"{added}\"")]).await;
            relay.logged(&["current", "serial=1"]).await;
            assert!(relay.stop().await.success());
        } else {
            let (good, log) = place.once().await;
            assert!(good, "{log}");
        }
        assert_eq!(sqs.accepted().len(), queues.len());
        let sent = sqs.accepted().pop().unwrap();
        assert!(sent.queue.ends_with(&format!("{added}.fifo")), "{}", sent.queue);
        assert_eq!((sent.message.serial, sent.message.reason), (Serial(1), Reason::Initial));
        // Once.
        let (good, log) = place.once().await;
        assert!(good && log.contains("current"), "{log}");
        assert_eq!(sqs.accepted().len(), queues.len());
    }
    // What a queue was not sent while it was not configured, it is sent when it is again.
    place.reconfigure(&config(&primary, &["a"]));
    primary.set_zone(zone(2));
    assert!(place.once().await.0);
    place.reconfigure(&config(&primary, &["a", "b"]));
    assert!(place.once().await.0);
    assert_eq!(serials(&sqs.accepted(), "b.fifo"), [Serial(1), Serial(2)]);
}
