//! `dlq`, against the queues of ministack, with the real worker where that matters.

mod interrupted;
mod scripted;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_sqs::types::{Message as SqsMessage, MessageSystemAttributeName};
use secondary53_tests::primary::ZoneFile;
use secondary53_tests::stack::ministack::{Ministack, QueuePair};
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_tests::strict::{self, Server, ZoneSpec};
use secondary53_tests::zones::zone_of;
use secondary53_zone::message::{Message, Meta, Reason};
use secondary53_zone::snapshot::Snapshot;
use serde_json::{Value, json};

use super::{ID, file, finished, secondary53, told};

struct Desk {
    ministack: Ministack,
    queues: QueuePair,
    route53: Server,
    _dir: tempfile::TempDir,
}

/// A held message's note.
const HELD: &str = r#"{"outcome":"held","reason":"9 of the 10 RRsets would be deleted","plan":{"create":0,"change":0,"delete":9},
    "needs":"mass_deletion","message_id":"m","at_ms":1700000000000}"#;

fn message(zone: &ZoneFile, meta: Meta) -> Message {
    let zone = zone_of(zone).unwrap();
    let meta = Meta { records: zone.record_count(), relay: "test".to_owned(), ..meta };
    Message::new(&Snapshot::new(zone), Reason::Notify, meta).unwrap()
}

fn other_zone(name: &str, serial: u32) -> ZoneFile {
    let text = format!("$TTL 300\n@ 3600 SOA ns1 host {serial} 3600 600 1209600 300\n@ NS ns1\nw A 192.0.2.1\n");
    ZoneFile::parse_in(name, &text).unwrap()
}

impl Desk {
    async fn start() -> Result<Self, StackError> {
        let dir = tempfile::tempdir().unwrap();
        let ministack = Ministack::start(dir.path(), programs::free_address()?).await?;
        let queues = ministack.queue_pair("secondary53", Duration::from_secs(2)).await?;
        let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
        let route53 = Server::start(strict::Config { zones, ..strict::Config::default() }).await.unwrap();
        Ok(Self { ministack, queues, route53, _dir: dir })
    }

    /// Puts a message aside as the worker does.
    async fn put(&self, message: &Message, note: &str) -> Result<(), StackError> {
        let attributes = message.attributes();
        let mut texts: Vec<_> = attributes.iter().map(|it| (it.name, it.value.as_str())).collect();
        texts.push(("quarantine", note));
        self.ministack.send(&self.queues.dead_letter, &message.group_id(), &message.body.as_text(), &texts).await
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = secondary53(&[&["dlq"], arguments].concat());
        command.env("AWS_ENDPOINT_URL_SQS", &self.ministack.endpoint);
        command.env("AWS_ENDPOINT_URL_S3", &self.ministack.endpoint);
        command.env("AWS_ENDPOINT_URL_ROUTE_53", self.route53.endpoint());
        command
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(&finished(self.command(arguments), Vec::new()).await)
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let (status, out, error) = self.run(&[arguments, &["--json"]].concat()).await;
        assert!(status == 0 || status == 2, "{status}: {error}");
        serde_json::from_str(&out).unwrap()
    }

    async fn ids(&self) -> BTreeMap<(String, u64), String> {
        let listed = self.json(&["list"]).await;
        let key = |row: &Value| (row["zone"].as_str().unwrap().to_owned(), row["serial"].as_u64().unwrap());
        let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
        listed["messages"].as_array().unwrap().iter().map(|row| (key(row), id(row))).collect()
    }

    /// All that a queue gives out, taken off it.
    async fn taken(&self, queue: &str) -> Vec<SqsMessage> {
        let mut all = Vec::new();
        loop {
            let request = self.ministack.sqs.receive_message().queue_url(queue).max_number_of_messages(10);
            let request = request.message_attribute_names("All");
            let answer = request.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            for message in &messages {
                let delete = self.ministack.sqs.delete_message().queue_url(queue);
                delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
            }
            all.extend(messages);
        }
    }

    async fn depths(&self) -> (u32, u32) {
        let depth = async |queue| self.ministack.depth(queue).await.unwrap();
        (depth(&self.queues.main).await, depth(&self.queues.dead_letter).await)
    }
}

fn text<'a>(message: &'a SqsMessage, name: &str) -> Option<&'a str> {
    message.message_attributes()?.get(name)?.string_value()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_listed_and_none_is_moved() -> Result<(), StackError> {
    pass_over_missing(listed().await)
}

