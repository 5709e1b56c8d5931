//! What a batch does: all or nothing, in order, and nothing at all where Route 53 sees no difference.

use aws_sdk_route53::{error::SdkError, operation::change_resource_record_sets::ChangeResourceRecordSetsError};
use secondary53_tests::strict::Effect;

use crate::*;

const ONE: &[&str] = &["192.0.2.1"];
const TWO: &[&str] = &["192.0.2.1", "192.0.2.2"];

#[tokio::test]
async fn the_sdk_gets_one_bracketed_list_of_all_errors_in_message() {
    let world = World::start().await;
    world.send(vec![create("www.example.com", "A", ONE)]).await.unwrap();
    let changes = vec![
        create("good.example.com", "A", ONE),
        create("WWW.example.com", "A", ONE),
        delete("*.example.com", "A", ONE),
        delete("www.example.com", "AAAA", &["::1"]),
        create("bad.example.com", "A", &["192.0.2.300"]),
        create("plain.example.com", "TXT", &["v=spf1 -all"]),
        create("www.example.org", "A", ONE),
    ];
    let batch = ChangeBatch::builder().set_changes(Some(changes)).build().unwrap();
    let sent = world.client.change_resource_record_sets().hosted_zone_id(ZONE).change_batch(batch).send().await;
    let Err(SdkError::ServiceError(error)) = sent else { panic!("the batch should have been refused") };
    assert_eq!(error.raw().status().as_u16(), 400);
    let ChangeResourceRecordSetsError::InvalidChangeBatch(error) = error.into_err() else { panic!("another error") };
    assert_eq!(error.messages, None);
    assert_eq!(
        error.message.unwrap(),
        "[Tried to create resource record set [name='www.example.com.', type='A'] but it already exists, \
         Tried to delete resource record set [name='\\052.example.com.', type='A'] but it was not found, \
         Tried to delete resource record set [name='www.example.com.', type='AAAA'] but it was not found, \
         Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) \
         encountered with '192.0.2.300'', \
         Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks) \
         encountered with 'v=spf1 -all'', \
         RRSet with DNS name www.example.org. is not permitted in zone example.com.]"
    );
    assert_eq!(world.zone().rrsets.len(), 3, "all or nothing");
}

#[tokio::test]
async fn a_delete_must_match_what_is_stored() {
    let world = World::start().await;
    world.send(vec![create("www.example.com", "A", TWO)]).await.unwrap();
    let differs = "[Tried to delete resource record set [name='www.example.com.', type='A'] \
                   but the values provided do not match the current values]";
    let other_ttl = change(ChangeAction::Delete, set("www.example.com", "A", 301, TWO));
    for bad in
        [other_ttl, delete("www.example.com", "A", ONE), delete("www.example.com", "A", &["192.0.2.1", "192.0.2.3"])]
    {
        assert_eq!(refused(world.send(vec![bad]).await), differs);
    }
    world.send(vec![delete("www.example.com", "A", &["192.0.2.2", "192.0.2.1"])]).await.unwrap();
    assert_eq!(world.values("www.example.com.", "A"), None);
}

#[tokio::test]
async fn another_spelling_is_another_value() {
    let world = World::start().await;
    world.send(vec![create("six.example.com", "AAAA", &["2001:DB8::1"])]).await.unwrap();
    assert_eq!(world.values("six.example.com.", "AAAA").unwrap(), ["2001:DB8::1"]);
    let message = refused(world.send(vec![delete("six.example.com", "AAAA", &["2001:db8::1"])]).await);
    assert!(message.contains("do not match"), "{message}");
    let message = refused(world.send(vec![create("two.example.com", "AAAA", &["::1", "0::1"])]).await);
    assert_eq!(message, "[Duplicate Resource Record: '0::1']");
}

