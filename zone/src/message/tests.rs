use super::*;
use crate::rrset::Rtype;
use crate::zone::ZoneBuilder;

fn snapshot(apex: &str) -> Snapshot {
    let apex = Name::parse(apex).unwrap();
    let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
    let soa = [&[0, 0][..], &[0, 0, 0, 7], &[0; 16]].concat();
    builder.push(apex.by_ref(), Rtype::SOA, 3600, &soa).unwrap();
    Snapshot::new(builder.build().unwrap().zone)
}

fn message(apex: &str) -> Message {
    let meta = Meta { records: 1, transferred_at_ms: 7_200_001, relay: "lxc".into(), ..Meta::default() };
    Message::new(&snapshot(apex), Reason::Notify, meta).unwrap()
}

fn delivered(message: &Message) -> Result<Message, MessageError> {
    let attributes = message.attributes();
    Message::from_parts(message.body.as_text().into_owned(), |wanted| {
        attributes.iter().find(|attribute| attribute.name == wanted).map(|attribute| attribute.value.as_str())
    })
}

#[test]
fn what_is_sent_is_received() {
    let sent = message("example.com");
    let received = delivered(&sent).unwrap();
    assert_eq!(received, sent);
    assert_eq!(received.snapshot(Limits::default()).unwrap(), snapshot("example.com"));
}

#[test]
fn a_body_that_was_moved_leaves_a_pointer_that_the_extended_client_knows() {
    let sent = message("example.com");
    let (moved, _, body) = sent.moved_to("the-bucket").unwrap();
    let digest = sent.digest;
    assert_eq!(
        moved.body.as_text(),
        format!(
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"the-bucket","s3Key":"snapshots/{digest}"}}]"#
        )
    );
    let size = moved.attributes().pop().unwrap();
    assert_eq!((size.name, size.data_type, size.value), ("ExtendedPayloadSize", "Number", body.len().to_string()));
    assert_eq!(moved.deduplication_id(), sent.deduplication_id());
    let received = delivered(&moved).unwrap();
    assert_eq!(received, moved);
    let Body::Pointer { pointer, octets } = &received.body else { panic!("{received:?}") };
    assert!(pointer.is_of(&digest) && !pointer.is_of(&snapshot("example.net").digest()));
    assert_eq!(*octets, body.len());
    // It must be got first, and is then what it was.
    assert!(matches!(received.snapshot(Limits::default()), Err(MessageError::Elsewhere(_))));
    assert!(received.moved_to("another").is_none());
    assert_eq!(received.with_body(body.to_owned()), sent);
}

#[test]
fn what_is_nearly_a_pointer_is_a_body_that_does_not_decode() {
    let (moved, ..) = message("example.com").moved_to("the-bucket").unwrap();
    let pointer = moved.body.as_text().into_owned();
    for (good, bad) in [("PayloadS3Pointer", "Other"), ("s3Key", "key"), ("[", "[1,"), ("]", "")] {
        let mut other = moved.clone();
        other.body = Body::Snapshot(pointer.replacen(good, bad, 1));
        assert!(matches!(delivered(&other).unwrap().snapshot(Limits::default()), Err(MessageError::Base64(_))));
    }
    // Without its size.
    let attributes = message("example.com").attributes();
    let told = Message::from_parts(pointer, |wanted| {
        attributes.iter().find(|attribute| attribute.name == wanted).map(|attribute| attribute.value.as_str())
    });
    assert!(matches!(told, Err(MessageError::NoAttribute("ExtendedPayloadSize"))));
}

