//! Catalog zones (RFC 9432) and the account's hosted zones: zones that come and go without a word in the configuration.

use std::fmt::Write as _;

use secondary53_tests::primary::{Config, Primary, Rcode, Rtype, Transport, ZoneFile};
use secondary53_tests::strict::{self, Server, ZoneSpec};
use secondary53_zone::Serial;
use secondary53_zone::message::Reason;
use serde_json::Value;
use tokio::net::TcpListener;

use super::page::get;
use super::process::{Place, Relay};
use super::sqs::Sqs;
use super::{APEX, primary};

const CATALOG: &str = "catalog.example";

fn named(apex: &str, serial: u32) -> ZoneFile {
    let text = format!("$ORIGIN {apex}.\n$TTL 300\n@ SOA ns host {serial} 3600 1 86400 60\n@ NS ns\nns A 192.0.2.1\n");
    ZoneFile::parse(&text).unwrap()
}

/// A catalog of these members, each under its label, and of more lines.
fn catalog(apex: &str, serial: u32, members: &[(&str, &str)], more: &str) -> ZoneFile {
    let mut text = format!("$ORIGIN {apex}.\n$TTL 0\n@ SOA invalid. invalid. {serial} 3600 1 86400 0\n@ NS invalid.\n");
    text += "version TXT \"2\"\n";
    for (unique, member) in members {
        let _ = writeln!(text, "{unique}.zones PTR {member}.");
    }
    ZoneFile::parse(&(text + more + "\n")).unwrap()
}

fn config(primary: &Primary, more: &str) -> String {
    format!(
        "[timers]\nretry_min = \"1s\"\n[limits]\ntransfer_idle = \"5s\"\n[queue.main]\n\
         url = \"http://127.0.0.1/0/main.fifo\"\nregion = \"eu-west-1\"\n[primary.main]\naddress = \"{}\"\n{more}",
        primary.address()
    )
}

const ONE: &str = "[[catalog]]\nzone = \"catalog.example\"\n";
const TWO: &str = "[[catalog]]\nzone = \"catalog.example\"\n[[catalog]]\nzone = \"other.example\"\n";

/// A NOTIFY for a zone that the primary has.
async fn notify(primary: &Primary, apex: &str, relay: &Relay) -> Rcode {
    let apex = named(apex, 1).apex().clone();
    primary.notify_zone(&apex, relay.address, Transport::Tcp).await.unwrap().rcode
}

async fn shown(relay: &Relay, zone: &str) -> Value {
    let listing: Value = serde_json::from_str(&get(relay, "/zones").await.1).unwrap();
    let all = listing["zones"].as_array().unwrap();
    all.iter().find(|shown| shown["zone"] == format!("{zone}.")).cloned().unwrap_or(Value::Null)
}