async fn listed() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    let (status, out, error) = desk.run(&["list"]).await;
    assert_eq!((status, &out[..], &error[..]), (0, "", "The dead-letter queue is empty.\n"));

    desk.put(&message(&file(8, "w A 192.0.2.1"), Meta::default()), HELD).await?;
    for serial in 1..=12 {
        let note = r#"{"outcome":"refused","reason":"AccessDenied\u001b[2J","at_ms":1700000000000}"#;
        desk.put(&message(&other_zone("example.net", serial), Meta::default()), note).await?;
    }
    // What SQS moved has no note, and what is none of ours has nothing.
    desk.ministack.send(&desk.queues.dead_letter, "a-group", "hello", &[]).await?;
    let first = desk.json(&["list"]).await;
    assert_eq!(first, {
        let mut again = desk.json(&["list"]).await;
        // The one thing that goes on.
        for (row, before) in
            again["messages"].as_array_mut().unwrap().iter_mut().zip(first["messages"].as_array().unwrap())
        {
            row["age_seconds"] = before["age_seconds"].clone();
        }
        again
    });
    // Of a zone, SQS gives out no more than ten at a time; ministack takes them in the order of the queue.
    let rows = first["messages"].as_array().unwrap();
    let of = |zone: &str| rows.iter().filter(|row| row["zone"] == zone).collect::<Vec<_>>();
    assert_eq!(of("example.com.").len() + of("example.net.").len() + of("a-group").len(), rows.len());
    assert_eq!(rows.len() + usize::try_from(first["unseen"].as_u64().unwrap()).unwrap(), 14);
    let held = of("example.com.")[0];
    assert_eq!(
        (&held["serial"], &held["outcome"], &held["needs"]),
        (&json!(8), &json!("held"), &json!("mass_deletion"))
    );
    assert_eq!(held["at_ms"], 1_700_000_000_000_u64);
    assert_eq!((&of("a-group")[0]["outcome"], &of("a-group")[0]["serial"]), (&json!("crashed"), &Value::Null));

    let (status, out, error) = desk.run(&["list"]).await;
    assert_eq!(status, 0);
    let id = &held["id"].as_str().unwrap()[..8];
    let row = out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(row.contains("example.com.") && row.ends_with("held     9 of the 10 RRsets would be deleted"), "{row}");
    assert!(!out.contains('\u{1b}'), "text from elsewhere moves the cursor");
    assert!(error.contains("dlq approve ID") && error.contains("SQS does not give out now"), "{error}");
    assert_eq!(desk.depths().await, (0, 14));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_a_copy_and_the_older_one_stays() -> Result<(), StackError> {
    pass_over_missing(replayed().await)
}

