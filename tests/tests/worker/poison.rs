//! RRsets that Route 53 does not take: the rest is applied, the bad ones are named, and the serial stays.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use secondary53_lambda::handler;
use secondary53_lambda::route53::Route53;
use secondary53_lambda::turns::Turns;
use secondary53_tests::strict::{Config, ZoneSpec};
use secondary53_zone::message::Reason;
use serde_json::json;

use super::dead_letters::{DeadLetters, one, world};
use super::log::Log;
use super::proxy::Fate;
use super::{ID, INVOCATION, UNLIMITED, World, client, held, message, record, zone};

/// The calls since the last time that changed something, or were to.
fn requests(world: &World) -> usize {
    world.calls().remove("ChangeResourceRecordSets").unwrap_or_default()
}

/// `count` names with an address each, which is this one's.
fn hosts(count: usize, last: u8) -> String {
    (0..count).map(|i| format!("h{i} A 10.{}.{}.{last}\n", i / 256, i % 256)).collect()
}

#[tokio::test]
async fn a_protected_rrset_is_put_aside_by_name_and_the_rest_is_applied() {
    let (world, dead) = world().await;
    world.sync(&zone(7, "w A 192.0.2.1"), Reason::Initial).await;
    world.server.protect(ID, "w.example.com", "A").unwrap();
    let sent = message(&zone(8, "w A 192.0.2.2\nnew A 192.0.2.3\nnew MX 1 w"), Reason::Notify);
    assert_eq!(world.deliver(vec![record("1", &sent)]).await, Vec::<String>::new());
    assert_eq!(
        world.hosted(),
        held(&[
            ("w.example.com.", "A", 300, &["192.0.2.1"]),
            ("new.example.com.", "A", 300, &["192.0.2.3"]),
            ("new.example.com.", "MX", 300, &["1 w.example.com."]),
        ])
    );
    assert_eq!(world.serial(), 7);
    let letter = one(&dead);
    assert_eq!(letter.message, Some(sent));
    assert_eq!(letter.note["outcome"], "rejected");
    assert_eq!((&letter.note["rrsets"], &letter.note["rrsets_count"]), (&json!(["w.example.com. A"]), &json!(1)));
    assert_eq!(letter.note["plan"], json!({"create": 0, "change": 1, "delete": 0}));
    let words = letter.note["route53"].as_str().unwrap();
    assert!(words.contains("[name='w.example.com.', type='A'] is protected"), "{words}");
    // Route 53's words name RRsets: no line below a warning has them.
    let told = Log::text();
    let with_words: Vec<&str> = told.lines().filter(|line| line.contains("is protected")).collect();
    assert!(!with_words.is_empty() && with_words.iter().all(|line| line.contains(" WARN ")), "{with_words:?}");
}

#[tokio::test]
async fn what_stays_bad_costs_two_requests_and_what_is_mended_goes_in() {
    let (world, dead) = world().await;
    world.sync(&zone(7, &hosts(500, 1)), Reason::Initial).await;
    world.server.protect(ID, "h77.example.com", "A").unwrap();
    let bad = format!("{}h77 A 192.0.2.77\n", hosts(77, 1))
        + &hosts(500, 1).split_inclusive('\n').skip(78).collect::<String>();
    world.calls();
    world.sync(&zone(8, &format!("{bad}n8 A 192.0.2.8")), Reason::Notify).await;
    // Refused as a whole, then the rest, then the bad one by itself.
    assert_eq!((requests(&world), world.serial(), world.hosted().len()), (3, 7, 501));
    assert_eq!(one(&dead).note["rrsets"], json!(["h77.example.com. A"]));
    // Known and as it was: the rest, and the bad one once more.
    world.sync(&zone(9, &format!("{bad}n9 A 192.0.2.9")), Reason::Notify).await;
    assert_eq!(
        world.calls().into_iter().collect::<Vec<_>>(),
        [("ChangeResourceRecordSets", 2), ("ListResourceRecordSets", 3)]
    );
    assert_eq!((world.serial(), one(&dead).note["rrsets_count"].as_u64()), (7, Some(1)));
    // The same again: only that is left to ask.
    world.sync(&zone(9, &format!("{bad}n9 A 192.0.2.9")), Reason::Notify).await;
    assert_eq!((requests(&world), dead.take().len()), (1, 1));
    // The primary takes it back: nothing is left to refuse.
    world.sync(&zone(10, &hosts(500, 1)), Reason::Notify).await;
    assert_eq!((requests(&world), world.serial(), dead.take().len()), (1, 10, 0));
    // Bad anew, then no longer protected: applied, and the serial with it.
    world.sync(&zone(11, &bad), Reason::Notify).await;
    assert_eq!((world.serial(), dead.take().len()), (10, 1));
    world.server.allow(ID, "h77.example.com", "A").unwrap();
    world.sync(&zone(12, &bad), Reason::Notify).await;
    assert_eq!((world.serial(), dead.take().len()), (12, 0));
    assert_eq!(world.hosted()[&("h77.example.com.".to_owned(), "A".to_owned())].1, ["192.0.2.77"]);
}