#[tokio::test]
async fn members_come_change_and_go() {
    let members = [("a", APEX)];
    let primary = primary(Config::new().zone(catalog(CATALOG, 1, &members, "")).zone(named(APEX, 1))).await;
    let sqs = Sqs::start().await;
    let place = Place::new(sqs.address, &config(&primary, ONE));
    let relay = place.run().await;
    relay.logged(&["taken over", "catalog=catalog.example.", "members=1"]).await;
    relay.logged(&["sent", "zone=example.com.", "serial=1", "reason=initial"]).await;
    let zone = shown(&relay, APEX).await;
    assert_eq!((&zone["origin"], &zone["catalog"]), (&"catalog".into(), &"catalog.example.".into()));
    let zone = shown(&relay, CATALOG).await;
    assert_eq!(
        (&zone["origin"], &zone["members"], &zone["status"]),
        (&"configuration".into(), &1.into(), &"current".into())
    );

    // One more, by NOTIFY, which is heard for it from then on.
    primary.set_zone(named("example.net", 7));
    assert_eq!(notify(&primary, "example.net", &relay).await, Rcode::NOTAUTH);
    primary.set_zone(catalog(CATALOG, 2, &[("a", APEX), ("b", "example.net")], "x.ext.a.zones PTR example.org."));
    assert_eq!(notify(&primary, CATALOG, &relay).await, Rcode::NOERROR);
    relay.logged(&["added", "zone=example.net.", "of=\"catalog catalog.example.\""]).await;
    relay.logged(&["sent", "zone=example.net.", "serial=7", "reason=initial"]).await;
    assert_eq!(notify(&primary, "example.net", &relay).await, Rcode::NOERROR);

    // Another label: another life, of whatever serial. The other one is as it was.
    primary.set_zone(named("example.net", 3));
    primary.set_zone(catalog(CATALOG, 3, &[("a", APEX), ("c", "example.net")], ""));
    notify(&primary, CATALOG, &relay).await;
    relay.logged(&["starts over", "zone=example.net."]).await;
    relay.logged(&["sent", "zone=example.net.", "serial=3", "reason=initial"]).await;
    assert_eq!(primary.count(Rtype::AXFR), 4);

    // A broken one changes nothing, and is shown.
    primary.set_zone(catalog(CATALOG, 4, &[], "d.zones PTR a.\nd.zones PTR b."));
    notify(&primary, CATALOG, &relay).await;
    relay.logged(&["not taken over", "d.zones.catalog.example. has several PTR"]).await;
    let zone = shown(&relay, CATALOG).await;
    assert_eq!((&zone["status"], &zone["members"]), (&"broken".into(), &2.into()));
    assert!(zone["error"].as_str().unwrap().contains("the catalog is broken, and its members stay as they were"));
    assert_eq!(notify(&primary, "example.net", &relay).await, Rcode::NOERROR);
    assert!(!relay.log().contains("removed: its hosted zone"));
    assert!(relay.stop().await.success());

    // After a restart without a primary, the members are those of the last good one.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let text = config(&primary, ONE);
    place.reconfigure(&text.replace(&primary.address().to_string(), &nobody.to_string()));
    let relay = place.run().await;
    let zone = shown(&relay, "example.net").await;
    assert_eq!((&zone["origin"], &zone["sent_serial"]), (&"catalog".into(), &3.into()));
    assert!(relay.stop().await.success());
    place.reconfigure(&text);

    // Mended.
    primary.set_zone(catalog(CATALOG, 5, &[("c", "example.net")], ""));
    let relay = place.run().await;
    relay.logged(&["removed", "zone=example.com."]).await;
    relay.logged(&["current", "zone=example.net.", "serial=3"]).await;
    assert_eq!(shown(&relay, CATALOG).await["status"], "current");
    // Only zones have been sent, and these three times.
    let sent: Vec<_> = sqs.accepted().iter().map(|accepted| accepted.message.zone.to_string()).collect();
    assert_eq!(sent, ["example.com.", "example.net.", "example.net."]);
}

#[tokio::test]
async fn a_member_has_one_owner() {
    const OTHER: &str = "other.example";
    let first = catalog(CATALOG, 1, &[("a", APEX), ("b", "example.net"), ("c", "example.org")], "");
    let second = catalog(OTHER, 1, &[("b", "example.net"), ("z", "example.org")], "");
    let config_of = |more: &str, primary: &Primary| config(primary, &format!("{TWO}{more}"));
    let zones = [APEX, "example.net", "example.org"];
    let primary =
        primary(zones.iter().fold(Config::new().zone(first).zone(second), |all, zone| all.zone(named(zone, 1)))).await;
    let sqs = Sqs::start().await;
    let place = Place::new(sqs.address, &config_of("", &primary));
    let relay = place.run().await;
    sqs.wait_for(3).await;
    relay.logged(&["taken over", "catalog=other.example."]).await;
    relay.logged(&["left aside: the zone is here already", "zone=example.net."]).await;
    // Whichever was there first has them: it may be either of the two.
    let owner = shown(&relay, "example.net").await["catalog"].as_str().unwrap().trim_end_matches('.').to_owned();
    let (from, to) = if owner == CATALOG { (CATALOG, OTHER) } else { (OTHER, CATALOG) };

    // Let go by the one, and in the other already: example.net under the same label, example.org under another.
    let labels = if from == CATALOG { ("b", "c") } else { ("b", "z") };
    let members = [(labels.0, "example.net"), (labels.1, "example.org")];
    let coo = format!("coo.{}.zones PTR {to}.\ncoo.{}.zones PTR {to}.", labels.0, labels.1);
    primary.set_zone(catalog(from, 2, &members, &coo));
    notify(&primary, from, &relay).await;
    relay.logged(&["taken over", &format!("catalog={from}."), "serial=2"]).await;
    for zone in ["example.net", "example.org"] {
        assert_eq!(shown(&relay, zone).await["catalog"], format!("{to}."), "{}", relay.log());
    }
    // Of the one under another label all was forgotten.
    let sent = sqs.wait_for(4).await.pop().unwrap().message;
    assert_eq!((sent.zone.to_string().as_str(), sent.reason), ("example.org.", Reason::Initial));

    // What the configuration names is the configuration's, and goes back to a catalog with it.
    place.reconfigure(&config_of("[[zone]]\nname = \"example.net\"\n", &primary));
    relay.reload("reloaded").await;
    assert_eq!(shown(&relay, "example.net").await["origin"], "configuration");
    place.reconfigure(&config_of("", &primary));
    relay.reload("reloaded").await;
    assert_eq!(shown(&relay, "example.net").await["origin"], "catalog");
    // With its catalog a member goes; those that the other one has stay.
    let alone = config(&primary, &format!("[[catalog]]\nzone = \"{to}\"\n"));
    place.reconfigure(&alone);
    relay.reload("reloaded").await;
    relay.logged(&["removed", &format!("zone={from}.")]).await;
    assert_eq!(shown(&relay, "example.net").await["catalog"], format!("{to}."));
    assert_eq!(sqs.accepted().len(), 4);
}

