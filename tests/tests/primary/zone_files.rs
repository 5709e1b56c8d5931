//! Reading zone files, and the arithmetic of serials.

use secondary53_tests::primary::{ODD_ZONE, ZoneFile, ZoneFileError, newer};

use crate::wire::name;

#[test]
fn errors_name_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.zone");
    let soa = "$ORIGIN example.com.\n$TTL 60\n@ SOA ns host (\n 1 2 3\n 4 5 )\n";
    for (line, last) in [
        (6, "www A 192.0.2\n"),
        (6, "www A\n"),
        (6, "www A 192.0.2.1 192.0.2.2\n"),
        (6, "www NOSUCHTYPE 1\n"),
        (7, "www A 192.0.2.1\nwww.example.org. A 192.0.2.1\n"),
        (8, "\n; ( a \" comment\n@ SOA ns host 1 2 3 4 5"),
        (6, "www CH TXT x\n"),
        (6, "www TXT (0;\n"),
        (6, "www SOA \\# 0\n"),
        (6, "a TXT \"two\nlines\" ( \n"),
        (6, &format!("{}.com. A 192.0.2.1\n", "x".repeat(64))),
    ] {
        std::fs::write(&path, format!("{soa}{last}")).unwrap();
        let error = ZoneFile::read(&path, None).unwrap_err();
        let named = matches!(&error, ZoneFileError::Line { file, line: at, .. } if *file == path && *at == line);
        assert!(named, "{last:?} is in line {line}, but: {error}");
    }
    assert!(matches!(ZoneFile::parse("\n"), Err(ZoneFileError::NoSoa { .. })));
    let missing = ZoneFile::read(directory.path().join("none"), None).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
    std::fs::write(&path, "$INCLUDE bad.zone\n").unwrap();
    let deep = ZoneFile::read(&path, Some("example.com.")).unwrap_err();
    assert!(deep.to_string().contains("deeper"), "{deep}");
}

#[test]
fn odd_records_are_read_as_they_stand() {
    let odd = ZoneFile::parse(ODD_ZONE).unwrap();
    let of = |owner: &str| odd.records().iter().find(|r| r.owner == name(owner)).unwrap();
    assert_eq!(odd.serial(), 2_147_483_649);
    assert_eq!(
        (of("private.odd.example.").rtype.to_int(), &of("private.odd.example.").rdata[..]),
        (65280, &[1, 2, 3, 4][..])
    );
    assert_eq!((of("empty.odd.example.").rtype.to_int(), of("empty.odd.example.").rdata.len()), (65281, 0));
    assert_eq!(&of("long-tag.odd.example.").rdata[..], b"\x00\x14abcdefghijklmnopqrst12345");
    assert_eq!(of("mixed.case.odd.example.").owner.to_string(), "MiXeD.CaSe.odd.example");
    assert_eq!(of("a\\.b.c\\032d.odd.example.").owner.as_slice(), b"\x03a.b\x03c d\x03odd\x07example\x00");
}

#[test]
fn serials_compare_as_rfc_1982_says() {
    assert!(newer(1, 0) && newer(0, u32::MAX) && newer(1 << 31, 1) && newer(5, 0xffff_fff0));
    assert!(!newer(0, 0) && !newer(0, 1) && !newer(1 << 31, 0) && !newer(0, 1 << 31) && !newer(u32::MAX, 0));
}

/// Lines that look like entries for long enough to reach the readers of each type's data.
const ENTRIES: &str = concat!(
    r#"((@|w|\$TTL|\$ORIGIN|)( 60)?( IN)?( (A|AAAA|CAA|DS|HTTPS|LOC|MX|NAPTR|SOA|SRV|TXT|TYPE65280|TYPE65280 \\#))? "#,
    r#"(\PC|[\x00-\x20"();\$@\\.=]|[0-9]{1,3}|[a-z]{1,2}|alpn=|[0-9a-f]{2} ){0,12}\n?){1,5}"#,
);

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ENTRIES) {
        if let Ok(zone) = ZoneFile::parse_in("example.com.", &text) {
            proptest::prop_assert_eq!(zone.apex(), &zone.soa().owner);
        }
    }
}
