//! SIGHUP: zones, primaries and queues come, change and go while the relay runs, with work under way.

use std::fmt::Write as _;

use secondary53_tests::primary::{Behaviour, Config, Primary, Rcode, Rtype, Transport, ZoneFile};
use secondary53_zone::Serial;
use secondary53_zone::message::Reason;

use super::process::{Place, Relay};
use super::sqs::{Accepted, Sqs};
use super::{APEX, primary, zone};

const OTHER: &str = "example.net";
const RELOADED: &str = "reloaded";
const REFUSED: &str = "that of before goes on";

fn named(apex: &str, serial: u32) -> ZoneFile {
    let text = format!("$ORIGIN {apex}.\n$TTL 300\n@ SOA ns host {serial} 3600 1 86400 60\n@ NS ns\nns A 192.0.2.1\n");
    ZoneFile::parse(&text).unwrap()
}

/// A configuration of these primaries and queues, and of zones, each with what else is said of it.
fn config(primaries: &[(&str, &Primary)], queues: &[&str], zones: &[(&str, &str)]) -> String {
    let mut text = String::from("[timers]\nretry_min = \"1s\"\n[limits]\ntransfer_idle = \"5s\"\n");
    for queue in queues {
        let _ = writeln!(text, "[queue.{queue}]\nurl = \"http://127.0.0.1/0/{queue}.fifo\"\nregion = \"eu-west-1\"");
    }
    for (name, primary) in primaries {
        let _ = writeln!(text, "[primary.{name}]\naddress = \"{}\"\nixfr = false", primary.address());
    }
    for (name, more) in zones {
        let _ = writeln!(text, "[[zone]]\nname = \"{name}\"\n{more}");
    }
    text
}

fn of<'a>(accepted: &'a [Accepted], zone: &'a str) -> impl Iterator<Item = &'a Accepted> {
    accepted.iter().filter(move |accepted| accepted.message.zone.to_string().trim_end_matches('.') == zone)
}

async fn rcode(primary: &Primary, apex: &str, relay: &Relay) -> Rcode {
    let apex = ZoneFile::parse(&format!("$ORIGIN {apex}.\n@ 1 SOA a b 1 1 1 1 1\n@ 1 NS a\n")).unwrap().apex().clone();
    primary.notify_zone(&apex, relay.address, Transport::Tcp).await.unwrap().rcode
}

#[tokio::test]
async fn zones_come_and_go() {
    let primary = primary(Config::new().zone(zone(1)).zone(named(OTHER, 7))).await;
    let sqs = Sqs::start().await;
    let primaries = [("main", &primary)];
    let place = Place::new(sqs.address, &config(&primaries, &["main"], &[(APEX, "")]));
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    assert_eq!(rcode(&primary, OTHER, &relay).await, Rcode::NOTAUTH);

    // Before the one that is there, so that places in the configuration mean nothing.
    place.reconfigure(&config(&primaries, &["main"], &[(OTHER, ""), (APEX, "")]));
    relay.reload(RELOADED).await;
    relay.logged(&["added", "zone=example.net."]).await;
    relay.logged(&["sent", "zone=example.net.", "serial=7", "reason=initial"]).await;
    // The one that was there is as it was: not looked at, and its state is where it was.
    assert_eq!((primary.count(Rtype::AXFR), sqs.accepted().len()), (2, 2));
    primary.set_zone(zone(2));
    assert_eq!(rcode(&primary, APEX, &relay).await, Rcode::NOERROR);
    relay.logged(&["sent", "zone=example.com.", "serial=2", "reason=notify"]).await;

    place.reconfigure(&config(&primaries, &["main"], &[(OTHER, "")]));
    relay.reload(RELOADED).await;
    relay.logged(&["removed", "zone=example.com.", "so does the stored snapshot"]).await;
    assert_eq!(rcode(&primary, APEX, &relay).await, Rcode::NOTAUTH);
    assert_eq!(rcode(&primary, OTHER, &relay).await, Rcode::NOERROR);
    assert!(place.state().join("example.com.snapshot").is_file());

    // Back again, it goes on from there.
    place.reconfigure(&config(&primaries, &["main"], &[(OTHER, ""), (APEX, "")]));
    relay.reload(RELOADED).await;
    relay.logged(&["current", "zone=example.com.", "serial=2"]).await;
    assert_eq!(of(&sqs.accepted(), APEX).count(), 2);
    assert!(relay.stop().await.success());
}

