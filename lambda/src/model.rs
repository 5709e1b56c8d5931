//! A model of a hosted zone for the tests of this crate, and zones to try it with.

use proptest::prelude::*;
use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::zone::{Limits, Zone, ZoneBuilder};

use crate::batch::{Action, Item};
use crate::hosted::{HostedRrset, RrsetText};
use crate::value;

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A zone example.com at serial 7.
pub(crate) fn zone_with(fill: impl FnOnce(&mut ZoneBuilder)) -> Zone {
    zone_of("ns1.example.com. host.example.com. 7 3600 600 1209600 300", fill)
}

/// A zone of nothing but its SOA.
pub(crate) fn with_soa(soa: &str) -> Zone {
    zone_of(soa, |_| {})
}

fn zone_of(soa: &str, fill: impl FnOnce(&mut ZoneBuilder)) -> Zone {
    let apex = name("example.com");
    let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
    let soa = value::from_text(Rtype::SOA, soa).unwrap();
    builder.push(apex.by_ref(), Rtype::SOA, 3600, &soa).unwrap();
    fill(&mut builder);
    builder.build().unwrap().zone
}

/// Owners are relative, `@` is the apex; values are Route 53's text.
pub(crate) fn zone(records: &[(&str, Rtype, u32, &str)]) -> Zone {
    zone_with(|builder| {
        for (owner, rtype, ttl, text) in records {
            let owner = if *owner == "@" { "example.com".to_owned() } else { format!("{owner}.example.com") };
            builder.push(name(&owner).by_ref(), *rtype, *ttl, &value::from_text(*rtype, text).unwrap()).unwrap();
        }
    })
}

pub(crate) fn with_serial(zone: &Zone, serial: u32) -> Zone {
    let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
    for rrset in zone.rrsets() {
        for rdata in rrset.rdata() {
            let mut rdata = rdata.to_vec();
            if rrset.rtype() == Rtype::SOA {
                let at = rdata.len() - 20;
                rdata[at..at + 4].copy_from_slice(&serial.to_be_bytes());
            }
            builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), &rdata).unwrap();
        }
    }
    builder.build().unwrap().zone
}

/// Zones over few names and values, so that two of them share some; a CNAME stands alone, as primaries see to.
pub(crate) fn zones() -> impl Strategy<Value = Zone> {
    let values = |values: &'static [&'static str]| proptest::sample::subsequence(values, 0..=values.len());
    let node = prop_oneof![
        1 => (Just(vec![(Rtype::CNAME, vec!["x."])])).boxed(),
        4 => (
            values(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
            values(&["10 mx1.", "10 mx2."]),
            values(&["\"a\"", "\"b\" \"c\"", "\"\\377\\\"\""]),
            values(&["4 2 ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB", "1 9 00"]),
            values(&["1 . alpn=\"h2\"", "2 x."]),
        )
            .prop_map(|(a, mx, txt, sshfp, https)| {
                vec![
                    (Rtype::A, a),
                    (Rtype::MX, mx),
                    (Rtype::TXT, txt),
                    (Rtype::SSHFP, sshfp),
                    (Rtype::HTTPS, https),
                ]
            })
            .boxed(),
    ];
    let nodes = proptest::collection::btree_map(0..30_u8, (node, 0..3_u32), 0..20);
    (nodes, 7..9_u32).prop_map(|(nodes, serial)| {
        let zone = zone_with(|builder| {
            for (number, (node, ttl)) in nodes {
                let owner = name(&format!("n{number}.example.com"));
                for (rtype, values) in node {
                    for text in values {
                        let rdata = value::from_text(rtype, text).unwrap();
                        builder.push(owner.by_ref(), rtype, ttl, &rdata).unwrap();
                    }
                }
            }
        });
        with_serial(&zone, serial)
    })
}

/// The same zone, of which so many TXT RRsets have nearly as much text as a request takes.
pub(crate) fn widened(zone: &Zone, mut count: usize) -> Zone {
    let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
    for rrset in zone.rrsets() {
        let is_wide = rrset.rtype() == Rtype::TXT && count > 0;
        count -= usize::from(is_wide);
        for rdata in rrset.rdata() {
            // Of the three values that there are at most each becomes three of 3,000 characters.
            let string = |number: u8| [&[255][..], &[b'0' + number; 255]].concat().repeat(12);
            let wide = (0..3).map(|number| [rdata, &string(number)].concat());
            for rdata in if is_wide { wide.collect() } else { vec![rdata.to_vec()] } {
                builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), &rdata).unwrap();
            }
        }
    }
    builder.build().unwrap().zone
}

/// What Route 53 holds once a zone is in it, in canonical order.
pub(crate) fn hosted_of(zone: &Zone) -> Vec<HostedRrset> {
    let text = |rtype, rdata| value::to_text(rtype, rdata).unwrap();
    zone.rrsets()
        .map(|rrset| HostedRrset {
            text: RrsetText {
                name: rrset.owner().to_name(),
                rtype: rrset.rtype(),
                ttl: rrset.ttl(),
                values: rrset.rdata().map(|rdata| text(rrset.rtype(), rdata)).collect(),
            },
            foreign: None,
        })
        .collect()
}

/// Applies a request as Route 53 does: in order, DELETE only of what is there just so, CREATE only of what is not, and no
/// CNAME beside anything.
pub(crate) fn apply(mut hosted: Vec<HostedRrset>, items: &[Item]) -> Vec<HostedRrset> {
    for Item { action, rrset } in items {
        let same = |there: &HostedRrset| there.text.name == rrset.name && there.text.rtype == rrset.rtype;
        let found = hosted.iter().position(same);
        match action {
            Action::Delete => assert_eq!(hosted.remove(found.expect("deleted what is not there")).text, *rrset),
            Action::Upsert => hosted[found.expect("upserted what is not there")].text = rrset.clone(),
            Action::Create => {
                assert_eq!(found, None, "created what is there");
                let beside = hosted.iter().find(|there| {
                    there.text.name == rrset.name && (there.text.rtype == Rtype::CNAME || rrset.rtype == Rtype::CNAME)
                });
                assert_eq!(beside, None, "a CNAME is not alone");
                hosted.push(HostedRrset { text: rrset.clone(), foreign: None });
            }
        }
    }
    hosted
}
