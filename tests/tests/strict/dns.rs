//! DNS answers, asked over UDP and TCP.

use std::net::SocketAddr;

use hickory_proto::{
    op::{Edns, Message, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::*;

fn query(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    message
}

async fn over_udp(server: SocketAddr, query: &Message) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&query.to_vec().unwrap(), server).await.unwrap();
    let mut answer = vec![0; 65_535];
    let length = timeout(GENEROUS, socket.recv(&mut answer)).await.unwrap().unwrap();
    Message::from_vec(&answer[..length]).unwrap()
}

async fn over_tcp(server: SocketAddr, query: &Message) -> Message {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let query = query.to_vec().unwrap();
    stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
    stream.write_all(&query).await.unwrap();
    let length = timeout(GENEROUS, stream.read_u16()).await.unwrap().unwrap();
    let mut answer = vec![0; usize::from(length)];
    timeout(GENEROUS, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    Message::from_vec(&answer).unwrap()
}

/// Asks over both and expects one answer.
async fn ask(world: &World, name: &str, rtype: RecordType) -> Message {
    let query = query(name, rtype);
    let udp = over_udp(world.server.dns(), &query).await;
    assert_eq!(udp, over_tcp(world.server.dns(), &query).await);
    assert_eq!(udp.queries, query.queries);
    udp
}

#[tokio::test]
async fn the_soa_of_the_hosted_zone_is_served() {
    let world = World::start().await;
    let soa = "ns-1.example.com. hostmaster.example.com. 4000000000 3600 600 604800 300";
    world.send(vec![upsert("example.com", "SOA", &[soa])]).await.unwrap();
    let answer = ask(&world, "Example.COM.", RecordType::SOA).await;
    assert!(answer.metadata.authoritative);
    let RData::SOA(soa) = &answer.answers[0].data else { panic!("{answer:?}") };
    assert_eq!((soa.serial, soa.minimum, answer.answers[0].ttl), (4_000_000_000, 300, 300));
    assert_eq!(answer.answers[0].name, Name::from_ascii("example.com.").unwrap());
}

#[tokio::test]
async fn every_type_is_served_as_its_octets() {
    let world = World::start().await;
    let hash = "ab".repeat(32);
    let values = [
        ("A", "192.0.2.1".to_owned()),
        ("AAAA", "2001:db8::1".to_owned()),
        ("CAA", "0 issue \"ca.example\"".to_owned()),
        ("CNAME", "x.example.net.".to_owned()),
        ("DS", format!("12345 13 2 {hash}")),
        ("HTTPS", "1 . alpn=h2 ipv4hint=192.0.2.1".to_owned()),
        ("MX", "10 mx.example.net.".to_owned()),
        ("NAPTR", r#"100 10 "U" "E2U+sip" "!^.*$!sip:\\1@example.com!" ."#.to_owned()),
        ("NS", "ns.example.net.".to_owned()),
        ("PTR", "x.example.net.".to_owned()),
        ("SPF", "\"v=spf1 -all\"".to_owned()),
        ("SRV", "0 5 5060 sip.example.net.".to_owned()),
        ("SSHFP", format!("4 2 {hash}")),
        ("SVCB", "16 svc.example.net. port=8443".to_owned()),
        ("TLSA", format!("3 1 1 {hash}")),
        ("TXT", r#""a\000\377" "b""#.to_owned()),
    ];
    for (rtype, value) in &values {
        let name = format!("{}.example.com.", rtype.to_lowercase());
        world.send(vec![create(&name, rtype, &[value])]).await.unwrap();
        let code: u16 = if *rtype == "SPF" { 99 } else { rtype.parse::<RecordType>().unwrap().into() };
        let answer = ask(&world, &name, RecordType::from(code)).await;
        // A delegation is answered by a referral.
        let section = if *rtype == "NS" { &answer.authorities } else { &answer.answers };
        assert_eq!(section.len(), 1, "{rtype}: {answer:?}");
        assert_eq!(u16::from(section[0].record_type()), code);
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    }
    // Spot checks of what hickory makes of the octets; the octets themselves are tested beside the reader of values.
    let answer = ask(&world, "txt.example.com.", RecordType::TXT).await;
    let RData::TXT(txt) = &answer.answers[0].data else { panic!("{answer:?}") };
    assert_eq!(txt.txt_data.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(), [&b"a\0\xff"[..], b"b"]);
    let answer = ask(&world, "srv.example.com.", RecordType::SRV).await;
    let RData::SRV(srv) = &answer.answers[0].data else { panic!("{answer:?}") };
    assert_eq!((srv.weight, srv.port, srv.target.to_ascii()), (5, 5_060, "sip.example.net.".to_owned()));
}

#[tokio::test]
async fn names_that_are_not_there() {
    let world = World::start().await;
    let changes = vec![
        create("a.b.example.com", "A", &["192.0.2.1"]),
        create("*.w.example.com", "A", &["192.0.2.2"]),
        create("x.w.example.com", "TXT", &["\"x\""]),
        create("alias.example.com", "CNAME", &["a.b.example.com"]),
        create("away.example.com", "CNAME", &["a.example.net"]),
        create("cut.example.com", "NS", &["ns.cut.example.com", "ns.example.net"]),
        create("ns.cut.example.com", "A", &["192.0.2.3"]),
        listing::alias("cdn.example.com"),
    ];
    world.send(changes).await.unwrap();
    for (name, code, answers, authorities) in [
        ("a.b.example.com.", ResponseCode::NoError, 1, 0),
        ("b.example.com.", ResponseCode::NoError, 0, 1),
        ("nothing.example.com.", ResponseCode::NXDomain, 0, 1),
        ("any.w.example.com.", ResponseCode::NoError, 1, 0),
        ("deep.any.w.example.com.", ResponseCode::NoError, 1, 0),
        ("x.w.example.com.", ResponseCode::NoError, 0, 1),
        ("y.x.w.example.com.", ResponseCode::NXDomain, 0, 1),
        ("alias.example.com.", ResponseCode::NoError, 2, 0),
        ("away.example.com.", ResponseCode::NoError, 1, 0),
        ("cdn.example.com.", ResponseCode::NoError, 0, 1),
    ] {
        let answer = ask(&world, name, RecordType::A).await;
        let counts = (answer.metadata.response_code, answer.answers.len(), answer.authorities.len());
        assert_eq!(counts, (code, answers, authorities), "{name}: {answer:?}");
        assert!(answer.metadata.authoritative, "{name}");
        if authorities == 1 {
            // RFC 2308 §3: the lesser of the SOA's TTL, 900, and its minimum, 86400.
            assert_eq!((answer.authorities[0].record_type(), answer.authorities[0].ttl), (RecordType::SOA, 900));
        }
    }
    for name in ["cut.example.com.", "ns.cut.example.com.", "x.cut.example.com."] {
        let answer = ask(&world, name, RecordType::A).await;
        assert!(!answer.metadata.authoritative && answer.answers.is_empty());
        assert_eq!((answer.authorities.len(), answer.additionals.len()), (2, 1));
    }
    let refused = ask(&world, "example.org.", RecordType::SOA).await;
    assert_eq!((refused.metadata.response_code, refused.metadata.authoritative), (ResponseCode::Refused, false));
}

#[tokio::test]
async fn what_does_not_fit_udp_is_truncated() {
    let world = World::start().await;
    let values: Vec<_> = (0..100).map(|at| format!("192.0.2.{at}")).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    world.send(vec![create("many.example.com", "A", &values)]).await.unwrap();
    let mut query = query("many.example.com.", RecordType::A);
    let udp = over_udp(world.server.dns(), &query).await;
    assert!(udp.metadata.truncation && udp.metadata.authoritative && udp.answers.is_empty());
    assert_eq!(over_tcp(world.server.dns(), &query).await.answers.len(), 100);
    let mut edns = Edns::new();
    edns.set_max_payload(4_096);
    query.set_edns(edns);
    let udp = over_udp(world.server.dns(), &query).await;
    assert_eq!((udp.metadata.truncation, udp.answers.len()), (false, 100));
    assert!(udp.edns.is_some());
}

#[tokio::test]
async fn what_is_not_a_plain_query() {
    let world = World::start().await;
    let dns = world.server.dns();
    assert_eq!(ask(&world, "example.com.", RecordType::AXFR).await.metadata.response_code, ResponseCode::Refused);
    let mut notify = query("example.com.", RecordType::SOA);
    notify.metadata.op_code = OpCode::Notify;
    assert_eq!(over_udp(dns, &notify).await.metadata.response_code, ResponseCode::NotImp);
    let none = over_udp(dns, &Message::query()).await;
    assert_eq!(none.metadata.response_code, ResponseCode::FormErr);
    let mut newer = query("example.com.", RecordType::SOA);
    newer.set_edns(Edns::new()).edns.as_mut().unwrap().set_version(1);
    // 16 is BADVERS here and BADSIG in TSIG: compared as a number.
    assert_eq!(u16::from(over_udp(dns, &newer).await.metadata.response_code), 16);
    // Responses and scraps get no answer, and harm nobody: the next query does.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let response = Message::response(1, OpCode::Query).to_vec().unwrap();
    for scrap in [&b""[..], b"\0\x01\0\0", &response] {
        socket.send_to(scrap, dns).await.unwrap();
    }
    let good = query("example.com.", RecordType::NS);
    socket.send_to(&good.to_vec().unwrap(), dns).await.unwrap();
    let mut answer = vec![0; 512];
    let length = timeout(GENEROUS, socket.recv(&mut answer)).await.unwrap().unwrap();
    assert_eq!(Message::from_vec(&answer[..length]).unwrap().metadata.id, good.metadata.id);
}

#[tokio::test]
async fn a_change_is_served_once_it_is_in_sync_and_a_private_zone_never() {
    let world = World::with(|config| {
        config.propagation = Duration::from_mins(1);
        config.zones.push(ZoneSpec { private: true, ..ZoneSpec::public("corp.example") });
    })
    .await;
    world.send(hosts(1)).await.unwrap();
    let code = |message: Message| message.metadata.response_code;
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(code(ask(&world, "h0.example.com.", RecordType::A).await), ResponseCode::NXDomain);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(code(ask(&world, "h0.example.com.", RecordType::A).await), ResponseCode::NoError);
    assert_eq!(code(ask(&world, "corp.example.", RecordType::SOA).await), ResponseCode::Refused);
}
