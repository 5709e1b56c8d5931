//! Zones and RRsets of the size that Route 53 allows, and changes of many at once.

use secondary53_zone::message::Reason;

use super::{World, zone};

/// RRsets that a hosted zone can have of us: of its 10,000 the apex's NS and SOA are two.
const FULL: usize = 9_998;

/// Requests for so many elements, of which two are the SOA's.
const fn requests(elements: usize) -> usize {
    elements.div_ceil(1000)
}

fn hosts(count: usize, ttl: u32) -> String {
    (0..count).map(|i| format!("h{i} {ttl} A 10.0.{}.{}\n", i / 256, i % 256)).collect()
}

#[tokio::test]
async fn a_hosted_zone_is_filled_to_its_quota_and_600_of_it_change() {
    let world = World::start().await;
    let full = hosts(FULL, 300);
    world.sync(&zone(7, &full), Reason::Initial).await;
    assert_eq!((world.hosted().len(), world.serial()), (FULL, 7));
    assert_eq!(world.calls()["ChangeResourceRecordSets"], requests(FULL + 2));

    let changed = full.replacen(" A 10.", " A 11.", 600);
    world.sync(&zone(8, &changed), Reason::Notify).await;
    let eleven = |value: &String| value.starts_with("11.");
    assert_eq!(world.hosted().values().filter(|(_, values)| values.iter().all(eleven)).count(), 600);
    assert_eq!((world.hosted().len(), world.serial()), (FULL, 8));
    assert_eq!(world.calls()["ChangeResourceRecordSets"], requests(2 * 600 + 2));

    // A name takes the place of another, in one request, so that there is none too many at any time.
    world.calls();
    world.sync(&zone(9, &changed.replacen("h0 ", "x0 ", 1)), Reason::Notify).await;
    let hosted = world.hosted();
    assert_eq!((hosted.len(), world.serial()), (FULL, 9));
    assert!(hosted.contains_key(&("x0.example.com.".to_owned(), "A".to_owned())));
    assert_eq!(world.calls()["ChangeResourceRecordSets"], 1);
}

#[tokio::test]
async fn the_ttl_of_a_whole_zone_changes_at_once() {
    const COUNT: usize = 1_200;
    let world = World::start().await;
    world.sync(&zone(7, &hosts(COUNT, 300)), Reason::Initial).await;
    world.calls();
    world.sync(&zone(8, &hosts(COUNT, 60)), Reason::Notify).await;
    let hosted = world.hosted();
    assert_eq!(hosted.len(), COUNT);
    assert!(hosted.values().all(|(ttl, _)| *ttl == 60));
    assert_eq!(world.serial(), 8);
    assert_eq!(world.calls()["ChangeResourceRecordSets"], requests(2 * COUNT + 2));
}

#[tokio::test]
async fn of_values_400_are_held_and_401_are_not() {
    let world = World::start().await;
    let many = |count: usize| {
        let values: String = (0..count).map(|i| format!("many A 10.0.{}.{}\n", i / 256, i % 256)).collect();
        values + "other A 192.0.2.1"
    };
    let count = || world.hosted()[&("many.example.com.".to_owned(), "A".to_owned())].1.len();
    world.sync(&zone(7, &many(400)), Reason::Initial).await;
    assert_eq!((count(), world.serial()), (400, 7));
    // One more is known to be too many: the rest goes on, and of this RRset what was there stays.
    let beyond = many(401).replace("192.0.2.1", "192.0.2.2");
    world.sync(&zone(8, &beyond), Reason::Notify).await;
    assert_eq!((count(), world.serial()), (400, 8));
    let other = &world.hosted()[&("other.example.com.".to_owned(), "A".to_owned())];
    assert_eq!(other.1, ["192.0.2.2"]);
    world.sync(&zone(9, &many(399)), Reason::Notify).await;
    assert_eq!((count(), world.serial()), (399, 9));
}
