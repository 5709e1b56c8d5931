//! The name servers of the zones: authoritative answers over UDP and TCP (RFC 1035, 4592, 6891, 7766).
//!
//! Simpler than the real ones in three things: an alias or a routed RRset makes its name exist and answers nothing;
//! of two public zones with one name, the one with the lower id is served; nothing is signed.

use std::{io, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, ResponseCode},
    rr::{DNSClass, Name as WireName, RData, Record, RecordType as WireType, rdata::NULL},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{
    model::{Body, Key, RecordSet, RecordSets},
    name::Name,
    server::Shared,
    syntax::RecordType,
};

/// Octets of a UDP answer to a query without EDNS (RFC 1035 §4.2.1), and the most with it.
const UDP_PLAIN: u16 = 512;
const UDP_MOST: u16 = 4_096;
/// TCP connections at once; a further one is closed.
const MAX_CONNECTIONS: usize = 64;
/// A TCP connection with nothing to say is closed after this.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// CNAMEs followed within the zone.
const MAX_CHAIN: usize = 8;
/// Octets of a DNS header.
const HEADER: usize = 12;

/// Answers datagrams until told to stop.
pub(super) async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            received = socket.recv_from(&mut buffer) => {
                // Errors here are about an earlier answer that could not be delivered.
                let Ok((length, from)) = received else { continue };
                if let Some(answer) = answer(&shared, &buffer[..length], Transport::Udp)
                    && let Err(error) = socket.send_to(&answer, from).await
                {
                    tracing::debug!(%error, %from, "failed to send a DNS answer");
                }
            }
        }
    }
}

/// Accepts connections until told to stop.
pub(super) async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted && connections.len() < MAX_CONNECTIONS {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        if let Err(error) = converse(stream, &shared).await {
                            tracing::debug!(%error, "a DNS connection ended");
                        }
                    });
                }
            }
        }
    }
}

/// An error means that the server was dropped, which is a stop too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopping| *stopping).await;
}

/// One query after the other, until the client closes or says nothing.
async fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    loop {
        let query = timeout(TCP_IDLE, async {
            let length = stream.read_u16().await?;
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await.map(|_| query)
        });
        let query = match query.await? {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            query => query?,
        };
        let Some(answer) = answer(shared, &query, Transport::Tcp) else { return Ok(()) };
        let Ok(length) = u16::try_from(answer.len()) else { return Ok(()) };
        let frame = [&length.to_be_bytes()[..], &answer].concat();
        timeout(TCP_IDLE, stream.write_all(&frame)).await??;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// The answer to a query; nothing to what is not one.
fn answer(shared: &Shared, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    const QR: u8 = 0x80;
    if query.len() < HEADER || query[2] & QR != 0 {
        return None;
    }
    let Ok(query) = Message::from_vec(query) else {
        let id = u16::from_be_bytes([query[0], query[1]]);
        return Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok();
    };
    let mut response = respond(shared, &query);
    if let Some(edns) = &query.edns {
        let mut own = Edns::new();
        own.set_max_payload(UDP_MOST).set_version(0);
        // RFC 6891 §6.1.3
        if edns.version() > 0 {
            response = echo(&query, ResponseCode::BADVERS);
            own.set_rcode_high(ResponseCode::BADVERS.high());
        }
        response.set_edns(own);
    }
    let bytes = response.to_vec().or_else(|_| echo(&query, ResponseCode::ServFail).to_vec()).ok()?;
    let most = query.edns.as_ref().map_or(UDP_PLAIN, |edns| edns.max_payload().clamp(UDP_PLAIN, UDP_MOST));
    if transport == Transport::Tcp || bytes.len() <= usize::from(most) {
        return Some(bytes);
    }
    // RFC 2181 §9: the client drops what is there and asks again over TCP, so nothing is.
    let mut truncated = echo(&query, response.metadata.response_code);
    truncated.metadata.authoritative = response.metadata.authoritative;
    truncated.metadata.truncation = true;
    truncated.edns = response.edns;
    truncated.to_vec().ok()
}

/// A response with the question and nothing else.
fn echo(query: &Message, code: ResponseCode) -> Message {
    let mut response = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.metadata.response_code = code;
    response.add_queries(query.queries.iter().cloned());
    response
}

fn respond(shared: &Shared, query: &Message) -> Message {
    if query.metadata.op_code != OpCode::Query {
        return echo(query, ResponseCode::NotImp);
    }
    let [question] = query.queries.as_slice() else { return echo(query, ResponseCode::FormErr) };
    let qtype = question.query_type();
    if question.query_class() != DNSClass::IN || matches!(qtype, WireType::AXFR | WireType::IXFR) {
        return echo(query, ResponseCode::Refused);
    }
    let qname = Name::from_labels(question.name().iter());
    let now = shared.config.clock.now();
    let served = {
        let mut account = shared.account();
        let zones = account.zones.values_mut().filter(|zone| !zone.private && qname.is_within(&zone.name));
        // `max_by_key` takes the last of equals; reversed, the one with the lower id.
        zones.rev().max_by_key(|zone| zone.name.labels().len()).map(|zone| (zone.name.clone(), zone.served(now)))
    };
    let Some((apex, rrsets)) = served else { return echo(query, ResponseCode::Refused) };
    let lookup = Lookup { apex: &apex, rrsets: &rrsets };
    let mut response = echo(query, ResponseCode::NoError);
    response.metadata.authoritative = true;
    lookup.answer(qname, qtype, &mut response);
    response
}

struct Lookup<'a> {
    apex: &'a Name,
    rrsets: &'a RecordSets,
}

