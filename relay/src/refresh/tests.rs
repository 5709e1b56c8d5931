use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds {
    refresh_min: secs(60),
    refresh_max: secs(86_400),
    retry_min: secs(30),
    retry_max: secs(3_600),
    audit: None,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn soa(serial: u32, refresh: u32, retry: u32, expire: u32) -> Soa {
    let root = secondary53_zone::Name::root();
    Soa { mname: root.clone(), rname: root, serial: Serial(serial), refresh, retry, expire, minimum: 0 }
}

/// A zone whose first transfer ended at 0.
fn fresh(soa: &Soa) -> Refresh {
    let mut zone = Refresh::new(BOUNDS, None, secs(0), secs(0), 0);
    assert_eq!(zone.woken(secs(0)), Woken::Look(Cause::Timer));
    zone.transferred(secs(0), soa, 0).unwrap();
    zone
}

#[test]
fn a_zone_is_looked_at_once_in_each_refresh() {
    let mut zone = fresh(&soa(1, 3600, 600, 604_800));
    for hour in 1..=24 {
        let due = secs(3600 * hour);
        assert_eq!(zone.next(), Some(due));
        assert_eq!(zone.woken(due.saturating_sub(secs(1))), Woken::Early);
        assert_eq!(zone.woken(due), Woken::Look(Cause::Timer));
        assert_eq!(zone.next(), None);
        zone.answered(due, Serial(1), 0).unwrap();
    }
    assert_eq!(zone.state(), State::Fresh { due: secs(3600 * 25) });
}

#[test]
fn a_failed_look_is_retried_until_the_zone_expires_and_after() {
    let mut zone = fresh(&soa(1, 3600, 600, 7200));
    let mut now = secs(3600);
    let mut looks = 0;
    while now < secs(7200) {
        assert_eq!(zone.woken(now), Woken::Look(Cause::Timer));
        zone.failed(now, 0);
        looks += 1;
        now = zone.next().unwrap();
    }
    assert_eq!((looks, now), (6, secs(7200)));
    // The alarm is raised once.
    assert_eq!(zone.woken(now), Woken::Expired);
    assert!(matches!(zone.state(), State::Expired { .. }));
    for _ in 0..5 {
        now = zone.next().unwrap();
        assert_eq!(zone.woken(now), Woken::Look(Cause::Timer));
        zone.failed(now, 0);
        assert!(matches!(zone.state(), State::Expired { .. }));
    }
    // The primary comes back with what we hold.
    now = zone.next().unwrap();
    assert_eq!(zone.woken(now), Woken::Look(Cause::Timer));
    zone.answered(now, Serial(1), 0).unwrap();
    assert_eq!(zone.state(), State::Fresh { due: now + secs(3600) });
}

#[test]
fn without_a_soa_the_retries_grow_to_the_longest() {
    let mut zone = Refresh::new(BOUNDS, None, secs(0), secs(0), 0);
    let mut now = secs(0);
    let mut waits = Vec::new();
    for _ in 0..10 {
        assert_eq!(zone.woken(now), Woken::Look(Cause::Timer));
        zone.failed(now, 0);
        let next = zone.next().unwrap();
        waits.push(next.saturating_sub(now).as_secs());
        now = next;
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
}

#[test]
fn a_storm_of_notifies_makes_one_look_and_one_more() {
    let mut zone = fresh(&soa(1, 3600, 600, 604_800));
    assert_eq!(zone.notified(secs(0), None), Notified::Look(Cause::Notify));
    for serial in 2..1000 {
        assert_eq!(zone.notified(secs(0), Some(Serial(serial))), Notified::Merged);
    }
    assert_eq!(zone.next(), None);
    zone.transferred(secs(5), &soa(500, 3600, 600, 604_800), 0).unwrap();
    assert_eq!(zone.next(), Some(secs(5)));
    assert_eq!(zone.woken(secs(5)), Woken::Look(Cause::Notify));
    zone.transferred(secs(6), &soa(999, 3600, 600, 604_800), 0).unwrap();
    assert_eq!(zone.state(), State::Fresh { due: secs(3606) });
}

#[test]
fn a_hint_that_is_not_newer_is_nothing_new() {
    let mut zone = fresh(&soa(u32::MAX, 3600, 600, 604_800));
    for old in [u32::MAX, u32::MAX - 1, (1 << 31) - 1] {
        assert_eq!(zone.notified(secs(0), Some(Serial(old))), Notified::NotNewer);
    }
    // Newer across the wrap (RFC 1982).
    assert_eq!(zone.notified(secs(0), Some(Serial(0))), Notified::Look(Cause::Notify));
    // And while a look is under way.
    assert_eq!(zone.notified(secs(0), Some(Serial(u32::MAX))), Notified::NotNewer);
    zone.failed(secs(1), 0);
    // After a failure even the old serial says that the primary is there.
    assert_eq!(zone.notified(secs(2), Some(Serial(u32::MAX))), Notified::Look(Cause::Notify));
}

#[test]
fn a_notify_is_the_cause_until_a_look_succeeds() {
    let mut zone = fresh(&soa(1, 3600, 600, 604_800));
    assert_eq!(zone.notified(secs(0), Some(Serial(2))), Notified::Look(Cause::Notify));
    zone.failed(secs(10), 0);
    assert_eq!(zone.woken(secs(610)), Woken::Look(Cause::Notify));
    // A NOTIFY during a look that fails brings the next one forward, but not to at once.
    assert_eq!(zone.notified(secs(615), Some(Serial(3))), Notified::Merged);
    zone.failed(secs(620), 0);
    assert_eq!(zone.next(), Some(secs(621)));
}

/// Anybody can send a NOTIFY in a primary's name over UDP, and a primary that is down fails every look within the moment.
#[test]
fn a_flood_of_notifies_after_a_failure_is_no_flood_of_looks() {
    let mut zone = fresh(&soa(1, 3600, 600, 604_800));
    assert_eq!(zone.notified(secs(0), None), Notified::Look(Cause::Notify));
    let mut looks = 0;
    for tenth in 0..100 {
        let now = Duration::from_millis(100 * tenth);
        if matches!(zone.state(), State::Refreshing { .. }) || matches!(zone.woken(now), Woken::Look(_)) {
            looks += 1;
            zone.failed(now, 0);
        }
        zone.notified(now, None);
    }
    // In ten seconds, not a hundred.
    assert_eq!(looks, 10);
}

/// The first of two primaries is a serial behind the one that sent the NOTIFY: what it gives is taken, and is not all.
#[test]
fn what_a_notify_spoke_of_and_the_look_did_not_bring_is_looked_for_once_more() {
    for transferred in [false, true] {
        let mut zone = fresh(&soa(10, 3600, 600, 604_800));
        assert_eq!(zone.notified(secs(60), Some(Serial(12))), Notified::Look(Cause::Notify));
        if transferred {
            zone.transferred(secs(61), &soa(11, 3600, 600, 604_800), 0).unwrap();
        } else {
            zone.answered(secs(61), Serial(10), 0).unwrap();
        }
        assert_eq!(zone.next(), Some(secs(62)));
        assert_eq!(zone.woken(secs(62)), Woken::Look(Cause::Notify));
        // Once: the hint may be anybody's.
        let serial = zone.serial().unwrap();
        zone.answered(secs(63), serial, 0).unwrap();
        assert_eq!(zone.state(), State::Fresh { due: secs(3663) });
    }
}

#[test]
fn a_serial_that_goes_backwards_is_refused_and_shown() {
    let mut zone = fresh(&soa(10, 3600, 600, 604_800));
    assert_eq!(zone.woken(secs(3600)), Woken::Look(Cause::Timer));
    let error = zone.answered(secs(3600), Serial(9), 0).unwrap_err();
    assert_eq!(error, Backwards { ours: Serial(10), theirs: Serial(9) });
    assert!(error.to_string().contains("serial 9"));
    assert_eq!(zone.serial(), Some(Serial(10)));
    assert_eq!(zone.next(), Some(secs(4200)));
    // Neither does a transfer slip through, nor a serial half-way round.
    assert_eq!(zone.woken(secs(4200)), Woken::Look(Cause::Timer));
    assert!(zone.transferred(secs(4200), &soa(10 + (1 << 31), 1, 1, 1), 0).is_err());
    assert_eq!(zone.serial(), Some(Serial(10)));
}

#[test]
fn the_soa_is_kept_within_bounds() {
    let mut zone = fresh(&soa(1, 1, 1, 1));
    assert_eq!(zone.next(), Some(secs(60)));
    assert_eq!(zone.woken(secs(60)), Woken::Look(Cause::Timer));
    zone.failed(secs(60), 0);
    // It expires after a refresh and a retry at the earliest.
    assert_eq!(zone.next(), Some(secs(90)));
    let zone = fresh(&soa(1, u32::MAX, u32::MAX, u32::MAX));
    assert_eq!(zone.next(), Some(secs(86_400)));
}

#[test]
fn chance_takes_up_to_a_tenth_off() {
    let mut zone = Refresh::new(BOUNDS, Some(&soa(1, 3600, 600, 604_800)), secs(0), secs(0), 0);
    zone.woken(secs(0));
    zone.answered(secs(0), Serial(1), u32::MAX).unwrap();
    assert_eq!(zone.next(), Some(secs(3240)));
}

#[test]
fn a_stored_zone_is_looked_at_at_once_and_not_fetched_again() {
    let mut zone = Refresh::new(BOUNDS, Some(&soa(7, 3600, 600, 604_800)), secs(100), secs(100), 0);
    assert_eq!(zone.serial(), Some(Serial(7)));
    assert_eq!(zone.woken(secs(100)), Woken::Look(Cause::Timer));
    assert_eq!(Standing::of(zone.serial(), Serial(7)), Standing::Same);
    zone.answered(secs(100), Serial(7), 0).unwrap();
    assert!(matches!(zone.state(), State::Fresh { .. }));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u32),
    Notify(Option<u32>),
    Same,
    Transfer(u32),
    Answer(u32),
    Fail,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u32>().prop_map(Step::Wait),
        2 => proptest::option::of(any::<u32>()).prop_map(Step::Notify),
        1 => Just(Step::Same),
        1 => any::<u32>().prop_map(Step::Transfer),
        1 => any::<u32>().prop_map(Step::Answer),
        1 => Just(Step::Fail),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    /// Over centuries: a look always comes, in time; the serial only moves forward; one look at a time.
    #[test]
    fn whatever_happens_the_zone_is_looked_after(
        steps in steps(),
        timers in any::<[u32; 3]>(),
        chance in any::<u32>(),
    ) {
        let [refresh, retry, expire] = timers;
        let mut zone = Refresh::new(BOUNDS, None, secs(0), secs(0), 0);
        let mut now = secs(0);
        for step in steps {
            let before = zone.serial();
            let looking = matches!(zone.state(), State::Refreshing { .. });
            match step {
                Step::Wait(seconds) => {
                    now += secs(seconds.into());
                    let woken = zone.woken(now);
                    prop_assert!(!(looking && woken != Woken::Early));
                }
                Step::Notify(hint) => {
                    let notified = zone.notified(now, hint.map(Serial));
                    prop_assert!(!(looking && matches!(notified, Notified::Look(_))));
                }
                // These end a look, so there must be one.
                _ if !looking => {}
                Step::Same => if let Some(serial) = before { zone.answered(now, serial, chance).unwrap(); },
                Step::Transfer(serial) => { let _ = zone.transferred(now, &soa(serial, refresh, retry, expire), chance); }
                Step::Answer(serial) => { let _ = zone.answered(now, Serial(serial), chance); }
                Step::Fail => zone.failed(now, chance),
            }
            match (before, zone.serial()) {
                (Some(before), Some(after)) => prop_assert!(after >= before),
                (Some(_), None) => prop_assert!(false, "the serial was forgotten"),
                (None, _) => {}
            }
            match zone.next() {
                None => prop_assert!(matches!(zone.state(), State::Refreshing { .. }), "nothing is due"),
                Some(next) => prop_assert!(next <= now + BOUNDS.refresh_max),
            }
        }
    }
}

mod rules;
mod simulation;

#[test]
fn other_bounds_count_at_once_and_put_nothing_off() {
    let mut zone = fresh(&soa(1, 3600, 600, 604_800));
    zone.set_bounds(Bounds { refresh_max: secs(900), ..BOUNDS }, secs(60), 0);
    assert_eq!(zone.next(), Some(secs(960)));
    zone.set_bounds(Bounds { refresh_min: secs(7200), audit: Some(secs(500)), ..BOUNDS }, secs(100), 0);
    // The audit comes before it.
    assert!(zone.next().unwrap() <= secs(600));
    zone.set_bounds(Bounds { refresh_min: secs(7200), ..BOUNDS }, secs(200), 0);
    assert_eq!(zone.next(), Some(secs(960)));
    assert_eq!(zone.woken(secs(960)), Woken::Look(Cause::Timer));
    zone.answered(secs(960), Serial(1), 0).unwrap();
    assert_eq!(zone.next(), Some(secs(960 + 7200)));
    zone.woken(secs(960 + 7200));
    zone.failed(secs(10_000), 0);
    assert_eq!(zone.next(), Some(secs(10_600)));
    zone.set_bounds(Bounds { retry_max: secs(30), ..BOUNDS }, secs(10_000), 0);
    assert_eq!(zone.next(), Some(secs(10_030)));
}

#[test]
fn after_a_change_of_primaries_it_is_looked_at_again_at_once() {
    let mut zone = fresh(&soa(5, 3600, 600, 604_800));
    zone.again(secs(10));
    assert_eq!(zone.woken(secs(10)), Woken::Look(Cause::Timer));
    // A NOTIFY meanwhile is what the next look is for.
    assert_eq!(zone.notified(secs(11), None), Notified::Merged);
    zone.again(secs(12));
    assert_eq!(zone.woken(secs(12)), Woken::Look(Cause::Notify));
    // Of what is held nothing is forgotten: serials still move forward only.
    assert_eq!(zone.answered(secs(13), Serial(4), 0), Err(Backwards { ours: Serial(5), theirs: Serial(4) }));
    zone.again(secs(13));
    assert_eq!(zone.next(), Some(secs(13)));
    // What an operator allowed is still allowed.
    assert_eq!(zone.resend(secs(13), true), Some(Cause::Resend { rollback: true }));
    zone.again(secs(14));
    assert_eq!(zone.woken(secs(14)), Woken::Look(Cause::Resend { rollback: true }));
}

#[test]
fn a_zone_that_is_wanted_comes_whatever_its_serial() {
    let mut zone = fresh(&soa(5, 3600, 600, 604_800));
    zone.want(secs(10));
    assert_eq!(zone.woken(secs(10)), Woken::Look(Cause::Resend { rollback: false }));
    zone.want(secs(11));
    zone.transferred(secs(12), &soa(5, 3600, 600, 604_800), 0).unwrap();
    assert_eq!(zone.woken(secs(12)), Woken::Look(Cause::Resend { rollback: false }));
}

#[test]
fn a_zone_that_starts_over_takes_any_serial() {
    let mut zone = fresh(&soa(5, 3600, 600, 604_800));
    zone.start_over(secs(10), 0);
    assert_eq!((zone.serial(), zone.woken(secs(10))), (None, Woken::Look(Cause::Timer)));
    zone.transferred(secs(11), &soa(4, 3600, 600, 604_800), 0).unwrap();
    // During a look: what it brings is of before, and another follows.
    assert_eq!(zone.notified(secs(20), None), Notified::Look(Cause::Notify));
    zone.start_over(secs(21), 0);
    assert_eq!((zone.serial(), zone.next()), (None, None));
    zone.again(secs(22));
    assert_eq!(zone.woken(secs(22)), Woken::Look(Cause::Notify));
    zone.transferred(secs(23), &soa(3, 3600, 600, 604_800), 0).unwrap();
    assert_eq!(zone.serial(), Some(Serial(3)));
}