#[tokio::test]
async fn an_rrset_is_not_changed_twice_but_by_delete_and_create() {
    let world = World::start().await;
    world.send(vec![create("www.example.com", "A", ONE)]).await.unwrap();
    let invalid = "[The request contains an invalid set of changes for a resource record set 'A www.example.com.']";
    let (create, delete) = (|| create("www.example.com", "A", TWO), || delete("www.example.com", "A", ONE));
    let upsert = || upsert("www.example.com", "A", TWO);
    for bad in [vec![delete(), delete()], vec![upsert(), upsert()], vec![delete(), create(), delete()]] {
        assert_eq!(refused(world.send(bad).await), invalid);
    }
    let message = refused(world.send(vec![create(), delete()]).await);
    assert!(message.contains("already exists"), "{message}");
    world.send(vec![delete(), create()]).await.unwrap();
    assert_eq!(world.values("www.example.com.", "A").unwrap(), TWO);
}

#[tokio::test]
async fn a_cname_stands_alone_and_swaps_with_the_delete_first() {
    let world = World::start().await;
    let cname = || create("www.example.com", "CNAME", &["a.example.net."]);
    world.send(vec![create("www.example.com", "A", ONE)]).await.unwrap();
    let conflicts = "RRSet of type CNAME with DNS name www.example.com. is not permitted as it conflicts with other \
                     records with the same DNS name in zone example.com.";
    assert_eq!(refused(world.send(vec![cname()]).await), format!("[{conflicts}]"));
    let late = vec![cname(), delete("www.example.com", "A", ONE)];
    assert_eq!(refused(world.send(late).await), format!("[{conflicts}]"));
    world.send(vec![delete("www.example.com", "A", ONE), cname()]).await.unwrap();

    for action in [create, upsert] {
        let message = refused(world.send(vec![action("www.example.com", "A", ONE)]).await);
        assert_eq!(
            message,
            "[RRSet of type A with DNS name www.example.com. is not permitted because a conflicting RRSet of type  \
             CNAME with the same DNS name already exists in zone example.com.]"
        );
    }
    let back = vec![delete("www.example.com", "CNAME", &["a.example.net."]), create("www.example.com", "A", ONE)];
    world.send(back).await.unwrap();

    let apex = world.send(vec![create("example.com", "CNAME", &["a.example.net."])]).await;
    assert!(refused(apex).contains("not permitted at apex"));
    let two = world.send(vec![create("x.example.com", "CNAME", &["a.example.net.", "b.example.net."])]).await;
    assert!(refused(two).contains("must have exactly one value"));
}

#[tokio::test]
async fn the_apex_keeps_its_ns_and_soa_and_the_soa_is_upserted() {
    let world = World::start().await;
    let zone = world.zone();
    assert_eq!(zone.serial, 1);
    let soa = zone.rrset("example.com.", "SOA").unwrap().clone();
    assert_eq!(soa.ttl, Some(900));
    let (mname, rest) = soa.values[0].split_once(' ').unwrap();
    assert!(mname.starts_with("ns-") && mname.contains(".awsdns-"), "{mname}");
    assert_eq!(rest, "awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400");
    let ns = zone.rrset("example.com.", "NS").unwrap().clone();
    assert_eq!((ns.ttl, ns.values.len()), (Some(172_800), 4));

    let exactly = |action: ChangeAction, set_: &secondary53_tests::strict::RecordSetView| {
        let values: Vec<_> = set_.values.iter().map(String::as_str).collect();
        change(action, set(&set_.name, set_.rtype, i64::from(set_.ttl.unwrap()), &values))
    };
    let message = refused(world.send(vec![exactly(ChangeAction::Delete, &soa)]).await);
    assert_eq!(message, "[A HostedZone must contain exactly one SOA record.]");
    let message = refused(world.send(vec![exactly(ChangeAction::Delete, &ns)]).await);
    assert_eq!(message, "[A HostedZone must contain at least one NS record for the zone itself.]");
    let message = refused(world.send(vec![exactly(ChangeAction::Create, &soa)]).await);
    assert!(message.contains("already exists"), "{message}");

    let next = format!("{mname} awsdns-hostmaster.amazon.com. 4294967295 3600 600 604800 300");
    world.send(vec![upsert("example.com", "SOA", &[&next])]).await.unwrap();
    assert_eq!(world.zone().serial, u32::MAX);
    let message = refused(world.send(vec![upsert("www.example.com", "SOA", &[&next])]).await);
    assert!(message.contains("only permitted at apex"), "{message}");
    let ds = world.send(vec![create("example.com", "DS", &["1 13 5 00"])]).await;
    assert!(refused(ds).contains("not permitted at apex"));
}

