//! A flood from strangers: the primary is heard all the same, and it costs no memory.

use secondary53_tests::flood::{Flood, Pace};
use secondary53_tests::primary::{Config, Rcode, Transport};
use secondary53_tests::stack::memory;
use secondary53_zone::Serial;
use secondary53_zone::message::Reason;

use crate::{world, zone};

const FLOOD: Pace = Pace { count: 60_000, per_second: 20_000 };
/// KiB that the relay may grow by: what it reads datagrams into, and what a zone on its way takes.
const GROWTH_MAX: u64 = 16 << 10;
/// There is time for some hundreds.
const CHANGES_MAX: u32 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_flood_the_primary_is_heard() {
    let (primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    let apex = primary.zone(zone(1).apex()).unwrap().apex().clone();
    let before = memory::resident(relay.id()).unwrap();
    let flood = Flood::start(relay.address, b"\x07example\x03com\x00", FLOOD).unwrap();
    let mut changes = 1;
    for serial in 2..CHANGES_MAX {
        primary.set_zone(zone(serial));
        // Sent again until it is answered, as RFC 1996 §3.6 has it; and an answer means that it is acted on.
        let answer = primary.notify_zone(&apex, relay.address, Transport::Udp).await.unwrap();
        assert_eq!(answer.rcode, Rcode::NOERROR);
        changes += 1;
        let sent = sqs.wait_for(changes).await.pop().unwrap();
        assert_eq!((sent.message.serial, sent.message.reason), (Serial(serial), Reason::Notify));
        if flood.has_ended() {
            break;
        }
    }
    assert!(flood.has_ended() && flood.sent() == FLOOD.count);
    let most = memory::peak(relay.id()).unwrap();
    assert!(most < before + GROWTH_MAX, "{before} KiB, and {most} KiB in the flood");
    assert!(relay.stop().await.success());
}
