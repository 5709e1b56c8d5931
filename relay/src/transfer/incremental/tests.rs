use std::collections::BTreeSet;

use proptest::prelude::*;
use secondary53_zone::edit::EditError;

use super::super::tests::{APEX, GOOD, ID, message, record, soa, with_header, www};
use super::super::{Assembly, Stray};
use super::*;

/// The zone of these records, the closing SOA left out.
fn zone(records: &[Vec<u8>]) -> Zone {
    let mut assembly = Assembly::new("example.com".parse().unwrap(), ID, Limits::default()).strip_dnssec(true);
    assembly.message(&message(&[records, &records[..1]].concat())).unwrap();
    assembly.finish().unwrap().zone
}

fn base_with(records: &[Vec<u8>], exact: Exact, strip_dnssec: bool) -> Option<Base> {
    Base::of(Snapshot::new(zone(records)).with_exact(Some(exact)), strip_dnssec)
}

fn base(records: &[Vec<u8>]) -> Base {
    base_with(records, Exact::default(), false).unwrap()
}

fn transfer(base: Base, messages: &[Vec<u8>]) -> Result<Outcome, Refusal> {
    let mut incremental = Incremental::new(base, ID, Limits::default());
    for (number, message) in messages.iter().enumerate() {
        let progress = incremental.message(message)?;
        assert_eq!(progress == Progress::Done, number + 1 == messages.len());
    }
    incremental.finish()
}

/// In one message, from the zone of serial 1 with www A 1 and 2.
fn answered(records: &[Vec<u8>]) -> Result<Outcome, Refusal> {
    transfer(base(&[soa(1), www(1), www(2)]), &[message(records)])
}

fn new_zone(outcome: Result<Outcome, Refusal>) -> Transferred {
    match outcome.unwrap() {
        Outcome::Transferred(transferred) => *transferred,
        Outcome::Current(serial) => panic!("nothing newer than {serial}"),
    }
}

fn refused(records: &[Vec<u8>]) -> String {
    let mut incremental = Incremental::new(base(&[soa(1), www(1), www(2)]), ID, Limits::default());
    let refusal = incremental.message(&message(records)).and_then(|_| incremental.finish()).unwrap_err();
    refusal.to_string()
}

#[test]
fn differences_are_applied_one_after_the_other() {
    let one = [soa(3), soa(1), www(1), soa(3), www(3), soa(3)];
    let done = new_zone(answered(&one));
    assert_eq!((done.since, done.exact), (Some(Serial(1)), Some(Exact::default())));
    assert_eq!(done.zone, zone(&[soa(3), www(2), www(3)]));
    let mut ended = Incremental::new(base(&[soa(1), www(1)]), ID, Limits::default());
    assert_eq!(ended.message(&message(&one)), Ok(Progress::Done));
    assert_eq!(ended.message(b"junk"), Err(Refusal::AfterTheEnd));
    // Several sequences, the last of which takes back what the first gave, and a whole RRset.
    let several = [soa(3), soa(1), www(1), soa(2), www(3), soa(2), www(2), www(3), soa(3), soa(3)];
    assert_eq!(new_zone(answered(&several)).zone, zone(&[soa(3)]));
    // A serial that wraps, and a SOA alone that changes.
    let [last, first] = [soa(u32::MAX), soa(0)];
    let wrapped =
        transfer(base(std::slice::from_ref(&last)), &[message(&[first.clone(), last, first.clone(), first.clone()])]);
    assert_eq!(new_zone(wrapped).zone, zone(&[first]));
}

#[test]
fn one_soa_that_is_not_newer_is_the_whole_answer() {
    for serial in [1, 0] {
        assert!(matches!(answered(&[soa(serial)]), Ok(Outcome::Current(Serial(theirs))) if theirs == serial));
    }
    // One that is newer is the start of something.
    let mut more = Incremental::new(base(&[soa(1)]), ID, Limits::default());
    assert_eq!(more.message(&message(&[soa(2)])), Ok(Progress::More));
    assert_eq!(more.finish().unwrap_err(), Refusal::Short { records: 1 });
}

