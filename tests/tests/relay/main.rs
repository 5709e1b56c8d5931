//! The relay as a process, between a scripted primary and a queue.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in what it calls too")]

mod catalogs;
mod crashes;
mod deltas;
mod discover;
mod disk;
mod flood;
mod https;
mod increments;
mod live;
mod log;
mod operator;
mod outage;
mod overflow;
mod page;
mod process;
mod producers;
mod queues;
mod reach;
mod reload;
mod service;
mod signed;
mod sqs;
mod tls;
mod unit;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use process::Place;
use secondary53_relay::daemon::Clock;
use secondary53_relay::primary as fetch;
use secondary53_tests::primary::{
    Behaviour, Config, Forgery, Packing, Primary, Rcode, Rtype, SoaBehaviour, Transport, ZoneFile,
};
use secondary53_zone::message::Reason;
use secondary53_zone::{Limits, Serial};
use sqs::Sqs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);
const APEX: &str = "example.com";

fn zone(serial: u32) -> ZoneFile {
    let text = format!(
        "$ORIGIN {APEX}.\n$TTL 300\n@ SOA ns host {serial} 3600 1 86400 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{}\n",
        serial % 250
    );
    ZoneFile::parse(&text).unwrap()
}

async fn primary(config: Config) -> Primary {
    Primary::start(config).await.unwrap()
}

/// A primary with one zone, a queue, and a place for a relay.
async fn world(config: Config) -> (Primary, Sqs, Place) {
    let primary = primary(config).await;
    let sqs = Sqs::start().await;
    let place = Place::with_zone(sqs.address, primary.address(), APEX);
    (primary, sqs, place)
}

