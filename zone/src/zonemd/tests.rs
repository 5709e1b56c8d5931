use super::*;
use crate::name::Name;
use crate::zone::{Limits, ZoneBuilder};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn zonemd(serial: u32, scheme: u8, hash: u8, digest: &[u8]) -> Vec<u8> {
    [&serial.to_be_bytes(), &[scheme, hash][..], digest].concat()
}

fn builder(records: &[(&str, Rtype, u32, &[u8])]) -> ZoneBuilder {
    let mut builder = ZoneBuilder::new(name("example"), Limits::default());
    for (owner, rtype, ttl, rdata) in records {
        builder.push(name(owner).by_ref(), *rtype, *ttl, rdata).unwrap();
    }
    builder
}

fn soa(serial: u32) -> Vec<u8> {
    let numbers = [serial, 1800, 900, 604_800, 86400].map(u32::to_be_bytes).concat();
    [name("ns1.example").as_wire(), name("admin.example").as_wire(), &numbers].concat()
}

/// RFC 8976, Appendix A.3: one zone, a digest by each hash algorithm.
#[test]
fn both_hash_algorithms_are_those_of_the_rfc() {
    let ns = [name("ns1.example"), name("ns2.example")];
    let address: std::net::Ipv6Addr = "2001:db8::63".parse().unwrap();
    let mut zone = builder(&[
        ("example", Rtype::SOA, 86400, &soa(2_018_031_900)),
        ("example", Rtype::NS, 86400, ns[0].as_wire()),
        ("example", Rtype::NS, 86400, ns[1].as_wire()),
        ("ns1.example", Rtype::A, 3600, &[203, 0, 113, 63]),
        ("ns2.example", Rtype::TXT, 86400, b"\x21This example has multiple digests"),
        ("NS2.EXAMPLE", Rtype::AAAA, 3600, &address.octets()),
    ]);
    let mut none = builder(&[]);
    let sha384 = "62e6cf51b02e54b9b5f967d547ce43136792901f9f88e637493daaf401c92c279dd10f0edb1c56f8080211f8480ee306";
    let sha512 = "08cfa1115c7b948c4163a901270395ea226a930cd2cbcf2fa9a5e6eb85f37c8a4e114d884e66f176eab121cb02db7d652e0cc4827e7a32\
                  04f166b47e5613fd27";
    assert_eq!(hex(&zone.digest_with(&mut none, Hash::Sha384)), sha384);
    assert_eq!(hex(&zone.digest_with(&mut none, Hash::Sha512)), sha512);
    // The zone of the appendix has these two and two of private kinds, and verifies.
    let all = [
        zonemd(2_018_031_900, 1, 240, &[0xe2; 16]),
        zonemd(2_018_031_900, 241, 1, &[0xe1; 20]),
        zonemd(2_018_031_900, 1, 2, &octets(sha512)),
        zonemd(2_018_031_900, 1, 1, &octets(sha384)),
    ];
    let checked = check(Serial(2_018_031_900), all.iter().map(Vec::as_slice), |hash| zone.digest_with(&mut none, hash));
    assert_eq!(checked, Ok(Checked::Verified(Hash::Sha512)));
}

