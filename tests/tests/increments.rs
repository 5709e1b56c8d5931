//! Incremental transfers, ZONEMD and signed zones with real name servers: what the relay has after differences is what the
//! primary has.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its functions")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use secondary53_relay::daemon::Clock;
use secondary53_relay::primary::{self, Limits, Look, PrimaryError, Wanted};
use secondary53_relay::refresh::Takes;
use secondary53_relay::store::Store;
use secondary53_relay::transfer::{Refusal, Transferred};
use secondary53_tests::primary::{Config, Packing, Primary, Record, Rtype as RecordType, ZoneFile as EmbeddedZone};
use secondary53_tests::stack::name_server::{NameServer, Security, ZoneFile};
use secondary53_tests::stack::wait::{GENEROUS, until};
use secondary53_tests::stack::{StackError, bind, knot, nsd, pass_over_missing, pdns, process, programs};
use secondary53_zone::zonemd::{Checked, Hash};
use secondary53_zone::{Name, Rtype, Snapshot, Zone};

const ZONE: &str = "example.com";

fn zone_file() -> ZoneFile {
    let text = "$TTL 300\n\
        @ SOA ns1 hostmaster 4294967290 3600 600 1209600 300\n\
        @ NS ns1\n@ NS ns2.example.net.\n@ MX 10 mail\n\
        ns1 A 192.0.2.1\nmail A 192.0.2.2\n\
        www A 192.0.2.3\nwww A 192.0.2.4\nwww AAAA 2001:db8::1\n\
        txt TXT \"one\" \"two\"\n*.wild TXT wild\nsub NS ns.sub\nns.sub A 192.0.2.9\n";
    ZoneFile { zone: ZONE.to_owned(), text: format!("$ORIGIN {ZONE}.\n{text}") }
}

/// A secondary without a daemon: a store, and looks at one primary.
struct Secondary {
    zone: Name,
    store: Arc<Store>,
    strip_dnssec: bool,
    ours: Option<Zone>,
}

impl Secondary {
    fn new(dir: &Path, strip_dnssec: bool) -> Self {
        let store = Arc::new(Store::open(&dir.join("state")).unwrap());
        Self { zone: ZONE.parse().unwrap(), store, strip_dnssec, ours: None }
    }

    async fn look(&self, server: SocketAddr) -> Result<Look, PrimaryError> {
        let ours = self.ours.as_ref().map(Zone::serial);
        let wanted = Wanted {
            zone: &self.zone,
            ours,
            takes: Takes::Newer,
            strip_dnssec: self.strip_dnssec,
            stored: Some(&self.store),
        };
        primary::look(wanted, &server.into(), Limits::default(), Clock::start()).await
    }

    /// Looks, and keeps what is newer as a queue would have accepted it.
    async fn refresh(&mut self, server: SocketAddr) -> Transferred {
        let Look::Transferred(transferred) = self.look(server).await.unwrap() else { panic!("nothing newer") };
        let snapshot = Snapshot::new(transferred.zone.clone()).with_exact(transferred.exact);
        self.store.write(&self.zone, &snapshot.encode().unwrap(), &BTreeSet::new()).unwrap();
        self.ours = Some(transferred.zone.clone());
        *transferred
    }

    /// The zone as a whole transfer brings it now.
    async fn whole(&self, server: SocketAddr) -> Zone {
        let wanted =
            Wanted { zone: &self.zone, ours: None, takes: Takes::Newer, strip_dnssec: self.strip_dnssec, stored: None };
        match primary::look(wanted, &server.into(), Limits::default(), Clock::start()).await.unwrap() {
            Look::Transferred(whole) => whole.zone,
            Look::NotNewer(_) => panic!("anything is newer than nothing"),
        }
    }
}

/// Transactions, each in turn; between two looks there may be several.
const CHANGES: [&[&[&str]]; 6] = [
    &[&["add new.example.com. 300 A 192.0.2.10"]],
    &[&["delete www.example.com. A 192.0.2.3", "add www.example.com. 300 A 192.0.2.5"]],
    // A whole RRset, then its TTL alone, then all of a name.
    &[&["delete txt.example.com. TXT"], &["delete www.example.com. A", "add www.example.com. 60 A 192.0.2.4"]],
    &[&["delete www.example.com."], &["add www.example.com. 300 CNAME new.example.com."]],
    // Away and back, over several sequences.
    &[
        &["delete mail.example.com. A"],
        &["add mail.example.com. 300 A 192.0.2.2", "add x.example.com. 300 TXT x"],
        &["delete x.example.com. TXT", "add deep.er.example.com. 300 MX 0 ."],
        &["add new.example.com. 300 A 192.0.2.11", "add new.example.com. 300 A 192.0.2.12"],
    ],
    // Another TTL for what is there already: servers differ in what they make of it, and ours is theirs.
    &[&["add new.example.com. 1200 A 192.0.2.13"]],
];

