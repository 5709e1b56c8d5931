//! Values by example. Laws over generated RDATA of every type, and the comparison with dnspython, are in `tests/`.

use proptest::prelude::*;
use secondary53_zone::name::Name;

use super::*;

/// Both ways: what we write, and what Route 53 would store for it.
const PAIRS: &[(Rtype, &[u8], &str)] = &[
    (Rtype::A, &[192, 0, 2, 1], "192.0.2.1"),
    (Rtype::AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
    (Rtype::AAAA, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1], "::ffff:192.0.2.1"),
    (Rtype::CNAME, b"\x03www\x07example\x03com\x00", "www.example.com."),
    (Rtype::NS, b"\x02ns\x00", "ns."),
    (Rtype::PTR, b"\x04a.\\b\x00", "a\\056\\134b."),
    (Rtype::CNAME, b"\x01*\x01x\x00", "\\052.x."),
    (Rtype::MX, b"\x00\x0a\x02mx\x00", "10 mx."),
    (Rtype::MX, b"\x00\x00\x00", "0 ."),
    (Rtype::SRV, b"\x00\x01\x00\x02\x01\xbb\x01h\x00", "1 2 443 h."),
    (Rtype::SRV, b"\x00\x00\x00\x00\x00\x00\x00", "0 0 0 ."),
    (Rtype::TXT, b"\x03a b", "\"a b\""),
    (Rtype::TXT, b"\x00", "\"\""),
    (Rtype::TXT, b"\x01a\x00\x01b", "\"a\" \"\" \"b\""),
    (Rtype::TXT, b"\x0a\"\\;\x00\x1f\x20\x7f\x80\xff\xc3", "\"\\\"\\\\;\\000\\037 \\177\\200\\377\\303\""),
    (Rtype::SPF, b"\x0bv=spf1 -all\x00", "\"v=spf1 -all\" \"\""),
    (Rtype::CAA, b"\x80\x05issueca.example; x=\"1\"", "128 issue \"ca.example; x=\\\"1\\\"\""),
    (Rtype::CAA, b"\x00\x05issue", "0 issue \"\""),
    (Rtype::CAA, b"\x00\x09issueMAIL;", "0 issueMAIL \";\""),
    (Rtype::DS, b"\xec\x45\x05\x01\x2b\xb1\x83\xaf\x5f\x22\x58\x81\x79\xa5\x3b\x0a\x98\x63\x1f\xad\x1a\x29\x21\x18",
        "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    (Rtype::DS, b"\x00\x01\x0d\x07\xab", "1 13 7 AB"),
    (Rtype::SSHFP, b"\x04\x01\x12\x34\x56\x78\x9a\xbc\xde\xf6\x78\x90\x12\x34\x56\x78\x9a\xbc\xde\xf6\x78\x90",
        "4 1 123456789ABCDEF67890123456789ABCDEF67890"),
    (Rtype::TLSA, b"\x03\x01\x00\x00", "3 1 0 00"),
    (Rtype::NAPTR, b"\x00\x64\x00\x32\x01s\x0dz3950+I2L+I2C\x00\x05_z395\x00", "100 50 \"s\" \"z3950+I2L+I2C\" \"\" _z395."),
    (Rtype::NAPTR, b"\x00\x64\x00\x0a\x01u\x07E2U+sip\x12!^(.*)$!sip:\\1 \"x!\x00",
        "100 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1 \\\"x!\" ."),
    (Rtype::NAPTR, b"\xff\xff\x00\x00\x00\x00\x00\x00", "65535 0 \"\" \"\" \"\" ."),
    (Rtype::HTTPS, b"\x00\x01\x00", "1 ."),
    (Rtype::HTTPS, b"\x00\x00\x01a\x00", "0 a."),
    (Rtype::SVCB, b"\x7f\xff\x04_dns\x01a\x00", "32767 _dns.a."),
    (
        Rtype::SVCB,
        b"\0\x01\0\0\0\0\x06\0\x01\0\x03\0\x07\0\x01\0\x0c\x08http/1.1\x02h2\0\x02\0\0\0\x03\0\x02\x01\xbb\0\x07\0\x08/q{?dns}",
        "1 . mandatory=alpn,port,dohpath alpn=\"http/1.1,h2\" no-default-alpn port=443 dohpath=/q{?dns}",
    ),
    (
        Rtype::HTTPS,
        b"\0\x01\0\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02\0\x05\0\x06\0\x04\xfe\x0d\0\0\
          \0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x08\0\0",
        "1 . ipv4hint=192.0.2.1,192.0.2.2 ech=AAT+DQAA ipv6hint=2001:db8::1 ohttp",
    ),
    (
        Rtype::SOA,
        b"\x01a\x00\x01b\x00\xff\xff\xff\xff\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x12\x75\x00\x00\x00\x01\x2c",
        "a. b. 4294967295 3600 600 1209600 300",
    ),
];

#[test]
fn rdata_is_written_as_route_53_has_it_and_read_back() {
    for (rtype, rdata, text) in PAIRS {
        assert_eq!(to_text(*rtype, rdata).as_deref(), Ok(*text), "{rtype}");
        assert_eq!(from_text(*rtype, text).as_deref(), Ok(*rdata), "{rtype} {text}");
        assert_eq!(as_held(*rtype, rdata), *rdata);
    }
    for rtype in HELD {
        assert!(PAIRS.iter().any(|(with, ..)| *with == rtype), "{rtype} has no example");
    }
}

#[test]
fn the_spellings_of_others_are_read() {
    let long = format!("\"{}\"", "x".repeat(255));
    let ds = "1 13 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF";
    let spelt = ds.to_ascii_lowercase().replace("1 13 2", " 0001 013  02").replace("89abcdef", "89 aBc\tdef ");
    for (rtype, text, same) in [
        (Rtype::CNAME, "WWW.Example.COM", "www.example.com."),
        (Rtype::CNAME, " www.example.com. ", "www.example.com."),
        (Rtype::CNAME, "*.\\101b\\.c", "\\052.ab\\056c."),
        (Rtype::MX, "0010\t mx.example", "10 mx.example."),
        (Rtype::MX, "000000 .", "0 ."),
        (Rtype::SRV, "01  02 00443 H", "1 2 443 h."),
        (Rtype::AAAA, "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        (Rtype::AAAA, "2001:0db8:85a3:0:0:8a2e:0370:7334", "2001:db8:85a3::8a2e:370:7334"),
        (Rtype::AAAA, "::FFFF:c000:201", "::ffff:192.0.2.1"),
        (Rtype::AAAA, "0::192.0.2.1", "::c000:201"),
        (Rtype::TXT, "\"a\"\"b\"", "\"a\" \"b\""),
        (Rtype::TXT, "a\"b\" c\\\"d", "\"a\" \"b\" \"c\\\"d\""),
        (Rtype::TXT, "  \"a\"   \"b\" ", "\"a\" \"b\""),
        (Rtype::TXT, "token", "\"token\""),
        (Rtype::TXT, "\"\\101\\x\\040\"", "\"Ax \""),
        (Rtype::TXT, "\"é\t\"", "\"\\303\\251\\011\""),
        (Rtype::TXT, &long, &long),
        (Rtype::SPF, "v=spf1\"-all\"", "\"v=spf1\" \"-all\""),
        (Rtype::CAA, "0 issue ca.example", "0 issue \"ca.example\""),
        (Rtype::CAA, "000  \"issue\"\t\"ca.example\"", "0 issue \"ca.example\""),
        (Rtype::DS, &spelt, ds),
        (Rtype::SSHFP, "04 03 aB cD", "4 3 ABCD"),
        (Rtype::TLSA, "3 1 0 a B c D", "3 1 0 ABCD"),
        (Rtype::NAPTR, "0100 010 U E2U+sip !^.*$!sip:\\\\1@x! .", "100 10 \"U\" \"E2U+sip\" \"!^.*$!sip:\\\\1@x!\" ."),
        (Rtype::NAPTR, "1 2 \"s\"\"SIP+D2U\"\"\" _SIP._udp", "1 2 \"s\" \"SIP+D2U\" \"\" _sip._udp."),
        (Rtype::SVCB, "001 A.Example ", "1 a.example."),
        (Rtype::HTTPS, "1 . port=00443  alpn=h2,h3", "1 . alpn=\"h2,h3\" port=443"),
        (Rtype::HTTPS, "1 . ALPN=\"\\150\\062\" No-Default-ALPN=\"\"", "1 . alpn=\"h2\" no-default-alpn"),
        (Rtype::HTTPS, "1 . ohttp= ech=\"AAT+DQAA\"", "1 . ech=AAT+DQAA ohttp"),
        (Rtype::HTTPS, "1 . ech=AAX+DQABAA", "1 . ech=AAX+DQABAA=="),
        (Rtype::HTTPS, "1 . mandatory=port,ALPN port=1 alpn=h2", "1 . mandatory=\"alpn,port\" alpn=\"h2\" port=1"),
        (Rtype::HTTPS, "1 . ipv6hint=2001:DB8:0::1,::1", "1 . ipv6hint=\"2001:db8::1,0:0::1\""),
        (Rtype::SVCB, "1 . dohpath=\"/q{?dns}\"", "1 . dohpath=/q{?dns}"),
        (Rtype::SOA, "NS. Host. 01 2 3 4 5", "ns. host. 1 2 3 4 5"),
    ] {
        assert_eq!(from_text(rtype, text), from_text(rtype, same), "{text}");
        assert!(from_text(rtype, same).is_ok(), "{same}");
    }
}

#[test]
fn lists_of_alpn_ids_are_unescaped_twice() {
    // RFC 9460 appendix D.2: the same ids, `f\oo,bar` and `h2`, in two spellings; the octal one is Route 53's.
    let wire = b"\0\x10\x03foo\x07example\x03org\0\0\x01\0\x0c\x08f\\oo,bar\x02h2";
    for text in
        ["16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", "16 foo.example.org. alpn=f\\134\\134oo\\134,bar,h2"]
    {
        assert_eq!(from_text(Rtype::SVCB, text).as_deref(), Ok(&wire[..]), "{text}");
    }
    assert!(matches!(to_text(Rtype::SVCB, wire), Err(ValueError::NotHeld(_))));
}

#[test]
fn what_does_not_read_is_an_error() {
    for (rtype, text) in [
        (Rtype::A, "192.0.2"),
        (Rtype::A, "192.0.2.1 192.0.2.2"),
        (Rtype::A, ""),
        (Rtype::A, "192.0.2.010"),
        (Rtype::AAAA, "::ffff:192.0.2.010"),
        (Rtype::AAAA, "fe80::1%1"),
        (Rtype::MX, "mx."),
        (Rtype::MX, "+1 mx."),
        (Rtype::MX, "65536 mx."),
        (Rtype::CNAME, "a..b"),
        (Rtype::CNAME, "a\\400."),
        (Rtype::CNAME, "a\\"),
        (Rtype::TXT, ""),
        (Rtype::TXT, "\"a"),
        (Rtype::TXT, "\"a\\"),
        (Rtype::TXT, "\"\\777\""),
        (Rtype::TXT, "\"\\19x\""),
        (Rtype::CAA, "256 issue \"x\""),
        (Rtype::CAA, "0 issue"),
        (Rtype::DS, "1 13 2"),
        (Rtype::DS, "1 13 2 ABC"),
        (Rtype::DS, "1 13 2 ABCG"),
        (Rtype::TLSA, "1 13 256 AB"),
        (Rtype::NAPTR, "1 2 \"a\" \"b\" ."),
        (Rtype::NAPTR, "1 2 \"a\" \"b\" \"c\" . ."),
        (Rtype::HTTPS, "1"),
        (Rtype::HTTPS, "1 . port"),
        (Rtype::HTTPS, "1 . port=65536"),
        (Rtype::HTTPS, "1 . port=1 port=1"),
        (Rtype::HTTPS, "1 . =1"),
        (Rtype::HTTPS, "1 . key65000=x"),
        (Rtype::HTTPS, "1 . alpn=h2,,h3"),
        (Rtype::HTTPS, "1 . alpn=h2\\\\"),
        (Rtype::HTTPS, "1 . alpn=\"h2"),
        (Rtype::HTTPS, "1 . mandatory=what"),
        (Rtype::HTTPS, "1 . ohttp=x"),
        (Rtype::HTTPS, "1 . ech=?"),
        (Rtype::HTTPS, "1 . ipv4hint=192.0.2.01"),
        (Rtype::HTTPS, "1 . ipv6hint="),
        (Rtype::LOC, "1"),
    ] {
        assert!(from_text(rtype, text).is_err(), "{rtype} {text:?}");
    }
    assert!(from_text(Rtype::TXT, &format!("\"{}\"", "x".repeat(256))).is_err());
    let long = format!("1 . dohpath={}", "x".repeat(65536));
    assert!(from_text(Rtype::SVCB, &long).is_err());
}

#[test]
fn what_route_53_does_not_hold_is_not_written() {
    let digits = |head: &[u8], length: usize| [head, &vec![0xab; length]].concat();
    for (rtype, right, wrong) in [
        (Rtype::DS, digits(&[0, 1, 13, 1], 20), digits(&[0, 1, 13, 1], 21)),
        (Rtype::DS, digits(&[0, 1, 13, 2], 32), digits(&[0, 1, 13, 2], 31)),
        (Rtype::DS, digits(&[0, 1, 13, 4], 48), digits(&[0, 1, 13, 4], 32)),
        (Rtype::DS, digits(&[0, 1, 13, 6], 32), digits(&[0, 1, 13, 6], 20)),
        (Rtype::DS, digits(&[0, 1, 13, 7], 1), digits(&[0, 1, 13, 7], 0)),
        (Rtype::DS, digits(&[0, 1, 13, 255], 99), digits(&[0, 1, 13, 0], 20)),
        (Rtype::SSHFP, digits(&[4, 1], 20), digits(&[4, 1], 32)),
        (Rtype::SSHFP, digits(&[4, 2], 32), digits(&[4, 2], 20)),
        (Rtype::SSHFP, digits(&[4, 3], 1), digits(&[4, 3], 0)),
        (Rtype::TLSA, digits(&[3, 1, 1], 32), digits(&[3, 1, 1], 64)),
        (Rtype::TLSA, digits(&[3, 1, 2], 64), digits(&[3, 1, 2], 32)),
        (Rtype::TLSA, digits(&[0, 0, 0], 1), digits(&[0, 0, 0], 0)),
        (Rtype::TLSA, digits(&[3, 0, 0], 1), digits(&[4, 0, 0], 1)),
        (Rtype::TLSA, digits(&[3, 1, 0], 1), digits(&[3, 2, 0], 1)),
        (Rtype::TLSA, digits(&[3, 1, 0], 1), digits(&[3, 1, 3], 1)),
        (Rtype::CAA, b"\0\x02abx".to_vec(), b"\0\x03a-bx".to_vec()),
        (Rtype::CAA, b"\0\x01bx".to_vec(), b"\0\0x".to_vec()),
        (Rtype::NS, b"\x01a\0".to_vec(), b"\0".to_vec()),
        (Rtype::PTR, b"\x01a\0".to_vec(), b"\0".to_vec()),
        (Rtype::CNAME, b"\x01a\0".to_vec(), b"\0".to_vec()),
        (Rtype::NAPTR, b"\0\x01\0\x02\x01u\x01s\x03!!!\0".to_vec(), b"\0\x01\0\x02\x01u\x01s\x03!!!\x01a\0".to_vec()),
        (Rtype::NAPTR, b"\0\x01\0\x02\x01u\0\0\0".to_vec(), b"\0\x01\0\x02\x01-\0\0\0".to_vec()),
        (Rtype::HTTPS, b"\x7f\xff\0".to_vec(), b"\x80\0\0".to_vec()),
        (Rtype::HTTPS, b"\0\x01\0\0\x03\0\x02\0\0".to_vec(), b"\0\0\0\0\x03\0\x02\0\0".to_vec()),
        (Rtype::SVCB, b"\0\x01\0\0\x01\0\x03\x02h2".to_vec(), b"\0\x01\0\0\x01\0\x03\x02h,".to_vec()),
        (Rtype::SVCB, b"\0\x01\0\0\x01\0\x03\x02h/".to_vec(), b"\0\x01\0\0\x01\0\x03\x02h\x0a".to_vec()),
        (Rtype::SVCB, b"\0\x01\0\0\x07\0\x08/q{?dns}".to_vec(), b"\0\x01\0\0\x07\0\x07/q{?dn}".to_vec()),
        (Rtype::SVCB, b"\0\x01\0\0\x07\0\x08/q{?dns}".to_vec(), b"\0\x01\0\0\x07\0\x08qq{?dns}".to_vec()),
    ] {
        assert!(to_text(rtype, &right).is_ok(), "{rtype} {right:?}");
        let why = to_text(rtype, &wrong);
        assert!(matches!(why, Err(ValueError::NotHeld(_))), "{rtype} {wrong:?} {why:?}");
    }
    assert_eq!(to_text(Rtype::SVCB, b"\0\x01\0\xfe\0\0\0"), Err(ValueError::Key(65024)));
    assert_eq!(to_text(Rtype::SVCB, b"\0\x01\0\0\0\0\x02\0\x0a\0\x0a\0\0"), Err(ValueError::Key(10)));
    assert_eq!(to_text(Rtype::SVCB, b"\0\x01\0\0\x03\0\x01\0"), Err(ValueError::Params(SvcbError::Value(3))));
    assert_eq!(to_text(Rtype::A, &[1, 2, 3]), Err(ValueError::Rdata(rdata::RdataError::CutShort)));
    assert_eq!(to_text(Rtype::LOC, &[0; 16]), Err(ValueError::Type(Rtype::LOC)));
}

#[test]
fn the_target_of_a_service_is_the_same_in_any_case() {
    let upper = b"\0\x01\x04WWW.\x01X\0\0\x01\0\x03\x02H2";
    let lower = b"\0\x01\x04www.\x01x\0\0\x01\0\x03\x02H2";
    for rtype in [Rtype::SVCB, Rtype::HTTPS] {
        assert_eq!(as_held(rtype, upper), &lower[..]);
        let text = to_text(rtype, upper).unwrap();
        assert_eq!(text, "1 www\\056.x. alpn=\"H2\"");
        assert_eq!(from_text(rtype, &text).as_deref(), Ok(&lower[..]));
        // What does not read stays as it is.
        assert_eq!(as_held(rtype, b"\0\x01\x04WWW"), &b"\0\x01\x04WWW"[..]);
    }
    // Octets that merely look like a name are left alone.
    assert_eq!(as_held(Rtype::TXT, b"\x04ABCD\0"), &b"\x04ABCD\0"[..]);
}

#[test]
fn names_are_octal_both_ways() {
    for (text, zone_file) in [
        ("\\052.example.com.", "*.example.com."),
        ("a.\\052.example.com.", "a.*.example.com."),
        ("\\052a.example.com.", "*a.example.com."),
        ("0\\05725.2.0.192.in-addr.arpa.", "0/25.2.0.192.in-addr.arpa."),
        ("a\\056b.example.", "a\\.b.example."),
        ("\\100.example.", "\\@.example."),
        ("a\\134b\\042\\040.example.", "a\\\\b\\\"\\032.example."),
        ("_dmarc._sub.example.", "_DMARC._Sub.EXAMPLE."),
        ("\\000\\377_-9.", "\\000\\255_-9."),
        ("\\303\\251.", "\\195\\169."),
        (".", "."),
    ] {
        let name = Name::parse(zone_file).unwrap();
        assert_eq!(name_text(name.by_ref()), text);
        assert_eq!(parse_name(text), Ok(name));
    }
    assert_eq!(parse_name("*.Example.com"), parse_name("\\052.example.com."));
    assert_eq!(parse_name("\\101.B"), parse_name("a.b."));
    assert!(parse_name("").is_err() && parse_name("a..").is_err() && parse_name("\\8").is_ok());
}

#[test]
fn the_longest_labels_and_names_are_held() {
    let label = "\\377".repeat(63);
    let name = parse_name(&label).unwrap();
    assert_eq!(name_text(name.by_ref()), format!("{label}."));
    assert_eq!(parse_name(&"\\377".repeat(64)), Err(NameError::LabelTooLong));
    // 127 labels of one octet are 255 octets with the root; the text is five times as long.
    let longest = "\\052.".repeat(127);
    assert_eq!(name_text(parse_name(&longest).unwrap().by_ref()), longest);
    assert_eq!(parse_name(&format!("{}aa.", "a.".repeat(126))), Err(NameError::NameTooLong));
    let rdata = parse_name(&longest).unwrap().as_wire().to_vec();
    assert_eq!(from_text(Rtype::CNAME, &to_text(Rtype::CNAME, &rdata).unwrap()), Ok(rdata));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), which in 0..HELD.len()) {
        let _ = from_text(HELD[which], &text);
        let _ = parse_name(&text);
    }

    /// Text that is nearly right gets further than text that is anything.
    #[test]
    fn text_that_is_nearly_right_is_read_or_refused(
        which in 0..PAIRS.len(), at in any::<prop::sample::Index>(), with in "[ -~]{0,3}", cut in 0..3_usize,
    ) {
        let (rtype, _, text) = PAIRS[which];
        let at = at.index(text.len() + 1);
        let end = (at + cut).min(text.len());
        if let Ok(rdata) = from_text(rtype, &format!("{}{with}{}", &text[..at], &text[end..]))
            && let Ok(again) = to_text(rtype, &rdata)
        {
            prop_assert_eq!(from_text(rtype, &again).unwrap(), rdata);
        }
    }

    #[test]
    fn any_octets_are_written_or_refused(which in 0..HELD.len(), rdata in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(text) = to_text(HELD[which], &rdata) {
            prop_assert!(text.is_ascii());
            let held = as_held(HELD[which], &rdata).to_ascii_lowercase();
            // Names come back in lower case; strings keep theirs, which the laws in `tests/` see to.
            prop_assert_eq!(from_text(HELD[which], &text).unwrap().to_ascii_lowercase(), held);
        }
    }
}
