//! The rules, each as a script: when, what happens, and what comes of it with the time of the next step (`-` while a look is
//! under way). The clock jumps; years take no time.

use super::*;

/// Plays a script for a zone with these SOA timers, audits and chance. Its lines are `time | event | outcome`.
fn play(timers: [&str; 3], audit: Option<&str>, script: &str) {
    let span = |text: &str| humantime::parse_duration(text).unwrap();
    let [refresh, retry, expire] = timers.map(|text| u32::try_from(span(text).as_secs()).unwrap());
    let bounds = Bounds { audit: audit.map(span), ..BOUNDS };
    // Chance takes nothing off here, and puts the first audit at the very start of its time, before the first look.
    let mut zone = Refresh::new(bounds, None, secs(0), secs(0), 0);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [at, event, expected] = <[&str; 3]>::try_from(line.split('|').map(str::trim).collect::<Vec<_>>()).unwrap();
        let (now, mut words) = (span(at), event.split(' '));
        let verb = words.next().unwrap();
        let number = words.next().and_then(|word| word.parse().ok());
        let ended = |result: Result<(), Backwards>| result.map_or("refused", |()| "good").to_owned();
        let outcome = match verb {
            "wake" => match zone.woken(now) {
                Woken::Early => "early".to_owned(),
                Woken::Look(cause) => look(cause),
                Woken::Expired => "expired".to_owned(),
            },
            "notify" => match zone.notified(now, number.map(Serial)) {
                Notified::Look(cause) => look(cause),
                Notified::Merged => "merged".to_owned(),
                Notified::NotNewer => "nothing".to_owned(),
            },
            "resend" => zone.resend(now, event.ends_with("rollback")).map_or_else(|| "merged".to_owned(), look),
            "soa" => ended(zone.answered(now, Serial(number.unwrap()), 0)),
            "transfer" => ended(zone.transferred(now, &soa(number.unwrap(), refresh, retry, expire), 0)),
            "fails" => {
                zone.failed(now, 0);
                "failed".to_owned()
            }
            _ => panic!("{line}"),
        };
        let next = zone.next().map_or_else(|| "-".to_owned(), |next| humantime::format_duration(next).to_string());
        assert_eq!(format!("{outcome}, {next}"), expected, "{line}");
    }
}

fn look(cause: Cause) -> String {
    match cause {
        Cause::Timer => "look",
        Cause::Notify => "look (notify)",
        Cause::Audit => "look (audit)",
        Cause::Resend { rollback: false } => "look (resend)",
        Cause::Resend { rollback: true } => "look (rollback)",
    }
    .to_owned()
}

const USUAL: [&str; 3] = ["1h", "10m", "7d"];

/// RFC 1034 §4.3.5: the secondary waits REFRESH seconds before checking with the primary for a new serial.
#[test]
fn the_serial_is_checked_every_refresh() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 1    | good, 1h
        59m 59s | wake          | early, 1h
        1h      | wake          | look, -
        1h 1s   | soa 1         | good, 2h 1s
        2h 1s   | wake          | look, -
        2h 9s   | transfer 2    | good, 3h 9s
    ",
    );
}

/// The same: if the check cannot be completed, new checks are started every RETRY seconds. A transfer that breaks is one that
/// was not completed.
#[test]
fn a_check_that_fails_is_made_again_after_retry() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 1    | good, 1h
        1h      | wake          | look, -
        1h 10s  | fails         | failed, 1h 10m 10s
        70m     | wake          | early, 1h 10m 10s
        70m 10s | wake          | look, -
        70m 20s | fails         | failed, 1h 20m 20s
        80m 20s | wake          | look, -
        80m 20s | soa 1         | good, 2h 20m 20s
    ",
    );
}

/// The same: if the serial could not be checked for EXPIRE seconds, the copy is obsolete. It is told once, at that moment and
/// not when a look happens to be due; it is not withdrawn; and the checks go on.
#[test]
fn a_zone_that_was_not_checked_for_expire_is_told() {
    play(
        ["1h", "10m", "65m"],
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 1    | good, 1h
        1h      | wake          | look, -
        1h      | fails         | failed, 1h 10m
        70m     | wake          | expired, 1h 10m
        70m     | wake          | look, -
        70m     | fails         | failed, 1h 20m
        80m     | wake          | look, -
        80m     | soa 1         | good, 2h 20m
    ",
    );
}

