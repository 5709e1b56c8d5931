//! NOTIFY against a receiver that follows a script.

use std::time::Duration;

use domain::base::iana::Opcode;
use secondary53_tests::primary::{Behaviour, Config, NotifyError, Primary, Rcode, Rtype, Transport, ZoneFile};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

use crate::wire::{PATIENCE, framed, message, name, read_message, records, start};

#[tokio::test]
async fn notify_is_sent_until_the_matching_answer_comes() {
    let zone = ZoneFile::generated("example.com.", 7, 1).unwrap();
    let soa = zone.soa().clone();
    let primary = start(zone, Behaviour::Honest).await;
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = receiver.local_addr().unwrap();
    let script = async {
        let mut octets = [0; 512];
        // The first is lost.
        let (length, _) = receiver.recv_from(&mut octets).await.unwrap();
        let first = octets[..length].to_vec();
        let (length, peer) = receiver.recv_from(&mut octets).await.unwrap();
        let notify = octets[..length].to_vec();
        assert_eq!(first, notify, "a retry is the same message");
        assert_eq!(peer.ip(), primary.address().ip());

        let mut answer = notify.clone();
        answer[2] |= 0x80;
        let mut wrong_id = answer.clone();
        wrong_id[0] ^= 1;
        let mut wrong_question = answer.clone();
        wrong_question[13] ^= 1;
        answer[3] = Rcode::NOTAUTH.to_int();
        for reply in [&notify, &wrong_id, &wrong_question, &answer] {
            receiver.send_to(reply, peer).await.unwrap();
        }
        notify
    };
    let (answer, notify) = timeout(PATIENCE, async { tokio::join!(primary.notify(target), script) }).await.unwrap();
    let answer = answer.unwrap();
    assert_eq!((answer.rcode, answer.attempts), (Rcode::NOTAUTH, 2));

    let header = message(&notify).header();
    assert_eq!((header.opcode(), header.qr(), header.aa()), (Opcode::NOTIFY, false, true));
    assert_eq!(message(&notify).sole_question().unwrap().qtype(), Rtype::SOA);
    assert_eq!(records(&[notify]), [soa], "the SOA is the hint of RFC 1996 §3.7");
}

#[tokio::test]
async fn notify_goes_over_tcp_too() {
    let primary = start(ZoneFile::generated("example.com.", 7, 1).unwrap(), Behaviour::Honest).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let script = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut answer = read_message(&mut stream).await.unwrap();
        answer[2] |= 0x80;
        stream.write_all(&framed(&answer)).await.unwrap();
    };
    let apex = name("EXAMPLE.com.");
    let sent = primary.notify_zone(&apex, target, Transport::Tcp);
    let (answer, ()) = timeout(PATIENCE, async { tokio::join!(sent, script) }).await.unwrap();
    assert_eq!(answer.unwrap().rcode, Rcode::NOERROR);
}

#[tokio::test]
async fn notify_gives_up_after_its_attempts() {
    let zone = ZoneFile::generated("example.com.", 7, 1).unwrap();
    let waits = [Duration::from_millis(1); 5];
    let primary = Primary::start(Config::new().zone(zone).notify_waits(waits)).await.unwrap();
    // Read without waiting, after the fact: on loopback what was sent is there.
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let target = receiver.local_addr().unwrap();
    let error = primary.notify(target).await.unwrap_err();
    assert!(matches!(error, NotifyError::Unanswered { attempts: 5, .. }), "{error}");
    let mut octets = [0; 512];
    for attempt in 1..=5 {
        assert!(receiver.recv(&mut octets).is_ok(), "attempt {attempt} was not sent");
    }
    assert!(receiver.recv(&mut octets).is_err(), "it was sent more than five times");

    let none = primary.notify_zone(&name("example.org."), target, Transport::Udp).await;
    assert!(matches!(none, Err(NotifyError::UnknownZone { .. })));
    primary.set_zone(ZoneFile::generated("example.org.", 7, 1).unwrap());
    assert!(matches!(primary.notify(target).await, Err(NotifyError::NotOneZone)));
}
