//! Generated RDATA of every type that Route 53 has, in canonical form, for laws and for comparisons.
//!
//! Names are host names, wildcards, and labels of any octets; strings are empty, printable, of any octets, and at the 255
//! that a string can have.

use proptest::collection::vec;
use proptest::prelude::*;
use secondary53_zone::name::{MAX_NAME, Name};
use secondary53_zone::rrset::Rtype;

/// What Route 53 holds.
///
/// # Panics
/// On a type that is not among its 17.
pub fn held(rtype: Rtype) -> BoxedStrategy<Vec<u8>> {
    match rtype {
        Rtype::NS | Rtype::CNAME | Rtype::PTR => below_root().prop_map(|name| wire(&name)).boxed(),
        Rtype::CAA => {
            let tag = prop_oneof!["issue|issuewild|iodef|issuemail|issuevmc", "[A-Za-z0-9]{1,60}"];
            (any::<u8>(), tag, rest()).prop_map(|(flags, tag, value)| caa(flags, tag.as_bytes(), &value)).boxed()
        }
        Rtype::DS => {
            let digest = prop_oneof![sized(1, 20), sized(2, 32), sized(4, 48), sized(5, 32), unsized_kind(7)];
            (any::<u16>(), any::<u8>(), digest)
                .prop_map(|(tag, algorithm, digest)| parts(&[&tag.to_be_bytes(), &[algorithm], &digest]))
                .boxed()
        }
        Rtype::SSHFP => {
            let fingerprint = prop_oneof![sized(1, 20), sized(2, 32), unsized_kind(3)];
            (any::<u8>(), fingerprint).prop_map(|(algorithm, rest)| parts(&[&[algorithm], &rest])).boxed()
        }
        Rtype::TLSA => {
            let matching = prop_oneof![
                sized(1, 32),
                sized(2, 64),
                vec(any::<u8>(), 1..200).prop_map(|data| parts(&[&[0], &data]))
            ];
            (0..=3_u8, 0..=1_u8, matching)
                .prop_map(|(usage, selector, rest)| parts(&[&[usage, selector], &rest]))
                .boxed()
        }
        Rtype::NAPTR => {
            let rule = prop_oneof![
                (string(), Just(Name::root())),
                // RFC 3403 §4.1: the one or the other.
                (Just(Vec::new()), name()),
            ];
            let flags = prop_oneof!["[sauUpSAP]?", "[A-Za-z0-9]{0,20}"].prop_map(String::into_bytes);
            naptr(flags.boxed(), rule.boxed())
        }
        Rtype::SVCB | Rtype::HTTPS => {
            let service = (1..=0x7fff_u16, name(), params(plain_id().boxed()));
            let alias = name().prop_map(|target| (0, target, Vec::new()));
            prop_oneof![9 => service, 1 => alias]
                .prop_map(|(priority, target, params)| svcb(priority, &wire(&target), &params))
                .boxed()
        }
        _ => of_any_content(rtype),
    }
}

/// What can be read from text, whether or not Route 53 holds it: fields of every value, lengths that fit no digest,
/// services in `AliasMode` with parameters, protocol ids with commas.
///
/// # Panics
/// As [`held`].
pub fn readable(rtype: Rtype) -> BoxedStrategy<Vec<u8>> {
    match rtype {
        Rtype::NS | Rtype::CNAME | Rtype::PTR => name().prop_map(|name| wire(&name)).boxed(),
        Rtype::CAA => {
            let tag = vec(any::<u8>(), 0..=255);
            (any::<u8>(), tag, rest()).prop_map(|(flags, tag, value)| caa(flags, &tag, &value)).boxed()
        }
        Rtype::DS => (any::<u32>(), vec(any::<u8>(), 1..60))
            .prop_map(|(head, digest)| parts(&[&head.to_be_bytes(), &digest]))
            .boxed(),
        Rtype::SSHFP => vec(any::<u8>(), 3..60).boxed(),
        Rtype::TLSA => vec(any::<u8>(), 4..200).boxed(),
        Rtype::NAPTR => naptr(string(), (string(), name()).boxed()),
        Rtype::SVCB | Rtype::HTTPS => {
            let id =
                prop_oneof![plain_id(), vec(any::<u8>(), 1..=20), "[,\\\\\"; a]{1,6}".prop_map(String::into_bytes)];
            (any::<u16>(), target_of_any_case(), params(id.boxed()))
                .prop_map(|(priority, target, params)| svcb(priority, &target, &params))
                .boxed()
        }
        _ => of_any_content(rtype),
    }
}

