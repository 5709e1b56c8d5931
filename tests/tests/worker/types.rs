//! Every type through its life, and what happens between types at one name.

use secondary53_zone::message::Reason;

use super::log::Log;
use super::{ID, Row, World, held, zone};

/// Owner, type, and three values: as a zone file has them, and as Route 53 does.
struct Sample {
    owner: &'static str,
    rtype: &'static str,
    values: [(&'static str, &'static str); 3],
}

#[rustfmt::skip]
const SAMPLES: &[Sample] = &[
    Sample { owner: "a", rtype: "A", values: [("192.0.2.1", "192.0.2.1"), ("192.0.2.2", "192.0.2.2"), ("192.0.2.3", "192.0.2.3")] },
    Sample { owner: "aaaa", rtype: "AAAA", values: [("2001:DB8::1", "2001:db8::1"), ("::", "::"), ("2001:db8:0:0:1::", "2001:db8:0:0:1::")] },
    Sample { owner: "caa", rtype: "CAA", values: [("0 issue \"a\"", "0 issue \"a\""), ("128 iodef \"mailto:a\\\"b\"", "128 iodef \"mailto:a\\\"b\""), ("0 issue \";\"", "0 issue \";\"")] },
    Sample { owner: "ds", rtype: "DS", values: [
        ("1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "1 13 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"),
        ("2 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "2 13 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"),
        ("3 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", "3 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    ] },
    Sample { owner: "https", rtype: "HTTPS", values: [("1 . alpn=h2,h3", "1 . alpn=\"h2,h3\""), ("2 Pool.Example.NET. port=8443", "2 pool.example.net. port=8443"), ("3 . ipv4hint=192.0.2.1 ech=AAT+DQAA ipv6hint=2001:db8::1", "3 . ipv4hint=192.0.2.1 ech=AAT+DQAA ipv6hint=2001:db8::1")] },
    Sample { owner: "mx", rtype: "MX", values: [("10 mx1", "10 mx1.example.com."), ("20 MX2", "20 mx2.example.com."), ("0 .", "0 .")] },
    Sample { owner: "naptr", rtype: "NAPTR", values: [
        ("100 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1@x!\" .", "100 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1@x!\" ."),
        ("100 20 \"s\" \"SIP+D2U\" \"\" _SIP._udp", "100 20 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.com."),
        ("1 2 \"\" \"\" \"\" a", "1 2 \"\" \"\" \"\" a.example.com."),
    ] },
    Sample { owner: "ns", rtype: "NS", values: [("ns1.ns", "ns1.ns.example.com."), ("ns2.Example.NET.", "ns2.example.net."), ("ns3.ns", "ns3.ns.example.com.")] },
    Sample { owner: "0/25", rtype: "PTR", values: [("a", "a.example.com."), ("a\\.b", "a\\056b.example.com."), ("x.", "x.")] },
    Sample { owner: "spf", rtype: "TYPE99", values: [("\\# 12 0b763d73706631202d616c6c", "\"v=spf1 -all\""), ("\\# 1 00", "\"\""), ("\\# 4 01610162", "\"a\" \"b\"")] },
    Sample { owner: "_srv._tcp", rtype: "SRV", values: [("1 2 443 a", "1 2 443 a.example.com."), ("0 0 0 .", "0 0 0 ."), ("1 2 444 a", "1 2 444 a.example.com.")] },
    Sample { owner: "sshfp", rtype: "SSHFP", values: [("4 1 123456789abcdef67890123456789abcdef67890", "4 1 123456789ABCDEF67890123456789ABCDEF67890"), ("1 1 123456789abcdef67890123456789abcdef67890", "1 1 123456789ABCDEF67890123456789ABCDEF67890"), ("4 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "4 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF")] },
    Sample { owner: "_svcb", rtype: "SVCB", values: [("1 . mandatory=port port=1", "1 . mandatory=port port=1"), ("0 Alias", "0 alias.example.com."), ("2 . alpn=h2 no-default-alpn dohpath=/q{?dns}", "2 . alpn=\"h2\" no-default-alpn dohpath=/q{?dns}")] },
    Sample { owner: "_443._tcp", rtype: "TLSA", values: [("3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "3 1 1 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"), ("3 1 0 ab", "3 1 0 AB"), ("2 0 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "2 0 1 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF")] },
    Sample { owner: "txt", rtype: "TXT", values: [("\"a\\\"b\\\\c;\" \"\" \"\\195\\169\\000\"", "\"a\\\"b\\\\c;\" \"\" \"\\303\\251\\000\""), ("\"A\"", "\"A\""), ("\"a\"", "\"a\"")] },
    // Alone at its name, and alone in its RRset.
    Sample { owner: "cname", rtype: "CNAME", values: [("a", "a.example.com."), ("B", "b.example.com."), ("C.", "c.")] },
];

/// Which of the values are there, in each state of the zone, and which there are of a CNAME.
const STATES: &[(&str, &[usize], &[usize])] = &[
    ("created", &[0], &[0]),
    ("changed", &[1], &[1]),
    ("grown", &[1, 2], &[2]),
    ("grown again", &[0, 1, 2], &[2]),
    ("shrunk", &[2], &[0]),
    ("deleted", &[], &[]),
];

#[tokio::test]
async fn every_type_is_created_changed_grown_shrunk_and_deleted() {
    let world = World::start().await;
    assert_eq!(SAMPLES.len() + 1, secondary53_lambda::value::HELD.len(), "all but the SOA");
    for (serial, (state, those, of_cname)) in (7..).zip(STATES) {
        let mut records = String::new();
        let mut expected = Vec::new();
        for Sample { owner, rtype, values } in SAMPLES {
            let those = if *rtype == "CNAME" { *of_cname } else { *those };
            let chosen = those.iter().map(|index| values[*index]);
            records.extend(chosen.clone().map(|(zone_file, _)| format!("{owner} {rtype} {zone_file}\n")));
            let name = format!("{}.example.com.", owner.replace('/', "\\057"));
            let rtype = if *rtype == "TYPE99" { "SPF" } else { *rtype };
            expected.push((name, rtype, chosen.map(|(_, text)| text).collect::<Vec<_>>()));
        }
        let rows: Vec<Row<'_>> = expected
            .iter()
            .filter(|(.., values)| !values.is_empty())
            .map(|(name, rtype, values)| (name.as_str(), *rtype, 300, values.as_slice()))
            .collect();
        let zone = zone(serial, &records);
        world.sync_approved(&zone, Reason::Notify).await;
        assert_eq!(world.hosted(), held(&rows), "{state}");
        assert_eq!(world.serial(), serial);
        assert_eq!(world.calls()["ChangeResourceRecordSets"], 1, "{state}");
        // Read back, nothing of it differs.
        world.sync_approved(&zone, Reason::Audit).await;
        assert!(!world.calls().contains_key("ChangeResourceRecordSets"), "{state}");
    }
}

/// Each state in one request, whatever was there before.
async fn goes_through(steps: &[(&str, &[Row<'_>])]) {
    let world = World::start().await;
    for (serial, (records, expected)) in (7..).zip(steps) {
        world.sync_approved(&zone(serial, records), Reason::Notify).await;
        assert_eq!(world.hosted(), held(expected), "{records}");
        assert_eq!(world.serial(), serial);
        assert_eq!(world.calls()["ChangeResourceRecordSets"], 1);
    }
}

#[tokio::test]
async fn an_address_becomes_a_cname_and_an_address_again() {
    let (address, cname): (Row<'_>, Row<'_>) =
        (("w.example.com.", "A", 300, &["192.0.2.1"]), ("w.example.com.", "CNAME", 300, &["x.example.com."]));
    goes_through(&[("w A 192.0.2.1", &[address]), ("w CNAME x", &[cname]), ("w A 192.0.2.1", &[address])]).await;
}

#[tokio::test]
async fn a_cname_becomes_all_that_it_excluded() {
    let cname: Row<'_> = ("w.example.com.", "CNAME", 300, &["x.example.com."]);
    goes_through(&[
        ("w CNAME x", &[cname]),
        ("w MX 1 m", &[("w.example.com.", "MX", 300, &["1 m.example.com."])]),
        ("w CNAME x", &[cname]),
        (
            "w HTTPS 0 x\nw TXT t\nw CAA 0 issue \";\"\nw AAAA ::1",
            &[
                ("w.example.com.", "HTTPS", 300, &["0 x.example.com."]),
                ("w.example.com.", "TXT", 300, &["\"t\""]),
                ("w.example.com.", "CAA", 300, &["0 issue \";\""]),
                ("w.example.com.", "AAAA", 300, &["::1"]),
            ],
        ),
        ("w CNAME x", &[cname]),
    ])
    .await;
}

#[tokio::test]
async fn wildcards_come_change_and_go() {
    goes_through(&[
        (
            "* A 192.0.2.1\n*.a.b TXT t\na.*.b TXT inside\n*c TXT part",
            &[
                ("\\052.example.com.", "A", 300, &["192.0.2.1"]),
                ("\\052.a.b.example.com.", "TXT", 300, &["\"t\""]),
                ("a.\\052.b.example.com.", "TXT", 300, &["\"inside\""]),
                ("\\052c.example.com.", "TXT", 300, &["\"part\""]),
            ],
        ),
        ("* CNAME w", &[("\\052.example.com.", "CNAME", 300, &["w.example.com."])]),
        ("* MX 0 .", &[("\\052.example.com.", "MX", 300, &["0 ."])]),
        ("", &[]),
    ])
    .await;
}

#[tokio::test]
async fn a_delegation_has_its_glue_and_its_ds() {
    const FIRST: &str = "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118";
    const NEXT: &str = "60486 13 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF";
    let ns: Row<'_> = ("sub.example.com.", "NS", 300, &["ns.example.net.", "ns.sub.example.com."]);
    let glue: Row<'_> = ("ns.sub.example.com.", "A", 300, &["192.0.2.53"]);
    let glue6: Row<'_> = ("ns.sub.example.com.", "AAAA", 300, &["2001:db8::53"]);
    let delegation = "sub NS ns.sub\nsub NS ns.example.net.\nns.sub A 192.0.2.53\nns.sub AAAA 2001:db8::53\n";
    let with = |ds: &[&str]| delegation.to_owned() + &ds.iter().map(|ds| format!("sub DS {ds}\n")).collect::<String>();
    goes_through(&[
        (delegation, &[ns, glue, glue6]),
        (&with(&[FIRST]), &[ns, glue, glue6, ("sub.example.com.", "DS", 300, &[FIRST])]),
        // The roll of a key: both, and then the next.
        (&with(&[FIRST, NEXT]), &[ns, glue, glue6, ("sub.example.com.", "DS", 300, &[FIRST, NEXT])]),
        (&with(&[NEXT]), &[ns, glue, glue6, ("sub.example.com.", "DS", 300, &[NEXT])]),
        ("sub A 192.0.2.1", &[("sub.example.com.", "A", 300, &["192.0.2.1"])]),
    ])
    .await;
}

#[tokio::test]
async fn a_null_mx_takes_the_place_of_others() {
    goes_through(&[
        ("@ MX 10 a\n@ MX 20 b", &[("example.com.", "MX", 300, &["10 a.example.com.", "20 b.example.com."])]),
        ("@ MX 0 .", &[("example.com.", "MX", 300, &["0 ."])]),
        ("@ MX 10 a", &[("example.com.", "MX", 300, &["10 a.example.com."])]),
    ])
    .await;
}

#[tokio::test]
async fn a_service_with_a_refused_key_holds_up_nothing_else() {
    let world = World::start().await;
    // The second one's port is of one octet, and the third's priority above what Route 53 takes.
    let records = "good HTTPS 1 . alpn=h2\nodd HTTPS 1 . key65280=x\nodd A 192.0.2.1\n\
        cut TYPE65 \\# 8 0001000003000101\nhigh HTTPS 32768 .\nedge HTTPS 32767 .";
    world.sync_approved(&zone(7, records), Reason::Initial).await;
    let expected: &[Row<'_>] = &[
        ("good.example.com.", "HTTPS", 300, &["1 . alpn=\"h2\""]),
        ("odd.example.com.", "A", 300, &["192.0.2.1"]),
        ("edge.example.com.", "HTTPS", 300, &["32767 ."]),
    ];
    assert_eq!(world.hosted(), held(expected));
    assert_eq!(world.serial(), 7);
    // What was good and is not any more stays as it was.
    world.sync_approved(&zone(8, &records.replace("alpn=h2", "key10=x")), Reason::Notify).await;
    assert_eq!(world.hosted(), held(expected));
    assert_eq!(world.serial(), 8);
}

#[tokio::test]
async fn what_is_left_out_is_named_in_the_log_and_counted() {
    let world = World::start().await;
    // The second one's ALPN id is `a,b`, for which Route 53's pages have no spelling.
    let records = "odd HTTPS 1 . key65280=x\nlow TYPE65 \\# 11 0001000001000403612c62\n\
        l TYPE29 \\# 1 00\nm TYPE29 \\# 1 00\nw A 192.0.2.1";
    world.sync_approved(&zone(7, records), Reason::Initial).await;
    let text = Log::text();
    let has = |parts: &[&str]| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(has(&["WARN", "left out", "odd.example.com. ", "HTTPS", "key65280"]), "{text}");
    assert!(has(&["WARN", "left out", "low.example.com. ", "HTTPS", "escaped"]), "{text}");
    assert!(has(&["INFO", "zone synced", "created=1", "left_out=2", "LOC:2"]), "{text}");
}

#[tokio::test]
async fn what_has_no_place_at_the_apex_or_a_wildcard_holds_up_nothing_else() {
    let world = World::start().await;
    // TYPE257 is CAA, here with the tag `a-b`.
    let ds = "@ DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118";
    let records = format!("{ds}\n* NS ns\nw A 192.0.2.1\n@ TYPE257 \\# 6 0003612d6278\nroot PTR .");
    world.sync_approved(&zone(7, &records), Reason::Initial).await;
    assert_eq!(world.hosted(), held(&[("w.example.com.", "A", 300, &["192.0.2.1"])]));
    assert_eq!(world.serial(), 7);
    assert!(world.server.zone(ID).unwrap().rrset("example.com.", "DS").is_none());
}

#[tokio::test]
async fn text_is_right_to_the_octet_up_to_its_limits() {
    let world = World::start().await;
    // Fifteen strings of 255 with their quotes and spaces are 3,870 characters; 128 with quotes make 4,000.
    let strings = |last: usize| format!("{}\"{}\"", format!("\"{}\" ", "x".repeat(255)).repeat(15), "y".repeat(last));
    let every: String = (0..=254_u8).map(|octet| format!("\\{octet:03}")).collect();
    let records = format!(
        "most TXT {}\nbeyond TXT {}\nevery TXT \"{every}\" \"\\255\"\nsplit TXT \"{}\" \"z\"",
        strings(128),
        strings(129),
        "z".repeat(255)
    );
    world.sync_approved(&zone(7, &records), Reason::Initial).await;
    let octal: String = (0..=255_u8)
        .map(|octet| match octet {
            b'"' | b'\\' => format!("\\{}", char::from(octet)),
            b' '..=b'~' => char::from(octet).to_string(),
            // The last octet is in a string of its own.
            255 => "\" \"\\377".to_owned(),
            _ => format!("\\{octet:03o}"),
        })
        .collect();
    let most = strings(128);
    assert_eq!(most.len(), 4000);
    assert_eq!(
        world.hosted(),
        held(&[
            ("most.example.com.", "TXT", 300, &[&most]),
            ("every.example.com.", "TXT", 300, &[&format!("\"{octal}\"")]),
            ("split.example.com.", "TXT", 300, &[&format!("\"{}\" \"z\"", "z".repeat(255))]),
        ])
    );
    assert_eq!(world.serial(), 7);
}
