use proptest::prelude::*;
use secondary53_zone::{Limits, ZoneBuilder};

use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A record: its owner below the catalog, its type, and a name or a text.
type Line<'a> = (&'a str, Rtype, &'a str);

const VERSION_2: Line<'_> = ("version", Rtype::TXT, "2");

fn catalog(lines: &[Line<'_>]) -> Zone {
    let apex = name("catalog.example");
    let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
    builder.push(apex.by_ref(), Rtype::SOA, 60, &[&[0, 0][..], &[0, 0, 0, 1], &[0; 16]].concat()).unwrap();
    builder.push(apex.by_ref(), Rtype::NS, 60, name("invalid").as_wire()).unwrap();
    for (owner, rtype, data) in lines {
        let owner = name(&format!("{owner}.catalog.example"));
        let rdata = match *rtype {
            Rtype::TXT => data
                .split('|')
                .flat_map(|text| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat())
                .collect(),
            _ => name(data).as_wire().to_vec(),
        };
        builder.push(owner.by_ref(), *rtype, 60, &rdata).unwrap();
    }
    builder.build().unwrap().zone
}

fn broken(lines: &[Line<'_>]) -> String {
    Members::read(&catalog(lines)).unwrap_err().to_string()
}

#[test]
fn members_and_where_they_may_go() {
    let members = Members::read(&catalog(&[
        VERSION_2,
        ("A1.zones", Rtype::PTR, "Example.COM"),
        ("b2.zones", Rtype::PTR, "example.net"),
        ("coo.b2.zones", Rtype::PTR, "other.example"),
        // A change of ownership of nobody.
        ("coo.c3.zones", Rtype::PTR, "other.example"),
    ]))
    .unwrap();
    assert_eq!(members.names().map(ToString::to_string).collect::<Vec<_>>(), ["example.com.", "example.net."]);
    assert_eq!(members.get(&name("example.com")), Some(&Member { unique: b"a1"[..].into(), coo: None }));
    let coo = Some(name("other.example"));
    assert_eq!(members.get(&name("example.net")), Some(&Member { unique: b"b2"[..].into(), coo }));
    assert_eq!(members.get(&name("example.org")), None);
    assert!(Members::read(&catalog(&[VERSION_2])).unwrap().is_empty());
}

/// RFC 9432 §4.2: what is not understood is passed over, and so is another type where a property is.
#[test]
fn what_is_not_known_means_nothing() {
    let members = Members::read(&catalog(&[
        VERSION_2,
        ("version", Rtype::PTR, "example.org"),
        ("a.zones", Rtype::PTR, "example.com"),
        ("a.zones", Rtype::TXT, "words"),
        ("group.a.zones", Rtype::TXT, "one|two"),
        ("coo.a.zones", Rtype::TXT, "words"),
        ("later.a.zones", Rtype::PTR, "example.net"),
        ("x.ext.a.zones", Rtype::PTR, "example.net"),
        ("x.ext", Rtype::PTR, "example.net"),
        ("zones", Rtype::PTR, "example.net"),
        ("version.a", Rtype::TXT, "1"),
        ("zones.a", Rtype::PTR, "example.net"),
        ("a", Rtype::PTR, "example.net"),
    ]));
    let members = members.unwrap();
    assert_eq!((members.len(), members.get(&name("example.com")).unwrap().coo.clone()), (1, None));
}

#[test]
fn a_broken_catalog_says_what_is_broken() {
    let member = ("a.zones", Rtype::PTR, "example.com");
    assert_eq!(
        broken(&[member]),
        "it has no TXT at version.catalog.example., where its version must stand: is it a catalog zone?"
    );
    assert!(broken(&[member, ("version", Rtype::TXT, "1")]).starts_with("it is of version \"1\""));
    assert!(broken(&[member, ("version", Rtype::TXT, "")]).starts_with("it is of version \"\""));
    let once = "the TXT at version.catalog.example. must be one, of one text";
    assert_eq!(broken(&[VERSION_2, ("version", Rtype::TXT, "3")]), once);
    assert_eq!(broken(&[("version", Rtype::TXT, "2|2")]), once);
    assert_eq!(
        broken(&[VERSION_2, member, ("a.zones", Rtype::PTR, "example.net")]),
        "a.zones.catalog.example. has several PTR: a node is of one member"
    );
    assert_eq!(
        broken(&[VERSION_2, member, ("b.zones", Rtype::PTR, "EXAMPLE.com")]),
        "example.com. is there twice, at a.zones.catalog.example. and at b.zones.catalog.example."
    );
    let coo = |to| ("coo.a.zones", Rtype::PTR, to);
    assert_eq!(
        broken(&[VERSION_2, member, coo("b.example"), coo("c.example")]),
        "coo.a.zones.catalog.example. has several PTR: a member can go to one catalog"
    );
}

#[test]
fn there_is_a_limit() {
    let zone = catalog(&[VERSION_2, ("a.zones", Rtype::PTR, "a.example"), ("b.zones", Rtype::PTR, "b.example")]);
    assert_eq!(Members::read_within(&zone, 2).unwrap().len(), 2);
    assert_eq!(Members::read_within(&zone, 1), Err(Broken::TooMany(1)));
}

#[test]
fn another_label_is_another_life() {
    let members = |label: &str| {
        let node = format!("{label}.zones");
        let lines = [VERSION_2, (&*node, Rtype::PTR, "example.com"), ("b.zones", Rtype::PTR, "example.net")];
        Members::read(&catalog(&lines)).unwrap()
    };
    let reset = |before: &str, after: &str| members(after).reset_since(&members(before)).cloned().collect::<Vec<_>>();
    assert_eq!(reset("a", "A"), []);
    assert_eq!(reset("a", "c"), [name("example.com")]);
    assert_eq!(members("a").reset_since(&Members::default()).count(), 0);
}

proptest! {
    /// Whatever a catalog lists comes out, and nothing else, in whatever order and beside whatever properties.
    #[test]
    fn what_goes_in_comes_out(
        listed in prop::collection::btree_map("[a-z]{1,8}", ("[a-z0-9]{1,8}", any::<bool>()), 0..20),
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let listed: Vec<_> = listed.into_iter().filter(|(_, (unique, _))| seen.insert(unique.clone())).collect();
        let owned: Vec<_> = listed.iter().flat_map(|(member, (unique, goes))| {
            let node = (format!("{unique}.zones"), format!("{member}.example"));
            let coo = (format!("coo.{unique}.zones"), "other.example".to_owned());
            let property = (format!("x.ext.{unique}.zones"), "ignored.example".to_owned());
            [Some(node), goes.then_some(coo), Some(property)].into_iter().flatten()
        }).collect();
        let mut lines: Vec<Line<'_>> = owned.iter().map(|(owner, data)| (&**owner, Rtype::PTR, &**data)).collect();
        lines.push(VERSION_2);
        let members = Members::read(&catalog(&lines)).unwrap();
        prop_assert_eq!(members.len(), listed.len());
        for (member, (unique, goes)) in &listed {
            let found = members.get(&name(&format!("{member}.example"))).unwrap();
            prop_assert_eq!(&*found.unique, unique.as_bytes());
            prop_assert_eq!(found.coo.is_some(), *goes);
        }
        prop_assert_eq!(members.reset_since(&members).count(), 0);
    }

    /// No zone makes it panic, and none that is taken lists more than it has PTR.
    #[test]
    fn any_records_are_read(lines in prop::collection::vec(
        ("(version|zones|[ab]\\.zones|coo\\.[ab]\\.zones|[ab]|ext|x\\.ext\\.a\\.zones)", any::<bool>(), "[ab]{1,2}|2"), 0..12)
    ) {
        let lines: Vec<Line<'_>> = lines.iter()
            .map(|(owner, text, data)| (&**owner, if *text { Rtype::TXT } else { Rtype::PTR }, &**data))
            .collect();
        if let Ok(members) = Members::read(&catalog(&lines)) {
            prop_assert!(members.len() <= lines.iter().filter(|line| line.1 == Rtype::PTR).count());
            prop_assert!(lines.contains(&VERSION_2));
        }
    }
}