#[tokio::test]
async fn once_takes_members_too() {
    let primary = primary(Config::new().zone(catalog(CATALOG, 1, &[("a", APEX)], "")).zone(named(APEX, 5))).await;
    let sqs = Sqs::start().await;
    let place = Place::new(sqs.address, &config(&primary, ONE));
    let (good, log) = place.once().await;
    assert!(good, "{log}");
    assert_eq!(sqs.wait_for(1).await[0].message.serial, Serial(5));
    // By name, and with the label changed: another life.
    primary.set_zone(named(APEX, 4));
    primary.set_zone(catalog(CATALOG, 2, &[("b", APEX)], ""));
    let output = place.output("once", &[APEX]).await;
    assert!(output.status.success(), "{output:?}");
    let sent = sqs.wait_for(2).await.pop().unwrap().message;
    assert_eq!((sent.serial, sent.reason), (Serial(4), Reason::Initial));
    let output = place.output("once", &["example.net"]).await;
    assert!(!output.status.success(), "{output:?}");
    // Broken: what was listed before is looked at, and the status says that all is not well.
    primary.set_zone(named(APEX, 6));
    primary.set_zone(catalog(CATALOG, 3, &[], "version TXT \"3\""));
    let (good, log) = place.once().await;
    assert!(!good && log.contains("the TXT at version.catalog.example. must be one"), "{log}");
    assert_eq!(sqs.wait_for(3).await[2].message.serial, Serial(6));
}

async fn route53(names: &[&str]) -> Server {
    let zones = names.iter().enumerate().map(|(number, name)| ZoneSpec::public(name).with_id(&format!("Z{number}")));
    Server::start(strict::Config { zones: zones.collect(), ..strict::Config::default() }).await.unwrap()
}

#[tokio::test]
async fn the_accounts_hosted_zones_are_zones() {
    const FAILS: &str = "http://127.0.0.1:1";
    let names = [APEX, "example.net", "not.example", "twice.example", "twice.example"];
    let primary = primary(Config::new().zone(named(APEX, 1)).zone(named("example.net", 2))).await;
    let (sqs, account) = (Sqs::start().await, route53(&names).await);
    let discover = "[discover]\nroute53 = true\nexclude = [\"not.*\"]\n";
    let mut place = Place::new(sqs.address, &config(&primary, discover));
    place.set_route53(&account.endpoint());
    let relay = place.run().await;
    relay.logged(&["several hosted zones have this name", "zone=twice.example."]).await;
    let mut sent = sqs.wait_for(2).await;
    sent.sort_by_key(|sent| sent.message.serial.0);
    let ids: Vec<_> = sent.iter().map(|sent| sent.message.meta.hosted_zone_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["Z0", "Z1"]);
    assert_eq!(shown(&relay, APEX).await["origin"], "account");
    assert_eq!(shown(&relay, "not.example").await, Value::Null);
    let listing: Value = serde_json::from_str(&get(&relay, "/zones").await.1).unwrap();
    assert_eq!((&listing["account"]["hosted_zones"], &listing["account"]["error"]), (&5.into(), &Value::Null));
    // A filter counts at once.
    place.reconfigure(&config(&primary, &discover.replace("not.*", "*.net")));
    relay.reload("reloaded").await;
    relay.logged(&["removed", "zone=example.net."]).await;
    assert!(relay.stop().await.success());

    // Nobody there: nothing is known, so nothing is done; what is named goes on.
    place.set_route53(FAILS);
    place.reconfigure(&config(&primary, &format!("{discover}[[zone]]\nname = \"example.net\"\n")));
    let relay = place.run().await;
    relay.logged(&["the zones stay as they were", "failed to list the account's hosted zones"]).await;
    let listing: Value = serde_json::from_str(&get(&relay, "/zones").await.1).unwrap();
    assert!(listing["account"]["error"].as_str().unwrap().contains("refused"), "{listing}");
    assert_eq!(listing["total"], 1);
    assert!(relay.stop().await.success());
    let (good, log) = place.once().await;
    assert!(!good && log.contains("the account's hosted zones are not known"), "{log}");
}