#[tokio::test]
async fn words_that_name_nothing_are_no_hindrance() {
    let (world, dead) = world().await;
    world.sync(&zone(7, &hosts(600, 1)), Reason::Initial).await;
    for name in ["h3.example.com", "h599.example.com"] {
        world.server.refuse(ID, name, "A", "FATAL problem: Something (It is bad) encountered").unwrap();
    }
    world.calls();
    world.sync(&zone(8, &hosts(600, 2)), Reason::Notify).await;
    let requests = requests(&world);
    assert!(requests < 45, "{requests} requests");
    let hosted = world.hosted();
    let old: Vec<_> = hosted
        .iter()
        .filter(|(_, (_, values))| values[0].ends_with(".1"))
        .map(|((name, _), _)| name.as_str())
        .collect();
    assert_eq!((old, hosted.len(), world.serial()), (vec!["h3.example.com.", "h599.example.com."], 600, 7));
    assert_eq!(one(&dead).note["rrsets_count"], 2);
}

#[tokio::test]
async fn what_happens_at_one_name_is_never_split() {
    let (world, dead) = world().await;
    world.sync(&zone(7, "w A 192.0.2.1\nw TXT \"x\"\nv A 192.0.2.1"), Reason::Initial).await;
    world.server.refuse(ID, "w.example.com", "CNAME", "No.").unwrap();
    world.sync(&zone(8, "w CNAME v\nv A 192.0.2.2"), Reason::Notify).await;
    assert_eq!(
        world.hosted(),
        held(&[
            ("w.example.com.", "A", 300, &["192.0.2.1"]),
            ("w.example.com.", "TXT", 300, &["\"x\""]),
            ("v.example.com.", "A", 300, &["192.0.2.2"]),
        ])
    );
    // Of the name, everything that was to happen is named.
    let rrsets = json!(["w.example.com. A", "w.example.com. CNAME", "w.example.com. TXT"]);
    assert_eq!((world.serial(), &one(&dead).note["rrsets"]), (7, &rrsets));
}

#[tokio::test]
async fn the_serial_is_last_so_a_stop_half_way_is_finished_later() {
    let (world, dead) = world().await;
    world.sync(&zone(7, ""), Reason::Initial).await;
    // The name is taken by an RRset that cannot be deleted, and everything else goes in, batch by batch.
    world.server.seed(ID, &[("h999.example.com.", "CNAME", 60, &["x."])]).unwrap();
    world.server.protect(ID, "h999.example.com", "CNAME").unwrap();
    world.sync(&zone(8, &hosts(2500, 1)), Reason::Notify).await;
    assert_eq!((world.serial(), world.hosted().len()), (7, 2500));
    assert_eq!(one(&dead).note["rrsets"], json!(["h999.example.com. A", "h999.example.com. CNAME"]));
}