#[test]
fn a_whole_zone_may_come_instead() {
    let done = new_zone(answered(&[soa(3), www(9), soa(3)]));
    assert_eq!((done.since, done.zone), (None, zone(&[soa(3), www(9)])));
    let records = [soa(3), www(8), www(9), soa(3)];
    let one_by_one: Vec<_> = records.iter().map(|record| message(std::slice::from_ref(record))).collect();
    let done = new_zone(transfer(base(&[soa(1)]), &one_by_one));
    assert_eq!(done.zone, zone(&records[..3]));
    // Nothing but a SOA.
    assert_eq!(new_zone(answered(&[soa(3), soa(3)])).zone, zone(&[soa(3)]));
    // As strict as any whole transfer.
    assert_eq!(
        refused(&[soa(3), www(1), soa(4)]),
        "the closing SOA (serial 4) is not the opening one (serial 3) again"
    );
    assert_eq!(refused(&[soa(3), www(1)]), "it ended before the closing SOA, after 2 records");
}

#[test]
fn serials_lead_from_ours_to_the_announced_one_or_nowhere() {
    let gap = |what: &str| format!("its differences do not lead from serial 1 to 4: {what}");
    for (records, told) in [
        (vec![soa(4), soa(2), soa(4), soa(4)], gap("they do not begin with our SOA")),
        (vec![soa(4), soa(1), soa(1), soa(4)], gap("one of them does not lead forwards")),
        (vec![soa(4), soa(1), soa(0), soa(4)], gap("one of them does not lead forwards")),
        (vec![soa(4), soa(1), soa(5), soa(4)], gap("one of them leads beyond")),
        (
            vec![soa(4), soa(1), soa(2), soa(3), soa(4), soa(4)],
            gap("one of them does not begin where the one before it ends"),
        ),
        (vec![soa(4), soa(1), soa(3), soa(4)], gap("one of them does not begin where the one before it ends")),
        (vec![soa(4), soa(1), www(1), soa(4)], "it ended before the closing SOA, after 1 records".to_owned()),
        (vec![soa(4), soa(1), soa(4), soa(4), www(1)], "records follow the closing SOA".to_owned()),
        (vec![www(1)], "it does not begin with the SOA of the zone, but with A at www.example.com.".to_owned()),
    ] {
        assert_eq!(refused(&records), told);
    }
    // The same serial does not make the same SOA: not ours, not the announced one.
    let mut other = soa(1);
    *other.last_mut().unwrap() = 9;
    assert_eq!(refused(&[soa(4), other, soa(4), soa(4)]), gap("they do not begin with our SOA"));
    let mut other = soa(4);
    *other.last_mut().unwrap() = 9;
    for records in [[soa(4), soa(1), other.clone(), soa(4)], [soa(4), soa(1), soa(4), other]] {
        assert_eq!(refused(&records), "the closing SOA (serial 4) is not the opening one (serial 4) again");
    }
}

#[test]
fn what_does_not_fit_our_zone_is_refused() {
    let there = || "www.example.com".parse().unwrap();
    for (records, wanted) in [
        (vec![soa(1), www(3), soa(2)], EditError::NotThere { owner: there(), rtype: Rtype::A }),
        (vec![soa(1), soa(2), www(1)], EditError::AlreadyThere { owner: there(), rtype: Rtype::A }),
    ] {
        let refusal = answered(&[vec![soa(2)], records, vec![soa(2)]].concat()).unwrap_err();
        assert_eq!(refusal, Refusal::Inconsistent(wanted));
    }
    // An RRset that is left with two TTLs: what the primary makes of it, we do not know.
    let slower = record(b"\x03www\x07example\x03com\x00", Rtype::A, 1, 61, &[192, 0, 2, 3]);
    let uneven = answered(&[soa(2), soa(1), soa(2), slower, soa(2)]).unwrap_err();
    assert_eq!(uneven, Refusal::UnevenTtls { owner: there(), rtype: Rtype::A });
    // And what no zone may hold.
    let outside = record(b"\x03www\x07example\x03net\x00", Rtype::A, 1, 60, &[192, 0, 2, 3]);
    assert!(matches!(answered(&[soa(2), soa(1), soa(2), outside, soa(2)]), Err(Refusal::Zone(_))));
    let chaos = record(b"\x03www\x07example\x03com\x00", Rtype::A, 3, 60, &[192, 0, 2, 3]);
    assert!(matches!(answered(&[soa(2), soa(1), soa(2), chaos, soa(2)]), Err(Refusal::OtherClass { .. })));
}

