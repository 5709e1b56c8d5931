//! Zones of all kinds, one after the other, while requests and answers are lost, the API is busy and someone else edits
//! the hosted zone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use secondary53_tests::strict::{Config, Rate, ZoneSpec};
use secondary53_tests::zones::{Contents, contents, zone_text};
use secondary53_zone::message::{Approval, Reason};

use super::proxy::Fate;
use super::{ID, World, message, message_since, record, zone};

async fn live_through(seed: u64) {
    // More than any state needs, where three in ten requests are lost.
    const DELIVERIES: usize = 200;
    let mut random = StdRng::seed_from_u64(seed);
    let config = Config {
        zones: vec![ZoneSpec::public("example.com").with_id(ID)],
        processing: Duration::from_millis(random.random_range(0..3)),
        request_rate: random.random_bool(0.3).then_some(Rate { burst: 5, per_second: 500 }),
        change_rate: None,
        ..Config::default()
    };
    let world = World::behind(config, |_| Fate::Answered).await;
    let edited = Arc::new(AtomicBool::new(false));
    {
        let (server, edited) = (Arc::clone(&world.server), Arc::clone(&edited));
        let mut random = StdRng::seed_from_u64(!seed);
        world.meddle(move |line| {
            if line.starts_with("POST") && random.random_bool(0.1) {
                let owner = format!("n{}.example.com.", random.random_range(0..16));
                // Where a CNAME is in the way, they do not succeed either.
                let done = server.seed(ID, &[(&owner, "A", 77, &["198.51.100.1"])]).is_ok();
                edited.fetch_or(done, Ordering::Relaxed);
            }
            match random.random_range(0..10) {
                0 => Fate::RequestLost,
                1 | 2 => Fate::AnswerLost,
                _ => Fate::Answered,
            }
        });
    }
    let brings_deltas = random.random();
    let (mut last, mut before) = (Contents::new(), None);
    for serial in 2..6 {
        last = contents("example.com.", &mut random);
        let next = zone(serial, &zone_text(&last));
        let mut sent = match before.replace(next.clone()) {
            Some(before) if brings_deltas => message_since(&before, &next, Reason::Notify),
            _ => message(&next, Reason::Notify),
        };
        sent.meta.approved = vec![Approval::MassDeletion];
        // With deltas, only what changes is held against the hosted zone.
        if !brings_deltas {
            edited.store(false, Ordering::Relaxed);
        }
        let mut deliveries = 0;
        while !world.deliver(vec![record("1", &sent)]).await.is_empty() {
            deliveries += 1;
            assert!(deliveries < DELIVERIES, "seed {seed}: serial {serial} never comes through");
            // The serial says what is there, however far the worker got.
            if !edited.load(Ordering::Relaxed) {
                assert_ne!((world.serial(), world.hosted() == last), (serial, false), "seed {seed}");
            }
        }
        assert_eq!(world.serial(), serial, "seed {seed}");
        if !edited.load(Ordering::Relaxed) {
            assert_eq!(world.hosted(), last, "seed {seed}: serial {serial}");
        }
    }
    // The network and the others come to rest: one full comparison mends what they did.
    world.meddle(|_| Fate::Answered);
    let mut audit = message(&zone(5, &zone_text(&last)), Reason::Audit);
    audit.meta.approved = vec![Approval::MassDeletion];
    let mut deliveries = 0;
    while !world.deliver(vec![record("1", &audit)]).await.is_empty() {
        deliveries += 1;
        assert!(deliveries < DELIVERIES, "seed {seed}: the audit never comes through");
    }
    assert_eq!(world.hosted(), last, "seed {seed}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn faults_and_others_edits_lose_nothing(seed in any::<u64>()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(live_through(seed));
    }

    /// Whatever the queue hands over, the worker answers; and an answer names only ids that were in the event.
    #[test]
    fn any_event_is_answered(
        records in proptest::collection::vec((0..4_u8, "\\PC{0,12}", "[A-Za-z0-9+/=]{0,80}", 0..4_u8, any::<u32>()), 0..10),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let world = World::start().await;
            let good = message(&zone(7, "w A 192.0.2.1"), Reason::Notify);
            let events: Vec<_> = records
                .iter()
                .enumerate()
                .map(|(index, (kind, noise, body, group, serial))| {
                    let mut event = record(&index.to_string(), &good);
                    event["attributes"]["MessageGroupId"] = group.to_string().into();
                    match kind {
                        0 => event["body"] = body.clone().into(),
                        1 => event["messageAttributes"]["zone"]["stringValue"] = noise.clone().into(),
                        2 => event["messageAttributes"]["serial"]["stringValue"] = serial.to_string().into(),
                        _ => {}
                    }
                    event
                })
                .collect();
            let failed = world.deliver(events).await;
            for id in failed {
                assert!(id.parse::<usize>().unwrap() < records.len());
            }
            let has_good = records.iter().any(|(kind, ..)| *kind == 3);
            assert!(!has_good || world.serial() == 7);
        });
    }
}
