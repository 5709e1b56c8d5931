//! The whole chain in real processes: a record changed on BIND or Knot stands in the hosted zone.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its functions"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use secondary53_tests::primary::{Config as PrimaryConfig, Primary, ZoneFile as EmbeddedZone};
use secondary53_tests::stack::chain::{BUCKET, Chain, Layout};
use secondary53_tests::stack::dig::{Dig, Printed, PrintedRrset};
use secondary53_tests::stack::ministack::Quarantined;
use secondary53_tests::stack::name_server::{NameServer, ZoneFile};
use secondary53_tests::stack::wait::{GENEROUS, until};
use secondary53_tests::stack::{StackError, bind, knot, pass_over_missing, programs};
use secondary53_tests::strict::{self, CHANGES, REQUESTS, ZoneSpec, least};
use secondary53_tests::zones::incompressible;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_bind_stand_in_the_hosted_zone() -> Result<(), StackError> {
    pass_over_missing(follow(async |dir, zone, notify| bind::start(dir, zone, notify).await).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_knot_stand_in_the_hosted_zone() -> Result<(), StackError> {
    pass_over_missing(follow(async |dir, zone, notify| knot::start(dir, zone, notify).await).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_decoded_is_quarantined_and_blocks_nothing() -> Result<(), StackError> {
    pass_over_missing(quarantine_what_cannot_be_decoded().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_without_a_hosted_zone_waits_in_the_dead_letter_queue() -> Result<(), StackError> {
    pass_over_missing(keep_what_has_no_hosted_zone().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_beyond_one_message_goes_by_the_bucket() -> Result<(), StackError> {
    pass_over_missing(carry_a_large_zone().await)
}

/// `SECONDARY53_ZONE=100000` is a zone of so many RRsets, with the time-outs of the template.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_takes_longer_than_an_invocation_goes_on_in_seconds() -> Result<(), StackError> {
    pass_over_missing(take_several_invocations().await)
}

/// One transaction at the primary, and what everybody is to see afterwards.
struct Step {
    changes: &'static [&'static str],
    /// Owner, type, and TTL and values as dig prints them; no values where nothing is to be left.
    then: &'static [(&'static str, &'static str, u32, &'static [&'static str])],
}

const STEPS: &[Step] = &[
    Step { changes: &["add new.example.com. 60 A 192.0.2.1"], then: &[("new.example.com", "A", 60, &["192.0.2.1"])] },
    Step {
        changes: &[
            "add new.example.com. 60 AAAA 2001:db8::1",
            "add alias.example.com. 120 CNAME New.Example.COM.",
            "add example.com. 300 MX 20 mx2.example.net.",
            "add key._domainkey.example.com. 300 TXT \"v=DKIM1; p=a\\\"b\\\\c\" \"second string\" \"\"",
            "add _sip._tcp.example.com. 300 SRV 10 60 5060 sip.example.net.",
            "add example.com. 300 CAA 0 issuewild \"ca.example.net; account=1\"",
            "add 1.0.0.10.example.com. 300 PTR host.example.net.",
            "add _443._tcp.www.example.com. 300 TLSA 3 1 1 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
            "add example.com. 300 HTTPS 1 . alpn=\"h2,h3\" ipv4hint=192.0.2.80",
            "add _dns.example.com. 300 SVCB 1 www.example.com. alpn=h2 port=8443",
            "add 4.4.example.com. 300 NAPTR 100 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1@example.com!\" .",
            "add sub.example.com. 300 DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
            "add sub.example.com. 300 NS ns1.example.net.",
            "add sub.example.com. 300 NS ns2.example.net.",
        ],
        then: &[
            ("new.example.com", "A", 60, &["192.0.2.1"]),
            ("new.example.com", "AAAA", 60, &["2001:db8::1"]),
            ("alias.example.com", "CNAME", 120, &["new.example.com."]),
            ("example.com", "MX", 300, &["10 mx1.example.com.", "20 mx2.example.net."]),
            ("key._domainkey.example.com", "TXT", 300, &["\"v=DKIM1; p=a\\\"b\\\\c\" \"second string\" \"\""]),
            ("_sip._tcp.example.com", "SRV", 300, &["10 60 5060 sip.example.net."]),
            ("example.com", "CAA", 300, &["0 issue \"ca.example.net\"", "0 issuewild \"ca.example.net; account=1\""]),
            ("1.0.0.10.example.com", "PTR", 300, &["host.example.net."]),
            ("example.com", "HTTPS", 300, &["1 . alpn=\"h2,h3\" ipv4hint=192.0.2.80"]),
            ("_dns.example.com", "SVCB", 300, &["1 www.example.com. alpn=\"h2\" port=8443"]),
            ("4.4.example.com", "NAPTR", 300, &["100 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1@example.com!\" ."]),
            ("sub.example.com", "DS", 300, &["60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"]),
            ("sub.example.com", "NS", 300, &["ns1.example.net.", "ns2.example.net."]),
        ],
    },
    // A value more, a value less, another time to live.
    Step {
        changes: &[
            "add www.example.com. 300 A 192.0.2.82",
            "delete example.com. MX 10 mx1.example.com.",
            "delete new.example.com. A",
            "add new.example.com. 3600 A 192.0.2.1",
        ],
        then: &[
            ("www.example.com", "A", 300, &["192.0.2.80", "192.0.2.81", "192.0.2.82"]),
            ("example.com", "MX", 300, &["20 mx2.example.net."]),
            ("new.example.com", "A", 3600, &["192.0.2.1"]),
        ],
    },
    // A CNAME and an address cannot both be there, on no day of the swap.
    Step {
        changes: &[
            "delete alias.example.com. CNAME",
            "add alias.example.com. 300 A 192.0.2.3",
            "delete old.example.com.",
            "add old.example.com. 300 CNAME www.example.com.",
        ],
        then: &[
            ("alias.example.com", "CNAME", 0, &[]),
            ("alias.example.com", "A", 300, &["192.0.2.3"]),
            ("old.example.com", "A", 0, &[]),
            ("old.example.com", "CNAME", 300, &["www.example.com."]),
        ],
    },
    Step {
        changes: &["delete new.example.com.", "delete _sip._tcp.example.com. SRV", "delete *.wild.example.com. TXT"],
        then: &[
            ("new.example.com", "A", 0, &[]),
            ("new.example.com", "AAAA", 0, &[]),
            ("_sip._tcp.example.com", "SRV", 0, &[]),
            ("*.wild.example.com", "TXT", 0, &[]),
        ],
    },
];

async fn follow(
    start: impl AsyncFn(&Path, &ZoneFile, SocketAddr) -> Result<NameServer, StackError>,
) -> Result<(), StackError> {
    let (dir, dig) = (tempfile::tempdir().unwrap(), Dig::find()?);
    let listen = programs::free_address()?;
    let zone = ZoneFile { zone: ZONE.to_owned(), text: ZONE_TEXT.to_owned() };
    let primary = start(dir.path(), &zone, listen).await?;
    let (route53, id) = route53_with(&[ZONE]).await;
    let mut chain = Chain::start(Layout::anywhere(dir.path(), primary.address, listen, ZONE)?, route53).await?;

    chain.reaches(&id, primary.serial().await?).await?;
    assert_same(&dig, &primary, &chain, &id).await?;

    for (number, step) in STEPS.iter().enumerate() {
        primary.update(step.changes).await?;
        chain.reaches(&id, primary.serial().await?).await?;
        let seen = assert_same(&dig, &primary, &chain, &id).await?;
        for (owner, rtype, ttl, values) in step.then {
            let expected = (!values.is_empty())
                .then(|| PrintedRrset { ttl: *ttl, values: values.iter().copied().map(str::to_owned).collect() });
            let key = (owner.to_string(), rtype.to_string());
            assert_eq!(seen.get(&key), expected.as_ref(), "{owner} {rtype} after step {number}");
        }
    }

    // What changes while the relay is dead arrives when it lives again.
    chain.relay.kill();
    primary.update(&["add late.example.com. 300 A 192.0.2.9"]).await?;
    chain.restart_relay().await?;
    chain.reaches(&id, primary.serial().await?).await?;
    let seen = assert_same(&dig, &primary, &chain, &id).await?;
    assert!(seen.contains_key(&("late.example.com".to_owned(), "A".to_owned())));

    // On a day without trouble Route 53 has nothing to refuse, and is asked for nothing that it would not do.
    for call in chain.route53.calls() {
        assert!(call.error.is_none(), "{call:?}");
        assert_eq!(call.no_ops().count(), 0, "{call:?}");
    }
    assert_eq!(chain.ministack.depth(&chain.queues.dead_letter).await?, 0);
    assert!(chain.relay.stop(), "the relay does not stop on SIGTERM: {}", chain.relay.last_words());
    Ok(())
}

/// RRset by RRset: dig's transfer from the primary, and dig's answers from the hosted zone's name servers, which read the
/// values that were given to Route 53. Of the apex, NS and the names in the SOA are Route 53's.
async fn assert_same(dig: &Dig, primary: &NameServer, chain: &Chain, id: &str) -> Result<Printed, StackError> {
    let mut wanted = primary.transfer().await?;
    let apex = |rtype: &str| (ZONE.to_owned(), rtype.to_owned());
    wanted.remove(&apex("NS"));
    let primary_soa = wanted.remove(&apex("SOA")).unwrap_or_default();

    let hosted = chain.route53.zone(id).unwrap();
    let held: Vec<(String, String)> = hosted
        .rrsets
        .iter()
        .map(|set| (set.name.trim_end_matches('.').replace("\\052", "*"), set.rtype.to_owned()))
        .filter(|key| *key != apex("NS") && *key != apex("SOA"))
        .collect();
    let mut sorted = held.clone();
    sorted.sort();
    assert_eq!(sorted, wanted.keys().cloned().collect::<Vec<_>>(), "the same RRsets on both sides");
    let seen = dig.rrsets(chain.route53.dns(), held.iter()).await?;
    let differing: Vec<_> = held.iter().filter(|key| seen.get(key) != wanted.get(key)).collect();
    for key in &differing {
        println!("{key:?}: the primary has {:?}, the hosted zone {:?}", wanted.get(key), seen.get(key));
    }
    assert_eq!(differing.len(), 0, "the same data on both sides");

    let soa = dig.rrsets(chain.route53.dns(), [apex("SOA")].iter()).await?.remove(&apex("SOA")).unwrap_or_default();
    assert_eq!(numbers(&soa), numbers(&primary_soa), "serial and timers of the SOA");
    assert_eq!(numbers(&soa).len(), 5);
    Ok(seen)
}

fn numbers(soa: &PrintedRrset) -> Vec<&str> {
    soa.values.iter().flat_map(|value| value.split_whitespace().skip(2)).collect()
}

async fn quarantine_what_cannot_be_decoded() -> Result<(), StackError> {
    let (dir, primary) = (tempfile::tempdir().unwrap(), embedded_primary().await);
    let (route53, id) = route53_with(&[ZONE]).await;
    let listen = programs::free_address()?;
    let chain = Chain::start(Layout::anywhere(dir.path(), primary.address(), listen, ZONE)?, route53).await?;
    chain.reaches(&id, 2026).await?;

    let attributes =
        [("zone", ZONE), ("serial", "2027"), ("digest", &"0".repeat(96)), ("reason", "notify"), ("meta", "{}")];
    chain.ministack.send(&chain.queues.main, GROUP, "bm90IGEgc25hcHNob3Q=", &attributes).await?;
    // In the same group, behind it.
    let zone = EmbeddedZone::parse(ZONE_TEXT).unwrap().with_serial(2028);
    primary.set_zone(zone);
    primary.notify(listen).await.unwrap();
    chain.reaches(&id, 2028).await?;

    let dead = chain.ministack.take(&chain.queues.dead_letter).await?;
    assert_eq!(dead.body(), Some("bm90IGEgc25hcHNob3Q="));
    assert_eq!(text_attribute(&dead, "zone"), ZONE);
    let note = Quarantined::of(&dead).expect("a note by the worker");
    assert_eq!(note.outcome, "undecodable", "{note}");
    until(GENEROUS, "nothing left in the queue", async || {
        Ok((chain.ministack.depth(&chain.queues.main).await? == 0).then_some(()))
    })
    .await
}

async fn keep_what_has_no_hosted_zone() -> Result<(), StackError> {
    let (dir, primary) = (tempfile::tempdir().unwrap(), embedded_primary().await);
    // A name that begins alike and one beside it: neither is the zone.
    let (route53, _) = route53_with(&["example.com.mx", "example.org"]).await;
    let listen = programs::free_address()?;
    let chain = Chain::start(Layout::anywhere(dir.path(), primary.address(), listen, ZONE)?, route53).await?;

    let dead = chain.ministack.take(&chain.queues.dead_letter).await?;
    assert_eq!((text_attribute(&dead, "zone"), text_attribute(&dead, "serial")), (GROUP, "2026"));
    let note = Quarantined::of(&dead).expect("a note by the worker");
    assert_eq!(note.outcome, "no_hosted_zone", "{note}");
    assert!(note.reason.contains(ZONE), "{note}");

    // Nothing was lost: with a hosted zone, the same message does what it was sent for.
    let id = chain.route53.create_zone(&ZoneSpec::public(ZONE)).unwrap();
    let kept: Vec<_> =
        ["zone", "serial", "digest", "reason", "meta"].map(|name| (name, text_attribute(&dead, name))).into();
    chain.ministack.send(&chain.queues.main, GROUP, dead.body().unwrap(), &kept).await?;
    chain.reaches(&id, 2026).await
}

async fn carry_a_large_zone() -> Result<(), StackError> {
    const RECORDS: usize = 1_200;
    let dir = tempfile::tempdir().unwrap();
    let zone = incompressible(2026, RECORDS).unwrap();
    let primary = Primary::start(PrimaryConfig::new().zone(zone)).await.unwrap();
    let (route53, id) = route53_with(&[ZONE]).await;
    let listen = programs::free_address()?;
    let chain = Chain::start(Layout::anywhere(dir.path(), primary.address(), listen, ZONE)?, route53).await?;
    chain.reaches(&id, 2026).await?;
    let hosted = chain.route53.zone(&id).unwrap();
    assert_eq!(hosted.rrsets.iter().filter(|rrset| rrset.rtype == "TXT").count(), RECORDS);
    let keys = chain.ministack.keys(BUCKET).await?;
    assert!(keys.len() == 1 && keys[0].starts_with("snapshots/"), "{keys:?}");
    assert_eq!(chain.ministack.depth(&chain.queues.dead_letter).await?, 0);
    Ok(())
}

async fn take_several_invocations() -> Result<(), StackError> {
    const RRSETS: u32 = 2_600;
    let whole = std::env::var("SECONDARY53_ZONE").ok().map(|text| text.parse::<u32>().unwrap());
    let rrsets = whole.unwrap_or(RRSETS);
    let dir = tempfile::tempdir().unwrap();
    let mut text = "$ORIGIN example.com.\n$TTL 300\n@ SOA ns1 host 2026 3600 600 86400 60\n@ NS ns1\n".to_owned();
    text.extend((0..rrsets).map(|i| format!("h{i} A 10.{}.{}.{}\n", i >> 16, i >> 8 & 255, i & 255)));
    let primary = Primary::start(PrimaryConfig::new().zone(EmbeddedZone::parse(&text).unwrap())).await.unwrap();
    let config = strict::Config {
        zones: vec![ZoneSpec::public(ZONE)],
        max_rrsets: 200_000,
        request_rate: Some(REQUESTS),
        change_rate: Some(CHANGES),
        ..strict::Config::default()
    };
    let route53 = strict::Server::start(config).await.unwrap();
    let id = route53.zones().first().unwrap().id.clone();
    let mut layout = Layout::anywhere(dir.path(), primary.address(), programs::free_address()?, ZONE)?;
    // Should nobody say when the message comes again, that is after everybody's patience.
    layout.detours.visibility = Some(Duration::from_mins(30));
    layout.detours.timeout = whole.is_none().then_some(Duration::from_secs(5));
    layout.detours.worker.insert("WORKERS", "1".to_owned());
    let chain = Chain::start(layout, route53).await?;
    let limit = GENEROUS + Duration::from_secs(u64::from(rrsets) / 50);
    let serial = || chain.route53.serial(&id);
    until(limit, "the zone complete", async || Ok((serial() == Some(2026)).then_some(()))).await?;

    let (ministack, queues) = (&chain.ministack, &chain.queues);
    until(GENEROUS, "an empty queue", async || Ok((ministack.depth(&queues.main).await? == 0).then_some(()))).await?;
    let calls = chain.route53.calls();
    let seconds = (calls.last().unwrap().at_ms - calls.first().unwrap().at_ms) / 1_000;
    println!(
        "{rrsets} RRsets: {} calls, {} of them throttled, {seconds} s, where {:?} would do",
        calls.len(),
        calls.iter().filter(|call| call.code() == Some("Throttling")).count(),
        least(&calls, REQUESTS, CHANGES)
    );
    assert_eq!(chain.route53.zone(&id).unwrap().contents().len(), usize::try_from(rrsets).unwrap());
    // What is left must be found out again, each time.
    let looks = calls.iter().filter(|call| call.action == "ListResourceRecordSets").count();
    assert!(looks > 2, "{looks} looks at the hosted zone");
    assert_eq!(ministack.depth(&queues.dead_letter).await?, 0);
    Ok(())
}

fn text_attribute<'a>(message: &'a aws_sdk_sqs::types::Message, name: &str) -> &'a str {
    let attributes = message.message_attributes().expect("a message with attributes");
    attributes.get(name).and_then(|value| value.string_value()).unwrap_or_else(|| panic!("no {name} in {attributes:?}"))
}

/// With Route 53's own limits on the rate.
async fn route53_with(zones: &[&str]) -> (strict::Server, String) {
    let config = strict::Config {
        zones: zones.iter().map(|name| ZoneSpec::public(name)).collect(),
        request_rate: Some(REQUESTS),
        change_rate: Some(CHANGES),
        ..strict::Config::default()
    };
    let server = strict::Server::start(config).await.unwrap();
    let id = server.zones().first().unwrap().id.clone();
    (server, id)
}

async fn embedded_primary() -> Primary {
    let zone = EmbeddedZone::parse(ZONE_TEXT).unwrap();
    Primary::start(PrimaryConfig::new().zone(zone)).await.unwrap()
}

const ZONE: &str = "example.com";

/// The relay's message group for it.
const GROUP: &str = "example.com.";

const ZONE_TEXT: &str = r#"$ORIGIN example.com.
$TTL 300
@           SOA   ns1 hostmaster 2026 3600 600 86400 60
@           NS    ns1
@           NS    ns2.example.net.
@           A     192.0.2.80
@           AAAA  2001:db8::80
@           MX    10 mx1
@           TXT   "v=spf1 mx -all"
@           TXT   "a second value"
@           CAA   0 issue "ca.example.net"
ns1         A     192.0.2.53
mx1         A     192.0.2.25
www         A     192.0.2.80
www         A     192.0.2.81
ftp         CNAME www
old         A     192.0.2.2
*.wild      TXT   "for every name"
_dmarc      TXT   "v=DMARC1; p=none"
_http._tcp  SRV   0 0 80 www
host-1      SSHFP 4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789
"#;
