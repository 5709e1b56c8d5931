//! Incremental transfers, from a primary that keeps its history and one that fails at it.

use std::collections::BTreeSet;

use secondary53_tests::primary::{Behaviour, Config, Forgery, Packing, Primary, Rcode, Record, Rtype, ZoneFile};
use secondary53_tests::zones::zone_of;
use secondary53_zone::Serial;

use super::{APEX, world, zone};

/// A zone of this serial with these numbers as addresses of one name.
fn version(serial: u32, numbers: impl IntoIterator<Item = u8>) -> ZoneFile {
    numbers.into_iter().fold(zone(0).with_serial(serial), |zone, number| {
        let owner = format!("n{}.{APEX}.", number % 7);
        zone.with_record(Record::new(&owner, Rtype::A, 300, vec![192, 0, 2, number]).unwrap())
    })
}

fn asked(primary: &Primary) -> (u64, u64) {
    (primary.count(Rtype::IXFR), primary.count(Rtype::AXFR))
}

/// A walk through versions, some of which are never looked at: what was sent is what is there.
#[tokio::test]
async fn what_came_as_differences_is_the_zone_of_the_primary() {
    let (primary, sqs, place) = world(Config::new().history(8).zone(version(u32::MAX - 4, []))).await;
    assert!(place.once().await.0);
    let mut numbers = BTreeSet::new();
    let mut serial = u32::MAX - 4;
    for round in 1..=6_u32 {
        for _ in 0..round.min(3) {
            for step in 0..round {
                // Numbers that come and go, in no order that a zone would have.
                let number = u8::try_from((serial ^ step.wrapping_mul(0x9e37_79b9)) % 40).unwrap();
                if !numbers.insert(number) {
                    numbers.remove(&number);
                }
            }
            serial = serial.wrapping_add(1 + round % 2);
            primary.set_zone(version(serial, numbers.iter().copied()));
        }
        let (good, log) = place.once().await;
        assert!(good && log.contains("since="), "{log}");
        let sent = sqs.accepted().pop().unwrap();
        assert_eq!(sent.message.serial, Serial(serial));
        assert_eq!(*sent.snapshot().zone(), zone_of(&version(serial, numbers.iter().copied())).unwrap());
    }
    assert_eq!(asked(&primary), (6, 1));
    // One record in each message, and more versions than the primary keeps.
    primary.set_zone(version(serial.wrapping_add(1), [1]));
    for step in 2..20 {
        primary.set_zone(version(serial.wrapping_add(step), [1, 2]));
    }
    let (good, log) = place.once().await;
    assert!(good && !log.contains("since="), "{log}");
    assert_eq!(asked(&primary), (7, 1));
}

/// The daemon keeps no zone in memory: each difference is from what was stored when the queue had it.
#[tokio::test]
async fn differences_come_by_notify() {
    let (primary, sqs, place) = world(Config::new().history(9).zone(version(1, [1]))).await;
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    for serial in 2..5_u8 {
        primary.set_zone(version(serial.into(), [serial]));
        primary.notify(relay.address).await.unwrap();
        relay.logged(&["transferred", &format!("serial={serial} since={}", serial - 1)]).await;
        relay.logged(&["sent", &format!("serial={serial}"), "reason=notify"]).await;
    }
    assert_eq!(asked(&primary), (3, 1));
    assert_eq!(*sqs.accepted()[3].snapshot().zone(), zone_of(&version(4, [4])).unwrap());
}

/// Whatever is wrong with the differences, the zone comes.
#[tokio::test]
async fn where_differences_fail_the_zone_comes_whole() {
    let config = Config::new().history(99).zone(version(1, [1])).packing(Packing::one_record());
    let (primary, sqs, place) = world(config).await;
    assert!(place.once().await.0);
    // Half-way is where records are deleted.
    let not_there = Record::new(&format!("www.{APEX}."), Rtype::A, 300, vec![192, 0, 2, 99]).unwrap();
    let rcode = |rcode| Behaviour::Forge(Forgery::Rcode(rcode), 0);
    for (serial, (behaviour, told)) in (2_u8..).zip([
        (rcode(Rcode::NOTIMP), "NOTIMP"),
        (rcode(Rcode::FORMERR), "FORMERR"),
        (rcode(Rcode::REFUSED), "REFUSED"),
        (rcode(Rcode::SERVFAIL), "SERVFAIL"),
        (Behaviour::CutAfterMessages(0), "closed the connection"),
        (Behaviour::CutAfterMessages(3), "closed the connection"),
        (Behaviour::ResetAfterMessages(1), "reset"),
        (Behaviour::SilentAfterMessages(1), "nothing came for 1s"),
        (Behaviour::ClosingSerial(1), "the closing SOA (serial 1) is not the opening one"),
        (Behaviour::With(vec![not_there]), "there is no such record"),
        (Behaviour::EmptyAnswer, "holds no record"),
        (Behaviour::PointerLoop, "malformed"),
        (Behaviour::Forge(Forgery::WrongId, 2), "another ID"),
    ]) {
        primary.set_zone(version(serial.into(), [serial]));
        primary.script_transfers([behaviour.clone()]);
        let (good, log) = place.once().await;
        assert!(good && log.contains("asking for the whole zone") && log.contains(told), "{behaviour:?}\n{log}");
        let sent = sqs.accepted().pop().unwrap();
        assert_eq!(*sent.snapshot().zone(), zone_of(&version(serial.into(), [serial])).unwrap());
    }
    // And the next differences are from that.
    primary.set_zone(version(99, [99]));
    let (good, log) = place.once().await;
    assert!(good && log.contains("since="), "{log}");
}

#[tokio::test]
async fn a_primary_that_shall_not_be_asked_for_differences_is_not() {
    let (primary, sqs, place) = world(Config::new().history(9).zone(version(1, [1]))).await;
    let text = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), text.replace("[primary.main]", "[primary.main]\nixfr = false")).unwrap();
    for serial in 1..=2_u8 {
        primary.set_zone(version(serial.into(), [serial]));
        assert!(place.once().await.0);
    }
    assert_eq!((asked(&primary), sqs.accepted().len()), ((0, 2), 2));
}

/// TTLs that were evened out are not those that a difference would speak of.
#[tokio::test]
async fn no_differences_from_a_zone_that_is_not_the_primarys_to_the_record() {
    let uneven = |serial| {
        let other = Record::new(&format!("n1.{APEX}."), Rtype::A, 299, vec![192, 0, 2, 99]).unwrap();
        version(serial, [1]).with_record(other)
    };
    let (primary, _sqs, place) = world(Config::new().history(9).zone(uneven(1))).await;
    for serial in 2..=3 {
        let (good, log) = place.once().await;
        assert!(good && log.contains("evened out TTLs"), "{log}");
        primary.set_zone(uneven(serial));
    }
    assert_eq!(asked(&primary), (0, 2));
    // It is even now, and from here on there are differences.
    for serial in 4..=5 {
        primary.set_zone(version(serial, [1]));
        assert!(place.once().await.0);
    }
    assert_eq!(asked(&primary), (1, 3));
}
