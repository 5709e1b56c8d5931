use proptest::prelude::*;

use super::*;

pub(super) const ID: u16 = 0x1234;
pub(super) const APEX: &[u8] = b"\x07example\x03com\x00";
pub(super) const GOOD: u16 = 0x8400;

/// A record whose owner and RDATA stand uncompressed.
pub(super) fn record(owner: &[u8], rtype: Rtype, class: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    record.extend(rtype.0.to_be_bytes());
    record.extend(class.to_be_bytes());
    record.extend(ttl.to_be_bytes());
    record.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
    record.extend(rdata);
    record
}

pub(super) fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = b"\x02ns\x07example\x03com\x00\x01h\x07example\x03com\x00".to_vec();
    rdata.extend(serial.to_be_bytes());
    rdata.extend([0; 16]);
    record(APEX, Rtype::SOA, 1, 3600, &rdata)
}

pub(super) fn a(owner: &[u8], last: u8) -> Vec<u8> {
    record(owner, Rtype::A, 1, 60, &[192, 0, 2, last])
}

pub(super) fn www(last: u8) -> Vec<u8> {
    a(b"\x03WWW\x07example\x03com\x00", last)
}

pub(super) fn with_header(id: u16, flags: u16, counts: [usize; 4], body: &[u8]) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend(flags.to_be_bytes());
    for count in counts {
        message.extend(u16::try_from(count).unwrap().to_be_bytes());
    }
    message.extend(body);
    message
}

pub(super) fn message(records: &[Vec<u8>]) -> Vec<u8> {
    with_header(ID, GOOD, [0, records.len(), 0, 0], &records.concat())
}

fn assembly(limits: Limits) -> Assembly {
    Assembly::new("example.com".parse().unwrap(), ID, limits)
}

/// Feeds all messages; the refusal, wherever it comes.
fn transfer(messages: &[Vec<u8>]) -> Result<Transferred, Refusal> {
    let mut assembly = assembly(Limits::default());
    for message in messages {
        assembly.message(message)?;
    }
    assembly.finish()
}

fn refused(messages: &[Vec<u8>]) -> String {
    transfer(messages).unwrap_err().to_string()
}

#[test]
fn a_zone_comes_in_one_message_or_in_many() {
    let records = [soa(5), www(1), www(2), soa(5)];
    let at_once = transfer(&[message(&records)]).unwrap();
    let one_by_one: Vec<_> = records.iter().map(|record| message(std::slice::from_ref(record))).collect();
    let one_by_one = transfer(&one_by_one).unwrap();
    assert_eq!(at_once.zone, one_by_one.zone);
    assert_eq!((at_once.zone.serial(), at_once.zone.record_count()), (Serial(5), 3));
    assert_eq!((at_once.messages, one_by_one.messages), (1, 4));
}

#[test]
fn compressed_names_are_expanded_and_odd_records_kept() {
    let mut body = b"\x07example\x03com\x00\x00\xfc\x00\x01".to_vec();
    body.extend(soa(1));
    // MX at a pointer to the question, with a pointer to the question in its RDATA.
    body.extend(record(b"\xc0\x0c", Rtype::MX, 1, 60, b"\x00\x0a\x04Mail\xc0\x0c"));
    body.extend(record(b"\x01t\xc0\x0c", Rtype(65280), 1, 60, b"\xc0\x0cABC"));
    body.extend(record(b"\x01c\xc0\x0c", Rtype::CAA, 1, 60, b""));
    body.extend(soa(1));
    let zone = transfer(&[with_header(ID, GOOD, [1, 5, 0, 0], &body)]).unwrap().zone;
    let rdata = |owner: &str, rtype| {
        let owner: Name = owner.parse().unwrap();
        zone.get(owner.by_ref(), rtype).unwrap().rdata().next().unwrap().to_vec()
    };
    assert_eq!(rdata("example.com", Rtype::MX), b"\x00\x0a\x04mail\x07example\x03com\x00");
    assert_eq!(rdata("t.example.com", Rtype(65280)), b"\xc0\x0cABC");
    assert_eq!(rdata("c.example.com", Rtype::CAA), b"");
}