/// The law: what came as differences is what a whole transfer brings. Serials wrap on the way.
async fn follows(server: &NameServer, dir: &Path) -> Result<(), StackError> {
    let mut secondary = Secondary::new(dir, false);
    assert_eq!(secondary.refresh(server.address).await.since, None);
    for transactions in CHANGES {
        let before = secondary.ours.as_ref().unwrap().serial();
        for changes in transactions {
            server.update(changes).await?;
        }
        let came = secondary.refresh(server.address).await;
        assert_eq!(came.since, Some(before), "{transactions:?}");
        assert_eq!(came.zone, secondary.whole(server.address).await, "{transactions:?}");
        assert_eq!(came.zone.digest(), secondary.whole(server.address).await.digest());
    }
    assert!(secondary.ours.as_ref().unwrap().serial().0 < 100, "the serial was to wrap");
    assert!(matches!(secondary.look(server.address).await.unwrap(), Look::NotNewer(_)));
    Ok(())
}

#[tokio::test]
async fn differences_from_bind() {
    pass_over_missing(
        async {
            let dir = tempfile::tempdir().unwrap();
            // BIND sends the whole zone where differences would be larger, as in so small a zone they are.
            let always = "max-ixfr-ratio unlimited;";
            let server = bind::start_set(dir.path(), &zone_file(), programs::free_address()?, always).await?;
            follows(&server, dir.path()).await
        }
        .await,
    )
    .unwrap();
}

#[tokio::test]
async fn differences_from_knot() {
    pass_over_missing(
        async {
            let dir = tempfile::tempdir().unwrap();
            follows(&knot::start(dir.path(), &zone_file(), programs::free_address()?).await?, dir.path()).await
        }
        .await,
    )
    .unwrap();
}

/// NSD makes differences of the texts that it was given. Those of 4.6 add every MX that has not changed, which are additions of
/// what is there: with one of these, the zone comes whole.
#[tokio::test]
async fn differences_from_nsd() {
    pass_over_missing(reloaded(false).await).unwrap();
    pass_over_missing(reloaded(true).await).unwrap();
}

async fn reloaded(has_mx: bool) -> Result<(), StackError> {
    let (dir, mut zone) = (tempfile::tempdir().unwrap(), zone_file());
    if !has_mx {
        zone.text = zone.text.replace("@ MX 10 mail\n", "");
    }
    let nobody = programs::free_address()?;
    let server = nsd::start_with(dir.path(), &zone, nobody, &Security::default()).await?;
    let mut secondary = Secondary::new(dir.path(), false);
    assert_eq!(secondary.refresh(server.address).await.since, None);
    for (serial, from, to) in [
        (4_294_967_295_u32, "www A 192.0.2.3\n", "www A 192.0.2.5\n"),
        (0, "txt TXT \"one\" \"two\"\n", "*.wild A 192.0.2.6\n"),
        (7, "$TTL 300", "$TTL 1200"),
        (8, "www A 192.0.2.5\nwww A 192.0.2.4\nwww AAAA 2001:db8::1\n", "www CNAME mail\n"),
    ] {
        let before = secondary.ours.as_ref().unwrap().serial();
        assert!(zone.text.contains(from), "{}", zone.text);
        zone.text =
            zone.text.replace(from, to).replace(&format!("hostmaster {before} "), &format!("hostmaster {serial} "));
        nsd::reload(dir.path(), &zone).await?;
        until(GENEROUS, "the new zone", async || Ok((server.serial().await? == serial).then_some(()))).await?;
        let came = secondary.refresh(server.address).await;
        assert_eq!(came.since, (!has_mx).then_some(before), "{serial}");
        assert_eq!(came.zone, secondary.whole(server.address).await, "{serial}");
    }
    Ok(())
}

/// Knot keeps a ZONEMD up to date: it is verified on the whole zone and on what differences make of it.
#[tokio::test]
async fn a_zonemd_of_knot_is_verified() {
    pass_over_missing(verified().await).unwrap();
}