#[test]
fn what_is_approved_is_received_and_what_is_not_known_is_passed_over() {
    let mut sent = message("example.com");
    assert!(!sent.attributes()[4].value.contains("approved"));
    sent.meta.approved = vec![Approval::Rollback, Approval::MassDeletion];
    assert!(sent.attributes()[4].value.contains(r#""approved":["rollback","mass_deletion"]"#));
    assert_eq!(delivered(&sent).unwrap(), sent);
    let meta = r#"{"records":1,"transferred_at_ms":1,"relay":"x","approved":["moon",{"a":1},"mass_deletion"]}"#;
    let read: Meta = serde_json::from_str(meta).unwrap();
    assert_eq!(read.approved, [Approval::MassDeletion]);
}

#[test]
fn a_message_of_another_kind_is_refused_by_name() {
    let none = Message::from_parts("hello".into(), |_| None).unwrap_err();
    assert_eq!(none.to_string(), "the message has no attribute \"zone\": was it sent by a relay?");
    let bad = Message::from_parts("hello".into(), |name| Some(if name == "zone" { "a..b" } else { "1" })).unwrap_err();
    assert_eq!(bad.to_string(), "the message's attribute \"zone\" does not read: \"a..b\"");
    let mut other = message("example.com");
    other.body = Body::Snapshot("%".into());
    assert!(matches!(other.snapshot(Limits::default()), Err(MessageError::Base64(_))));
}

#[test]
fn body_and_attributes_must_agree() {
    let limits = Limits::default();
    let mut other = message("example.com");
    other.zone = Name::parse("example.net").unwrap();
    assert_eq!(
        other.snapshot(limits).unwrap_err().to_string(),
        "the message's attribute \"zone\" says example.net., and its snapshot example.com."
    );
    let mut other = message("example.com");
    other.serial = Serial(8);
    assert!(matches!(other.snapshot(limits), Err(MessageError::Disagreement { attribute: "serial", .. })));
    let mut other = message("example.com");
    other.digest = snapshot("example.net").digest();
    assert!(matches!(other.snapshot(limits), Err(MessageError::Disagreement { attribute: "digest", .. })));
}

#[test]
fn ids_fit_sqs() {
    assert_eq!(message("Example.com").group_id(), "example.com.");
    let long = message(&format!("{}.{}.example", "a".repeat(63), "b".repeat(63)));
    assert_eq!(long.group_id().len(), 64);
    for reason in Reason::ALL {
        let mut message = message("example.com");
        message.reason = reason;
        message.meta.transferred_at_ms = u64::MAX;
        let id = message.deduplication_id();
        assert!(id.len() <= MAX_ID, "{id}");
        assert_eq!(reason.as_str().parse(), Ok(reason));
    }
}

#[test]
fn news_is_sent_once_and_an_operator_is_always_heard() {
    let id = |reason, at| {
        let mut message = message("example.com");
        (message.reason, message.meta.transferred_at_ms) = (reason, at);
        message.deduplication_id()
    };
    assert_eq!(id(Reason::Notify, 1), id(Reason::Refresh, 2));
    assert_eq!(id(Reason::Audit, 7_200_000), id(Reason::Audit, 10_799_999));
    assert_ne!(id(Reason::Audit, 7_200_000), id(Reason::Audit, 10_800_000));
    assert_ne!(id(Reason::Notify, 1), id(Reason::Audit, 1));
    assert_ne!(id(Reason::Resend, 1), id(Reason::Resend, 2));
}

#[test]
fn the_same_news_for_another_hosted_zone_is_other_news() {
    let id = |hosted_zone_id: Option<&str>, reason| {
        let mut message = message("example.com");
        message.meta.hosted_zone_id = hosted_zone_id.map(ToOwned::to_owned);
        message.meta.transferred_at_ms = u64::MAX;
        message.reason = reason;
        message.deduplication_id()
    };
    for reason in Reason::ALL {
        let ids = [None, Some("Z1PUBLIC"), Some("Z2PRIVATE")].map(|hosted| id(hosted, reason));
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
        assert!(ids.iter().all(|id| id.len() <= MAX_ID && id.bytes().all(|octet| octet.is_ascii_graphic())), "{ids:?}");
        assert_eq!(id(Some("Z1PUBLIC"), reason), ids[1]);
    }
}

#[test]
fn the_size_is_what_sqs_counts() {
    let message = message("example.com");
    let (moved, _, body) = message.moved_to("bucket").unwrap();
    for (message, number) in [(&message, 0), (&moved, "ExtendedPayloadSize".len() + 6 + body.len().to_string().len())] {
        let strings = message.attributes().into_iter().take(5);
        let strings: usize = strings.map(|it| it.name.len() + "String".len() + it.value.len()).sum();
        assert_eq!(message.octets(), message.body.as_text().len() + strings + number);
    }
}