#[test]
fn every_message_is_checked_not_the_first_alone() {
    let first = message(&[soa(1)]);
    let last = [www(1), soa(1)].concat();
    let after_first = |id, flags, counts| {
        let second = with_header(id, flags, counts, &last);
        transfer(&[first.clone(), second]).map(|done| done.zone.record_count())
    };
    assert_eq!(after_first(ID, GOOD, [0, 2, 0, 0]), Ok(2));
    // AA is for a question's answer; some servers leave it out of the later messages.
    assert_eq!(after_first(ID, 0x8000, [0, 2, 0, 0]), Ok(2));
    let stray = |error| Err(Refusal::Stray { message: 2, error });
    assert_eq!(after_first(ID + 1, GOOD, [0, 2, 0, 0]), stray(Stray::Id));
    assert_eq!(after_first(ID, 0x0400, [0, 2, 0, 0]), stray(Stray::NotAResponse));
    assert_eq!(after_first(ID, 0xa400, [0, 2, 0, 0]), stray(Stray::Opcode(4)));
    assert_eq!(after_first(ID, 0x8600, [0, 2, 0, 0]), stray(Stray::Truncated));
    assert_eq!(after_first(ID, 0x8402, [0, 2, 0, 0]), stray(Stray::Rcode(2)));
    assert_eq!(after_first(ID, GOOD, [0, 0, 0, 0]), stray(Stray::Empty));
    assert_eq!(after_first(ID, GOOD, [0, 1, 1, 0]), stray(Stray::Authority));
    // One record fewer than there are: octets are left.
    assert!(matches!(after_first(ID, GOOD, [0, 1, 0, 0]), Err(Refusal::Malformed { message: 2, .. })));
    assert!(matches!(after_first(ID, GOOD, [0, 3, 0, 0]), Err(Refusal::AfterTheEnd | Refusal::Malformed { .. })));
}

#[test]
fn a_question_where_there_is_one_is_ours() {
    for (question, good) in [
        (&b"\x07EXAMPLE\x03com\x00\x00\xfc\x00\x01"[..], true),
        (b"\x07example\x03net\x00\x00\xfc\x00\x01", false),
        (b"\x07example\x03com\x00\x00\xfb\x00\x01", false),
        (b"\x07example\x03com\x00\x00\xfc\x00\x03", false),
    ] {
        let body = [question, &soa(1), &soa(1)].concat();
        let result = transfer(&[with_header(ID, GOOD, [1, 2, 0, 0], &body)]);
        assert_eq!(result.is_ok(), good, "{question:?}");
    }
}

#[test]
fn it_begins_with_the_soa_and_ends_with_the_same() {
    assert_eq!(
        refused(&[message(&[www(1), soa(1), soa(1)])]),
        "it does not begin with the SOA of the zone, but with A at www.example.com."
    );
    assert_eq!(refused(&[message(&[soa(1), www(1)])]), "it ended before the closing SOA, after 2 records");
    assert_eq!(
        refused(&[message(&[soa(1), www(1), soa(2)])]),
        "the closing SOA (serial 2) is not the opening one (serial 1) again"
    );
    // In full: the same serial does not make the same SOA.
    let mut other = soa(1);
    *other.last_mut().unwrap() = 9;
    assert!(matches!(transfer(&[message(&[soa(1), other])]), Err(Refusal::ClosingSoaDiffers { .. })));
}