/// The same: any check that succeeds starts EXPIRE anew, with a transfer or without.
#[test]
fn a_check_starts_expire_anew() {
    play(
        ["1h", "10m", "90m"],
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 1    | good, 1h
        1h      | wake          | look, -
        1h      | soa 1         | good, 2h
        2h      | wake          | look, -
        2h      | fails         | failed, 2h 10m
        2h 10m  | wake          | look, -
        2h 10m  | fails         | failed, 2h 20m
        2h 20m  | wake          | look, -
        2h 29m  | fails         | failed, 2h 30m
        2h 30m  | wake          | expired, 2h 39m
    ",
    );
}

/// RFC 1996 §4.3: a NOTIFY is as if REFRESH were over; with the check, REFRESH begins anew.
#[test]
fn a_notify_makes_a_check() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 1    | good, 1h
        20m     | notify        | look (notify), -
        20m     | transfer 2    | good, 1h 20m
        30m     | notify 3      | look (notify), -
        30m     | transfer 3    | good, 1h 30m
    ",
    );
}

/// RFC 1996 §3.7: where the serial that it carries is not newer, there is nothing to check.
#[test]
fn a_notify_of_what_is_held_is_nothing() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 5    | good, 1h
        20m     | notify 5      | nothing, 1h
        20m     | notify 4      | nothing, 1h
        20m     | notify 6      | look (notify), -
    ",
    );
}

/// RFC 1996 §3.7 and §3.8: what it carries is a hint, and may be anybody's: it is never taken for the serial at the primary.
#[test]
fn a_hint_is_not_believed() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 5    | good, 1h
        20m     | notify 9      | look (notify), -
        20m     | soa 5         | good, 20m 1s
        20m 1s  | wake          | look (notify), -
        20m 1s  | soa 5         | good, 1h 20m 1s
    ",
    );
}

/// What comes during a check may speak of a later change than the one that is on its way, so one more check follows, and one
/// only.
#[test]
fn notifies_during_a_check_make_one_more() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | notify        | merged, -
        0s      | notify        | merged, -
        5s      | transfer 1    | good, 5s
        5s      | wake          | look (notify), -
        6s      | soa 1         | good, 1h 6s
    ",
    );
}

/// RFC 1996 adds to the timers and takes nothing from them: where every NOTIFY is lost, they find the change.
#[test]
fn a_lost_notify_costs_no_more_than_refresh() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 1    | good, 1h
        1h      | wake          | look, -
        1h      | transfer 2    | good, 2h
    ",
    );
}

/// A primary that is down, and NOTIFY in its name: no more than a look a second.
#[test]
fn a_notify_after_a_failure_waits_a_second() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | transfer 1    | good, 1h
        1h      | wake          | look, -
        1h      | fails         | failed, 1h 10m
        1h      | notify 1      | merged, 1h 1s
        1h 1s   | wake          | look (notify), -
        1h 1s   | fails         | failed, 1h 10m 1s
        1h 3s   | notify 1      | look (notify), -
    ",
    );
}

/// RFC 1982 §3.2, with `SERIAL_BITS` of 32.
#[test]
fn serials_are_compared_on_a_circle() {
    const HALF: u32 = 1 << 31;
    use Standing::{Backwards, Newer, Same};
    for (ours, theirs, standing) in [
        (0, 0, Same),
        (0, 1, Newer),
        (1, 0, Backwards),
        (0, HALF - 1, Newer),
        (0, HALF + 1, Backwards),
        // Neither is the greater: refused, from either side.
        (0, HALF, Backwards),
        (HALF, 0, Backwards),
        (7, HALF + 7, Backwards),
        // Across the end of the numbers.
        (u32::MAX, 0, Newer),
        (u32::MAX, HALF - 2, Newer),
        (u32::MAX, HALF - 1, Backwards),
        (0, u32::MAX, Backwards),
        (HALF + 1, 0, Newer),
    ] {
        assert_eq!(Standing::of(Some(Serial(ours)), Serial(theirs)), standing, "{ours} {theirs}");
    }
    assert_eq!(Standing::of(None, Serial(0)), Newer);
}