/// The types of which Route 53 holds whatever reads.
fn of_any_content(rtype: Rtype) -> BoxedStrategy<Vec<u8>> {
    match rtype {
        Rtype::A => any::<[u8; 4]>().prop_map(Vec::from).boxed(),
        Rtype::AAAA => {
            // Runs of zeros, and IPv4 in IPv6, are where spellings differ.
            let groups = vec(prop_oneof![Just(0_u16), any::<u16>(), 0..16_u16], 8);
            let plain = groups.prop_map(|groups| groups.iter().flat_map(|group| group.to_be_bytes()).collect());
            let mapped = any::<[u8; 4]>().prop_map(|v4| parts(&[&[0; 10], &[0xff; 2], &v4]));
            prop_oneof![4 => plain, 1 => mapped].boxed()
        }
        Rtype::MX => (any::<u16>(), name())
            .prop_map(|(preference, name)| parts(&[&preference.to_be_bytes(), &wire(&name)]))
            .boxed(),
        Rtype::SRV => (any::<[u8; 6]>(), name()).prop_map(|(numbers, name)| parts(&[&numbers, &wire(&name)])).boxed(),
        Rtype::SOA => {
            let seconds = vec(0..=i32::MAX.cast_unsigned(), 4);
            (name(), name(), any::<u32>(), seconds)
                .prop_map(|(mname, rname, serial, seconds)| {
                    let seconds: Vec<u8> = seconds.iter().flat_map(|time| time.to_be_bytes()).collect();
                    parts(&[&wire(&mname), &wire(&rname), &serial.to_be_bytes(), &seconds])
                })
                .boxed()
        }
        Rtype::TXT | Rtype::SPF => {
            vec(string(), 1..=4).prop_map(|strings| strings.iter().flat_map(|text| counted(text)).collect()).boxed()
        }
        #[expect(clippy::panic, reason = "a mistake of the test that asks")]
        other => panic!("Route 53 has no type {other}"),
    }
}

/// An owner below `apex`, in every kind of label.
pub fn owner(apex: &Name) -> BoxedStrategy<Name> {
    let apex = apex.clone();
    let labels = vec(label(), 1..4);
    (labels, any::<bool>())
        .prop_map(move |(mut labels, is_wildcard)| {
            if is_wildcard {
                labels.insert(0, b"*".to_vec());
            }
            // Whole labels, from the right, as many as fit.
            let mut kept: Vec<Vec<u8>> = apex.by_ref().labels().map(<[u8]>::to_vec).collect();
            for label in labels.into_iter().rev() {
                if kept.iter().map(|label| label.len() + 1).sum::<usize>() + label.len() + 2 <= MAX_NAME {
                    kept.insert(0, label);
                }
            }
            Name::from_labels(kept).unwrap_or_else(|_| apex.clone())
        })
        .boxed()
}

/// A name with the root among them.
fn name() -> BoxedStrategy<Name> {
    prop_oneof![1 => Just(Name::root()), 9 => below_root()].boxed()
}

fn below_root() -> BoxedStrategy<Name> {
    let longest = Just(vec![vec![b'x'; 63], vec![0; 63], vec![b'*'; 63], vec![b'.'; 61]]);
    prop_oneof![30 => vec(label(), 1..5), 1 => longest, 1 => vec(Just(b"a".to_vec()), 127)]
        .prop_filter_map("too long", |labels| Name::from_labels(labels).ok())
        .boxed()
}

fn label() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        8 => "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?".prop_map(String::into_bytes),
        2 => "_[a-z]{1,10}".prop_map(String::into_bytes),
        1 => Just(b"*".to_vec()),
        1 => "[ -~]{1,20}".prop_map(|label| label.to_ascii_lowercase().into_bytes()),
        1 => vec(any::<u8>(), 1..=63).prop_map(|label| label.to_ascii_lowercase()),
        1 => "[a-z0-9]{63}".prop_map(String::into_bytes),
    ]
    .boxed()
}

/// RFC 9460 §2.2 lets the case of a target stand as it came.
fn target_of_any_case() -> BoxedStrategy<Vec<u8>> {
    (name(), any::<bool>())
        .prop_map(|(name, upper)| {
            let octets = wire(&name);
            // A length octet is at most 63, below 'a'.
            if upper { octets.to_ascii_uppercase() } else { octets }
        })
        .boxed()
}