impl Lookup<'_> {
    fn answer(&self, mut qname: Name, qtype: WireType, response: &mut Message) {
        for _ in 0..MAX_CHAIN {
            if let Some(cut) = self.delegation(&qname, qtype) {
                // RFC 1034 §4.3.2: a referral, which is authoritative only for a CNAME before it.
                response.metadata.authoritative = !response.answers.is_empty();
                self.refer(cut, response);
                return;
            }
            let Some(owner) = self.owner(&qname) else {
                response.metadata.response_code = ResponseCode::NXDomain;
                return self.deny(response);
            };
            let found: Vec<_> = self.at(&owner).filter(|set| asked(set, qtype)).collect();
            if !found.is_empty() {
                response.answers.extend(found.into_iter().flat_map(|set| records(set, &qname, None)));
                return;
            }
            let Some(cname) = self.at(&owner).find(|set| set.key.rtype == RecordType::Cname) else {
                return self.deny(response);
            };
            response.answers.extend(records(cname, &qname, None));
            match target(cname) {
                Some(target) if target.is_within(self.apex) => qname = target,
                // Out of the zone, or not plain: the resolver goes on.
                _ => return,
            }
        }
    }

    /// The RRsets of a name.
    fn at<'s>(&'s self, name: &'s Name) -> impl Iterator<Item = &'s Arc<RecordSet>> {
        let first = Key::simple(name.clone(), RecordType::ALL[0].0);
        self.rrsets.range(first..).map(|(_, set)| set).take_while(move |set| set.key.name == *name)
    }

    /// Whether a name holds something or stands above something (an empty non-terminal).
    fn exists(&self, name: &Name) -> bool {
        let first = Key::simple(name.clone(), RecordType::ALL[0].0);
        self.rrsets.range(first..).any(|(key, _)| key.name.is_within(name))
    }

    /// The owner whose RRsets answer for `qname`: itself, or the wildcard at its closest encloser (RFC 4592 §3.3.1).
    fn owner(&self, qname: &Name) -> Option<Name> {
        if self.exists(qname) {
            return Some(qname.clone());
        }
        let mut encloser = qname.parent()?;
        while !self.exists(&encloser) {
            encloser = encloser.parent()?;
        }
        let wildcard = encloser.wildcard_child();
        self.at(&wildcard).next().map(|set| set.key.name.clone())
    }

    /// The topmost NS RRset between the apex and `qname`; DS belongs to the parent's side of the cut (RFC 4035 §3.1.4.1).
    fn delegation(&self, qname: &Name, qtype: WireType) -> Option<&Arc<RecordSet>> {
        let mut name = Some(qname.clone());
        let mut topmost = None;
        while let Some(here) = name.filter(|here| here != self.apex && here.is_within(self.apex)) {
            let cut = self.rrsets.get(&Key::simple(here.clone(), RecordType::Ns));
            if cut.is_some() && !(here == *qname && qtype == WireType::DS) {
                topmost = cut;
            }
            name = here.parent();
        }
        topmost
    }

    fn refer(&self, cut: &RecordSet, response: &mut Message) {
        response.authorities.extend(records(cut, &cut.key.name, None));
        let Body::Records { values, .. } = &cut.body else { return };
        for server in values.iter().filter_map(|value| Name::parse(&value.text).ok()) {
            let glue = self.at(&server).filter(|set| matches!(set.key.rtype, RecordType::A | RecordType::Aaaa));
            response.additionals.extend(glue.flat_map(|set| records(set, &server, None)));
        }
    }

    /// RFC 2308 §3: the SOA, its TTL no more than its minimum.
    fn deny(&self, response: &mut Message) {
        let Some(soa) = self.rrsets.get(&Key::simple(self.apex.clone(), RecordType::Soa)) else { return };
        let Body::Records { values, .. } = &soa.body else { return };
        let minimum = values.first().and_then(|value| value.rdata.last_chunk().copied()).map(u32::from_be_bytes);
        response.authorities.extend(records(soa, self.apex, minimum));
    }
}

fn asked(set: &RecordSet, qtype: WireType) -> bool {
    (qtype == WireType::ANY || u16::from(qtype) == set.key.rtype.code())
        && set.key.set_identifier.is_none()
        && matches!(set.body, Body::Records { .. })
}

fn target(cname: &RecordSet) -> Option<Name> {
    match &cname.body {
        Body::Records { values, .. } if cname.key.set_identifier.is_none() => Name::parse(&values.first()?.text).ok(),
        _ => None,
    }
}

/// The records of an RRset under `owner`; none of an alias or a routed one.
fn records(set: &RecordSet, owner: &Name, most_ttl: Option<u32>) -> Vec<Record> {
    let Body::Records { ttl, values } = &set.body else { return Vec::new() };
    // The labels of a `Name` keep to the limits of RFC 1035, so this cannot fail.
    let Ok(owner) = WireName::from_labels(owner.labels()) else { return Vec::new() };
    if set.key.set_identifier.is_some() {
        return Vec::new();
    }
    let ttl = most_ttl.map_or(*ttl, |most| most.min(*ttl));
    let rdata = |octets: &Vec<u8>| RData::Unknown {
        code: WireType::from(set.key.rtype.code()),
        rdata: NULL::with(octets.clone()),
    };
    values.iter().map(|value| Record::from_rdata(owner.clone(), ttl, rdata(&value.rdata))).collect()
}
