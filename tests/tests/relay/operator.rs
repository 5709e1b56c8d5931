//! What an operator asks of the relay that runs, and what it does of itself though no serial is new.

use secondary53_tests::primary::{Config, Rtype, SoaBehaviour, ZoneFile};
use secondary53_zone::message::{Approval, Reason};
use secondary53_zone::{Name, Rtype as ZoneRtype, Serial, Snapshot};

use crate::page::shown;
use crate::process::Place;
use crate::sqs::Sqs;
use crate::{APEX, primary, world, zone};

/// The zone with this serial and another address in it.
fn edited(serial: u32, address: &str) -> ZoneFile {
    let text = format!(
        "$ORIGIN {APEX}.\n$TTL 300\n@ SOA ns host {serial} 3600 1 86400 60\n@ NS ns\nns A 192.0.2.1\nwww A {address}\n"
    );
    ZoneFile::parse(&text).unwrap()
}

/// `resend` with these arguments: its exit status, and what it printed.
async fn resend(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let output = place.output("resend", arguments).await;
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

fn stored(place: &Place) -> Snapshot {
    let octets = std::fs::read(place.state().join("example.com.snapshot")).unwrap();
    Snapshot::decode(&octets, secondary53_zone::Limits::default()).unwrap()
}

#[tokio::test]
async fn a_rollback_is_refused_and_shown_until_an_operator_accepts_it() {
    let (primary, sqs, place) = world(Config::new().zone(zone(10)).history(10)).await;
    let relay = place.run().await;
    sqs.wait_for(1).await;
    relay.logged(&["sent", "serial=10"]).await;

    // The primary was restored from a backup.
    primary.set_zone(edited(4, "192.0.2.44"));
    let (status, told) = resend(&place, &[APEX]).await;
    assert_eq!((status, told.as_str()), (Some(0), "example.com.: asked for\n"));
    let backwards = shown(&relay, |zone| zone["status"] == "backwards").await;
    let error = backwards["error"].as_str().unwrap();
    assert!(error.ends_with("on purpose: secondary53-relay resend ZONE --accept-rollback"), "{error}");
    assert_eq!((&backwards["primary_serial"], &backwards["sent_serial"]), (&4.into(), &10.into()));
    assert_eq!(sqs.accepted().len(), 1);

    let (status, told) = resend(&place, &[APEX, "--accept-rollback"]).await;
    assert_eq!((status, told.as_str()), (Some(0), "example.com.: asked for\n"));
    let sent = sqs.wait_for(2).await.pop().unwrap();
    assert_eq!((sent.message.serial, sent.message.reason), (Serial(4), Reason::Resend));
    assert_eq!(sent.message.meta.approved, [Approval::Rollback]);
    shown(&relay, |zone| zone["status"] == "current" && zone["sent_serial"] == 4).await;
    assert_eq!(stored(&place).zone().serial(), Serial(4));

    // It goes on from there, without another word, and the word is used up.
    primary.set_zone(edited(5, "192.0.2.55"));
    primary.notify(relay.address).await.unwrap();
    let sent = sqs.wait_for(3).await.pop().unwrap();
    assert_eq!((sent.message.serial, sent.message.reason), (Serial(5), Reason::Notify));
    assert!(sent.message.meta.approved.is_empty());
    shown(&relay, |zone| zone["sent_serial"] == 5).await;
    primary.set_zone(zone(3));
    let (status, _) = resend(&place, &[APEX]).await;
    assert_eq!(status, Some(0));
    shown(&relay, |zone| zone["status"] == "backwards").await;
    assert_eq!(sqs.accepted().len(), 3);
    assert!(relay.stop().await.success());
}

/// The queue is down when an operator accepts a rollback, and the relay is stopped before it is back. What the primary counts
/// on meanwhile has the serials of before and another content: no difference may be applied to what is stored.
#[tokio::test]
async fn after_a_rollback_nothing_is_built_on_what_was_before() {
    let (primary, sqs, place) = world(Config::new().zone(zone(10)).history(10)).await;
    let relay = place.run().await;
    relay.logged(&["sent", "serial=10"]).await;
    primary.set_zone(edited(9, "192.0.2.99"));
    sqs.set_out_of_order(Some(".fifo"));
    assert_eq!(resend(&place, &[APEX, "--accept-rollback"]).await.0, Some(0));
    relay.logged(&["not sent", "serial=9"]).await;
    assert!(relay.stop().await.success());
    assert_eq!((stored(&place).zone().serial(), stored(&place).exact()), (Serial(10), None));

    primary.set_zone(edited(10, "192.0.2.99"));
    primary.set_zone(edited(11, "192.0.2.99"));
    sqs.set_out_of_order(None);
    let asked = primary.count(Rtype::IXFR);
    let relay = place.run().await;
    relay.logged(&["sent", "serial=11"]).await;
    let sent = sqs.accepted().pop().unwrap().snapshot();
    assert_eq!(sent.zone().serial(), Serial(11));
    let www = sent.zone().get("www.example.com".parse::<Name>().unwrap().by_ref(), ZoneRtype::A).unwrap();
    assert_eq!(www.rdata().collect::<Vec<_>>(), [[192, 0, 2, 99]]);
    assert_eq!(primary.count(Rtype::IXFR), asked);
}

#[tokio::test]
async fn what_is_asked_for_is_sent_whatever_its_serial_and_what_is_not_there_is_refused() {
    let (primary, sqs, place) = world(Config::new().zone(zone(7))).await;
    let relay = place.run().await;
    relay.logged(&["sent", "serial=7"]).await;
    for arguments in [&["Example.COM"][..], &["--all"]] {
        let before = sqs.accepted().len();
        let (status, told) = resend(&place, arguments).await;
        assert_eq!(status, Some(0), "{told}");
        let sent = sqs.wait_for(before + 1).await.pop().unwrap();
        assert_eq!((sent.message.serial, sent.message.reason), (Serial(7), Reason::Resend));
        assert!(sent.message.meta.approved.is_empty());
    }
    assert_eq!(primary.count(Rtype::AXFR), 3);

    let (status, told) = resend(&place, &["example.net", APEX]).await;
    assert_eq!(status, Some(1));
    assert_eq!(told, "example.com.: asked for\nexample.net.: refused: it is not a zone of this relay\n");
    let (status, told) = resend(&place, &["--json", "example.net"]).await;
    assert_eq!(status, Some(1));
    assert!(told.starts_with(r#"{"asked":[],"refused":[{"zone":"example.net.","why":"#), "{told}");
    for arguments in [&["--all", "--accept-rollback"][..], &["--all", APEX], &[]] {
        let (status, told) = resend(&place, arguments).await;
        assert_eq!(status, Some(2), "{told}");
    }

    // Asked for while the primary does not answer well, it comes when it does.
    primary.set_soa_behaviour(SoaBehaviour::EmptyAnswer);
    let before = sqs.wait_for(4).await.len();
    assert_eq!(resend(&place, &[APEX]).await.0, Some(0));
    relay.logged(&["retrying"]).await;
    primary.set_soa_behaviour(SoaBehaviour::Honest);
    let sent = sqs.wait_for(before + 1).await.pop().unwrap();
    assert_eq!((sent.message.serial, sent.message.reason), (Serial(7), Reason::Resend));

    assert!(relay.stop().await.success());
    let (status, told) = resend(&place, &[APEX]).await;
    let expected = format!("none runs with state_dir {}", place.state().display());
    assert!(status == Some(1) && told.contains(&expected), "{told}");
}

#[tokio::test]
async fn a_second_relay_with_the_same_state_is_refused() {
    let (_primary, _sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    for command in ["run", "once"] {
        let output = place.output(command, &[]).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        let expected = format!("failed to use state_dir {}: another relay runs with it", place.state().display());
        assert!(told.contains(&expected), "{told}");
    }
    // The first is there still, and so is its socket; when it is killed, another may run at once.
    assert_eq!(resend(&place, &[APEX]).await.0, Some(0));
    relay.kill().await;
    let relay = place.run().await;
    assert_eq!(resend(&place, &[APEX]).await.0, Some(0));
    assert!(relay.stop().await.success());
}

/// What is changed without a new serial is nothing to NOTIFY and refresh. The audit finds it.
#[tokio::test]
async fn an_audit_finds_what_was_changed_without_a_new_serial() {
    let sqs = Sqs::start().await;
    let primary = primary(Config::new().zone(edited(7, "192.0.2.7"))).await;
    let place = Place::with_zone(sqs.address, primary.address(), APEX);
    let text = std::fs::read_to_string(place.config()).unwrap();
    // It is not asked whether it is live: a resolver may take longer than that to say that it does not know.
    let text = text.replace("[timers]", "[timers]\naudit = \"1s\"").replace("[[zone]]", "[[zone]]\nconfirm = false");
    std::fs::write(place.config(), text).unwrap();
    let relay = place.run().await;
    let first = sqs.wait_for(1).await.remove(0).message;
    primary.set_zone(edited(7, "192.0.2.8"));
    relay.logged(&["sent", "reason=audit", "serial=7"]).await;
    let asked = primary.count(Rtype::AXFR);
    primary.wait_for_axfr(asked + 2).await.unwrap();
    let last = sqs.accepted().pop().unwrap().message;
    assert_eq!((last.serial, last.reason), (Serial(7), Reason::Audit));
    assert_ne!(last.digest, first.digest);
    assert_eq!(primary.count(Rtype::IXFR), 0);
    shown(&relay, |zone| zone["status"] == "current").await;
    assert!(relay.stop().await.success());
}