async fn verified() -> Result<(), StackError> {
    for (setting, hash) in [("zonemd-sha384", Hash::Sha384), ("zonemd-sha512", Hash::Sha512)] {
        let dir = tempfile::tempdir().unwrap();
        let setting = format!("zonemd-generate: {setting}");
        let server = knot::start_set(dir.path(), &zone_file(), programs::free_address()?, &setting).await?;
        let mut secondary = Secondary::new(dir.path(), false);
        assert_eq!(secondary.refresh(server.address).await.zonemd, Checked::Verified(hash));
        server.update(&["add new.example.com. 300 A 192.0.2.10"]).await?;
        let came = secondary.refresh(server.address).await;
        assert!(came.since.is_some(), "it came whole");
        assert_eq!((came.zonemd, &came.zone), (Checked::Verified(hash), &secondary.whole(server.address).await));
    }
    Ok(())
}

/// The same zone with its ZONEMD, and one record changed behind its back.
#[tokio::test]
async fn what_its_zonemd_does_not_speak_of_is_refused() {
    let nobody = programs::free_address().unwrap();
    let knot = async |dir: &Path, zone: &ZoneFile| knot::start(dir, zone, nobody).await;
    pass_over_missing(tampered(knot).await).unwrap();
    let nsd = async |dir: &Path, zone: &ZoneFile| nsd::start_with(dir, zone, nobody, &Security::default()).await;
    pass_over_missing(tampered(nsd).await).unwrap();
    let pdns = async |dir: &Path, zone: &ZoneFile| pdns::start(dir, zone, nobody).await;
    pass_over_missing(tampered(pdns).await).unwrap();
}

async fn tampered(start: impl AsyncFn(&Path, &ZoneFile) -> Result<NameServer, StackError>) -> Result<(), StackError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plain.zone");
    let plain = zone_file();
    std::fs::write(&file, &plain.text).unwrap();
    let script = programs::workspace().join("tests/zonemd.py");
    let arguments = [script.to_str().unwrap(), file.to_str().unwrap(), ZONE];
    let digest = process::run(&programs::in_venv("python")?, &arguments, "").await?;
    let with = |serial: u32, text: &str| ZoneFile {
        zone: ZONE.to_owned(),
        text: format!("{text}@ 300 ZONEMD {serial} 1 1 {}\n", digest.trim()),
    };
    for (number, (zone, told)) in [
        (with(4_294_967_290, &plain.text), None),
        (
            with(4_294_967_290, &plain.text.replace("192.0.2.4", "192.0.2.5")),
            Some("for serial 4294967290 (SHA-384) says"),
        ),
        (with(4_294_967_290, &plain.text.replace("$TTL 300", "$TTL 301")), Some("and its records come to")),
        (with(7, &plain.text), Some("its ZONEMD is for serial 7, and its SOA has serial 4294967290")),
    ]
    .into_iter()
    .enumerate()
    {
        let place = dir.path().join(number.to_string());
        std::fs::create_dir(&place).unwrap();
        let server = start(&place, &zone).await?;
        let looked = Secondary::new(&place, false).look(server.address).await;
        match (looked, told) {
            (Ok(Look::Transferred(whole)), None) => assert_eq!(whole.zonemd, Checked::Verified(Hash::Sha384)),
            (Err(error), Some(told)) => assert!(error.to_string().contains(told), "{error}"),
            (other, told) => panic!("{told:?}, and it was {other:?}"),
        }
    }
    Ok(())
}

/// Waits until the server has signed the zone.
async fn signed(server: &NameServer) -> Result<(), StackError> {
    until(GENEROUS, "the zone signed", async || {
        let is_signed = |(_, rtype): &(String, String)| rtype == "RRSIG";
        Ok(server.transfer().await?.keys().any(is_signed).then_some(()))
    })
    .await
}

