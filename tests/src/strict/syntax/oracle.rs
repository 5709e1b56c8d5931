//! The same data, written once with Route 53's octal escapes and once as a zone file with its decimal ones, must be the
//! same RDATA to this reader and to the `domain` crate's.

use domain::{
    base::{iana::Class, rdata::ComposeRecordData},
    zonefile::inplace::{Entry, Zonefile},
};
use proptest::prelude::*;

use super::*;

/// What `domain` makes of a record of a zone file.
fn expected(rtype: RecordType, zone_file_text: &str) -> Vec<u8> {
    // SPF has the form of TXT (RFC 4408 §3.1.1); `domain` does not know it.
    let rtype = if rtype == T::Spf { T::Txt } else { rtype };
    let text = format!("x.example. 1 IN {rtype} {zone_file_text}\n");
    let mut zone = Zonefile::from(text.as_bytes());
    zone.set_default_class(Class::IN);
    let Some(Entry::Record(record)) = zone.next_entry().unwrap() else { panic!("no record in {text}") };
    let mut wire = Vec::new();
    record.data().compose_rdata(&mut wire).unwrap();
    wire
}

#[test]
fn values_without_escapes_read_alike() {
    let (sha1, sha256, sha512) = ("0a".repeat(20), "fB".repeat(32), "c3".repeat(64));
    let values = [
        (T::A, "192.0.2.1".to_owned()),
        (T::Aaaa, "2001:db8::ffff:192.0.2.1".to_owned()),
        (T::Caa, "128 issue \"ca.example; policy=ev\"".to_owned()),
        (T::Cname, "a.example.".to_owned()),
        (T::Ds, format!("60485 5 1 {sha1}")),
        (T::Ds, format!("60485 13 2 {sha256}")),
        (T::Https, "1 . alpn=h2,h3 port=443 ipv4hint=192.0.2.1,192.0.2.2".to_owned()),
        (T::Mx, "65535 a.example.".to_owned()),
        (T::Mx, "0 .".to_owned()),
        (T::Naptr, "100 10 \"u\" \"E2U+sip\" \"!^(\\\\+44)$!sip:\\\\1@example.com!\" .".to_owned()),
        (T::Naptr, "100 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.".to_owned()),
        (T::Ns, "ns.example.".to_owned()),
        (T::Ptr, "a-b_c.example.".to_owned()),
        (T::Soa, "ns.example. mail.example. 4294967295 1 2 3 2147483647".to_owned()),
        (T::Spf, "\"v=spf1 -all\"".to_owned()),
        (T::Srv, "1 2 65535 a.example.".to_owned()),
        (T::Sshfp, format!("4 2 {sha256}")),
        (T::Svcb, "16 a.example. mandatory=alpn alpn=h2 no-default-alpn ipv6hint=2001:db8::1".to_owned()),
        (T::Tlsa, format!("3 1 2 {sha512}")),
        (T::Txt, "\"a\" \"\" \"b c;d\"".to_owned()),
    ];
    for (rtype, text) in &values {
        assert_eq!(rdata(*rtype, text), Ok(expected(*rtype, text)), "{rtype} {text}");
    }
    for (rtype, ..) in RecordType::ALL {
        assert!(values.iter().any(|(with, _)| *with == rtype), "{rtype} is not compared");
    }
}

/// A string in quotes, each octet that is not plain escaped by `escape`.
fn quoted(octets: &[u8], escape: fn(u8) -> String) -> String {
    let inner = octets.iter().map(|&octet| match octet {
        b'"' | b'\\' => format!("\\{}", char::from(octet)),
        b' '..=b'~' => char::from(octet).to_string(),
        _ => escape(octet),
    });
    format!("\"{}\"", inner.collect::<String>())
}

/// A name, each octet that is not a letter, a digit or a hyphen escaped by `escape`.
fn dotted(labels: &[Vec<u8>], escape: fn(u8) -> String) -> String {
    let escaped = |&octet: &u8| match octet {
        b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(octet).to_string(),
        _ => escape(octet),
    };
    labels.iter().map(|label| label.iter().map(escaped).collect::<String>() + ".").collect()
}

fn octal_escape(octet: u8) -> String {
    format!("\\{octet:03o}")
}

fn decimal_escape(octet: u8) -> String {
    format!("\\{octet:03}")
}

proptest! {
    #[test]
    fn strings_of_any_octets_read_alike(strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=255), 1..4)) {
        let text = |escape| strings.iter().map(|string| quoted(string, escape)).collect::<Vec<_>>().join(" ");
        for rtype in [T::Txt, T::Spf] {
            prop_assert_eq!(rdata(rtype, &text(octal_escape)), Ok(expected(rtype, &text(decimal_escape))));
        }
        let caa = |escape| format!("0 iodef {}", quoted(&strings[0], escape));
        prop_assert_eq!(rdata(T::Caa, &caa(octal_escape)), Ok(expected(T::Caa, &caa(decimal_escape))));
        let naptr = |escape| format!("1 2 \"u\" {} \"\" .", quoted(&strings[0], escape));
        prop_assert_eq!(rdata(T::Naptr, &naptr(octal_escape)), Ok(expected(T::Naptr, &naptr(decimal_escape))));
    }

    #[test]
    fn names_of_any_octets_read_alike(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=20), 1..=9)) {
        // Route 53 lowers what it stores as a name; a zone file does not.
        let labels: Vec<_> = labels.iter().map(|label| label.to_ascii_lowercase()).collect();
        for (rtype, before, after) in [(T::Cname, "", ""), (T::Mx, "7 ", ""), (T::Soa, "a. ", " 1 2 3 4 5")] {
            let text = |escape| format!("{before}{}{after}", dotted(&labels, escape));
            prop_assert_eq!(rdata(rtype, &text(octal_escape)), Ok(expected(rtype, &text(decimal_escape))));
        }
    }

    #[test]
    fn no_text_panics(at in 0..RecordType::ALL.len(), text in ".{0,60}") {
        let rtype = RecordType::ALL[at].0;
        let _ = rdata(rtype, &text);
        let _ = without_trailing_dots(rtype, &text);
    }
}