fn string() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        6 => "[ -~]{0,60}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..=255),
        1 => "\\PC{0,40}".prop_map(String::into_bytes).prop_filter("too long", |text| text.len() <= 255),
        1 => "[\"\\\\; \t]{0,20}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 255),
        1 => Just(Vec::new()),
    ]
    .boxed()
}

/// What is longer than a string can be, too.
fn rest() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![6 => string(), 1 => vec(any::<u8>(), 256..600)].boxed()
}

fn plain_id() -> impl Strategy<Value = Vec<u8>> + Clone {
    let graphic = "[!#-+\\--\\[\\]-~]{1,20}";
    prop_oneof!["h2|h3|http/1\\.1|dot|doq|co", graphic].prop_map(String::into_bytes)
}

fn naptr(flags: BoxedStrategy<Vec<u8>>, rule: BoxedStrategy<(Vec<u8>, Name)>) -> BoxedStrategy<Vec<u8>> {
    (any::<u32>(), flags, string(), rule)
        .prop_map(|(numbers, flags, service, (regexp, replacement))| {
            let strings = [counted(&flags), counted(&service), counted(&regexp)].concat();
            parts(&[&numbers.to_be_bytes(), &strings, &wire(&replacement)])
        })
        .boxed()
}

/// Keys and values in the order of the wire.
fn params(id: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<(u16, Vec<u8>)>> {
    let half = |value: BoxedStrategy<Vec<u8>>| prop::option::weighted(0.4, value).boxed();
    let alpn = vec(id, 1..4).prop_map(|ids| ids.iter().flat_map(|id| counted(id)).collect());
    let ech = vec(any::<u8>(), 4..80).prop_map(|list| long_counted(&list));
    let path = "/[a-z0-9/._~-]{0,20}".prop_map(|path| (path + "{?dns}").into_bytes());
    (
        half(alpn.boxed()),
        any::<bool>(),
        half(any::<[u8; 2]>().prop_map(Vec::from).boxed()),
        half(vec(any::<[u8; 4]>(), 1..4).prop_map(|addresses| addresses.concat()).boxed()),
        half(ech.boxed()),
        half(vec(any::<[u8; 16]>(), 1..4).prop_map(|addresses| addresses.concat()).boxed()),
        half(path.boxed()),
        any::<bool>(),
        prop::option::weighted(0.4, any::<u16>()),
    )
        .prop_map(|(alpn, no_default, port, v4, ech, v6, path, ohttp, mandatory)| {
            // RFC 9460 §7.1.1: only beside alpn.
            let no_default = (no_default && alpn.is_some()).then(Vec::new);
            let values = [alpn, no_default, port, v4, ech, v6, path, ohttp.then(Vec::new)];
            let mut params: Vec<_> = (1..).zip(values).filter_map(|(key, value)| Some((key, value?))).collect();
            let chosen = |key: &u16| mandatory.is_some_and(|mask| mask & (1 << key) != 0);
            let keys: Vec<u8> = params.iter().map(|(key, _)| *key).filter(chosen).flat_map(u16::to_be_bytes).collect();
            if !keys.is_empty() {
                params.insert(0, (0, keys));
            }
            params
        })
        .boxed()
}

fn svcb(priority: u16, target: &[u8], params: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let params: Vec<u8> =
        params.iter().flat_map(|(key, value)| [key.to_be_bytes().to_vec(), long_counted(value)].concat()).collect();
    parts(&[&priority.to_be_bytes(), target, &params])
}

fn caa(flags: u8, tag: &[u8], value: &[u8]) -> Vec<u8> {
    parts(&[&[flags], &counted(tag), value])
}

/// A kind and octets, as many as the kind asks for.
fn sized(kind: u8, length: usize) -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), length).prop_map(move |octets| parts(&[&[kind], &octets])).boxed()
}

/// A kind from `least` on, of which no length is known.
fn unsized_kind(least: u8) -> BoxedStrategy<Vec<u8>> {
    (least..=255, vec(any::<u8>(), 1..60)).prop_map(|(kind, octets)| parts(&[&[kind], &octets])).boxed()
}

/// At most 255 octets.
fn counted(octets: &[u8]) -> Vec<u8> {
    parts(&[&[u8::try_from(octets.len()).unwrap_or_default()], octets])
}

/// At most 65,535 octets.
fn long_counted(octets: &[u8]) -> Vec<u8> {
    parts(&[&u16::try_from(octets.len()).unwrap_or_default().to_be_bytes(), octets])
}

fn wire(name: &Name) -> Vec<u8> {
    name.as_wire().to_vec()
}

fn parts(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