/// What stands aside is counted as if it stood in the zone, a record that is there twice once, each with its own TTL.
#[test]
fn what_is_laid_aside_counts() {
    let signature = |covered: Rtype, last: u8| [&covered.0.to_be_bytes()[..], &[last; 20]].concat();
    let records: Vec<(&str, Rtype, u32, Vec<u8>)> = vec![
        ("example", Rtype::SOA, 60, soa(1)),
        ("example", Rtype::RRSIG, 60, signature(Rtype::SOA, 1)),
        ("example", Rtype::RRSIG, 30, signature(Rtype::NSEC, 1)),
        ("example", Rtype::NSEC, 30, vec![1]),
        ("a.example", Rtype::A, 10, vec![192, 0, 2, 1]),
        ("a.example", Rtype::A, 20, vec![192, 0, 2, 2]),
        ("a.example", Rtype::A, 10, vec![192, 0, 2, 1]),
        ("a.example", Rtype::NSEC, 30, vec![2]),
        ("b.example", Rtype::RRSIG, 30, signature(Rtype::A, 2)),
    ];
    let digest = |is_aside: &dyn Fn(Rtype) -> bool, more: &[(&str, Rtype, u32, Vec<u8>)]| {
        let [mut here, mut there] = [builder(&[]), builder(&[])];
        for (owner, rtype, ttl, rdata) in records.iter().chain(more).rev() {
            let place = if is_aside(*rtype) { &mut there } else { &mut here };
            place.push(name(owner).by_ref(), *rtype, *ttl, rdata).unwrap();
        }
        here.digest_with(&mut there, Hash::Sha384)
    };
    let all_here = digest(&|_| false, &[]);
    assert_eq!(digest(&Rtype::is_of_signing, &[]), all_here);
    assert_eq!(digest(&|_| true, &[]), all_here);
    // A ZONEMD at the apex and what signs it are not counted; elsewhere they are (RFC 8976 §3.3.1).
    let apex = [
        ("example", Rtype::ZONEMD, 60, zonemd(1, 1, 1, &[0; 48])),
        ("example", Rtype::RRSIG, 60, signature(Rtype::ZONEMD, 9)),
    ];
    assert_eq!(digest(&Rtype::is_of_signing, &apex), all_here);
    assert_ne!(digest(&Rtype::is_of_signing, &[("c.example", Rtype::ZONEMD, 60, vec![0; 54])]), all_here);
    assert_ne!(digest(&Rtype::is_of_signing, &[("example", Rtype::RRSIG, 60, signature(Rtype::MX, 9))]), all_here);
}

#[test]
fn one_that_verifies_suffices_and_none_is_told() {
    let right = [7; 48];
    let outcome = |zonemds: &[Vec<u8>]| {
        check(Serial(5), zonemds.iter().map(Vec::as_slice), |hash| match hash {
            Hash::Sha384 => right.to_vec(),
            Hash::Sha512 => vec![8; 64],
        })
    };
    let told = |zonemds: &[Vec<u8>]| outcome(zonemds).unwrap_err().to_string();
    let [good, wrong, stale] = [zonemd(5, 1, 1, &right), zonemd(5, 1, 2, &[9; 64]), zonemd(4, 1, 2, &[8; 64])];
    assert_eq!(outcome(&[]), Ok(Checked::Absent));
    for others in [&wrong, &stale, &vec![0; 5], &zonemd(5, 2, 1, &right), &zonemd(5, 1, 3, &right)] {
        assert_eq!(outcome(&[others.clone(), good.clone()]), Ok(Checked::Verified(Hash::Sha384)));
        assert_eq!(outcome(&[good.clone(), others.clone()]), Ok(Checked::Verified(Hash::Sha384)));
    }
    assert_eq!(outcome(&[zonemd(5, 2, 1, &right)]), Ok(Checked::Unsupported { scheme: 2, hash: 1 }));
    assert_eq!(outcome(&[zonemd(4, 1, 240, &[])]), Ok(Checked::Unsupported { scheme: 1, hash: 240 }));
    assert_eq!(told(std::slice::from_ref(&stale)), "its ZONEMD is for serial 4, and its SOA has serial 5");
    // Not made to pass by one that nobody can read.
    assert_eq!(told(&[zonemd(5, 2, 1, &right), stale]), "its ZONEMD is for serial 4, and its SOA has serial 5");
    let (stated, found) = ("09".repeat(64), "08".repeat(64));
    assert_eq!(
        told(&[wrong]),
        format!("its ZONEMD for serial 5 (SHA-512) says {stated}, and its records come to {found}")
    );
    // Too short a digest is no digest, and two of a kind are none.
    assert!(told(&[zonemd(5, 1, 1, &right[..12])]).contains("says 070707070707070707070707,"));
    let twice = [good, zonemd(5, 1, 1, &[0; 48])];
    assert_eq!(told(&twice), "it has more than one ZONEMD for serial 5 with SHA-384");
    assert_eq!(told(&[vec![]]), "its ZONEMD is cut short");
}
