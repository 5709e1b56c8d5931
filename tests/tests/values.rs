//! Laws of the worker's values over generated RDATA of every type: what is written is read back to the octet, and what is
//! written by others, in whatever spelling, is read alike.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its functions")]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use secondary53_lambda::value::{self, HELD, ValueError};
use secondary53_tests::rdata;
use secondary53_zone::rrset::Rtype;

const CASES: u32 = 400;

/// Runs a law over generated values of each of the 17 types, and says of which one it does not hold.
fn for_each_type<V: std::fmt::Debug>(
    values: impl Fn(Rtype) -> BoxedStrategy<V>,
    law: impl Fn(Rtype, V) -> Result<(), TestCaseError>,
) {
    for rtype in HELD {
        let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        if let Err(broken) = runner.run(&values(rtype), |value| law(rtype, value)) {
            panic!("{rtype}: {broken}");
        }
    }
}

#[test]
fn what_is_held_is_written_and_read_back_to_the_octet() {
    for_each_type(rdata::held, |rtype, rdata| {
        let text = value::to_text(rtype, &rdata).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(text.bytes().all(|octet| (0x20..0x7f).contains(&octet)), "{}", text);
        prop_assert_eq!(value::from_text(rtype, &text), Ok(rdata.clone()), "{}", text);
        prop_assert_eq!(value::as_held(rtype, &rdata), &rdata[..]);
        Ok(())
    });
}

#[test]
fn what_is_readable_is_written_or_known_not_to_be_held() {
    for_each_type(rdata::readable, |rtype, rdata| {
        match value::to_text(rtype, &rdata) {
            Ok(text) => {
                let held = value::as_held(rtype, &rdata).into_owned();
                prop_assert_eq!(value::from_text(rtype, &text), Ok(held), "{}", text);
            }
            Err(error) => prop_assert!(matches!(error, ValueError::NotHeld(_)), "{}", error),
        }
        Ok(())
    });
}

#[test]
fn a_cut_or_lengthened_rdata_is_written_or_refused_and_never_as_the_whole() {
    let values = |rtype| (rdata::held(rtype), any::<prop::sample::Index>(), any::<Option<u8>>()).boxed();
    for_each_type(values, |rtype, (whole, at, more): (Vec<u8>, prop::sample::Index, Option<u8>)| {
        let mut other = whole.clone();
        match more {
            Some(octet) => other.push(octet),
            None => other.truncate(at.index(whole.len())),
        }
        if let Ok(text) = value::to_text(rtype, &other) {
            prop_assert_eq!(value::from_text(rtype, &text), Ok(other));
            prop_assert_ne!(text, value::to_text(rtype, &whole).unwrap());
        }
        Ok(())
    });
}

#[test]
fn the_spellings_of_others_are_read_alike() {
    let values = |rtype| (rdata::held(rtype), vec_of_choices()).boxed();
    for_each_type(values, |rtype, (rdata, choices): (Vec<u8>, Vec<u8>)| {
        let text = value::to_text(rtype, &rdata).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let spelt = respell(rtype, &text, &choices);
        prop_assert_eq!(value::from_text(rtype, &spelt), Ok(rdata), "{} for {}", spelt, text);
        Ok(())
    });
}

fn vec_of_choices() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 64)
}

/// The same value as another tool might have left it. `choices` are used in turn, for ever.
fn respell(rtype: Rtype, text: &str, choices: &[u8]) -> String {
    let mut choices = choices.iter().copied().cycle();
    let mut choose = |of: u8| choices.next().unwrap_or_default() % of;
    let mut fields = fields(text);
    let count = fields.len();
    if matches!(rtype, Rtype::SVCB | Rtype::HTTPS) && choose(2) == 0 {
        // RFC 9460 §2.1: parameters in any order.
        fields[2..].reverse();
    }
    let mut out = [" ", "", "\t"][usize::from(choose(3))].to_owned();
    for (index, field) in fields.iter().enumerate() {
        let blank = ["  ", " \t", " "][usize::from(choose(3))];
        match kind(rtype, index, count) {
            Kind::Number => {
                out.push_str(["", "0", "000"][usize::from(choose(3))]);
                out.push_str(field);
            }
            Kind::Name => {
                let escaped = field.contains('\\');
                let field = if choose(2) == 0 && !escaped { field.to_ascii_uppercase() } else { (*field).to_owned() };
                let bare = field.strip_suffix('.').filter(|bare| !bare.is_empty() && choose(2) == 0);
                out.push_str(bare.unwrap_or(&field));
            }
            Kind::String => {
                let inner = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field);
                // A string needs its quotes where it is empty or holds what would end it.
                let needs = inner.is_empty() || inner.contains([' ', '"']);
                out.push_str(if choose(2) == 0 && !needs { inner } else { field });
                // Strings may touch where a quote tells them apart.
                let next_is_quoted = fields.get(index + 1).is_some_and(|next| next.starts_with('"'));
                if out.ends_with('"')
                    && next_is_quoted
                    && choose(2) == 0
                    && kind(rtype, index + 1, count) == Kind::String
                {
                    continue;
                }
            }
            Kind::Hex => {
                for digit in field.chars() {
                    let digit = if choose(2) == 0 { digit.to_ascii_lowercase() } else { digit };
                    out.push(digit);
                    out.push_str(["", "", "", " "][usize::from(choose(4))]);
                }
            }
            Kind::Ipv6 => {
                let address: std::net::Ipv6Addr = field.parse().unwrap();
                let groups = address.segments().map(|group| format!("{group:04X}")).join(":");
                out.push_str(if choose(2) == 0 { &groups } else { field });
            }
            Kind::Param => {
                let quoted = field.contains('"');
                let turned = field.strip_prefix("mandatory=").map(|keys| {
                    let keys: Vec<_> = keys.split(',').rev().collect();
                    format!("mandatory={}", keys.join(","))
                });
                let field = turned.as_deref().unwrap_or(field);
                let field = match field.split_once('=') {
                    Some((key, value)) if !quoted && choose(2) == 0 => format!("{key}=\"{value}\""),
                    None if choose(2) == 0 => format!("{field}="),
                    _ => (*field).to_owned(),
                };
                out.push_str(&field);
            }
            Kind::AsItIs => out.push_str(field),
        }
        if index + 1 < count || choose(2) == 0 {
            out.push_str(blank);
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Name,
    String,
    Hex,
    Ipv6,
    Param,
    AsItIs,
}

/// What the field of this number is, in a value of so many.
fn kind(rtype: Rtype, index: usize, count: usize) -> Kind {
    match (rtype, index) {
        (Rtype::A, _) => Kind::AsItIs,
        (Rtype::AAAA, _) => Kind::Ipv6,
        (Rtype::TXT | Rtype::SPF, _) | (Rtype::CAA, 1..) | (Rtype::NAPTR, 2..=4) => Kind::String,
        (Rtype::SOA, 0 | 1) | (Rtype::SVCB | Rtype::HTTPS, 1) => Kind::Name,
        (Rtype::SVCB | Rtype::HTTPS, 2..) => Kind::Param,
        (Rtype::DS | Rtype::TLSA, 3) | (Rtype::SSHFP, 2) => Kind::Hex,
        (Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::MX | Rtype::SRV | Rtype::NAPTR, _) if index + 1 == count => {
            Kind::Name
        }
        _ => Kind::Number,
    }
}

/// Splits at the spaces outside of quotes.
fn fields(text: &str) -> Vec<&str> {
    let (mut fields, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b' ' if !quoted => {
                fields.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(&text[start..]);
    fields
}
