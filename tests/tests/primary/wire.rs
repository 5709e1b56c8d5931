//! The other side of the wire: asks, and reads with parsers that are not ours.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use domain::base::message::Message;
use domain::base::message_builder::MessageBuilder;
use domain::base::name::{ParsedName, ToName as _};
use domain::base::rdata::ComposeRecordData as _;
use domain::rdata::AllRecordData;
use secondary53_tests::primary::{Behaviour, Config, Name, Primary, Record, Rtype, ZoneFile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Only what never comes fails.
pub const PATIENCE: Duration = Duration::from_mins(1);
pub const ID: u16 = 0x1234;

/// What came over TCP, and how it ended.
pub struct Received {
    pub messages: Vec<Vec<u8>>,
    pub end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The connection answered another query after it.
    Open,
    /// Closed between two messages.
    Closed,
    /// Closed inside a message.
    Short,
    Reset,
}

pub async fn start(zone: ZoneFile, behaviour: Behaviour) -> Primary {
    Primary::start(Config::new().zone(zone).behaviour(behaviour)).await.unwrap()
}

pub async fn axfr(primary: &Primary, zone: &str) -> Received {
    exchange_tcp(primary.address(), &query(zone, Rtype::AXFR)).await
}

/// Sends the query, and behind it one whose answer marks the end: where a transfer itself ends is not judged here.
pub async fn exchange_tcp(primary: SocketAddr, asked: &[u8]) -> Received {
    const END: u16 = 0xeeee;
    let mut stream = TcpStream::connect(primary).await.unwrap();
    let mut end = query("end.invalid.", Rtype::A);
    end[..2].copy_from_slice(&END.to_be_bytes());
    stream.write_all(&[framed(asked), framed(&end)].concat()).await.unwrap();
    let mut messages = Vec::new();
    loop {
        match read_message(&mut stream).await {
            Ok(octets) if octets[..2] == END.to_be_bytes() => return Received { messages, end: End::Open },
            Ok(octets) => messages.push(octets),
            Err(end) => return Received { messages, end },
        }
    }
}

pub async fn read_message(stream: &mut TcpStream) -> Result<Vec<u8>, End> {
    let end = |error: std::io::Error, closed| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => closed,
        std::io::ErrorKind::ConnectionReset => End::Reset,
        _ => panic!("{error}"),
    };
    let reading = async {
        let length = stream.read_u16().await.map_err(|error| end(error, End::Closed))?;
        let mut octets = vec![0; usize::from(length)];
        stream.read_exact(&mut octets).await.map_err(|error| end(error, End::Short))?;
        Ok(octets)
    };
    timeout(PATIENCE, reading).await.unwrap()
}

pub async fn exchange_udp(primary: SocketAddr, asked: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(primary).await.unwrap();
    socket.send(asked).await.unwrap();
    let mut octets = vec![0; 65_535];
    let length = timeout(PATIENCE, socket.recv(&mut octets)).await.unwrap().unwrap();
    octets.truncate(length);
    octets
}

pub fn framed(octets: &[u8]) -> Vec<u8> {
    [&u16::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()
}

pub fn name(text: &str) -> Name {
    Name::bytes_from_str(text).unwrap()
}

pub fn query(zone: &str, rtype: Rtype) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(ID);
    let mut question = builder.question();
    question.push((name(zone), rtype)).unwrap();
    question.finish()
}

pub fn ixfr_query(zone: &str, serial: u32) -> Vec<u8> {
    let mut query = query(zone, Rtype::IXFR);
    query[9] = 1;
    query.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    query.extend(serial.to_be_bytes());
    query.extend([0; 16]);
    query
}

pub fn message(octets: &[u8]) -> Message<Bytes> {
    Message::from_octets(Bytes::copy_from_slice(octets)).unwrap()
}

/// The answer sections of these messages, read by `domain`.
pub fn records(messages: &[Vec<u8>]) -> Vec<Record> {
    messages.iter().flat_map(|octets| try_records(octets).unwrap()).collect()
}

pub fn try_records(octets: &[u8]) -> Result<Vec<Record>, domain::base::wire::ParseError> {
    let message = message(octets);
    let mut records = Vec::new();
    for record in message.answer()?.into_records::<AllRecordData<_, ParsedName<_>>>() {
        let record = record?;
        let mut rdata = Vec::new();
        let Ok(()) = record.data().compose_rdata(&mut rdata);
        records.push(Record {
            owner: record.owner().to_name(),
            class: record.class(),
            rtype: record.rtype(),
            ttl: record.ttl().as_secs(),
            rdata: rdata.into(),
        });
    }
    Ok(records)
}

/// What RFC 5936 §2.2 wants to see: SOA, everything else, SOA.
pub fn in_transfer(zone: &ZoneFile) -> Vec<Record> {
    let soa = std::slice::from_ref(zone.soa());
    [soa, zone.records(), soa].concat()
}

/// What a program from the system prints. Where it is not installed there is nothing to compare with, but under CI that
/// is a failure.
pub async fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| Path::new(&directory).join(program).is_file()) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{program} is not installed, and CI needs it");
        eprintln!("skipped: {program} is not installed");
        return None;
    }
    let mut command = tokio::process::Command::new(program);
    let output = timeout(PATIENCE, command.args(arguments).kill_on_drop(true).output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