/// RFC 1982 §7: a serial is led back by two steps forward, each less than half of the circle.
#[test]
fn a_serial_is_led_back_by_steps_forward() {
    play(
        USUAL,
        None,
        "
        0s      | wake                | look, -
        0s      | transfer 2026010100 | good, 1h
        1h      | wake                | look, -
        1h      | soa 1               | refused, 1h 10m
        70m     | wake                | look, -
        70m     | transfer 4173493747 | good, 2h 10m
        2h 10m  | wake                | look, -
        2h 10m  | transfer 1          | good, 3h 10m
    ",
    );
}

/// RFC 1995 §2 and §4: what is newer is asked for as differences, and the answer may be that there is nothing newer. What is
/// to be seen in full is never asked for so.
#[test]
fn a_look_takes_what_its_cause_allows() {
    use Standing::{Backwards, Newer, Same};
    for (cause, takes, standings) in [
        (Cause::Timer, Takes::Newer, &[Newer][..]),
        (Cause::Notify, Takes::Newer, &[Newer]),
        (Cause::Audit, Takes::NotOlder, &[Newer, Same]),
        (Cause::Resend { rollback: false }, Takes::NotOlder, &[Newer, Same]),
        (Cause::Resend { rollback: true }, Takes::Any, &[Newer, Same, Backwards]),
    ] {
        assert_eq!(cause.takes(), takes);
        for standing in [Newer, Same, Backwards] {
            assert_eq!(takes.includes(standing), standings.contains(&standing), "{cause:?} {standing:?}");
        }
    }
}

/// What was changed without a new serial is found by an audit, whatever NOTIFY and refresh say in between.
#[test]
fn an_audit_comes_though_the_serial_is_the_same() {
    play(
        USUAL,
        Some("90m"),
        "
        0s      | wake          | look, -
        0s      | transfer 1    | good, 0s
        0s      | wake          | look (audit), -
        1s      | transfer 1    | good, 1h 1s
        1h 1s   | wake          | look, -
        1h 1s   | soa 1         | good, 1h 30m 1s
        90m 1s  | wake          | look (audit), -
        90m 9s  | transfer 1    | good, 2h 30m 9s
        2h      | notify 2      | look (notify), -
        2h      | transfer 2    | good, 3h
        3h      | wake          | look, -
        3h      | soa 2         | good, 3h 9s
        3h 9s   | wake          | look (audit), -
        3h 9s   | notify 2      | nothing, -
        3h 9s   | notify 3      | merged, -
        3h 10s  | transfer 2    | good, 3h 10s
        3h 10s  | wake          | look (notify), -
    ",
    );
}

/// An audit that fails is made again as any check is; one that a NOTIFY comes before is not lost; and a zone that has gone
/// backwards is not audited.
#[test]
fn an_audit_that_fails_is_still_due() {
    play(
        USUAL,
        Some("90m"),
        "
        0s      | wake          | look, -
        0s      | transfer 7    | good, 0s
        0s      | wake          | look (audit), -
        0s      | fails         | failed, 10m
        10m     | wake          | look (audit), -
        10m     | fails         | failed, 20m
        15m     | notify 8      | look (notify), -
        15m     | transfer 8    | good, 0s
        15m     | wake          | look (audit), -
    ",
    );
    play(
        USUAL,
        Some("90m"),
        "
        0s      | wake          | look, -
        0s      | transfer 7    | good, 0s
        0s      | wake          | look (audit), -
        0s      | soa 6         | refused, 10m
        10m     | wake          | look (audit), -
        10m     | transfer 6    | refused, 20m
    ",
    );
}