#[test]
fn every_message_is_checked() {
    let records = [soa(2), soa(1), soa(2), soa(2)].concat();
    let with = |id, flags, question: &[u8]| {
        let counts = [usize::from(!question.is_empty()), 4, 0, 0];
        transfer(base(&[soa(1)]), &[with_header(id, flags, counts, &[question, &records].concat())]).map(new_serial)
    };
    let stray = |error| Err(Refusal::Stray { message: 1, error });
    assert_eq!(with(ID, GOOD, b"\x07example\x03com\x00\x00\xfb\x00\x01"), Ok(Serial(2)));
    assert_eq!(with(ID, GOOD, b"\x07example\x03com\x00\x00\xfc\x00\x01"), stray(Stray::Question));
    assert_eq!(with(ID + 1, GOOD, b""), stray(Stray::Id));
    for code in [1, 2, 4, 5] {
        assert_eq!(with(ID, GOOD | u16::from(code), b""), stray(Stray::Rcode(code)));
    }
}

fn new_serial(outcome: Outcome) -> Serial {
    match outcome {
        Outcome::Current(serial) => serial,
        Outcome::Transferred(transferred) => transferred.zone.serial(),
    }
}

#[test]
fn no_difference_is_asked_for_where_it_could_not_be_applied() {
    let records = [soa(1)];
    let exact = |signed, zonemd| Exact { signed, zonemd };
    assert!(Base::of(Snapshot::new(zone(&records)), true).is_none());
    for (exact, strip_dnssec, can) in [
        (exact(false, false), false, true),
        (exact(false, true), false, true),
        (exact(true, false), true, true),
        (exact(true, false), false, false),
        (exact(true, true), true, false),
    ] {
        assert_eq!(base_with(&records, exact, strip_dnssec).is_some(), can, "{exact:?}");
    }
}

#[test]
fn changes_of_signing_are_passed_over() {
    let signature = |last| record(APEX, Rtype::RRSIG, 1, 60, &[0, 6, last]);
    let dnskey = record(APEX, Rtype::DNSKEY, 1, 60, b"\x01\x00\x03\x08key");
    let records = [soa(2), soa(1), signature(1), www(1), soa(2), signature(2), dnskey, soa(2)];
    let stored = [soa(1), www(1)];
    let signed = base_with(&stored, Exact { signed: true, zonemd: false }, true).unwrap();
    let done = new_zone(transfer(signed, &[message(&records)]));
    assert_eq!((done.zone, done.exact), (zone(&[soa(2)]), Some(Exact { signed: true, zonemd: false })));
    assert_eq!(done.stripped, BTreeMap::from([(Rtype::RRSIG, 1), (Rtype::DNSKEY, 1)]));
    // A zone that becomes signed is refused as any signed zone is.
    assert_eq!(transfer(base(&stored), &[message(&records)]).unwrap_err(), Refusal::Signed);
}

#[test]
fn the_new_zone_is_held_against_its_zonemd() {
    let zonemd = |serial: u32, zone: &Zone, hash: u8| {
        let rdata = [&serial.to_be_bytes(), &[1, hash][..], &zone.digest().0].concat();
        record(APEX, Rtype::ZONEMD, 1, 60, &rdata)
    };
    let (old, new) = (zone(&[soa(1), www(1)]), zone(&[soa(2), www(2)]));
    let with = |exact, deleted: &[Vec<u8>], added: &[Vec<u8>]| {
        let base = base_with(&[soa(1), www(1)], exact, true).unwrap();
        let all = [&[soa(2), soa(1)], deleted, &[www(1), soa(2), www(2)], added, &[soa(2)]].concat();
        transfer(base, &[message(&all)])
    };
    let has = Exact { signed: false, zonemd: true };
    let done = new_zone(with(has, &[zonemd(1, &old, 1)], &[zonemd(2, &new, 1)]));
    assert_eq!((done.zonemd, done.exact), (Checked::Verified(zonemd::Hash::Sha384), Some(has)));
    // It appears.
    assert_eq!(new_zone(with(Exact::default(), &[], &[zonemd(2, &new, 1)])).exact, Some(has));
    // It is wrong, or stays what it was, or is of another kind: only the whole zone shows what is true.
    assert!(matches!(with(has, &[], &[zonemd(2, &old, 1)]), Err(Refusal::Zonemd(_))));
    assert!(matches!(with(has, &[], &[zonemd(1, &new, 1)]), Err(Refusal::Zonemd(_))));
    assert_eq!(with(has, &[], &[]).unwrap_err(), Refusal::Unverifiable);
    assert_eq!(with(has, &[], &[zonemd(2, &new, 240)]).unwrap_err(), Refusal::Unverifiable);
    let signature = record(APEX, Rtype::RRSIG, 1, 60, &[0, 6, 1]);
    assert_eq!(with(has, &[], &[zonemd(2, &new, 1), signature]).unwrap_err(), Refusal::Unverifiable);
}

