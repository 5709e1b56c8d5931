use aws_lambda_events::event::sqs::SqsMessageAttribute;
use secondary53_zone::message::{Meta, Reason, attribute};

use super::*;
use crate::model::{with_serial, zone};

fn received(id: &str, group: &str, attributes: &[(&str, String)], body: &str) -> SqsMessage {
    let mut message = SqsMessage::default();
    message.message_id = Some(id.into());
    message.body = Some(body.into());
    message.attributes.insert("MessageGroupId".into(), group.into());
    for (name, text) in attributes {
        let mut value = SqsMessageAttribute::default();
        value.string_value = Some(text.clone());
        message.message_attributes.insert((*name).into(), value);
    }
    message
}

fn snapshot(serial: u32) -> (SqsMessage, Message) {
    let snapshot = Snapshot::new(with_serial(&zone(&[]), serial));
    let message = Message::new(&snapshot, Reason::Notify, Meta::default()).unwrap();
    let attributes: Vec<_> = message.attributes().into_iter().map(|it| (it.name, it.value)).collect();
    (received(&serial.to_string(), "example.com.", &attributes, &message.body.as_text()), message)
}

#[test]
fn a_delivered_message_is_read_back() {
    let (received, sent) = snapshot(7);
    assert_eq!(parse(&received).unwrap(), sent);
    assert!(parse(&SqsMessage::default()).unwrap_err().contains("no attribute \"zone\""));
}

#[test]
fn the_newest_wins_whatever_the_order() {
    for (serials, newest) in [(&[7, 9, 8][..], 1), (&[7, 7], 1), (&[u32::MAX, 3], 1), (&[3, u32::MAX], 0), (&[5], 0)] {
        let messages: Vec<_> = serials.iter().map(|serial| snapshot(*serial)).collect();
        let read: Vec<_> = messages.iter().map(|(received, message)| (received, message.clone())).collect();
        assert_eq!(newest_of(&read), Some(newest), "{serials:?}");
    }
    assert_eq!(newest_of(&[]), None);
}

#[test]
fn a_line_is_a_group_and_a_zone_is_in_one_line() {
    let zone = |name: &str| vec![(attribute::ZONE, name.to_owned())];
    let lines = lines_of(vec![
        received("1", "a", &zone("a.example"), ""),
        received("2", "b", &zone("b.example"), ""),
        received("3", "a", &[], "garbage"),
        received("4", "c", &zone("B.example."), ""),
        received("5", "d", &[], "garbage"),
    ]);
    let mut ids: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().filter_map(|message| message.message_id.clone()).collect()).collect();
    ids.sort();
    assert_eq!(ids, [vec!["1", "3"], vec!["2", "4"], vec!["5"]]);
}