/// What an operator asks for is looked at at once, or right after what is under way, and is asked for until it comes.
#[test]
fn what_an_operator_asks_for_comes() {
    play(
        USUAL,
        None,
        "
        0s      | wake          | look, -
        0s      | resend        | merged, -
        1s      | transfer 1    | good, 1s
        1s      | wake          | look (resend), -
        1s      | transfer 1    | good, 1h 1s
        20m     | resend        | look (resend), -
        20m     | fails         | failed, 30m
        30m     | wake          | look (resend), -
        30m     | fails         | failed, 40m
        35m     | notify 2      | look (resend), -
        35m     | transfer 2    | good, 1h 35m
    ",
    );
}

/// An older serial is taken on an operator's word, by one look. A look that fails has used the word up.
#[test]
fn a_rollback_is_for_one_look() {
    play(
        USUAL,
        None,
        "
        0s      | wake            | look, -
        0s      | transfer 10     | good, 1h
        1h      | wake            | look, -
        1h      | soa 4           | refused, 1h 10m
        1h 5m   | resend          | look (resend), -
        1h 5m   | soa 4           | refused, 1h 15m
        1h 6m   | resend rollback | look (rollback), -
        1h 6m   | fails           | failed, 1h 16m
        1h 16m  | wake            | look (resend), -
        1h 16m  | soa 4           | refused, 1h 26m
        1h 20m  | resend rollback | look (rollback), -
        1h 20m  | transfer 4      | good, 2h 20m
        1h 21m  | notify 3        | nothing, 2h 20m
        1h 21m  | notify 5        | look (notify), -
        1h 21m  | transfer 3      | refused, 1h 31m
    ",
    );
}

/// Asked for while a look is under way, the word is for the next one.
#[test]
fn a_rollback_is_not_for_the_look_that_is_under_way() {
    play(
        USUAL,
        None,
        "
        0s      | wake            | look, -
        0s      | transfer 10     | good, 1h
        1h      | wake            | look, -
        1h      | resend rollback | merged, -
        1h      | transfer 4      | refused, 1h 1s
        1h 1s   | wake            | look (rollback), -
        1h 1s   | transfer 4      | good, 2h 1s
    ",
    );
}

/// Ten thousand zones at a start: each has its time, and none is asked for later than it must be.
#[test]
fn first_looks_lie_apart() {
    let mut pace = Pace::default();
    let first: Vec<_> = (0..10_000).map(|_| pace.first(secs(7))).collect();
    assert_eq!((first[0], first[200], first[9_999]), (secs(7), secs(8), Duration::from_millis(56_995)));
    assert_eq!(pace.first(secs(60)), secs(60));
    // A NOTIFY is looked at at once all the same.
    let mut zone = Refresh::new(BOUNDS, None, secs(7), first[9_999], 0);
    assert_eq!(zone.notified(secs(7), None), Notified::Look(Cause::Notify));
}

/// Ten years of a primary that is there: one look in each refresh, less a tenth for chance, and one audit a day.
#[test]
fn ten_years() {
    const YEARS: Duration = secs(10 * 365 * 86_400);
    let bounds = Bounds { audit: Some(secs(86_400)), ..BOUNDS };
    let soa = soa(1, 3_600, 600, 604_800);
    let mut zone = Refresh::new(bounds, Some(&soa), secs(0), secs(0), u32::MAX / 2);
    let (mut now, mut looks, mut audits) = (secs(0), 0, 0);
    let mut chance = 1_u32;
    while now < YEARS {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match zone.woken(now) {
            Woken::Look(Cause::Timer) => {
                looks += 1;
                zone.answered(now, Serial(1), chance).unwrap();
            }
            Woken::Look(Cause::Audit) => {
                audits += 1;
                zone.transferred(now, &soa, chance).unwrap();
            }
            woken => panic!("{woken:?} at {now:?}"),
        }
        now = zone.next().unwrap();
    }
    let (days, hours) = (3_650, 24 * 3_650);
    // An audit is a look, too.
    assert!((hours..hours * 10 / 9 + 1).contains(&(looks + audits / 2)), "{looks}");
    assert!((days..days * 10 / 9 + 1).contains(&audits), "{audits}");
}