#[tokio::test]
async fn a_change_arrives_by_notify() {
    let (primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    let first = sqs.wait_for(1).await.remove(0);
    assert_eq!((first.message.serial, first.message.reason), (Serial(1), Reason::Initial));
    assert_eq!((first.group.as_str(), first.message.meta.relay.as_str()), ("example.com.", "test"));
    assert_eq!(first.deduplication, first.message.deduplication_id());
    assert_eq!(first.message.meta.notified_at_ms, None);
    assert_eq!(first.snapshot().zone().record_count(), 4);
    relay.logged(&["sent", "zone=example.com.", "serial=1", "reason=initial", "queue=\"main\"", "records=4"]).await;

    for (number, transport) in [(2, Transport::Udp), (3, Transport::Tcp)] {
        primary.set_zone(zone(number));
        let apex = primary.zone(zone(1).apex()).unwrap().apex().clone();
        let answer = primary.notify_zone(&apex, relay.address, transport).await.unwrap();
        assert_eq!(answer.rcode, Rcode::NOERROR);
        let sent = sqs.wait_for(usize::try_from(number).unwrap()).await.pop().unwrap();
        assert_eq!((sent.message.serial, sent.message.reason), (Serial(number), Reason::Notify));
        let meta = &sent.message.meta;
        assert!(meta.notified_at_ms.unwrap() <= meta.transferred_at_ms);
    }
    // The primary says again what we know: no transfer.
    let before = primary.count(Rtype::AXFR);
    primary.notify(relay.address).await.unwrap();
    relay.logged(&["notified", "serial=3", "outcome=NotNewer"]).await;
    assert_eq!(primary.count(Rtype::AXFR), before);
    assert!(relay.stop().await.success());
}

/// A NOTIFY with this ID; the rest as told.
fn notify(id: u8, flags: [u8; 2], question: &[u8]) -> Vec<u8> {
    let count = u8::from(!question.is_empty());
    [&[0, id], &flags[..], &[0, count, 0, 0, 0, 0, 0, 0], question].concat()
}

/// Sends from an address and gives back the answer.
async fn over_udp(from: [u8; 4], to: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind(SocketAddr::from((from, 0))).await.unwrap();
    socket.send_to(message, to).await.unwrap();
    let mut answer = vec![0; 512];
    let (length, _) = timeout(PATIENCE, socket.recv_from(&mut answer)).await.unwrap().unwrap();
    answer.truncate(length);
    answer
}

async fn over_tcp(from: [u8; 4], to: SocketAddr, messages: &[Vec<u8>]) -> Vec<u8> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    for message in messages {
        stream.write_u16(u16::try_from(message.len()).unwrap()).await.unwrap();
        stream.write_all(message).await.unwrap();
    }
    let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_is_no_notify_from_a_primary_is_answered_so_and_does_nothing() {
    const PRIMARY: [u8; 4] = [127, 0, 0, 1];
    const STRANGER: [u8; 4] = [127, 0, 0, 2];
    const OURS: &[u8] = b"\x07Example\x03com\x00\x00\x06\x00\x01";
    const UNKNOWN: &[u8] = b"\x07example\x03org\x00\x00\x06\x00\x01";
    const NOTIFY: [u8; 2] = [0x20, 0];
    let (primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    sqs.wait_for(1).await;
    primary.set_zone(zone(2));
    for (from, flags, question, flags_back, code) in [
        (PRIMARY, NOTIFY, UNKNOWN, 0xa0, 9),
        (PRIMARY, NOTIFY, &OURS[..5], 0xa0, 1),
        (PRIMARY, NOTIFY, &[], 0xa0, 1),
        (PRIMARY, [0x28, 0], OURS, 0xa8, 4),
        (PRIMARY, [0x00, 0], OURS, 0x80, 4),
        (STRANGER, NOTIFY, OURS, 0xa0, 5),
        (STRANGER, NOTIFY, UNKNOWN, 0xa0, 5),
        (STRANGER, NOTIFY, &OURS[..5], 0xa0, 5),
    ] {
        let message = notify(7, flags, question);
        for answer in [
            over_udp(from, relay.address, &message).await,
            over_tcp(from, relay.address, std::slice::from_ref(&message)).await,
        ] {
            assert_eq!(answer[..4], [0, 7, flags_back, code], "{message:02x?}");
            assert!(answer.len() <= message.len());
        }
    }
    assert_eq!(primary.count(Rtype::AXFR), 1);
    // Nothing is said to a response: the answer that comes is the one to what follows it.
    let [response, good] = [notify(8, [0xa0, 0], OURS), notify(9, NOTIFY, OURS)];
    let answer = over_tcp(PRIMARY, relay.address, &[response, good.clone()]).await;
    // AA, and the question as it came.
    assert_eq!(answer, [&[0, 9, 0xa4, 0], &good[4..]].concat());
    assert_eq!(sqs.wait_for(2).await[1].message.serial, Serial(2));
}

#[tokio::test]
async fn a_transfer_is_whole_or_refused() {
    let one_record = Config::new().zone(zone(1)).packing(Packing::one_record());
    let (primary, sqs, place) = world(one_record).await;
    let drip = Behaviour::Drip { octets: 1, pause: Duration::from_millis(100) };
    for (behaviour, told) in [
        (Behaviour::CutAfterMessages(1), "closed the connection before the end, after 1 messages"),
        (Behaviour::CutAfterMessages(4), "closed the connection before the end, after 4 messages"),
        (Behaviour::CutAfterOctets(100), "early eof"),
        (Behaviour::ResetAfterMessages(2), "reset"),
        (Behaviour::SilentAfterMessages(2), "nothing came for 1s"),
        (drip, "nothing came for 1s"),
        (Behaviour::Endless, "more than 1000 records"),
        (Behaviour::NoClosingSoa, "closed the connection before the end"),
        (Behaviour::NoOpeningSoa, "does not begin with the SOA"),
        (Behaviour::ClosingSerial(2), "the closing SOA (serial 2) is not the opening one (serial 1) again"),
        (Behaviour::ClosingContent, "the closing SOA (serial 1) is not the opening one (serial 1) again"),
        (Behaviour::OutsideZone, "which is outside it"),
        (Behaviour::EmptyAnswer, "holds no record"),
        (Behaviour::CountTooHigh, "malformed"),
        (Behaviour::PointerLoop, "malformed"),
        (Behaviour::RdlengthTooLong, "malformed"),
        (Behaviour::RdlengthTooShort, "malformed"),
        (Behaviour::Forge(Forgery::WrongId, 1), "another ID"),
        (Behaviour::Forge(Forgery::WrongQuestion, 0), "answers another question"),
        (Behaviour::Forge(Forgery::NotAnAnswer, 1), "not a response"),
        (Behaviour::Forge(Forgery::WrongOpcode, 1), "opcode 4"),
        (Behaviour::Forge(Forgery::Truncated, 2), "truncated"),
        (Behaviour::Forge(Forgery::Rcode(Rcode::REFUSED), 0), "REFUSED"),
        (Behaviour::Forge(Forgery::Rcode(Rcode::SERVFAIL), 2), "SERVFAIL"),
    ] {
        primary.set_behaviour(behaviour.clone());
        let (good, log) = place.once().await;
        assert!(!good && log.contains(told), "{behaviour:?}: {told:?} is not in\n{log}");
    }
    assert!(sqs.accepted().is_empty());
    assert_eq!(place.snapshots(), 0);
    // The primary comes to its senses, and nothing was spoilt.
    primary.set_behaviour(Behaviour::Honest);
    let (good, log) = place.once().await;
    assert!(good, "{log}");
    let accepted = sqs.accepted();
    assert_eq!((accepted.len(), accepted[0].message.reason), (1, Reason::Initial));
}

/// Messages as large as they come, so that what follows the end is in the message of the end.
#[tokio::test]
async fn records_after_the_end_are_refused() {
    let (primary, sqs, place) = world(Config::new().zone(zone(1)).behaviour(Behaviour::TrailingRecord)).await;
    let (good, log) = place.once().await;
    assert!(!good && log.contains("records follow the closing SOA"), "{log}");
    // In a message of its own it is no longer part of the transfer, and never read.
    primary.set_behaviour(Behaviour::TrailingMessage);
    let (good, log) = place.once().await;
    assert!(good, "{log}");
    assert_eq!(sqs.accepted().len(), 1);
}

#[tokio::test]
async fn a_soa_answer_is_believed_only_where_it_is_one() {
    let (primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    for (behaviour, told) in [
        (SoaBehaviour::NoAnswer, "nothing came for 1s"),
        (SoaBehaviour::EmptyAnswer, "holds no SOA"),
        (SoaBehaviour::Forge(Forgery::WrongId), "another ID"),
        (SoaBehaviour::Forge(Forgery::Rcode(Rcode::NOTAUTH)), "NOTAUTH"),
    ] {
        primary.set_soa_behaviour(behaviour);
        let (good, log) = place.once().await;
        assert!(!good && log.contains(told), "{behaviour:?}: {told:?} is not in\n{log}");
    }
    assert_eq!((primary.count(Rtype::AXFR), sqs.accepted().len()), (0, 0));
}

#[tokio::test]
async fn a_signed_zone_is_refused_with_the_reason_or_stripped() {
    let text = format!(
        "$ORIGIN {APEX}.\n@ 300 SOA ns host 1 3600 1 86400 60\n@ 300 NS ns\n@ 300 DNSKEY 256 3 13 dGhpcyBpcyBub3QgYSBrZXk=\n"
    );
    let (_primary, sqs, place) = world(Config::new().zone(ZoneFile::parse(&text).unwrap())).await;
    let (good, log) = place.once().await;
    assert!(!good && log.contains("the zone is signed") && log.contains("set strip_dnssec = true"), "{log}");
    assert!(sqs.accepted().is_empty());
    place.add_to_zone("strip_dnssec = true");
    let (good, log) = place.once().await;
    assert!(good && log.contains("left out what belongs to signing") && log.contains("DNSKEY: 1"), "{log}");
    assert_eq!(sqs.accepted()[0].snapshot().zone().record_count(), 2);
}

#[tokio::test]
async fn a_transfer_that_failed_is_tried_again() {
    let config =
        Config::new().zone(zone(1)).transfers([Behaviour::CutAfterRecords(2), Behaviour::ResetAfterMessages(0)]);
    let (primary, sqs, place) = world(config).await;
    let relay = place.run().await;
    assert_eq!(sqs.wait_for(1).await[0].message.serial, Serial(1));
    assert_eq!(primary.count(Rtype::AXFR), 3);
    relay.logged(&["look failed", "zone=example.com."]).await;
    relay.logged(&["retrying", "zone=example.com."]).await;
}

#[tokio::test]
async fn the_newest_waits_while_the_queue_cannot_be_reached() {
    // A port where nobody listens; the queue comes to it later.
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let primary = primary(Config::new().zone(zone(1))).await;
    let place = Place::with_zone(address, primary.address(), APEX);
    let relay = place.run().await;
    relay.logged(&["not sent", "serial=1"]).await;
    for serial in 2..=5 {
        primary.set_zone(zone(serial));
        primary.notify(relay.address).await.unwrap();
        relay.logged(&["transferred", &format!("serial={serial}")]).await;
    }
    let sqs = Sqs::start_at(address).await;
    let newest = sqs.wait_for(1).await.remove(0);
    assert_eq!((newest.message.serial, newest.message.reason), (Serial(5), Reason::Initial));
    relay.logged(&["sent", "serial=5"]).await;
    assert_eq!(sqs.accepted().len(), 1);
    // What waited is what is stored.
    assert!(relay.stop().await.success());
    let (good, log) = place.once().await;
    assert!(good && log.contains("current zone=example.com. serial=5"), "{log}");
}

#[tokio::test]
async fn a_restart_sends_only_what_has_changed() {
    let (primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    relay.logged(&["sent", "serial=1"]).await;
    assert!(relay.stop().await.success());

    let relay = place.run().await;
    relay.logged(&["current", "zone=example.com.", "serial=1"]).await;
    assert_eq!((sqs.accepted().len(), primary.count(Rtype::AXFR)), (1, 1));
    assert!(relay.stop().await.success());

    primary.set_zone(zone(2));
    let relay = place.run().await;
    let sent = sqs.wait_for(2).await.pop().unwrap();
    assert_eq!((sent.message.serial, sent.message.reason), (Serial(2), Reason::Refresh));
    relay.logged(&["sent", "serial=2"]).await;
    assert!(relay.stop().await.success());

    // A file that is damaged is as good as none.
    let file = place.state().join("example.com.snapshot");
    let octets = std::fs::read(&file).unwrap();
    std::fs::write(&file, &octets[..octets.len() / 2]).unwrap();
    let relay = place.run().await;
    relay.logged(&["the stored snapshot is left aside", "example.com.snapshot"]).await;
    let sent = sqs.wait_for(3).await.pop().unwrap();
    assert_eq!((sent.message.serial, sent.message.reason), (Serial(2), Reason::Initial));
}

#[tokio::test]
async fn what_is_being_sent_is_let_finish_when_the_relay_is_told_to_stop() {
    let (_primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    sqs.set_held(true);
    let relay = place.run().await;
    sqs.wait_for_arrived(1).await;
    relay.terminate().await;
    relay.logged(&["stopping"]).await;
    sqs.set_held(false);
    assert!(relay.ended().await.success());
    assert_eq!(sqs.accepted().len(), 1);
    // And it is known to be accepted.
    assert!(place.state().join("example.com.snapshot").is_file());
}

#[tokio::test]
async fn a_serial_that_goes_backwards_is_refused_and_shown() {
    let (primary, sqs, place) = world(Config::new().zone(zone(10))).await;
    assert!(place.once().await.0);
    primary.set_zone(zone(9));
    let (good, log) = place.once().await;
    assert!(!good && log.contains("the primary has serial 9, which is not newer than our 10"), "{log}");
    // The SOA says one thing and the transfer another.
    primary.set_soa_behaviour(SoaBehaviour::Serial(11));
    let (good, log) = place.once().await;
    assert!(!good && log.contains("the primary has serial 9"), "{log}");
    assert_eq!(sqs.accepted().len(), 1);

    let relay = place.run().await;
    relay.logged(&["refused", "zone=example.com.", "serial 9"]).await;
    primary.set_soa_behaviour(SoaBehaviour::Honest);
    primary.set_zone(zone(11));
    primary.notify(relay.address).await.unwrap();
    assert_eq!(sqs.wait_for(2).await[1].message.serial, Serial(11));
}

#[tokio::test]
async fn a_storm_of_notifies_makes_one_transfer_and_one_more() {
    let (primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    sqs.wait_for(1).await;
    // A look that hangs; all that comes meanwhile is one more look.
    primary.set_soa_behaviour(SoaBehaviour::NoAnswer);
    primary.set_zone(zone(2));
    primary.notify(relay.address).await.unwrap();
    primary.wait_for(Rtype::SOA, 2).await.unwrap();
    for _ in 0..100 {
        primary.notify(relay.address).await.unwrap();
    }
    primary.set_soa_behaviour(SoaBehaviour::Honest);
    assert_eq!(sqs.wait_for(2).await[1].message.serial, Serial(2));
    let transfers = primary.count(Rtype::AXFR) + primary.count(Rtype::IXFR);
    assert_eq!((primary.count(Rtype::SOA), transfers), (3, 2), "{}", relay.log());
}

#[tokio::test]
async fn the_second_primary_is_asked_where_the_first_is_gone_or_behind() {
    let [first, second] = [primary(Config::new().zone(zone(1))).await, primary(Config::new().zone(zone(2))).await];
    let sqs = Sqs::start().await;
    let text = format!(
        "[queue.main]\nurl = \"http://127.0.0.1/0/main.fifo\"\nregion = \"eu-west-1\"\n\
         [primary.a]\naddress = \"{}\"\n[primary.b]\naddress = \"{}\"\n[[zone]]\nname = \"{APEX}\"\nprimaries = [\"a\", \"b\"]\n",
        first.address(),
        second.address()
    );
    let place = Place::new(sqs.address, &text);
    for serial in [1, 2] {
        // First from the first, then from the second, which is ahead of it.
        let (good, log) = place.once().await;
        assert!(good, "{log}");
        assert_eq!(sqs.accepted().last().unwrap().message.serial, Serial(serial));
    }
    first.stop().await;
    second.set_zone(zone(3));
    let (good, log) = place.once().await;
    assert!(good && log.contains("look failed"), "{log}");
    assert_eq!(sqs.accepted().last().unwrap().message.serial, Serial(3));
}

/// The first zone's look holds the only turn at the first primary, fails there, and goes on to the second for long. The
/// other zone's is to come then, not when the second primary is done.
#[tokio::test]
async fn a_turn_that_is_free_is_taken() {
    let refusing = SoaBehaviour::Forge(Forgery::Rcode(Rcode::REFUSED));
    let first = primary(Config::new().soa_behaviour(refusing)).await;
    let second = primary(Config::new().zone(zone(1)).behaviour(Behaviour::SilentAfterMessages(0))).await;
    let sqs = Sqs::start().await;
    let text = format!(
        "[queue.main]\nurl = \"http://127.0.0.1/0/main.fifo\"\nregion = \"eu-west-1\"\n\
         [limits]\ntransfers_per_primary = 1\ntransfer_idle = \"10m\"\n\
         [primary.a]\naddress = \"{}\"\n[primary.b]\naddress = \"{}\"\n\
         [[zone]]\nname = \"{APEX}\"\nprimaries = [\"a\", \"b\"]\n[[zone]]\nname = \"example.net\"\nprimaries = [\"a\"]\n",
        first.address(),
        second.address()
    );
    let place = Place::new(sqs.address, &text);
    let relay = place.run().await;
    second.wait_for_axfr(1).await.unwrap();
    relay.logged(&["look failed", "zone=example.net."]).await;
}

/// A primary takes an answer only from where it sent its NOTIFY (RFC 1035 §7.3), and sends again otherwise. A relay on a
/// host of several addresses listens on all of them by default.
#[tokio::test]
async fn an_answer_comes_from_the_address_that_was_asked() {
    let (_primary, _sqs, place) = world(Config::new().zone(zone(1))).await;
    let config = std::fs::read_to_string(place.config()).unwrap();
    for (listen, asked) in [("0.0.0.0:0", [127, 0, 0, 9].into()), ("[::]:0", IpAddr::V6(Ipv6Addr::LOCALHOST))] {
        std::fs::write(place.config(), config.replace("127.0.0.1:0", listen)).unwrap();
        let relay = place.run().await;
        let to = SocketAddr::new(asked, relay.address.port());
        let from = if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(from).await.unwrap();
        let message = notify(3, [0x20, 0], b"\x07example\x03com\x00\x00\x06\x00\x01");
        socket.send_to(&message, to).await.unwrap();
        let mut answer = [0; 512];
        let (_, source) = timeout(PATIENCE, socket.recv_from(&mut answer)).await.unwrap().unwrap();
        assert_eq!(source, to);
        // ::1 is no primary here.
        assert_eq!(answer[3], if asked.is_ipv4() { 0 } else { 5 });
        assert!(relay.stop().await.success());
    }
}

/// Nobody outside may fill the operator's log.
#[tokio::test]
async fn strangers_are_told_of_in_a_few_lines() {
    const SENT: usize = 500;
    let (_primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let relay = place.run().await;
    sqs.wait_for(1).await;
    let message = notify(1, [0x20, 0], b"\x07example\x03com\x00\x00\x06\x00\x01");
    for _ in 0..SENT {
        assert_eq!(over_udp([127, 0, 0, 2], relay.address, &message).await[3], 5);
    }
    relay.logged(&["NOTIFY refused", "source=127.0.0.2:"]).await;
    // What follows in the log follows them.
    relay.terminate().await;
    relay.logged(&["stopped"]).await;
    let told = relay.log().lines().filter(|line| line.contains("127.0.0.2")).count();
    assert!((1..=60).contains(&told), "{told} of {SENT}");
}

#[tokio::test]
async fn a_zone_is_fetched_in_one_shot() {
    let primary = primary(Config::new().zone(zone(7)).soa_answers([SoaBehaviour::EmptyAnswer])).await;
    let limits = fetch::Limits { zone: Limits::default(), idle: PATIENCE, total: PATIENCE };
    let apex = APEX.parse().unwrap();
    // The first try is refused, the second is the zone.
    let fetched = fetch::fetch(&apex, &[primary.address().into(), primary.address().into()], limits, Clock::start())
        .await
        .unwrap();
    assert_eq!((fetched.transferred.zone.serial(), fetched.primary), (Serial(7), primary.address()));
    let other = "example.net".parse().unwrap();
    let error =
        fetch::fetch(&other, &[primary.address().into()], limits, Clock::start()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("failed to transfer example.net. from {}: ", primary.address())), "{error}");
}

#[tokio::test]
async fn a_zone_too_large_for_a_message_is_told_with_its_size() {
    let sqs = Sqs::start().await;
    let primary = primary(Config::new()).await;
    // Random text, which nothing compresses.
    let mut text = format!("$ORIGIN {APEX}.\n@ 300 SOA ns host 1 3600 1 86400 60\n@ 300 NS ns\n");
    for number in 0..8000 {
        let noise: String = std::iter::repeat_with(|| char::from(b'a' + rand::random::<u8>() % 26)).take(250).collect();
        writeln!(text, "n{number} 300 TXT {noise}").unwrap();
    }
    primary.set_zone(ZoneFile::parse(&text).unwrap());
    let rest = format!(
        "[queue.main]\nurl = \"http://127.0.0.1/0/main.fifo\"\nregion = \"eu-west-1\"\n\
         [primary.main]\naddress = \"{}\"\n[[zone]]\nname = \"{APEX}\"\n",
        primary.address()
    );
    let (good, log) = Place::new(sqs.address, &rest).once().await;
    assert!(!good && log.contains("its snapshot of 8002 records takes") && log.contains("overflow_bucket"), "{log}");
    assert!(sqs.accepted().is_empty());
}

/// Sent, and yet it would be sent again by every pass to come.
#[tokio::test]
async fn once_does_not_call_it_good_where_the_snapshot_cannot_be_stored() {
    let (_primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    // A directory in the place of the file: nobody, root included, can rename a file over it.
    std::fs::create_dir_all(place.state().join("example.com.snapshot/occupied")).unwrap();
    let (good, log) = place.once().await;
    assert_eq!(sqs.accepted().len(), 1, "{log}");
    assert!(!good && log.contains("not stored"), "{log}");
}

#[tokio::test]
async fn check_says_what_is_wrong_and_where() {
    let (_primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let good = place.output("check", &[]).await;
    assert!(good.status.success());
    assert!(String::from_utf8(good.stdout).unwrap().contains("1 zones, nothing wrong"));
    let bad = Place::new(sqs.address, "[limits]\ntransfers = 0\n[queue.main]\nurl = \"x\"\n");
    for command in ["check", "run", "once"] {
        let output = bad.output(command, &[]).await;
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        let config = bad.config();
        assert!(told.contains(&format!("{}:8: limits.transfers: 0 is not within", config.display())), "{told}");
        assert!(told.contains(&format!("{}:10: queue.main.url: ", config.display())), "{told}");
    }
    // A zone that is not in the file.
    let unknown = place.output("once", &["example.net"]).await;
    assert!(!unknown.status.success());
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("zone=example.net."));
}