#[tokio::test]
async fn another_primary_is_asked_at_once() {
    let first = primary(Config::new().zone(zone(1))).await;
    let second = primary(Config::new().zone(zone(5))).await;
    let sqs = Sqs::start().await;
    let all = [("first", &first), ("second", &second)];
    let place = Place::new(sqs.address, &config(&all, &["main"], &[(APEX, "primaries = [\"first\"]")]));
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    place.reconfigure(&config(&all[1..], &["main"], &[(APEX, "")]));
    relay.reload(RELOADED).await;
    relay.logged(&["changed", "zone=example.com.", "primaries=true"]).await;
    relay.logged(&["sent", "serial=5", "reason=refresh"]).await;
    // Whose NOTIFY counts is another question than who is asked; both are at 127.0.0.1 here.
    second.set_zone(zone(6));
    assert_eq!(rcode(&second, APEX, &relay).await, Rcode::NOERROR);
    relay.logged(&["sent", "serial=6"]).await;
    assert_eq!(first.count(Rtype::AXFR), 1);
}

#[tokio::test]
async fn a_bad_configuration_is_refused_whole_and_all_of_it_is_told() {
    let primary = primary(Config::new().zone(zone(1)).zone(named(OTHER, 7))).await;
    let sqs = Sqs::start().await;
    let primaries = [("main", &primary)];
    let place = Place::new(sqs.address, &config(&primaries, &["main"], &[(APEX, "")]));
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    let zones = [(OTHER, ""), (APEX, "primaries = [\"nobody\"]"), ("a..b", "")];
    place.reconfigure(&config(&primaries, &["main"], &zones));
    relay.reload(REFUSED).await;
    relay.logged(&["relay.toml:", "zone.primaries", "there is no primary \"nobody\""]).await;
    relay.logged(&["relay.toml:", "zone.name", "\"a..b\" is not the name of a zone"]).await;
    std::fs::remove_file(place.config()).unwrap();
    relay.reload(REFUSED).await;
    relay.logged(&["failed to read the configuration"]).await;
    primary.set_zone(zone(2));
    assert_eq!(rcode(&primary, APEX, &relay).await, Rcode::NOERROR);
    assert_eq!(rcode(&primary, OTHER, &relay).await, Rcode::NOTAUTH);
    relay.logged(&["sent", "zone=example.com.", "serial=2"]).await;
    // What cannot change is told, and the rest is taken over.
    let text = config(&primaries, &["main"], &[(OTHER, ""), (APEX, "")]);
    place.reconfigure(&text);
    let text = std::fs::read_to_string(place.config()).unwrap().replace("http = \"127.0.0.1:0\"", "http = \"\"");
    std::fs::write(place.config(), text).unwrap();
    relay.reload(RELOADED).await;
    relay.logged(&["http was changed", "needs a restart"]).await;
    relay.logged(&["sent", "zone=example.net.", "serial=7"]).await;
}

#[tokio::test]
async fn what_is_under_way_for_a_zone_that_goes_ends_in_nothing() {
    let primary = primary(Config::new().zone(zone(1)).zone(named(OTHER, 7))).await;
    let sqs = Sqs::start().await;
    let primaries = [("main", &primary)];
    let with = |zones: &[(&str, &str)]| config(&primaries, &["main"], zones);
    let place = Place::new(sqs.address, &with(&[(APEX, "")]));
    sqs.set_held(true);
    let relay = place.run().await;
    sqs.wait_for_arrived(1).await;
    // A send is under way.
    place.reconfigure(&with(&[(OTHER, "")]));
    relay.reload(RELOADED).await;
    relay.logged(&["removed", "zone=example.com.", "unsent=1"]).await;
    sqs.set_held(false);
    relay.logged(&["sent", "zone=example.com.", "serial=1"]).await;
    relay.logged(&["sent", "zone=example.net.", "serial=7"]).await;
    // A look is under way, and its zone goes and comes again meanwhile.
    primary.set_zone(named(OTHER, 8));
    primary.set_behaviour(Behaviour::SilentAfterMessages(0));
    assert_eq!(rcode(&primary, OTHER, &relay).await, Rcode::NOERROR);
    primary.wait_for_axfr(3).await.unwrap();
    place.reconfigure(&with(&[(APEX, "")]));
    relay.reload(RELOADED).await;
    primary.set_behaviour(Behaviour::Honest);
    place.reconfigure(&with(&[(OTHER, "")]));
    relay.reload(RELOADED).await;
    relay.logged(&["sent", "zone=example.net.", "serial=8"]).await;
    assert!(relay.stop().await.success());
}

