use std::sync::Arc;

use secondary53_zone::message::Approval;
use secondary53_zone::{Limits, Rtype, Serial, ZoneBuilder};

use super::*;
use crate::refresh::Moment;

mod outage;

fn snapshot(serial: u8, noise: usize) -> Snapshot {
    let apex: Name = "example.com".parse().unwrap();
    let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
    let soa = [&[0, 0][..], &[0, 0, 0, serial], &[0; 16]].concat();
    builder.push(apex.by_ref(), Rtype::SOA, 60, &soa).unwrap();
    for _ in 0..noise {
        let rdata: Vec<u8> = (0..200).map(|_| rand::random()).collect();
        builder.push(apex.by_ref(), Rtype(65280), 60, &rdata).unwrap();
    }
    Snapshot::new(builder.build().unwrap().zone)
}

fn message(serial: u8) -> Message {
    pack(snapshot(serial, 0), Reason::Notify, Meta::default(), false).unwrap()
}

fn queues() -> Arc<[Arc<config::Queue>]> {
    let queue = |name: &str| {
        Arc::new(config::Queue { name: name.into(), url: name.into(), region: String::new(), overflow_bucket: None })
    };
    [queue("a"), queue("b")].into()
}

/// One for this reason, at this place.
fn because(reason: Reason, serial: u8, place: u64) -> Outgoing {
    let approved = if reason == Reason::Resend { vec![Approval::Rollback] } else { Vec::new() };
    let mut outgoing = outgoing(serial).at(place);
    let message = Arc::make_mut(&mut outgoing.message);
    (message.reason, message.meta.approved) = (reason, approved);
    outgoing
}

fn waiting(outbox: &Outbox) -> (Serial, Reason, &[Approval]) {
    let message = &outbox.waiting().unwrap().message;
    (message.serial, message.reason, &message.meta.approved)
}

fn outgoing(serial: u8) -> Outgoing {
    Outgoing::to_all(message(serial), &queues())
}

/// As the loop has it: in line, and at once its turn.
fn take(outbox: &mut Outbox, now: Moment) -> Option<Outgoing> {
    if !outbox.line_up(now) {
        return None;
    }
    match outbox.take(usize::MAX) {
        Turn::Send(outgoing) => Some(outgoing),
        Turn::Nothing | Turn::NoRoom => None,
    }
}

fn failed() -> (Outbox, Vec<Duration>) {
    let mut outbox = Outbox::with(outgoing(1));
    let mut waits = Vec::new();
    let mut now = Duration::ZERO;
    for _ in 0..9 {
        let outgoing = take(&mut outbox, now).unwrap();
        assert_eq!(outbox.next(), None);
        outbox.ended(now, outgoing, false, u32::MAX);
        let next = outbox.next().unwrap();
        waits.push(next.saturating_sub(now));
        assert!(take(&mut outbox, now).is_none());
        now = next;
    }
    (outbox, waits)
}