/// A signed zone is refused; stripped, it is the unsigned one, and stays so through differences, where they come.
async fn stripped(server: &NameServer, dir: &Path, has_zonemd: bool, incremental: bool) -> Result<(), StackError> {
    signed(server).await?;
    let refused = Secondary::new(&dir.join("strict"), false).look(server.address).await;
    assert!(matches!(refused, Err(PrimaryError::Refused(Refusal::Signed))), "{refused:?}");

    let mut secondary = Secondary::new(dir, true);
    let first = secondary.refresh(server.address).await;
    assert!(first.stripped[&Rtype::RRSIG] > 3 && first.stripped.contains_key(&Rtype::DNSKEY), "{:?}", first.stripped);
    assert_eq!(matches!(first.zonemd, Checked::Verified(_)), has_zonemd, "{:?}", first.zonemd);
    assert!(first.zone.rrsets().all(|rrset| !rrset.rtype().is_of_signing()));
    for changes in [
        &["add new.example.com. 300 A 192.0.2.10"][..],
        &["delete www.example.com. A", "add www.example.com. 60 A 192.0.2.4"],
        &["delete www.example.com.", "delete txt.example.com. TXT"],
    ] {
        server.update(changes).await?;
        let came = secondary.refresh(server.address).await;
        // The digest covers what differences do not bring: where there is one, the zone comes whole.
        assert_eq!(came.since.is_some(), incremental && !has_zonemd);
        assert_eq!(matches!(came.zonemd, Checked::Verified(_)), has_zonemd);
        assert!(came.zone.rrsets().all(|rrset| !rrset.rtype().is_of_signing()));
        let whole = secondary.whole(server.address).await;
        if whole.serial() == came.zone.serial() {
            assert_eq!(came.zone, whole);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_zone_that_knot_signs() {
    pass_over_missing(signed_by_knot().await).unwrap();
}

async fn signed_by_knot() -> Result<(), StackError> {
    for (settings, has_zonemd) in
        [("dnssec-signing: on", false), ("dnssec-signing: on\nzonemd-generate: zonemd-sha384", true)]
    {
        let dir = tempfile::tempdir().unwrap();
        let server = knot::start_set(dir.path(), &zone_file(), programs::free_address()?, settings).await?;
        stripped(&server, dir.path(), has_zonemd, true).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_zone_that_bind_signs() {
    pass_over_missing(signed_by_bind().await).unwrap();
}

async fn signed_by_bind() -> Result<(), StackError> {
    let dir = tempfile::tempdir().unwrap();
    let server = bind::start_set(dir.path(), &zone_file(), programs::free_address()?, "dnssec-policy default;").await?;
    stripped(&server, dir.path(), false, true).await
}

#[tokio::test]
async fn a_zone_that_powerdns_signs() {
    pass_over_missing(signed_by_powerdns().await).unwrap();
}

async fn signed_by_powerdns() -> Result<(), StackError> {
    let dir = tempfile::tempdir().unwrap();
    let signing = [&["secure-zone", ZONE][..]];
    let server = pdns::start_set(dir.path(), &zone_file(), programs::free_address()?, &signing).await?;
    stripped(&server, dir.path(), false, false).await
}

/// One version: owner and type, with a TTL and values.
type Version = BTreeMap<(u8, u16), (u32, BTreeSet<u8>)>;

fn any_version() -> impl Strategy<Value = Version> {
    let rrset = (1..3_u32, proptest::collection::btree_set(0..3_u8, 1..3));
    proptest::collection::btree_map((0..3_u8, 65280..65282_u16), rrset, 0..6)
}

fn embedded(serial: u32, version: &Version) -> EmbeddedZone {
    let text = format!("$ORIGIN {ZONE}.\n@ 300 SOA ns host {serial} 3600 600 86400 60\n@ 300 NS ns\n");
    let records = version.iter().flat_map(|((owner, rtype), (ttl, values))| {
        let owner = format!("n{owner}.{ZONE}.");
        values.iter().map(move |value| Record::new(&owner, RecordType::from_int(*rtype), *ttl, vec![*value]).unwrap())
    });
    records.fold(EmbeddedZone::parse(&text).unwrap(), EmbeddedZone::with_record)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The law over TCP, for any history, however it is cut into messages and whichever versions were looked at.
    #[test]
    fn differences_lead_where_a_whole_transfer_does(
        history in proptest::collection::vec((any_version(), any::<bool>(), 1..1000_u32), 1..10),
        first in any::<u32>(),
        kept in 0..6_usize,
        records in 1..5_usize,
        compress in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let packing =
                Packing { records, compress_owners: compress, repeat_question: compress, ..Packing::default() };
            let config = Config::new().history(kept).packing(packing).zone(embedded(first, &Version::new()));
            let server = Primary::start(config).await.unwrap();
            let dir = tempfile::tempdir().unwrap();
            let mut secondary = Secondary::new(dir.path(), false);
            secondary.refresh(server.address()).await;
            let (mut serial, mut behind) = (first, 0);
            for (version, looked_at, step) in &history {
                serial = serial.wrapping_add(*step);
                server.set_zone(embedded(serial, version));
                behind += 1;
                if *looked_at {
                    let came = secondary.refresh(server.address()).await;
                    assert_eq!(came.since.is_some(), behind <= kept, "{behind} of {kept}");
                    assert_eq!(came.zone, secondary.whole(server.address()).await);
                    behind = 0;
                }
            }
        });
    }
}