#[tokio::test]
async fn a_change_of_nothing_is_taken_not_done_and_remembered() {
    let world = World::start().await;
    world.send(vec![create("www.example.com", "A", TWO)]).await.unwrap();
    world.send(vec![create("mail.example.com", "MX", &["10 a.example.com."])]).await.unwrap();
    assert!(world.server.calls().iter().all(|call| call.no_ops().next().is_none()));
    world.server.reset_calls();
    let turned: &[&str] = &["192.0.2.2", "192.0.2.1"];
    let batches = [
        (vec![upsert("www.example.com", "A", turned)], Effect::NothingOrderOrDot),
        (vec![delete("www.example.com", "A", TWO), create("www.example.com", "A", turned)], Effect::NothingOrderOrDot),
        (vec![upsert("mail.example.com", "MX", &["10 a.example.com"])], Effect::NothingOrderOrDot),
        (vec![upsert("mail.example.com.", "MX", &["10 a.example.com."])], Effect::NothingIdentical),
    ];
    for (batch, effect) in batches {
        let changes = batch.len();
        let info = world.send(batch).await.unwrap();
        assert_eq!(info.status.as_str(), "PENDING");
        let call = world.server.calls().pop().unwrap();
        assert_eq!(call.no_ops().count(), changes);
        assert!(call.changes.iter().all(|change| change.effect == Some(effect)), "{call:?}");
    }
    assert_eq!(world.values("www.example.com.", "A").unwrap(), TWO);
    assert_eq!(world.values("mail.example.com.", "MX").unwrap(), ["10 a.example.com."]);

    // With another TTL it is a change, and the new order stands.
    world.send(vec![change(ChangeAction::Upsert, set("www.example.com", "A", 60, turned))]).await.unwrap();
    assert_eq!(world.values("www.example.com.", "A").unwrap(), turned);
    let effects: Vec<_> = world.server.calls().pop().unwrap().changes.iter().map(|change| change.effect).collect();
    assert_eq!(effects, [Some(Effect::Replaced)]);
}

#[tokio::test]
async fn a_protected_rrset_refuses_the_whole_batch() {
    let world = World::start().await;
    world.server.seed(ZONE, &[("www.example.com", "A", 300, ONE)]).unwrap();
    world.server.protect(ZONE, "www.example.com", "A").unwrap();
    let batch = vec![create("new.example.com", "A", ONE), upsert("www.example.com", "A", TWO)];
    let message = refused(world.send(batch).await);
    assert_eq!(message, "[RRSet [name='www.example.com.', type='A'] is protected and cannot be changed]");
    assert_eq!(world.zone().rrsets.len(), 3);
}

#[tokio::test]
async fn the_log_tells_what_was_asked_and_what_came_of_it() {
    let world = World::start().await;
    world.send(vec![create("www.example.com", "A", ONE)]).await.unwrap();
    world.send(vec![create("www.example.com", "A", ONE), create("x.example.com", "A", ONE)]).await.unwrap_err();
    world.send(vec![delete("www.example.com", "A", ONE)]).await.unwrap();
    let calls = world.server.calls();
    assert_eq!(calls.iter().map(|call| call.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(calls.iter().all(|call| call.action == "ChangeResourceRecordSets" && call.zone.as_deref() == Some(ZONE)));
    assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [200, 400, 200]);
    assert_eq!(calls[1].code(), Some("InvalidChangeBatch"));
    assert_eq!(calls[1].changes.len(), 2);
    assert!(calls[1].changes.iter().all(|change| change.effect.is_none()));
    assert_eq!(calls[0].at_ms, 1_800_000_000_123);
    let first = &calls[0].changes[0];
    assert_eq!((first.action, first.name.as_str(), first.rtype), ("CREATE", "www.example.com", "A"));
    assert_eq!((first.ttl, first.effect), (Some(300), Some(Effect::Created)));
    assert_eq!(first.values, ONE);
    assert_eq!(calls[2].changes[0].effect, Some(Effect::Deleted));
}
