//! Every limit at n−1, n and n+1.

use crate::*;

const MANY: &str = "[Number of records limit of 1000 exceeded.]";
const LONG: &str = "[RDATA character limit of 32000 exceeded.]";

#[tokio::test]
async fn a_batch_holds_1000_records() {
    for (count, fits) in [(999, true), (1_000, true), (1_001, false)] {
        let world = World::start().await;
        let outcome = world.send(hosts(count)).await;
        if fits {
            outcome.unwrap();
            assert_eq!(world.zone().rrsets.len(), count + 2);
        } else {
            assert_eq!(refused(outcome), MANY);
            assert_eq!(world.zone().rrsets.len(), 2);
        }
    }
}

#[tokio::test]
async fn an_upsert_counts_its_records_twice() {
    let upserts = |count| {
        let mut changes = hosts(count);
        for change in &mut changes {
            change.action = ChangeAction::Upsert;
        }
        changes
    };
    let world = World::start().await;
    world.send(upserts(499)).await.unwrap();
    world.send(upserts(500)).await.unwrap();
    assert_eq!(refused(world.send(upserts(501)).await), MANY);
    let mut mixed = upserts(499);
    mixed.extend([create("a.example.com", "A", &["192.0.2.1"]), create("b.example.com", "A", &["192.0.2.1"])]);
    world.send(mixed).await.unwrap();
}

#[tokio::test]
async fn an_alias_counts_as_one_record() {
    let world = World::start().await;
    let aliases = |count: usize| (0..count).map(|at| listing::alias(&format!("a{at}.example.com"))).collect();
    world.send(aliases(1_000)).await.unwrap();
    let world = World::start().await;
    assert_eq!(refused(world.send(aliases(1_001)).await), MANY);
}

/// A value of TXT that is `length` characters long, quotes and spaces counted.
fn text(length: usize) -> String {
    let full = format!("\"{}\" ", "x".repeat(200));
    let count = (length - 2) / full.len();
    format!("{}\"{}\"", full.repeat(count), "y".repeat(length - 2 - count * full.len()))
}

/// Nine RRsets of TXT that come to `characters` in all.
fn texts(action: &ChangeAction, characters: usize) -> Vec<Change> {
    let each = characters / 9;
    let last = characters - 8 * each;
    let lengths = [[each; 8].as_slice(), &[last]].concat().into_iter().enumerate();
    lengths
        .map(|(at, length)| change(action.clone(), set(&format!("t{at}.example.com"), "TXT", 300, &[&text(length)])))
        .collect()
}

#[tokio::test]
async fn a_batch_holds_32000_characters() {
    let counted = |changes: &[Change]| -> usize {
        let sets = changes.iter().filter_map(|change| change.resource_record_set.as_ref());
        sets.flat_map(ResourceRecordSet::resource_records).map(|record| record.value.chars().count()).sum()
    };
    for (action, most) in [(ChangeAction::Create, 32_000), (ChangeAction::Upsert, 16_000)] {
        for (characters, fits) in [(most - 1, true), (most, true), (most + 1, false)] {
            let world = World::start().await;
            let changes = texts(&action, characters);
            assert_eq!(counted(&changes), characters);
            let outcome = world.send(changes).await;
            if fits {
                outcome.unwrap();
            } else {
                assert_eq!(refused(outcome), LONG);
                assert_eq!(world.zone().rrsets.len(), 2);
            }
        }
    }
}

#[tokio::test]
async fn a_value_holds_4000_characters() {
    let world = World::start().await;
    for (length, fits) in [(3_999, true), (4_000, true), (4_001, false)] {
        let value = text(length);
        assert_eq!(value.len(), length);
        let outcome = world.send(vec![upsert("t.example.com", "TXT", &[&value])]).await;
        if fits {
            outcome.unwrap();
            assert_eq!(world.values("t.example.com.", "TXT"), Some(vec![value]));
        } else {
            let refusal = outcome.unwrap_err();
            assert_eq!(refusal.code, "InvalidInput");
            assert!(refusal.message.ends_with("Member must have length less than or equal to 4000"), "{refusal:?}");
        }
    }
}

#[tokio::test]
async fn an_rrset_holds_400_values() {
    let world = World::start().await;
    for (count, fits) in [(399, true), (400, true), (401, false)] {
        let values: Vec<_> = (0..count).map(|at| format!("10.0.{}.{}", at / 256, at % 256)).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        let outcome = world.send(vec![upsert("many.example.com", "A", &values)]).await;
        if fits {
            outcome.unwrap();
        } else {
            assert!(refused(outcome).contains("Number of values limit of 400 exceeded"));
            assert_eq!(world.values("many.example.com.", "A").unwrap().len(), 400);
        }
    }
}

#[tokio::test]
async fn a_zone_holds_its_quota_its_ns_and_soa_counted() {
    for (count, fits) in [(7, true), (8, true), (9, false)] {
        let world = World::with(|config| config.max_rrsets = 10).await;
        let outcome = world.send(hosts(count)).await;
        if fits {
            outcome.unwrap();
        } else {
            assert_eq!(refused(outcome), "[Exceeded limit MAX_RRSETS_BY_ZONE for zone: Z1EXAMPLE]");
            assert_eq!(world.zone().rrsets.len(), 2);
        }
    }
    // What is deleted in the same batch makes room.
    let world = World::with(|config| config.max_rrsets = 10).await;
    world.send(hosts(8)).await.unwrap();
    let swap = vec![create("new.example.com", "A", &["192.0.2.1"]), delete("h0.example.com", "A", &["192.0.2.1"])];
    world.send(swap).await.unwrap();
    assert_eq!(world.zone().rrsets.len(), 10);
}

#[tokio::test]
async fn a_ttl_is_within_31_bits_and_within_a_week_where_the_zone_is_signed() {
    let world = World::with(|config| config.zones[0].signed = true).await;
    let with_ttl = |ttl| vec![change(ChangeAction::Upsert, set("t.example.com", "A", ttl, &["192.0.2.1"]))];
    world.send(with_ttl(604_800)).await.unwrap();
    assert!(refused(world.send(with_ttl(604_801)).await).contains("TTL 604801"));
    let world = World::start().await;
    for ttl in [0, 2_147_483_647] {
        world.send(with_ttl(ttl)).await.unwrap();
        assert_eq!(world.zone().rrset("t.example.com.", "A").unwrap().ttl, u32::try_from(ttl).ok());
    }
    for ttl in [-1, 2_147_483_648] {
        assert_eq!(world.send(with_ttl(ttl)).await.unwrap_err().code, "InvalidInput");
    }
}