#[tokio::test]
async fn a_look_at_a_primary_that_is_gone_does_not_count() {
    let slow = primary(Config::new().zone(zone(9)).behaviour(Behaviour::SilentAfterMessages(0))).await;
    let fast = primary(Config::new().zone(zone(5))).await;
    let sqs = Sqs::start().await;
    let all = [("slow", &slow), ("fast", &fast)];
    let place = Place::new(sqs.address, &config(&all[..1], &["main"], &[(APEX, "")]));
    let relay = place.run().await;
    slow.wait_for_axfr(1).await.unwrap();
    place.reconfigure(&config(&all[1..], &["main"], &[(APEX, "")]));
    relay.reload(RELOADED).await;
    relay.logged(&["left aside", "zone=example.com."]).await;
    relay.logged(&["sent", "serial=5"]).await;
    assert_eq!(sqs.accepted().iter().map(|accepted| accepted.message.serial).collect::<Vec<_>>(), [Serial(5)]);
}

#[tokio::test]
async fn what_waits_goes_to_the_queues_that_there_are() {
    let primary = primary(Config::new().zone(zone(1))).await;
    let sqs = Sqs::start().await;
    let primaries = [("main", &primary)];
    let with = |queues: &[&str]| config(&primaries, queues, &[(APEX, &format!("queues = {queues:?}"))]);
    let place = Place::new(sqs.address, &with(&["a", "b"]));
    sqs.set_out_of_order(Some("b.fifo"));
    let relay = place.run().await;
    relay.logged(&["sent", "queue=\"a\"", "serial=1"]).await;
    relay.logged(&["not sent", "queue=\"b\"", "serial=1"]).await;
    // The one that is out of order goes, another comes, the first has a new name.
    primary.set_behaviour(Behaviour::SilentAfterMessages(0));
    let text = with(&["c", "a"]).replace("[queue.a]", "[queue.first]").replace("\"a\"]", "\"first\"]");
    place.reconfigure(&text);
    relay.reload(RELOADED).await;
    relay.logged(&["sent", "queue=\"c\"", "serial=1"]).await;
    let queues: Vec<_> = sqs.accepted().iter().map(|accepted| accepted.queue.clone()).collect();
    assert!(queues[0].ends_with("a.fifo") && queues[1].ends_with("c.fifo") && queues.len() == 2, "{queues:?}");
    assert!(relay.stop().await.success());
    // Both have it, so it is stored as that.
    primary.set_behaviour(Behaviour::Honest);
    let (good, log) = place.once().await;
    assert!(good && log.contains("current"), "{log}");

    // With nothing on its way, one that comes gets what is stored; one that goes is nobody's loss.
    let relay = place.run().await;
    relay.logged(&["current"]).await;
    place.reconfigure(&with(&["a", "d"]));
    relay.reload(RELOADED).await;
    relay.logged(&["sent", "queue=\"d\"", "serial=1", "reason=initial"]).await;
    assert_eq!((sqs.accepted().len(), primary.count(Rtype::AXFR)), (3, 1));
}

#[tokio::test]
async fn another_hosted_zone_gets_all_of_it() {
    let primary = primary(Config::new().zone(zone(1))).await;
    let sqs = Sqs::start().await;
    let primaries = [("main", &primary)];
    let with = |id: &str| config(&primaries, &["main"], &[(APEX, &format!("hosted_zone_id = \"{id}\""))]);
    let place = Place::new(sqs.address, &with("Z1"));
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    place.reconfigure(&with("Z2"));
    relay.reload(RELOADED).await;
    relay.logged(&["changed", "zone=example.com.", "queues=true"]).await;
    sqs.wait_for(2).await;
    assert!(relay.stop().await.success());
    // The same after a restart.
    place.reconfigure(&with("Z3"));
    let (good, log) = place.once().await;
    assert!(good, "{log}");
    for (sent, id) in sqs.accepted().iter().zip(["Z1", "Z2", "Z3"]) {
        let hosted_zone_id = sent.message.meta.hosted_zone_id.as_deref();
        assert_eq!((sent.message.serial, sent.message.reason, hosted_zone_id), (Serial(1), Reason::Initial, Some(id)));
    }
    // Nothing more, and it was not asked for anew.
    assert_eq!((sqs.accepted().len(), primary.count(Rtype::AXFR)), (3, 1));
}

#[tokio::test]
async fn other_timers_count_at_once() {
    let primary = primary(Config::new().zone(zone(1))).await;
    let sqs = Sqs::start().await;
    let text = config(&[("main", &primary)], &["main"], &[(APEX, "")]);
    let place = Place::new(sqs.address, &text);
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    // The SOA says an hour.
    primary.set_zone(zone(2));
    place.reconfigure(&text.replace("[timers]", "[timers]\nrefresh_min = \"1s\"\nrefresh_max = \"1s\""));
    relay.reload(RELOADED).await;
    relay.logged(&["sent", "serial=2", "reason=refresh"]).await;
}
