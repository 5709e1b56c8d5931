use super::*;

#[track_caller]
fn taken(rtype: RecordType, text: &str, wire: &[u8]) {
    assert_eq!(rdata(rtype, text).as_deref(), Ok(wire), "{rtype} {text}");
}

#[track_caller]
fn refused(rtype: RecordType, texts: &[&str]) {
    for text in texts {
        assert!(rdata(rtype, text).is_err(), "{rtype} {text:?} was taken");
    }
}

#[test]
fn the_table_of_types_is_in_the_order_of_the_variants_and_of_their_names() {
    for (at, (rtype, name, code)) in RecordType::ALL.into_iter().enumerate() {
        assert_eq!(rtype as usize, at);
        assert_eq!(RecordType::parse(name), Some(rtype));
        assert_eq!(hickory_proto::rr::RecordType::from(code).to_string(), name.replace("SPF", "Unknown"));
    }
    assert!(RecordType::ALL.is_sorted_by_key(|(_, name, _)| name));
}

#[test]
fn addresses() {
    taken(T::A, "192.0.2.1", &[192, 0, 2, 1]);
    refused(T::A, &["", "192.0.2", "192.0.2.256", "192.0.2.01", " 192.0.2.1", "192.0.2.1 ", "::1", "a.example"]);
    taken(T::Aaaa, "2001:DB8::1", &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    refused(T::Aaaa, &["192.0.2.1", "2001:db8::1::", "2001:db8", "fe80::1%1", "::1/64"]);
}

#[test]
fn names() {
    for rtype in [T::Cname, T::Ns, T::Ptr] {
        taken(rtype, "A.b", b"\x01a\x01b\0");
        taken(rtype, "a\\056c.b.", b"\x03a.c\x01b\0");
        refused(rtype, &["", ".", "a b", "a..b", "\"a.b\"  ", "a.b. ", "a\\.b"]);
    }
    taken(T::Mx, "10 a.b.", b"\0\x0a\x01a\x01b\0");
    taken(T::Mx, "0 .", b"\0\0\0");
    refused(T::Mx, &["a.b.", "10", "65536 a.", "-1 a.", "+1 a.", "10  a.", "10 a. b."]);
    taken(T::Srv, "1 2 443 a.", b"\0\x01\0\x02\x01\xbb\x01a\0");
    refused(T::Srv, &["1 2 a.", "1 2 65536 a.", "1 2 3"]);
    taken(
        T::Soa,
        "a. b. 4294967295 1 2 3 2147483647",
        b"\x01a\0\x01b\0\xff\xff\xff\xff\0\0\0\x01\0\0\0\x02\0\0\0\x03\x7f\xff\xff\xff",
    );
    refused(T::Soa, &["a. b. 4294967296 1 2 3 4", "a. b. 1 1 2 3", "a. b. 1 1 2 3 2147483648", "a. b. 1 1 2 3 4 5"]);
}

#[test]
fn strings() {
    for rtype in [T::Txt, T::Spf] {
        taken(rtype, r#""v=spf1 -all""#, b"\x0bv=spf1 -all");
        taken(rtype, r#""a" "b""#, b"\x01a\x01b");
        taken(rtype, r#""a""b""#, b"\x01a\x01b");
        taken(rtype, r#""""#, b"\0");
        taken(rtype, r#""\"\\\000\377\101;""#, b"\x06\"\\\0\xffA;");
        taken(rtype, &format!("\"{}\"", "x".repeat(255)), &[&[255][..], &[b'x'; 255]].concat());
        taken(rtype, &format!("\"{}\"", "\\377".repeat(255)), &[&[255][..], &[255; 255]].concat());
        refused(
            rtype,
            &["", "a", "\"a", "a\"", "\"a\" b", "\"a\"  \"b\"", "\"a\" ", "\"\\09\"", "\"\\400\"", "\"\\a\""],
        );
        refused(rtype, &["\"é\"", "\"\t\"", "\"\u{7f}\"", &format!("\"{}\"", "x".repeat(256))]);
    }
    taken(T::Caa, r#"0 issue "ca.example; policy=ev""#, b"\0\x05issueca.example; policy=ev");
    taken(T::Caa, r#"128 issue "\"""#, b"\x80\x05issue\"");
    taken(T::Caa, r#"128 example-text-tag "1-555""#, b"\x80\x10example-text-tag1-555");
    taken(T::Caa, r#"0 iodef """#, b"\0\x05iodef");
    refused(T::Caa, &["0 issue ca.example", "256 issue \"a\"", "0 is_sue \"a\"", "0 issue", "0 issue \"a\" \"b\""]);
    refused(T::Caa, &[&format!("0 {} \"a\"", "a".repeat(256))]);
    taken(
        T::Naptr,
        r#"100 10 "U" "E2U+sip" "!^.*$!sip:\\1 x@example.com!" ."#,
        b"\0\x64\0\x0a\x01U\x07E2U+sip\x1b!^.*$!sip:\\1 x@example.com!\0",
    );
    taken(T::Naptr, r#"1 2 "" "" "" a."#, b"\0\x01\0\x02\0\0\0\x01a\0");
    refused(
        T::Naptr,
        &[r#"1 2 "U" "x" "!a!b!" a."#, r#"1 2 "U" "x" "\1x" ."#, r#"1 2 U "x" "" ."#, r#"1 2 "!" "" "" ."#],
    );
}

#[test]
fn digits() {
    let (sha1, sha256) = ("0a".repeat(20), "Fb".repeat(32));
    taken(T::Ds, &format!("60485 5 1 {sha1}"), &[&[0xec, 0x45, 5, 1][..], &[10; 20]].concat());
    taken(T::Sshfp, &format!("4 2 {sha256}"), &[&[4, 2][..], &[0xfb; 32]].concat());
    taken(T::Tlsa, &format!("3 1 1 {sha256}"), &[&[3, 1, 1][..], &[0xfb; 32]].concat());
    taken(T::Tlsa, "3 0 0 00", &[3, 0, 0, 0]);
    refused(T::Ds, &[&format!("1 5 2 {sha1}"), "1 5 1", "1 5 1 0a 0a", "1 5 3 0", "1 5 3 0g"]);
    refused(T::Sshfp, &[&format!("4 1 {sha256}"), "4 2"]);
    refused(T::Tlsa, &["4 0 0 00", "3 2 0 00", "3 0 3 00", "3 1 1 00"]);
}

#[test]
fn services() {
    for rtype in [T::Svcb, T::Https] {
        taken(rtype, "0 a.", b"\0\0\x01a\0");
        taken(rtype, "32767 .", b"\x7f\xff\0");
        taken(
            rtype,
            "1 . port=443 alpn=\"h3,h2\" no-default-alpn",
            b"\0\x01\0\0\x01\0\x06\x02h3\x02h2\0\x02\0\0\0\x03\0\x02\x01\xbb",
        );
        taken(rtype, "1 . ipv4hint=192.0.2.1,192.0.2.2", b"\0\x01\0\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02");
        taken(
            rtype,
            "1 . mandatory=port,alpn alpn=h2 port=1",
            b"\0\x01\0\0\0\0\x04\0\x01\0\x03\0\x01\0\x03\x02h2\0\x03\0\x02\0\x01",
        );
        taken(
            rtype,
            "1 . ech=AAE= dohpath=/q{?dns} ohttp",
            b"\0\x01\0\0\x05\0\x02\0\x01\0\x07\0\x08/q{?dns}\0\x08\0\0",
        );
        taken(rtype, "1 . ipv6hint=::1", b"\0\x01\0\0\x06\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
        refused(rtype, &["32768 .", "1", "1 . key65000=a", "1 . key3=a", "1 . port", "1 . port=65536", "1 . ohttp=1"]);
        refused(
            rtype,
            &["1 . alpn=h2 alpn=h3", "1 . no-default-alpn", "1 . mandatory=port", "0 a. alpn=h2", "1 . alpn="],
        );
        refused(
            rtype,
            &["1 . alpn=\"h2", "1 . ech=?", "1 . ipv4hint=::1", "1 . dohpath=/q", "1 . alpn=h2 ", "1 . PORT=1"],
        );
    }
}

#[test]
fn trailing_dots_are_told_from_dots_that_matter() {
    assert_eq!(without_trailing_dots(T::Mx, "10 a.b."), "10 a.b");
    assert_eq!(without_trailing_dots(T::Mx, "0 ."), "0 .");
    assert_eq!(without_trailing_dots(T::Soa, "a. b. 1 2 3 4 5"), "a b 1 2 3 4 5");
    assert_eq!(without_trailing_dots(T::Https, "1 a. alpn=x."), "1 a alpn=x.");
    assert_eq!(without_trailing_dots(T::Txt, "\"a.\" b."), "\"a.\" b.");
}
