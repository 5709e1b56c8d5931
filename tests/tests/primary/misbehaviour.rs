//! Each way to be wrong is as wrong as it says, and no more.

use std::time::Duration;

use domain::base::iana::Opcode;
use secondary53_tests::primary::{
    Behaviour, Class, Config, Forgery, Packing, Primary, Rcode, Record, Rtype, SoaBehaviour, ZoneFile,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::{
    End, ID, PATIENCE, axfr, exchange_tcp, exchange_udp, framed, in_transfer, message, name, query, read_message,
    records, start, try_records,
};

#[tokio::test]
async fn transfers_end_as_the_behaviour_says() {
    let zone = ZoneFile::generated("example.com.", 7, 10).unwrap();
    let all = in_transfer(&zone).len();
    // Behaviour, records and messages that arrive, how it ends; one record in each message.
    let cases = [
        (Behaviour::Honest, all, all, End::Open),
        (Behaviour::CutAfterMessages(3), 3, 3, End::Closed),
        (Behaviour::CutAfterMessages(0), 0, 0, End::Closed),
        (Behaviour::CutAfterRecords(5), 5, 5, End::Closed),
        (Behaviour::CutAfterOctets(20), 0, 0, End::Short),
        (Behaviour::ResetAfterMessages(2), 2, 2, End::Reset),
        (Behaviour::Drip { octets: 1, pause: Duration::ZERO }, all, all, End::Open),
        (Behaviour::EmptyAnswer, 0, 1, End::Open),
        (Behaviour::NoClosingSoa, all - 1, all - 1, End::Closed),
        (Behaviour::NoOpeningSoa, all - 1, all - 1, End::Open),
        (Behaviour::TrailingRecord, all + 1, all + 1, End::Open),
        (Behaviour::TrailingMessage, all + 1, all + 1, End::Open),
        (Behaviour::OutsideZone, all + 1, all + 1, End::Open),
        (Behaviour::Forge(Forgery::Rcode(Rcode::REFUSED), 0), 0, 1, End::Open),
        (Behaviour::Forge(Forgery::Rcode(Rcode::SERVFAIL), 1), 1, 2, End::Open),
    ];
    for (behaviour, expected, messages, end) in cases {
        let config = Config::new().zone(zone.clone()).behaviour(behaviour.clone()).packing(Packing::one_record());
        let primary = Primary::start(config).await.unwrap();
        let transfer = axfr(&primary, "example.com.").await;
        assert_eq!(transfer.messages.len(), messages, "{behaviour:?}: messages");
        assert_eq!(records(&transfer.messages).len(), expected, "{behaviour:?}: records");
        assert_eq!(transfer.end, end, "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_reset_is_one_without_unread_octets_too() {
    let config = Config::new().zone(ZoneFile::generated("example.com.", 7, 9).unwrap());
    let config = config.packing(Packing::one_record()).behaviour(Behaviour::ResetAfterMessages(2));
    let primary = Primary::start(config).await.unwrap();
    let mut stream = TcpStream::connect(primary.address()).await.unwrap();
    stream.write_all(&framed(&query("example.com.", Rtype::AXFR))).await.unwrap();
    for _ in 0..2 {
        assert_eq!(records(&[read_message(&mut stream).await.unwrap()]).len(), 1);
    }
    assert_eq!(read_message(&mut stream).await, Err(End::Reset));
}

#[tokio::test]
async fn silence_keeps_the_connection_open() {
    let primary = start(ZoneFile::generated("example.com.", 7, 1).unwrap(), Behaviour::SilentAfterMessages(0)).await;
    let mut stream = TcpStream::connect(primary.address()).await.unwrap();
    stream.write_all(&framed(&query("example.com.", Rtype::AXFR))).await.unwrap();
    // Nothing can be waited for where nothing comes: another query on the same connection shows that it is not read as one.
    primary.wait_for_axfr(1).await.unwrap();
    stream.write_all(&framed(&query("example.com.", Rtype::SOA))).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!((rest.len(), primary.count(Rtype::SOA)), (0, 0));
}

#[tokio::test]
async fn endless_goes_on_beyond_any_limit() {
    let primary = start(ZoneFile::generated("example.com.", 7, 1).unwrap(), Behaviour::Endless).await;
    let mut stream = TcpStream::connect(primary.address()).await.unwrap();
    stream.write_all(&framed(&query("example.com.", Rtype::AXFR))).await.unwrap();
    let mut received = 0;
    for _ in 0..20 {
        let answer = read_message(&mut stream).await.unwrap();
        let records = records(&[answer]);
        assert!(records.iter().all(|record| record.owner.ends_with(&name("example.com."))));
        received += records.len();
    }
    assert!(received > 20_000, "{received} records in 20 messages");
}

#[tokio::test]
async fn closing_soas_differ_where_they_should() {
    let zone = ZoneFile::generated("example.com.", 7, 3).unwrap();
    for (behaviour, serial) in [(Behaviour::ClosingSerial(8), 8), (Behaviour::ClosingContent, 7)] {
        let primary = start(zone.clone(), behaviour).await;
        let received = records(&axfr(&primary, "example.com.").await.messages);
        let (opening, closing) = (received.first().unwrap(), received.last().unwrap());
        assert_eq!((opening.serial(), closing.serial()), (Some(7), Some(serial)));
        assert_ne!(opening, closing);
    }
}

#[tokio::test]
async fn forged_headers_are_wrong_from_the_message_that_was_asked_for() {
    let zone = ZoneFile::generated("example.com.", 7, 3).unwrap();
    let asked = query("example.com.", Rtype::AXFR);
    let honest = |octets: &[u8]| {
        let answer = message(octets);
        let header = answer.header();
        let question = answer.first_question().is_none_or(|q| *q.qname() == name("example.com."));
        header.id() == ID && header.qr() && header.opcode() == Opcode::QUERY && !header.tc() && question
    };
    for forgery in
        [Forgery::WrongId, Forgery::WrongQuestion, Forgery::NotAnAnswer, Forgery::WrongOpcode, Forgery::Truncated]
    {
        for from in [0, 2] {
            let behaviour = Behaviour::Forge(forgery, from);
            let config = Config::new().zone(zone.clone()).behaviour(behaviour).packing(Packing::one_record());
            let primary = Primary::start(config).await.unwrap();
            let messages = exchange_tcp(primary.address(), &asked).await.messages;
            assert_eq!(messages.len(), 6);
            for (at, octets) in messages.iter().enumerate() {
                assert_eq!(honest(octets), at < from, "{forgery:?} from {from}, message {at}");
            }
        }
    }
}

#[tokio::test]
async fn malformed_messages_are_refused_by_both_parsers() {
    let zone = ZoneFile::generated("example.com.", 7, 3).unwrap();
    let lies =
        [Behaviour::PointerLoop, Behaviour::RdlengthTooLong, Behaviour::RdlengthTooShort, Behaviour::CountTooHigh];
    for behaviour in lies {
        let primary = start(zone.clone(), behaviour.clone()).await;
        let messages = axfr(&primary, "example.com.").await.messages;
        let first = messages.first().unwrap();
        assert!(try_records(first).is_err(), "domain reads {behaviour:?}");
        assert!(hickory_proto::op::Message::from_vec(first).is_err(), "hickory reads {behaviour:?}");
    }
}

#[tokio::test]
async fn any_record_can_be_put_into_a_transfer() {
    let zone = ZoneFile::generated("example.com.", 7, 3).unwrap();
    let odd = vec![
        Record::new("chaos.example.com.", Rtype::TXT, 1, vec![1, b'x']).unwrap().with_class(Class::CH),
        Record::new(".", Rtype::OPT, 0, vec![]).unwrap(),
        Record::new("example.com.", Rtype::AXFR, 0, vec![]).unwrap(),
    ];
    let config = Config::new().zone(zone.clone()).transfers([Behaviour::With(odd.clone())]);
    let primary = Primary::start(config).await.unwrap();
    let received = records(&axfr(&primary, "example.com.").await.messages);
    assert!(odd.iter().all(|record| received.contains(record)), "{received:?}");
    let after = records(&axfr(&primary, "example.com.").await.messages);
    assert_eq!(after, in_transfer(&zone), "the script was for one transfer");
}

#[tokio::test]
async fn soa_answers_follow_their_script() {
    let zone = ZoneFile::generated("example.com.", 7, 1).unwrap();
    let script = [
        SoaBehaviour::Serial(9),
        SoaBehaviour::TruncatedOverUdp,
        SoaBehaviour::EmptyAnswer,
        SoaBehaviour::Forge(Forgery::WrongId),
        SoaBehaviour::Forge(Forgery::Rcode(Rcode::SERVFAIL)),
    ];
    let primary = Primary::start(Config::new().zone(zone).soa_answers(script)).await.unwrap();
    let query = query("example.com.", Rtype::SOA);
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(exchange_udp(primary.address(), &query).await);
    }
    let serials: Vec<_> =
        answers.iter().map(|a| records(std::slice::from_ref(a)).first().and_then(Record::serial)).collect();
    assert_eq!(serials, [Some(9), None, None, Some(7), None, Some(7)]);
    let headers: Vec<_> = answers.iter().map(|a| message(a).header()).map(|h| (h.tc(), h.id() == ID)).collect();
    assert_eq!(headers, [(false, true), (true, true), (false, true), (false, false), (false, true), (false, true)]);
    assert_eq!(message(&answers[4]).header().rcode(), Rcode::SERVFAIL);
}