async fn replayed() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    let meta = Meta { notified_at_ms: Some(5), hosted_zone_id: Some(ID.to_owned()), ..Meta::default() };
    let newest = message(&file(8, "w A 192.0.2.1"), meta.clone());
    desk.put(&message(&file(7, "w A 192.0.2.1"), meta), HELD).await?;
    desk.put(&newest, HELD).await?;
    desk.put(&message(&other_zone("example.net", 1), Meta::default()), HELD).await?;
    let ids = desk.ids().await;
    let id = |zone: &str, serial| ids[&(zone.to_owned(), serial)].as_str();
    let (old, new) = (id("example.com.", 7), id("example.com.", 8));

    let (status, out, error) = desk.run(&["replay", old]).await;
    assert_eq!(status, 2);
    assert!(out.contains(&format!("passed over: it is older than message {new} with serial 8")), "{out}");
    assert_eq!(error, "Nothing was sent.\n0 messages sent, 1 passed over and still there.\n");
    assert_eq!(desk.depths().await, (0, 3));

    let (status, out, error) = desk.run(&["replay", "--all"]).await;
    assert_eq!((status, &error[..]), (2, "2 messages sent, 1 passed over and still there.\n"), "{out}");
    assert_eq!(desk.depths().await, (2, 1));
    let sent = desk.taken(&desk.queues.main).await;
    let sent: Vec<_> = sent.iter().filter(|message| text(message, "zone") == Some("example.com.")).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body(), Some(&*newest.body.as_text()));
    assert_eq!(text(sent[0], "quarantine"), None);
    let copy = Message::from_parts(sent[0].body().unwrap().to_owned(), |name| text(sent[0], name)).unwrap();
    assert_eq!(copy, Message { reason: Reason::Replay, ..newest });
    let system = sent[0].attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "example.com.");
    assert_eq!(system[&MessageSystemAttributeName::MessageDeduplicationId], format!("replay-{new}"));

    let (status, ..) = desk.run(&["replay", "--zone", "example.com", "--older"]).await;
    assert_eq!((status, desk.depths().await), (0, (1, 0)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_route_53_has_is_not_replayed_unless_somebody_insists() -> Result<(), StackError> {
    pass_over_missing(passed_over().await)
}

async fn passed_over() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    // By the worker's own means: a sync to serial 9.
    let primary = secondary53_tests::primary::Primary::start(
        secondary53_tests::primary::Config::new().zone(file(9, "w A 192.0.2.1")),
    );
    let primary = primary.await.unwrap();
    let mut sync = secondary53(&["sync", "example.com", "--yes", "--primary", &primary.address().to_string()]);
    sync.env("AWS_ENDPOINT_URL_ROUTE_53", desk.route53.endpoint());
    assert_eq!(told(&finished(sync, Vec::new()).await).0, 0);

    desk.put(&message(&file(8, "w A 192.0.2.1"), Meta::default()), HELD).await?;
    let (status, out, _) = desk.run(&["replay", "--zone", "example.com"]).await;
    assert_eq!(status, 2);
    assert!(out.contains("passed over: Route 53 has 9, which is newer"), "{out}");
    let id = desk.ids().await[&("example.com.".to_owned(), 8)].clone();
    assert_eq!(desk.run(&["replay", &id[..8], "--older"]).await.0, 0);
    assert_eq!(desk.depths().await, (1, 0));

    // The worker would not stop this one: it may go back. Where nobody knows what Route 53 has, it stays as well.
    let approved = vec![secondary53_zone::message::Approval::Rollback];
    desk.put(&message(&file(5, "w A 192.0.2.1"), Meta { approved: approved.clone(), ..Meta::default() }), HELD).await?;
    desk.put(&message(&other_zone("example.net", 5), Meta { approved, ..Meta::default() }), HELD).await?;
    let (status, out, _) = desk.run(&["replay", "--all"]).await;
    assert_eq!((status, out.matches("it may take the hosted zone back").count()), (2, 2), "{out}");
    assert_eq!(desk.depths().await, (1, 2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_taken_by_their_beginnings() -> Result<(), StackError> {
    pass_over_missing(chosen().await)
}

async fn chosen() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    for number in 0..20 {
        desk.put(&message(&other_zone(&format!("z{number}.example"), 1), Meta::default()), HELD).await?;
    }
    let ids: Vec<String> = desk.ids().await.into_values().collect();
    let (status, _, error) = desk.run(&["drop", "--yes", "x"]).await;
    assert_eq!(
        (status, &error[..]),
        (1, "secondary53: no message has an id that begins with \"x\", of 20 messages: see dlq list\n")
    );
    // Twenty ids of hexadecimal digits: two of them begin alike.
    let first: Vec<&str> = ids.iter().map(|id| &id[..1]).collect();
    let twice = first.iter().find(|digit| first.iter().filter(|other| other == digit).count() > 1).unwrap();
    let (status, _, error) = desk.run(&["drop", "--yes", twice]).await;
    assert!(status == 1 && error.contains("is the beginning of more than one id"), "{error}");
    let (status, _, error) = desk.run(&["drop", &ids[0]]).await;
    assert!(status == 1 && error.contains("pass --yes"), "{error}");
    assert_eq!(desk.depths().await, (0, 20));

    let dropped = desk.json(&["drop", "--yes", &ids[0], &ids[1][..8]]).await;
    assert_eq!(dropped.as_array().unwrap().len(), 2);
    let left: BTreeSet<String> = desk.ids().await.into_values().collect();
    assert_eq!(left, ids[2..].iter().cloned().collect());
    assert_eq!(desk.run(&["drop", "--all", "--yes"]).await.0, 0);
    assert_eq!(desk.depths().await, (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_of_a_zone_the_newest_is_left() -> Result<(), StackError> {
    pass_over_missing(superseded().await)
}

async fn superseded() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    for serial in 1..=33 {
        desk.put(&message(&file(serial, "w A 192.0.2.1"), Meta::default()), HELD).await?;
    }
    desk.put(&message(&other_zone("example.net", 1), Meta::default()), HELD).await?;
    // It sees the ten oldest, and does not know what is behind them.
    let (status, out, _) = desk.run(&["replay", "--zone", "example.com"]).await;
    assert!(status == 2 && out.contains("dlq drop --superseded --zone example.com."), "{out}");
    assert_eq!(desk.depths().await, (0, 34));

    assert_eq!(desk.run(&["drop", "--superseded", "--zone", "example.com", "--yes"]).await.0, 0);
    let left: Vec<_> = desk.ids().await.into_keys().collect();
    assert_eq!(left, [("example.com.".to_owned(), 33), ("example.net.".to_owned(), 1)]);
    assert_eq!((desk.run(&["replay", "--all"]).await.0, desk.depths().await), (0, (2, 0)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_zone_goes_in_its_order() -> Result<(), StackError> {
    pass_over_missing(in_order().await)
}

async fn in_order() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    for serial in 1..=25 {
        desk.put(&message(&file(serial, "w A 192.0.2.1"), Meta::default()), HELD).await?;
    }
    assert_eq!(desk.run(&["replay", "--all", "--older"]).await.0, 0);
    let sent = desk.taken(&desk.queues.main).await;
    let serials: Vec<u32> = sent.iter().map(|message| text(message, "serial").unwrap().parse().unwrap()).collect();
    assert_eq!(serials, (1..=25).collect::<Vec<_>>());
    assert_eq!(desk.depths().await, (0, 0));
    Ok(())
}
