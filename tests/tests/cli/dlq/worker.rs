//! With the real worker on the other side, and what else stands between the two.

use secondary53_tests::stack::wait::{GENEROUS, until};
use secondary53_tests::zones::incompressible;

use super::*;

impl Desk {
    async fn with_worker(&self) -> Result<(), StackError> {
        let environment = BTreeMap::from([
            ("AWS_ENDPOINT_URL_ROUTE_53", self.route53.endpoint()),
            ("AWS_ENDPOINT_URL_SQS", self.ministack.endpoint.clone()),
            ("DLQ_URL", self.queues.dead_letter.clone()),
        ]);
        self.ministack.worker("worker", &programs::built("bootstrap")?, &environment, &self.queues).await
    }

    /// Sends a zone as a relay does.
    async fn send(&self, zone: &ZoneFile) -> Result<(), StackError> {
        let message = message(zone, Meta::default());
        let attributes = message.attributes();
        let texts: Vec<_> = attributes.iter().map(|it| (it.name, it.value.as_str())).collect();
        self.ministack.send(&self.queues.main, &message.group_id(), &message.body.as_text(), &texts).await
    }

    async fn reaches(&self, serial: u32) -> Result<(), StackError> {
        let event = format!("serial {serial} in Route 53");
        until(GENEROUS, &event, async || {
            Ok((self.route53.zone(ID).map(|zone| zone.serial) == Some(serial)).then_some(()))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_passes_once_it_is_approved() -> Result<(), StackError> {
    pass_over_missing(approved().await)
}

async fn approved() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    desk.with_worker().await?;
    desk.send(&file(7, "w A 192.0.2.1\nx A 192.0.2.2")).await?;
    desk.reaches(7).await?;
    desk.send(&file(8, "")).await?;
    until(GENEROUS, "a dead letter", async || Ok((desk.depths().await.1 == 1).then_some(()))).await?;

    let id = desk.ids().await[&("example.com.".to_owned(), 8)].clone();
    let (status, shown, error) = desk.run(&["show", &id[..8]]).await;
    assert_eq!(status, 0, "{error}");
    for line in [
        "outcome      held",
        &format!("approvable   mass_deletion: secondary53 dlq approve {}", &id[..8]),
        "not done     0 to create, 0 to change, 2 to delete",
        "reason       notify",
        "example.com. 3600 IN SOA ns1.example.com. host.example.com. 8 3600 600 1209600 300",
        "- w.example.com. 300 A 192.0.2.1",
        "example.com.: 0 to create, 0 to change, 2 to delete; serial 7 → 8; 1 request (2 API calls so far)",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in:\n{shown}");
    }
    assert!(shown.contains("it would be held again: 2 of the 2 RRsets"), "{shown}");
    let (status, zone, _) = desk.run(&["show", &id, "--zone-file"]).await;
    assert_eq!(status, 0);
    assert_eq!(zone_of(&ZoneFile::parse(&zone).unwrap()).unwrap(), zone_of(&file(8, "")).unwrap());
    let json = desk.json(&["show", &id]).await;
    assert_eq!((&json["plan"]["delete"], &json["plan"]["stopped_by"]["guard"]), (&json!(2), &json!("held")));
    assert_eq!((&json["quarantine"]["plan"]["delete"], &json["zone_file"]), (&json!(2), &json!(zone)));

    // Without an approval it comes back as another message.
    assert_eq!(desk.run(&["replay", &id]).await.0, 0);
    let again = until(GENEROUS, "it back", async || Ok(desk.ids().await.into_values().find(|again| *again != id)));
    let again = again.await?;
    let (status, _, error) = desk.run(&["approve", &again]).await;
    assert!(status == 1 && error.contains("2 of the 2 RRsets") && error.contains("pass --yes"), "{error}");
    assert_eq!(desk.run(&["approve", &again, "--yes"]).await.0, 0);
    desk.reaches(8).await?;
    assert!(desk.route53.zone(ID).unwrap().rrset("w.example.com.", "A").is_none());

    // It was for that snapshot alone.
    desk.send(&file(9, "w A 192.0.2.1")).await?;
    desk.reaches(9).await?;
    desk.send(&file(10, "")).await?;
    until(GENEROUS, "another dead letter", async || Ok((desk.depths().await.1 == 1).then_some(()))).await?;
    // And where something newer has come through meanwhile, it does nothing.
    let late = desk.ids().await[&("example.com.".to_owned(), 10)].clone();
    desk.send(&file(11, "w A 192.0.2.9")).await?;
    desk.reaches(11).await?;
    let (status, told, _) = desk.run(&["approve", &late, "--yes"]).await;
    assert!(status == 2 && told.contains("Route 53 has 11, which is newer"), "{told}");
    assert_eq!(desk.run(&["approve", &late, "--yes", "--older"]).await.0, 0);
    until(GENEROUS, "it done", async || Ok((desk.depths().await == (0, 0)).then_some(()))).await?;
    let hosted = desk.route53.zone(ID).unwrap();
    assert_eq!((hosted.serial, hosted.rrset("w.example.com.", "A").is_some()), (11, true));
    // What is not held has nothing to approve.
    desk.put(&message(&file(12, ""), Meta::default()), r#"{"outcome":"rejected","reason":"r"}"#).await?;
    let id = desk.ids().await[&("example.com.".to_owned(), 12)].clone();
    let (status, _, error) = desk.run(&["approve", &id, "--yes"]).await;
    assert!(
        status == 1 && error.contains("is not held for anything that an operator can approve (rejected)"),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_in_s3_is_shown_and_its_message_copied_as_it_is() -> Result<(), StackError> {
    pass_over_missing(pointed_to().await)
}

async fn pointed_to() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    let zone = incompressible(8, 50).unwrap();
    let whole = message(&zone, Meta::default());
    let (moved, pointer, body) = whole.moved_to("the-bucket").unwrap();
    desk.put(&moved, HELD).await?;
    let id = desk.ids().await[&("example.com.".to_owned(), 8)].clone();
    let (status, shown, _) = desk.run(&["show", &id]).await;
    assert_eq!(status, 0);
    assert!(shown.contains("is not there (NoSuchBucket)") && shown.contains("not known without a snapshot"), "{shown}");

    desk.ministack.bucket("the-bucket").await?;
    desk.ministack.put_object("the-bucket", &pointer.key, body.as_bytes()).await?;
    let (status, shown, _) = desk.run(&["show", &id]).await;
    assert_eq!(status, 0);
    assert!(shown.contains("; and 33 more: secondary53 dlq show"), "{shown}");
    let (_, full, _) = desk.run(&["show", &id, "--zone-file"]).await;
    assert_eq!(zone_of(&ZoneFile::parse(&full).unwrap()).unwrap(), zone_of(&zone).unwrap());

    assert_eq!(desk.run(&["replay", &id]).await.0, 0);
    let sent = desk.taken(&desk.queues.main).await;
    assert_eq!(sent[0].body(), Some(&*moved.body.as_text()));
    let size = &sent[0].message_attributes().unwrap()["ExtendedPayloadSize"];
    assert_eq!((size.data_type(), size.string_value()), ("String", Some(&*body.len().to_string())));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_found_and_never_mixed_up() -> Result<(), StackError> {
    pass_over_missing(found().await)
}

async fn found() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    let other = desk.ministack.queue_pair("other", Duration::from_secs(2)).await?;
    desk.put(&message(&file(8, ""), Meta::default()), HELD).await?;
    let count = async |arguments: &[&str]| {
        desk.json(&[&["list"], arguments].concat()).await["messages"].as_array().unwrap().len()
    };
    assert_eq!(count(&[]).await, 1, "the stack's name is secondary53 where nobody says another");
    assert_eq!(count(&["--stack", "other"]).await, 0);
    assert_eq!(count(&["--queue-url", &desk.queues.main]).await, 1);
    assert_eq!(count(&["--dlq-url", &other.dead_letter]).await, 0);
    let mut command = desk.command(&["list", "--json"]);
    command.env("SECONDARY53_STACK", "other");
    let (_, out, _) = told(&finished(command, Vec::new()).await);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["queue"], other.dead_letter);

    // The stack's queue is not where another dead-letter queue's messages go.
    let (status, _, error) = desk.run(&["replay", "--all", "--dlq-url", &other.dead_letter]).await;
    assert!(status == 1 && error.contains("is not the dead-letter queue of"), "{error}");
    let (status, _, error) = desk.run(&["list", "--stack", "none"]).await;
    assert_eq!(status, 1);
    assert!(
        error.starts_with("secondary53: failed to find the dead-letter queue")
            || error.starts_with("secondary53: failed to find the queue of the stack none"),
        "{error}"
    );
    assert!(error.contains("--queue-url") && error.lines().count() == 1, "{error}");

    // No credentials are one line too, before anything is asked.
    let mut command = desk.command(&["list"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env("HOME", "/nonexistent");
    let (status, _, error) = told(&finished(command, Vec::new()).await);
    assert!(status == 1 && error.starts_with("secondary53: failed to find AWS credentials"), "{error}");
    assert!(error.contains("--profile") && error.lines().count() == 1, "{error}");
    Ok(())
}
