//! What changed since the stored snapshot goes with the next one.

use secondary53_tests::primary::{Config, Record, Rtype, ZoneFile};
use secondary53_zone::Serial;

use super::{APEX, world, zone};

/// A zone of some forty RRsets, in each of which so many of the addresses end in the serial.
fn version(serial: u32, changed: usize) -> ZoneFile {
    (0..36).fold(zone(0).with_serial(serial), |zone, number| {
        let last = if number < changed { serial.to_be_bytes()[3] } else { 0 };
        zone.with_record(Record::new(&format!("h{number}.{APEX}."), Rtype::A, 300, vec![192, 0, 2, last]).unwrap())
    })
}

#[tokio::test]
async fn what_changed_goes_with_the_snapshot_where_it_is_little() {
    let (primary, sqs, place) = world(Config::new().zone(version(1, 0))).await;
    // Serial, addresses that change, and how many RRsets the relay says have changed.
    for (serial, changed, told) in [(1, 0, None), (2, 1, Some(2)), (5, 9, Some(10)), (6, 20, None), (7, 20, None)] {
        primary.set_zone(version(serial, changed));
        assert!(place.once().await.0);
        let sent = sqs.accepted().pop().unwrap().snapshot();
        assert_eq!(sent.zone().serial(), Serial(serial));
        assert_eq!(sent.delta().map(|delta| delta.after().record_count()), told, "serial {serial}");
    }
    let accepted = sqs.accepted();
    for pair in accepted.windows(2) {
        let (before, sent) = (pair[0].snapshot(), pair[1].snapshot());
        let Some(delta) = sent.delta() else { continue };
        assert_eq!((delta.base(), delta.base_digest()), (before.zone().serial(), before.digest()));
        assert!(delta.leads_to(sent.zone()));
    }
    // What was stored brings what changed before it, which is no part of the zone; and without it the zone goes all the same.
    primary.set_zone(version(8, 20));
    for file in std::fs::read_dir(place.state()).unwrap() {
        std::fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    assert!(place.once().await.0);
    let sent = sqs.accepted().pop().unwrap().snapshot();
    assert_eq!((sent.zone().serial(), sent.delta()), (Serial(8), None));
}

/// While 2 is on its way, 1 is what is stored. A worker may have done a part of 2.
#[tokio::test]
async fn what_is_on_its_way_is_passed_over_by_no_delta() {
    let (primary, sqs, place) = world(Config::new().zone(version(1, 0))).await;
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    sqs.set_held(true);
    primary.set_zone(version(2, 1));
    primary.notify(relay.address).await.unwrap();
    sqs.wait_for_arrived(2).await;
    primary.set_zone(version(3, 1));
    primary.notify(relay.address).await.unwrap();
    relay.logged(&["transferred", "serial=3"]).await;
    sqs.set_held(false);
    let accepted = sqs.wait_for(3).await;
    let base = |index: usize| accepted[index].snapshot().delta().map(secondary53_zone::Delta::base);
    assert_eq!((base(0), base(1)), (None, Some(Serial(1))));
    // 2 may have been stored by the time that 3 was packed.
    assert!(base(2).is_none_or(|base| base == Serial(2)));
}