#[test]
fn nothing_follows_the_end() {
    let whole = message(&[soa(1), soa(1)]);
    assert_eq!(transfer(&[message(&[soa(1), soa(1), www(1)])]).unwrap_err(), Refusal::AfterTheEnd);
    assert_eq!(transfer(&[whole.clone(), message(&[www(1)])]).unwrap_err(), Refusal::AfterTheEnd);
    assert_eq!(transfer(&[whole.clone(), b"junk".to_vec()]).unwrap_err(), Refusal::AfterTheEnd);
    let mut surplus = whole;
    surplus.push(0);
    assert_eq!(refused(&[surplus]), "message 1 is malformed: 1 octets follow its last record");
}

#[test]
fn records_of_elsewhere_are_refused() {
    let outside = a(b"\x03www\x07example\x03net\x00", 1);
    assert_eq!(
        refused(&[message(&[soa(1), outside, soa(1)])]),
        "zone example.com. was given a record of www.example.net., which is outside it"
    );
    let chaos = record(b"\x03www\x07example\x03com\x00", Rtype::TXT, 3, 0, b"\x00");
    assert_eq!(refused(&[message(&[soa(1), chaos, soa(1)])]), "TXT at www.example.com. is of class 3, not IN");
    let bad = record(b"\x03www\x07example\x03com\x00", Rtype::MX, 1, 0, b"\x00");
    assert!(refused(&[message(&[soa(1), bad, soa(1)])]).starts_with("MX at www.example.com. is malformed"));
}

#[test]
fn a_signed_zone_is_refused_or_stripped() {
    let dnskey = record(APEX, Rtype::DNSKEY, 1, 60, b"\x01\x00\x03\x08key");
    let signed = message(&[soa(1), dnskey, www(1), soa(1)]);
    assert!(refused(std::slice::from_ref(&signed)).contains("set strip_dnssec = true for this zone"));
    let mut stripping = assembly(Limits::default()).strip_dnssec(true);
    assert_eq!(stripping.message(&signed), Ok(Progress::Done));
    let done = stripping.finish().unwrap();
    assert_eq!((done.stripped, done.zone.record_count()), (BTreeMap::from([(Rtype::DNSKEY, 1)]), 2));
    assert_eq!(done.exact, Some(Exact { signed: true, zonemd: false }));
}

#[test]
fn leftovers_of_signing_are_stripped() {
    let nsec = record(APEX, Rtype::NSEC, 1, 60, b"\x00");
    let cds = record(APEX, Rtype::CDS, 1, 60, b"\x00\x00\x00\x00\x00");
    let ds = record(b"\x05child\x07example\x03com\x00", Rtype::DS, 1, 60, b"\x00\x01\x08\x02abc");
    let done = transfer(&[message(&[soa(1), nsec.clone(), nsec, cds, ds, soa(1)])]).unwrap();
    assert_eq!(done.stripped, BTreeMap::from([(Rtype::NSEC, 2), (Rtype::CDS, 1)]));
    assert_eq!(done.zone.record_count(), 2);
}

