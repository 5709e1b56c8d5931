//! Names and types as they travel through the API. What a value may be is tested beside the reader of values.

use crate::*;

#[tokio::test]
async fn names_are_lowered_and_come_back_in_octal() {
    let world = World::start().await;
    let names = [
        ("*.Example.COM", "\\052.example.com."),
        ("a*.example.com.", "a\\052.example.com."),
        ("2/26.example.com", "2\\05726.example.com."),
        ("dot\\056in.example.com", "dot\\056in.example.com."),
        ("\\000\\040\\177\\377\\101.example.com", "\\000\\040\\177\\377a.example.com."),
        ("_sip._tcp.example.com", "_sip._tcp.example.com."),
    ];
    world.send(names.iter().map(|(given, _)| create(given, "A", &["192.0.2.1"])).collect()).await.unwrap();
    let listed = world.client.list_resource_record_sets().hosted_zone_id(ZONE).send().await.unwrap();
    for (_, back) in names {
        assert!(listed.resource_record_sets.iter().any(|set| set.name == back), "{back} is not listed");
    }
    // What came back goes in again and is the same name.
    let deletes = names.iter().map(|(_, back)| delete(back, "A", &["192.0.2.1"])).collect();
    world.send(deletes).await.unwrap();
    assert_eq!(world.zone().rrsets.len(), 2);
}

#[tokio::test]
async fn names_beyond_their_limits_are_refused() {
    let world = World::start().await;
    let longest = format!("{0}.{0}.{0}.{1}.example.com", "a".repeat(63), "b".repeat(49));
    for (name, problem) in [
        (format!("{}.example.com", "a".repeat(64)), "DomainLabelTooLong"),
        (format!("b{longest}"), "DomainLabelTooLong"),
        (longest.replace(".b", ".bb"), "DomainNameTooLong"),
        ("a..example.com".to_owned(), "DomainLabelEmpty"),
        ("a b.example.com".to_owned(), "UnsupportedCharacter"),
        ("é.example.com".to_owned(), "UnsupportedCharacter"),
        ("a\\9.example.com".to_owned(), "InvalidEscape"),
    ] {
        let message = refused(world.send(vec![create(&name, "A", &["192.0.2.1"])]).await);
        assert!(message.starts_with(&format!("[FATAL problem: {problem} (")), "{message}");
    }
    world.send(vec![create(&longest, "A", &["192.0.2.1"])]).await.unwrap();
}

#[tokio::test]
async fn no_wildcard_ns_and_no_other_types() {
    let world = World::start().await;
    let message = refused(world.send(vec![create("*.example.com", "NS", &["a.example.net."])]).await);
    assert!(message.contains("not permitted at a wildcard"), "{message}");
    for rtype in ["DNAME", "LOC", "URI", "DNSKEY", "CDS", "RRSIG", "NSEC", "HINFO", "RP", "TYPE65280", "a"] {
        let refusal = world.send(vec![create("x.example.com", rtype, &["x"])]).await.unwrap_err();
        assert_eq!(refusal.code, "InvalidInput");
        assert_eq!(
            refusal.message,
            format!(
                "1 validation error detected: Value '{rtype}' at 'changeBatch.changes.1.member.resourceRecordSet.type' \
                 failed to satisfy constraint: Member must satisfy enum value set: [A, AAAA, CAA, CNAME, DS, HTTPS, \
                 MX, NAPTR, NS, PTR, SOA, SPF, SRV, SSHFP, SVCB, TLSA, TXT]"
            )
        );
    }
}

#[tokio::test]
async fn values_come_back_as_they_were_given() {
    let world = World::start().await;
    for (rtype, value) in [
        ("TXT", r#""a  b & <c> 'd' \"e\" \\ \000\377 ;=" "F""g""#),
        ("CAA", r#"0 issue "ca.example; policy=ev""#),
        ("NAPTR", r#"100 10 "U" "E2U+sip" "!^.*$!sip:\\1@example.com!" ."#),
        ("SVCB", "1 . alpn=\"h3,h2\" port=8443"),
        ("CNAME", "Mixed.Example.NET"),
    ] {
        let name = format!("{}.example.com.", rtype.to_lowercase());
        world.send(vec![create(&name, rtype, &[value])]).await.unwrap();
        let listed = world.client.list_resource_record_sets().hosted_zone_id(ZONE).start_record_name(&name);
        let page = listed.max_items(1).send().await.unwrap();
        assert_eq!(page.resource_record_sets[0].resource_records()[0].value, value);
        world.send(vec![delete(&name, rtype, &[value])]).await.unwrap();
    }
}
