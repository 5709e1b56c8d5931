//! Honest answers: transfers and ordinary queries.

use std::collections::HashSet;

use secondary53_tests::primary::{
    Behaviour, Config, ODD_ZONE, Packing, Primary, Rcode, Record, Rtype, Transport, ZoneFile,
};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::wire::{
    PATIENCE, axfr, exchange_tcp, exchange_udp, in_transfer, ixfr_query, message, name, query, records, run, start,
};

#[tokio::test]
async fn a_large_zone_arrives_complete_in_several_messages() {
    // A name that comes first beyond the reach of compression pointers, and comes again.
    let late = Record::new("late.below.example.com.", Rtype::A, 300, vec![192, 0, 2, 1]).unwrap();
    let late_too = Record { rdata: vec![192, 0, 2, 2].into(), ..late.clone() };
    let zone = ZoneFile::generated("example.com.", 7, 10_000).unwrap().with_record(late).with_record(late_too);
    let primary = start(zone.clone(), Behaviour::Honest).await;
    let messages = axfr(&primary, "example.com.").await.messages;
    assert!(messages.len() > 1, "10,000 records in one message");
    let fullest = messages.iter().map(Vec::len).max().unwrap();
    assert!(fullest > 60_000, "messages are to be filled, the fullest has {fullest} octets");

    assert_eq!(records(&messages), in_transfer(&zone));
    let hickory: usize = messages.iter().map(|m| hickory_proto::op::Message::from_vec(m).unwrap().answers.len()).sum();
    assert_eq!(hickory, zone.records().len() + 2, "hickory reads another number of records");
    primary.wait_for_axfr(1).await.unwrap();
    primary.wait_for_transfers_sent(1).await.unwrap();
}

#[tokio::test]
async fn every_packing_carries_the_same_records() {
    let odd = ZoneFile::parse(ODD_ZONE).unwrap();
    for octets in [100, 512, 65_535] {
        for (compress_owners, compress_rdata, repeat_question) in
            [(false, false, true), (true, false, false), (false, true, false), (true, true, true)]
        {
            for count in [1, 3, usize::MAX] {
                let packing = Packing { octets, records: count, compress_owners, compress_rdata, repeat_question };
                let primary = Primary::start(Config::new().zone(odd.clone()).packing(packing)).await.unwrap();
                let messages = axfr(&primary, "ODD.example.").await.messages;
                assert_eq!(records(&messages), in_transfer(&odd), "{packing:?}");
                let questions: Vec<_> = messages.iter().map(|m| message(m).header_counts().qdcount()).collect();
                assert!(questions.iter().skip(1).all(|n| *n == u16::from(repeat_question)), "{packing:?}");
                assert_eq!(questions.first(), Some(&1), "{packing:?}");
                if count == 1 {
                    assert_eq!(messages.len(), odd.records().len() + 2);
                }
            }
        }
    }
}

#[tokio::test]
async fn dig_and_kdig_transfer_the_whole_zone() {
    let zone = ZoneFile::generated("example.com.", 7, 10_000).unwrap();
    let primary = start(zone.clone(), Behaviour::Honest).await;
    let port = primary.address().port().to_string();
    for tool in ["dig", "kdig"] {
        let query = ["@127.0.0.1", "-p", &port, "example.com.", "AXFR", "+noall", "+answer"];
        let Some(printed) = run(tool, &query).await else { continue };
        let lines: Vec<_> = printed.lines().filter(|line| !line.is_empty() && !line.starts_with(';')).collect();
        assert_eq!(lines.len(), zone.records().len() + 2, "{tool} printed other than the zone");
        let owners: HashSet<_> = lines.iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(owners.len(), 10_001, "{tool} printed other owners");
    }
}

#[tokio::test]
async fn dig_and_kdig_read_the_odd_records() {
    let odd = ZoneFile::parse(ODD_ZONE).unwrap();
    let primary = start(odd.clone(), Behaviour::Honest).await;
    let port = primary.address().port().to_string();
    for tool in ["dig", "kdig"] {
        let query = ["@127.0.0.1", "-p", &port, "odd.example.", "AXFR", "+noall", "+answer"];
        let Some(printed) = run(tool, &query).await else { continue };
        let lines: Vec<_> = printed.lines().filter(|line| !line.is_empty() && !line.starts_with(';')).collect();
        assert_eq!(lines.len(), odd.records().len() + 2, "{tool} printed other than the zone:\n{printed}");
        for wanted in ["TYPE65280", "\\# 0", "abcdefghijklmnopqrst", "PDP-11/70", "LOC"] {
            assert!(printed.contains(wanted), "{tool} did not print {wanted}:\n{printed}");
        }
    }
}