#[test]
fn a_zonemd_is_held_against_what_came_before_anything_is_evened_out() {
    let signature = record(APEX, Rtype::RRSIG, 1, 7, b"\x00\x06and so on");
    let uneven = record(b"\x03www\x07example\x03com\x00", Rtype::A, 1, 61, &[192, 0, 2, 9]);
    let zonemd = |serial: u32, scheme: u8, digest: &[u8]| {
        record(APEX, Rtype::ZONEMD, 1, 60, &[&serial.to_be_bytes(), &[scheme, 1][..], digest].concat())
    };
    let with = |records: &[Vec<u8>]| {
        let inner = [&[soa(5), www(1), uneven.clone(), signature.clone()], records, &[soa(5)]].concat();
        transfer(&[message(&inner)])
    };
    // What it comes to is in the refusal; that it is right is for the tests of the digest.
    let Refusal::Zonemd(ZonemdError::OtherDigest { serial, found, .. }) = with(&[zonemd(5, 1, &[0; 48])]).unwrap_err()
    else {
        panic!("taken")
    };
    let digest: Vec<u8> = (0..96).step_by(2).map(|at| u8::from_str_radix(&found[at..at + 2], 16).unwrap()).collect();
    assert_eq!(serial, Serial(5));
    let done = with(&[zonemd(5, 1, &digest)]).unwrap();
    assert_eq!((done.zonemd, done.zone.record_count()), (Checked::Verified(zonemd::Hash::Sha384), 3));
    // The digest is over the TTLs as they came, and the zone has them evened out: no difference fits it.
    assert_eq!((done.uneven_ttls.len(), done.exact), (1, None));
    assert_ne!(done.zone.digest().to_string(), found);
    let other = with(&[zonemd(5, 2, &digest)]).unwrap();
    assert_eq!((other.zonemd, other.exact), (Checked::Unsupported { scheme: 2, hash: 1 }, None));
    assert_eq!(
        with(&[zonemd(4, 1, &digest)]).unwrap_err().to_string(),
        "its ZONEMD is for serial 4, and its SOA has serial 5: what came is not what was published (RFC 8976)"
    );
    let even = transfer(&[message(&[soa(5), www(1), zonemd(5, 1, &[0; 48]), soa(5)])]).unwrap_err().to_string();
    assert!(even.starts_with("its ZONEMD for serial 5 (SHA-384) says 0000"), "{even}");
}

#[test]
fn limits_hold_while_reading() {
    let limits = Limits { records: 3, ..Limits::default() };
    let mut exact = assembly(limits);
    assert_eq!(exact.message(&message(&[soa(1), www(1), www(2), soa(1)])), Ok(Progress::Done));
    // The first message shows it, long before the end.
    let mut over = assembly(limits);
    assert!(matches!(
        over.message(&message(&[soa(1), www(1), www(2), www(3)])),
        Err(Refusal::Zone(ZoneError::TooManyRecords { .. }))
    ));
    let mut over = assembly(Limits { octets: 100, ..Limits::default() });
    let large = record(b"\x03www\x07example\x03com\x00", Rtype::TXT, 1, 0, &[b'x'; 100]);
    assert!(matches!(over.message(&message(&[soa(1), large])), Err(Refusal::Zone(ZoneError::TooManyOctets { .. }))));
}

fn whole_transfer() -> Vec<u8> {
    message(&[soa(1), www(1), record(APEX, Rtype::MX, 1, 60, b"\x00\x0a\x04mail\xc0\x0c"), www(2), soa(1)])
}

proptest! {
    #[test]
    fn arbitrary_octets_are_refused_without_a_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(transfer(&[octets]).is_err());
    }

    #[test]
    fn damage_is_refused_or_stays_within_its_record(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut octets = whole_transfer();
        let at = at.index(octets.len());
        octets[at] = octet;
        // Whatever passes is a whole zone of this name.
        if let Ok(done) = transfer(&[octets]) {
            prop_assert_eq!(done.zone.apex().to_string(), "example.com.");
            prop_assert!(done.zone.record_count() >= 1);
        }
    }

    #[test]
    fn cut_short_is_never_a_zone(at in any::<prop::sample::Index>()) {
        let octets = whole_transfer();
        let cut = at.index(octets.len());
        prop_assert!(transfer(&[octets[..cut].to_vec()]).is_err());
    }

    #[test]
    fn however_it_is_divided_the_zone_is_the_same(cuts in proptest::collection::vec(1..4_usize, 0..10)) {
        let records: Vec<_> =
            std::iter::once(soa(1)).chain((1..20).map(www)).chain(std::iter::once(soa(1))).collect();
        let mut rest = &records[..];
        let mut messages = Vec::new();
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len() - 1));
            if head.is_empty() { break; }
            messages.push(message(head));
            rest = tail;
        }
        messages.push(message(rest));
        prop_assert_eq!(transfer(&messages).unwrap().zone, transfer(&[message(&records)]).unwrap().zone);
    }
}