#[test]
fn differences_are_bounded() {
    let limits = Limits { records: 4, ..Limits::default() };
    let mut incremental = Incremental::new(base(&[soa(1), www(1)]), ID, limits);
    let mut records = vec![soa(9), soa(1)];
    for serial in 2..9 {
        records.extend([www(1), soa(serial), www(1), soa(serial)]);
    }
    assert!(matches!(incremental.message(&message(&records)), Err(Refusal::Inconsistent(EditError::TooMuch(5)))));
}

/// One version of a zone: records without the SOA; one TTL for each RRset.
fn any_version() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
    let rrset = (0..3_u8, 0..2_u16, 1..3_u32, proptest::collection::btree_set(0..3_u8, 1..3));
    proptest::collection::vec(rrset, 0..6).prop_map(|rrsets| {
        let mut seen = BTreeSet::new();
        let mut records = BTreeSet::new();
        for (owner, rtype, ttl, values) in rrsets {
            let owner = [&[1, b'a' + owner][..], APEX].concat();
            if seen.insert((owner.clone(), rtype)) {
                let of = |value| record(&owner, Rtype(65280 + rtype), 1, ttl, &[value]);
                records.extend(values.into_iter().map(of));
            }
        }
        records
    })
}

/// The answer of a primary that keeps these versions, from the first to the last, in messages of so many records.
fn history(serials: &[u32], versions: &[BTreeSet<Vec<u8>>], size: usize) -> Vec<Vec<u8>> {
    let last = soa(*serials.last().unwrap());
    let mut records = vec![last.clone()];
    for (serials, versions) in serials.windows(2).zip(versions.windows(2)) {
        records.push(soa(serials[0]));
        records.extend(versions[0].difference(&versions[1]).cloned());
        records.push(soa(serials[1]));
        records.extend(versions[1].difference(&versions[0]).cloned());
    }
    records.push(last);
    records.chunks(size).map(message).collect()
}

proptest! {
    /// The law: what comes as differences, step by step or condensed, is what comes whole.
    #[test]
    fn an_incremental_transfer_is_the_whole_one(
        versions in proptest::collection::vec(any_version(), 2..6),
        first in any::<u32>(),
        size in 1..9_usize,
        condensed in any::<bool>(),
    ) {
        let serials: Vec<_> = (0..6).map(|step| first.wrapping_add(step * 7)).take(versions.len()).collect();
        let with_soa = |at: usize| -> Vec<_> { std::iter::once(soa(serials[at])).chain(versions[at].iter().cloned()).collect() };
        let (old, new) = (with_soa(0), with_soa(versions.len() - 1));
        let answer = if condensed {
            let ends = [0, versions.len() - 1];
            history(&ends.map(|at| serials[at]), &ends.map(|at| versions[at].clone()), size)
        } else {
            history(&serials, &versions, size)
        };
        let done = new_zone(transfer(base(&old), &answer));
        prop_assert_eq!(done.zone.digest(), zone(&new).digest());
        prop_assert_eq!(done.zone, zone(&new));
    }

    /// Cut anywhere it is nothing; changed anywhere it is a refusal or a zone, and no panic.
    #[test]
    fn damage_is_never_half_a_zone(
        versions in proptest::collection::vec(any_version(), 2..4),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let serials: Vec<_> = (1..).take(versions.len()).collect();
        let old: Vec<_> = std::iter::once(soa(1)).chain(versions[0].iter().cloned()).collect();
        let mut answer = history(&serials, &versions, usize::MAX).remove(0);
        let at = at.index(answer.len());
        let mut cut = Incremental::new(base(&old), ID, Limits::default());
        prop_assert!(cut.message(&answer[..at]).is_err());
        answer[at] = octet;
        let mut changed = Incremental::new(base(&old), ID, Limits::default());
        if changed.message(&answer) == Ok(Progress::Done) {
            let _ = changed.finish();
        }
    }
}

#[test]
fn a_zone_at_the_limit_may_change() {
    let limits = Limits { records: 3, ..Limits::default() };
    let mut incremental = Incremental::new(base(&[soa(1), www(1), www(2)]), ID, limits);
    assert_eq!(incremental.message(&message(&[soa(2), soa(1), soa(2), soa(2)])), Ok(Progress::Done));
    assert!(incremental.finish().is_ok());
}