#[tokio::test]
async fn ixfr_is_a_single_soa_or_the_whole_zone() {
    let zone = ZoneFile::generated("example.com.", 7, 3).unwrap();
    let primary = start(zone.clone(), Behaviour::Honest).await;
    for (from, expected) in [(6, zone.records().len() + 2), (7, 1), (8, 1)] {
        let query = ixfr_query("example.com.", from);
        let messages = exchange_tcp(primary.address(), &query).await.messages;
        assert_eq!(records(&messages).len(), expected, "from serial {from}");
    }
    let over_udp = exchange_udp(primary.address(), &ixfr_query("example.com.", 6)).await;
    assert_eq!(records(&[over_udp]).len(), 1, "RFC 1995 §2: over UDP, the SOA says that TCP is needed");
}

#[tokio::test]
async fn ordinary_queries_are_answered_over_udp_and_tcp() {
    let text = "$ORIGIN example.com.\n@ 9 SOA ns host 1 2 3 4 5\na.b 9 A 192.0.2.1\nc 9 CNAME a.b\n";
    let big = ZoneFile::generated("big.example.", 1, 1).unwrap();
    let long = vec![b'x'; 200];
    let chunk = [&[200], long.as_slice()].concat().repeat(4);
    let big = big.with_record(Record::new("txt.big.example.", Rtype::TXT, 60, chunk).unwrap());
    let primary = Primary::start(Config::new().zone(ZoneFile::parse(text).unwrap()).zone(big)).await.unwrap();
    let at = primary.address();
    let expected = [
        ("example.com.", Rtype::SOA, Rcode::NOERROR, 1),
        ("A.b.example.com.", Rtype::A, Rcode::NOERROR, 1),
        ("c.example.com.", Rtype::A, Rcode::NOERROR, 1),
        ("b.example.com.", Rtype::A, Rcode::NOERROR, 0),
        ("nothing.example.com.", Rtype::A, Rcode::NXDOMAIN, 0),
        ("example.org.", Rtype::A, Rcode::REFUSED, 0),
        ("example.org.", Rtype::AXFR, Rcode::NOTAUTH, 0),
        ("b.example.com.", Rtype::IXFR, Rcode::NOTAUTH, 0),
    ];
    for (name, rtype, rcode, answers) in expected {
        let asked = query(name, rtype);
        let udp = exchange_udp(at, &asked).await;
        let tcp = exchange_tcp(at, &asked).await.messages;
        for answer in [&udp, &tcp[0]] {
            let answer = message(answer);
            assert!(answer.is_answer(&message(&asked)), "{name} {rtype}");
            assert_eq!(answer.header().rcode(), rcode, "{name} {rtype}");
            assert_eq!(answer.header_counts().ancount(), answers, "{name} {rtype}");
        }
    }
    let asked = query("txt.big.example.", Rtype::TXT);
    assert!(message(&exchange_udp(at, &asked).await).header().tc(), "804 octets do not fit into 512");
    assert_eq!(records(&exchange_tcp(at, &asked).await.messages).len(), 1);
    let axfr_udp = exchange_udp(at, &query("example.com.", Rtype::AXFR)).await;
    assert_eq!(message(&axfr_udp).header().rcode(), Rcode::FORMERR);
    primary.wait_for(Rtype::SOA, 2).await.unwrap();
    let first = primary.received().into_iter().next().unwrap();
    assert_eq!((first.transport, first.rtype, first.name), (Transport::Udp, Rtype::SOA, name("example.com.")));
}

#[tokio::test]
async fn what_is_no_query_is_not_answered_and_does_no_harm() {
    let primary = start(ZoneFile::generated("example.com.", 7, 1).unwrap(), Behaviour::Honest).await;
    let mut an_answer = query("example.com.", Rtype::SOA);
    an_answer[2] |= 0x80;
    let mut two_questions = query("example.com.", Rtype::SOA);
    two_questions[5] = 2;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(primary.address()).await.unwrap();
    for nonsense in [&[][..], &[1, 2, 3], &an_answer, &two_questions] {
        socket.send(nonsense).await.unwrap();
    }
    let mut octets = [0; 512];
    let length = timeout(PATIENCE, socket.recv(&mut octets)).await.unwrap().unwrap();
    assert_eq!(message(&octets[..length]).header().rcode(), Rcode::FORMERR, "only the one that is a query");
}