#[tokio::test]
async fn a_zone_of_nothing_but_bad_ones_ends() {
    let (world, dead) = world().await;
    for number in 0..300 {
        world.server.refuse(ID, &format!("h{number}.example.com"), "A", "No.").unwrap();
    }
    world.sync(&zone(7, &hosts(300, 1)), Reason::Initial).await;
    let requests = requests(&world);
    assert!(requests < 70, "{requests} requests");
    let note = one(&dead).note;
    assert_eq!((world.serial(), world.hosted().len(), note["rrsets_count"].as_u64()), (1, 0, Some(300)));
    assert!((10..300).contains(&note["rrsets"].as_array().unwrap().len()));
}

/// As many as are remembered, and more.
#[tokio::test]
async fn more_bad_ones_than_are_remembered_are_put_aside_all_the_same() {
    const MANY: usize = 1_100;
    let (world, dead) = world().await;
    for number in 0..MANY {
        world.server.refuse(ID, &format!("h{number}.example.com"), "A", "No.").unwrap();
    }
    for serial in [7, 8] {
        world.sync(&zone(serial, &hosts(MANY, 1)), Reason::Initial).await;
        let note = one(&dead).note;
        assert_eq!((note["outcome"].as_str(), note["rrsets_count"].as_u64()), (Some("rejected"), Some(MANY as u64)));
        assert_eq!((world.serial(), world.hosted().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_soa_that_is_refused_is_named() {
    let (world, dead) = world().await;
    world.sync(&zone(7, "w A 192.0.2.1"), Reason::Initial).await;
    world.server.protect(ID, "example.com", "SOA").unwrap();
    world.sync(&zone(8, "w A 192.0.2.2"), Reason::Notify).await;
    // Nor is anything else done: the hosted zone would say 7 and be neither.
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.1"])]));
    let note = one(&dead).note;
    assert_eq!((world.serial(), &note["rrsets"]), (7, &json!(["example.com. SOA"])));
    assert!(note["reason"].as_str().unwrap().contains("nothing was changed"), "{note}");
}

/// A TXT with so many values of 3,000 characters.
fn large(ttl: u32, mark: &str, count: usize) -> String {
    let string = format!("\"{mark}{}\"", "x".repeat(247));
    let text = [string.as_str(); 12].join(" ");
    (0..count).map(|number| format!("big {ttl} TXT {}\n", text.replacen('x', &number.to_string(), 1))).collect()
}

#[tokio::test]
async fn what_is_too_large_to_be_replaced_is_back_where_the_new_is_refused() {
    let (world, dead) = world().await;
    let big = || world.hosted().remove(&("big.example.com.".to_owned(), "TXT".to_owned()));
    world.sync(&zone(7, &large(300, "old", 9)), Reason::Initial).await;
    let before = big();
    world.server.refuse_ttl(ID, "big.example.com", "TXT", Some(60), "No.").unwrap();
    world.sync(&zone(8, &(large(60, "new", 9) + "w A 192.0.2.1")), Reason::Notify).await;
    assert_eq!((big(), world.hosted().len(), world.serial()), (before.clone(), 2, 7));
    let note = one(&dead).note;
    assert_eq!(note["rrsets"], json!(["big.example.com. TXT"]));
    assert!(note["route53"].as_str().unwrap().contains("was put back"), "{note}");
    // As long as it is known to be refused it is left in peace.
    world.calls();
    world.sync(&zone(9, &(large(60, "new", 9) + "w A 192.0.2.2")), Reason::Notify).await;
    assert_eq!(
        (big(), requests(&world), world.serial(), one(&dead).note["rrsets_count"].as_u64()),
        (before, 1, 7, Some(1))
    );
    // Unless somebody asks for all of it.
    let audited = zone(9, &(large(60, "new", 9) + "w A 192.0.2.2"));
    world.sync(&audited, Reason::Audit).await;
    assert!(one(&dead).note["route53"].as_str().unwrap().contains("was put back"));
    world.server.allow(ID, "big.example.com", "TXT").unwrap();
    world.sync(&audited, Reason::Replay).await;
    assert_eq!((big().map(|(ttl, _)| ttl), world.serial()), (Some(60), 9));
    world.sync_approved(&zone(9, &large(300, "old", 9)), Reason::Audit).await;
    world.server.refuse_ttl(ID, "big.example.com", "TXT", Some(60), "No.").unwrap();
    // Another is another matter, and where it fits twice, it is never gone.
    world.sync(&zone(10, &large(60, "new", 5)), Reason::Notify).await;
    assert_eq!(one(&dead).note["route53"].as_str().map(|words| words.contains("put back")), Some(false));
    world.sync(&zone(11, &large(61, "new", 5)), Reason::Notify).await;
    assert_eq!((big().map(|(ttl, values)| (ttl, values.len())), world.serial()), (Some((61, 5)), 11));
}

thread_local! {
    /// By how much the worker's clock is ahead. A test has one thread.
    static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn ahead() -> Duration {
    handler::clock() + AHEAD.get()
}

#[tokio::test]
async fn what_has_made_room_for_itself_is_followed_whatever_the_time() {
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let mut world = World::behind(Config { zones, ..Config::default() }, |_| Fate::Answered).await;
    let endpoint = world.proxy.as_ref().unwrap().0.endpoint();
    world.worker.clock = ahead;
    world.worker.route53 = Route53::with_turns(&client(&endpoint), Turns::new(UNLIMITED, ahead));
    let big = |world: &World| world.hosted().remove(&("big.example.com.".to_owned(), "TXT".to_owned()));
    world.sync(&zone(7, &large(300, "old", 9)), Reason::Initial).await;
    // The deletion is what there was time for.
    world.meddle(|line| {
        if line.starts_with("POST") {
            AHEAD.set(INVOCATION);
        }
        Fate::Answered
    });
    let new = zone(8, &large(60, "new", 9));
    assert_eq!(world.deliver(vec![record("1", &message(&new, Reason::Notify))]).await, ["1"]);
    assert_eq!((big(&world).map(|(ttl, _)| ttl), world.serial()), (Some(60), 7));
    world.meddle(|_| Fate::Answered);
    world.sync(&new, Reason::Notify).await;
    assert_eq!(world.serial(), 8);
}

#[tokio::test]
async fn without_its_quota_a_bad_rrset_is_looked_for_all_the_same() {
    let dead = DeadLetters::start().await;
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let mut world = World::behind(Config { zones, ..Config::default() }, |line| {
        if line.contains("hostedzonelimit") { Fate::Denied } else { Fate::Answered }
    })
    .await;
    world.worker.quarantine = dead.quarantine();
    world.server.refuse(ID, "bad.example.com", "A", "No.").unwrap();
    world.sync(&zone(7, "bad A 192.0.2.1\ngood A 192.0.2.2"), Reason::Initial).await;
    assert_eq!(one(&dead).note["rrsets"], json!(["bad.example.com. A"]));
    assert_eq!(world.hosted(), held(&[("good.example.com.", "A", 300, &["192.0.2.2"])]));
}

#[tokio::test]
async fn lost_answers_in_a_search_are_not_taken_for_bad_rrsets() {
    let dead = DeadLetters::start().await;
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let mut world = World::behind(Config { zones, ..Config::default() }, |_| Fate::Answered).await;
    world.worker.quarantine = dead.quarantine();
    world.sync(&zone(7, &hosts(20, 1)), Reason::Initial).await;
    world.server.protect(ID, "h7.example.com", "A").unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    world.meddle(move |line| {
        let is_lost = line.starts_with("POST") && count.fetch_add(1, Ordering::Relaxed) == 1;
        if is_lost { Fate::AnswerLost } else { Fate::Answered }
    });
    world.sync(&zone(8, &hosts(20, 2)), Reason::Notify).await;
    let changed = world.hosted().values().filter(|(_, values)| values[0].ends_with(".2")).count();
    assert_eq!((changed, world.serial(), &one(&dead).note["rrsets"]), (19, 7, &json!(["h7.example.com. A"])));
}
