//! What IAM does not let the worker change: types or names by the conditions of a policy, or all of a hosted zone.

use secondary53_zone::message::Reason;
use serde_json::json;

use super::dead_letters::{one, world};
use super::{World, held, message, record, zone};

fn hosts(count: usize, last: u8) -> String {
    (0..count).map(|i| format!("h{i} A 10.{}.{}.{last}\n", i / 256, i % 256)).collect()
}

/// The calls since the last time that changed something, or were to.
fn requests(world: &World) -> usize {
    world.calls().remove("ChangeResourceRecordSets").unwrap_or_default()
}

#[tokio::test]
async fn delegations_that_are_denied_are_put_aside_and_the_rest_is_applied() {
    const DS: &str = "1 13 2 ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB";
    let (world, dead) = world().await;
    world.sync(&zone(7, &hosts(300, 1)), Reason::Initial).await;
    world.calls();
    world.server.deny(None, Some("NS")).unwrap();
    let delegations = format!("sub NS ns.example.net.\nsub DS {DS}\nother NS ns.example.net.\n");
    let wanted = |last| format!("{}t TXT \"x\"\nm MX 1 h1\n{delegations}", hosts(300, last));
    let sent = message(&zone(8, &wanted(2)), Reason::Notify);
    assert_eq!(world.deliver(vec![record("1", &sent)]).await, Vec::<String>::new());
    let changed = world.hosted().values().filter(|(_, values)| values[0].ends_with(".2")).count();
    assert_eq!((changed, world.hosted().len(), world.serial()), (300, 302, 7));
    let asked = requests(&world);
    assert!(asked <= 10, "{asked} requests");
    let letter = one(&dead);
    assert_eq!(letter.message, Some(sent));
    assert_eq!(letter.note["outcome"], "rejected");
    let mut named: Vec<&str> =
        letter.note["rrsets"].as_array().unwrap().iter().map(|rrset| rrset.as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["other.example.com. NS", "sub.example.com. DS", "sub.example.com. NS"]);
    let reason = letter.note["reason"].as_str().unwrap();
    assert!(reason.contains("IAM denies the function 3 of them") && reason.contains("AllowDelegations"), "{reason}");
    assert!(letter.note["route53"].as_str().unwrap().starts_with("AccessDenied: User: arn:aws:sts::"));
    // Known: one request for the rest, one for them.
    world.sync(&zone(9, &wanted(3)), Reason::Notify).await;
    assert_eq!((requests(&world), one(&dead).note["rrsets_count"].as_u64(), world.serial()), (2, Some(3), 7));
    world.server.permit();
    world.sync(&zone(10, &wanted(4)), Reason::Notify).await;
    assert_eq!((world.serial(), world.hosted().len(), dead.take().len()), (10, 305, 0));
}

#[tokio::test]
async fn a_name_that_is_denied_is_found() {
    let (world, dead) = world().await;
    world.sync(&zone(7, &hosts(300, 1)), Reason::Initial).await;
    for name in ["h7.example.com", "h77.example.com"] {
        world.server.deny(Some(name), None).unwrap();
    }
    world.sync(&zone(8, &hosts(300, 2)), Reason::Notify).await;
    let old = world.hosted().values().filter(|(_, values)| values[0].ends_with(".1")).count();
    assert_eq!((old, world.hosted().len(), world.serial()), (2, 300, 7));
    assert_eq!(one(&dead).note["rrsets"], json!(["h7.example.com. A", "h77.example.com. A"]));
}

#[tokio::test]
async fn a_worker_without_permission_is_refused_in_few_calls() {
    let (world, dead) = world().await;
    // Never synced, and synced before.
    for (serial, most) in [(7, 9), (8, 4)] {
        world.server.deny(None, None).unwrap();
        world.sync(&zone(serial, &(hosts(300, 1) + "w A 192.0.2.1")), Reason::Notify).await;
        let asked = requests(&world);
        assert!(asked <= most, "{asked} requests");
        let note = one(&dead).note;
        assert_eq!(note["outcome"], "refused");
        assert!(note["reason"].as_str().unwrap().contains("route53:ChangeResourceRecordSets"), "{note}");
        world.server.permit();
        world.sync(&zone(7, "w A 192.0.2.1"), Reason::Notify).await;
        world.calls();
    }
    assert_eq!((world.serial(), world.hosted()), (7, held(&[("w.example.com.", "A", 300, &["192.0.2.1"])])));
}