#[test]
fn the_waits_double_up_to_the_longest() {
    let (_, waits) = failed();
    assert_eq!(waits.iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn only_the_newest_waits() {
    let (mut outbox, _) = failed();
    for serial in [2, 3, 2] {
        outbox.offer(outgoing(serial).at(serial.into()));
    }
    let now = outbox.next().unwrap();
    let sent = take(&mut outbox, now).unwrap();
    assert_eq!(sent.message.serial, Serial(3));
    // What comes during a send goes next, and what failed does not come back.
    outbox.offer(outgoing(4).at(4));
    outbox.ended(now, sent, false, 0);
    let now = outbox.next().unwrap();
    let sent = take(&mut outbox, now).unwrap();
    assert_eq!(sent.message.serial, Serial(4));
    outbox.ended(now, sent, true, 0);
    assert_eq!(outbox.next(), None);
}

#[test]
fn what_was_taken_last_is_the_newest_whatever_its_serial() {
    let mut outbox = Outbox::default();
    outbox.offer(because(Reason::Notify, 7, 1));
    outbox.offer(because(Reason::Audit, 7, 3));
    assert_eq!(waiting(&outbox), (Serial(7), Reason::Audit, &[][..]));
    // Packed later, for it was the larger one, and taken before.
    outbox.offer(because(Reason::Notify, 6, 2));
    assert_eq!(waiting(&outbox), (Serial(7), Reason::Audit, &[][..]));
    outbox.offer(because(Reason::Resend, 4, 4));
    assert_eq!(waiting(&outbox), (Serial(4), Reason::Resend, &[Approval::Rollback][..]));
}

#[test]
fn what_an_operator_allowed_is_not_lost_with_the_message() {
    let mut outbox = Outbox::default();
    outbox.offer(because(Reason::Resend, 4, 1));
    // Newer than what it goes back to, and the hosted zone may have 9.
    outbox.offer(because(Reason::Notify, 5, 2));
    assert_eq!(waiting(&outbox), (Serial(5), Reason::Resend, &[Approval::Rollback][..]));
    // Nor with one that was under way and failed.
    let sent = take(&mut outbox, Duration::ZERO).unwrap();
    outbox.offer(because(Reason::Refresh, 6, 3));
    assert_eq!(waiting(&outbox), (Serial(6), Reason::Refresh, &[][..]));
    outbox.ended(Duration::ZERO, sent, false, 0);
    assert_eq!(waiting(&outbox), (Serial(6), Reason::Resend, &[Approval::Rollback][..]));
    // Once a queue has it, that is done.
    let now = outbox.next().unwrap();
    let sent = take(&mut outbox, now).unwrap();
    outbox.offer(because(Reason::Refresh, 7, 4));
    outbox.ended(Duration::ZERO, sent, true, 0);
    assert_eq!(waiting(&outbox), (Serial(7), Reason::Refresh, &[][..]));
}

#[test]
fn the_last_queue_to_accept_it_knows_that_it_is_the_last() {
    let to_one = outgoing(1);
    let to_other = to_one.clone();
    let [a, b] = &*queues() else { panic!() };
    assert!(!to_one.accepted(b) && to_one.is_missing(a) && !to_other.is_missing(b));
    // Twice is once.
    assert!(!to_one.accepted(b));
    assert!(to_other.accepted(a));
    assert!(!to_one.accepted(a));
}

#[test]
fn what_does_not_fit_is_told_with_its_size() {
    let told = pack(snapshot(1, 4_000), Reason::Initial, Meta::default(), false).unwrap_err().to_string();
    assert!(told.starts_with("failed to send zone example.com.: its snapshot of 4001 records takes 1"), "{told}");
    assert!(told.ends_with("give the queue an overflow_bucket in the relay's configuration"), "{told}");
    assert!(!pack(snapshot(1, 4_000), Reason::Initial, Meta::default(), true).unwrap().fits());
}

#[test]
fn what_is_sent_leaves_the_worker_room_to_put_it_aside() {
    // Random octets: 4 in base64 for every 3. From well below the limit to beyond it, in steps of less than the room.
    let mut refused = 0;
    for noise in (3_890..3_950).step_by(6) {
        match pack(snapshot(1, noise), Reason::Initial, Meta::default(), false) {
            Ok(message) => assert!(message.octets() <= MAX_OCTETS - QUARANTINE_OCTETS, "{}", message.octets()),
            Err(_) => refused += 1,
        }
    }
    assert!((1..10).contains(&refused), "the limit is not where it was sought");
}

#[test]
fn one_tries_while_the_others_wait() {
    let mut post = Post::default();
    let send = |post: &mut Post<u8>, now| {
        let sent: Vec<_> = post.take(now, |key, _| Turn::Send(outgoing(key))).into_iter().map(|(key, _)| key).collect();
        sent
    };
    let secs = Duration::from_secs;
    (0..25).for_each(|key| post.line_up(key));
    assert_eq!(send(&mut post, secs(1)), (0..10).collect::<Vec<_>>());
    assert_eq!(send(&mut post, secs(1)), (10..20).collect::<Vec<_>>());
    post.ended(secs(1), secs(2), Said::Fails, u32::MAX);
    assert_eq!((send(&mut post, secs(2)), post.next()), (vec![], Some(secs(3))));
    // Begun before, and it went well: that is no news.
    post.ended(secs(1), secs(2), Said::Takes, u32::MAX);
    assert_eq!(send(&mut post, secs(2)), [0_u8; 0]);
    // Its time is over: one, and until that has ended no other.
    assert_eq!((send(&mut post, secs(3)), send(&mut post, secs(9)), post.next()), (vec![20], vec![], None));
    post.ended(secs(3), secs(9), Said::Fails, u32::MAX);
    assert_eq!((post.next(), send(&mut post, secs(11))), (Some(secs(11)), vec![21]));
    // There was something wrong with that one alone: the next.
    post.ended(secs(11), secs(12), Said::Nothing, u32::MAX);
    assert_eq!(send(&mut post, secs(12)), [22]);
    post.ended(secs(12), secs(13), Said::Takes, u32::MAX);
    assert_eq!((send(&mut post, secs(13)), post.next()), (vec![23, 24], None));
}

#[test]
fn a_batch_is_no_larger_than_the_largest_message() {
    let large = |noise| {
        let mut outbox = Outbox::with(Outgoing::to_all(
            pack(snapshot(1, noise), Reason::Initial, Meta::default(), true).unwrap(),
            &queues(),
        ));
        assert!(outbox.line_up(Moment::ZERO));
        outbox
    };
    // Two that fit together, one that does not fit beside them, one that fits no message, and a small one.
    let mut outboxes = [large(1_000), large(1_000), large(3_000), large(5_000), large(0)];
    let mut post = Post::default();
    (0..outboxes.len()).for_each(|key| post.line_up(key));
    let mut batches = Vec::new();
    for _ in 0..5 {
        let batch = post.take(Moment::ZERO, |key, room| outboxes[key].take(room));
        let octets: usize = batch.iter().map(|(_, outgoing)| outgoing.message.octets()).sum();
        assert!(octets <= MAX_OCTETS - QUARANTINE_OCTETS || batch.len() == 1, "{octets}");
        batches.push(batch.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
    }
    assert_eq!(batches, [vec![0, 1], vec![2], vec![3], vec![4], vec![]]);
}
