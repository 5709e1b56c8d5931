//! The name servers of a hosted zone, found in DNS: so the relay needs no permission in Route 53 to ask them.
//!
//! The host's resolver is asked for the zone's NS. Of these only Route 53's own names count: the primary may stand among
//! them, and it has what was sent before anybody. A zone that is not delegated to Route 53, is private, or has name servers
//! under names of its own cannot be found so, and need not be: then nothing is asked, unless the configuration says where.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use secondary53_zone::{Name, Rtype, rdata};
use tokio::task::JoinSet;

use crate::live::{LiveError, Question, exchange};
use crate::primary::SoaFault;
use crate::transfer::{self, Stray};
use crate::wire::{CLASS_IN, Header, Walk};

/// Why the name servers are not known.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system's list cannot be read.
    #[error("failed to read /etc/resolv.conf: {0}")]
    System(io::Error),
    /// It is empty.
    #[error("there is no resolver to ask: give resolvers, or confirm_servers for the zone")]
    NoResolver,
    /// None of them knows.
    #[error("failed to find the name servers of {zone}: resolver {resolver}: {error}")]
    Ask {
        /// The zone.
        zone: Name,
        /// The last one asked.
        resolver: SocketAddr,
        /// What went wrong.
        error: LiveError,
    },
    /// They are others' name servers.
    #[error("no name server of {0} has a name of Route 53 (ns-….awsdns-…): give confirm_servers to ask others")]
    NotRoute53(Name),
    /// Their names lead nowhere.
    #[error("no name server of {0} has an address")]
    NoAddress(Name),
}

/// Resolvers of the system that are tried, as the C library does.
const SYSTEM: usize = 3;
/// Name servers that are asked, at most; Route 53 gives a zone four.
const SERVERS: usize = 8;
/// Where name servers are asked.
const PORT: u16 = 53;

/// Finds them. No resolvers: those of the system.
pub async fn name_servers(zone: &Name, resolvers: &[SocketAddr]) -> Result<Vec<SocketAddr>, ResolveError> {
    let system;
    let resolvers = if resolvers.is_empty() {
        let text = tokio::fs::read_to_string("/etc/resolv.conf").await.map_err(ResolveError::System)?;
        system = of_system(&text);
        &system
    } else {
        resolvers
    };
    let mut last = Err(ResolveError::NoResolver);
    for &resolver in resolvers {
        match ask(resolver, zone, Rtype::NS, names).await {
            Ok(names) => {
                last = Ok((resolver, names));
                break;
            }
            Err(error) => last = Err(ResolveError::Ask { zone: zone.clone(), resolver, error }),
        }
    }
    let (resolver, names) = last?;
    let ours: Vec<_> = names.into_iter().filter(is_route53).take(SERVERS).collect();
    if ours.is_empty() {
        return Err(ResolveError::NotRoute53(zone.clone()));
    }
    let mut questions = JoinSet::new();
    for name in ours {
        for rtype in [Rtype::A, Rtype::AAAA] {
            let name = name.clone();
            questions.spawn(async move { ask(resolver, &name, rtype, addresses).await });
        }
    }
    // A host without IPv6 may get no answer for it, and the other addresses are enough.
    let mut found: Vec<_> = questions.join_all().await.into_iter().flatten().flatten().collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err(ResolveError::NoAddress(zone.clone()));
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address, PORT)).collect())
}

type Read<T> = fn(&Question<'_>, &[u8]) -> Result<Vec<T>, SoaFault>;

async fn ask<T>(resolver: SocketAddr, name: &Name, rtype: Rtype, read: Read<T>) -> Result<Vec<T>, LiveError> {
    let question = Question { name, rtype, recursion: true, id: rand::random() };
    exchange(resolver, &question, |message| read(&question, message)).await
}

/// The names of an NS RRset.
fn names(question: &Question<'_>, message: &[u8]) -> Result<Vec<Name>, SoaFault> {
    records(question, message, |start, end| {
        let mut name = Vec::new();
        rdata::push_canonical(Rtype::NS, message, start, end, &mut name).ok()?;
        Name::from_wire(&name).ok().map(|(name, _)| name)
    })
}

/// The addresses of an A or AAAA RRset.
fn addresses(question: &Question<'_>, message: &[u8]) -> Result<Vec<IpAddr>, SoaFault> {
    records(question, message, |start, end| {
        let octets = message.get(start..end)?;
        let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
        v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into())).ok()
    })
}

/// What the records of the answer hold that were asked for.
fn records<T>(
    question: &Question<'_>,
    message: &[u8],
    read: impl Fn(usize, usize) -> Option<T>,
) -> Result<Vec<T>, SoaFault> {
    let (header, mut walk): (Header, _) = Walk::begin(message)?;
    transfer::check(header, question.id)?;
    let mut owner = Vec::new();
    for _ in 0..header.questions {
        let asked = walk.question(&mut owner)?;
        if asked.rtype != question.rtype || asked.class != CLASS_IN || owner != question.name.as_wire() {
            return Err(Stray::Question.into());
        }
    }
    let mut found = Vec::new();
    for _ in 0..header.answers {
        let record = walk.record(&mut owner)?;
        if record.rtype == question.rtype && record.class == CLASS_IN && owner == question.name.as_wire() {
            found.extend(read(record.rdata.start, record.rdata.end));
        }
    }
    Ok(found)
}

/// Whether Route 53 gives out this name: `ns-1.awsdns-01.org` and the like.
fn is_route53(name: &Name) -> bool {
    let mut labels = name.by_ref().labels();
    labels.next().is_some_and(|label| label.starts_with(b"ns-"))
        && labels.next().is_some_and(|label| label.starts_with(b"awsdns-"))
}

/// The `nameserver` lines of resolv.conf(5).
fn of_system(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse().ok()
    });
    addresses.map(|address| SocketAddr::new(address, PORT)).take(SYSTEM).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;

    /// A resolver that answers each question with the records whose type is asked for: owner, type, RDATA.
    async fn resolver(records: &'static [(&str, Rtype, &[u8])]) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                let query = &query[..length];
                assert_eq!(query[2..4], [1, 0], "recursion is desired");
                let (_, mut walk) = Walk::begin(query).unwrap();
                let mut name = Vec::new();
                let asked = walk.question(&mut name).unwrap();
                let mut answers = Vec::new();
                let mut count = 0;
                for (owner, rtype, rdata) in records {
                    let owner: Name = owner.parse().unwrap();
                    if *rtype == asked.rtype && owner.as_wire() == name {
                        answers.extend_from_slice(owner.as_wire());
                        answers.extend([rtype.0.to_be_bytes(), [0, 1], [0, 0], [0, 60]].concat());
                        answers.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
                        answers.extend_from_slice(rdata);
                        count += 1;
                    }
                }
                let header = [&query[..2], &[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]].concat();
                // First one that is not an answer to it.
                socket.send_to(&[&[!query[0]], &header[1..], &query[12..], &answers].concat(), from).await.unwrap();
                socket.send_to(&[&header, &query[12..], &answers].concat(), from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn only_route_53s_own_are_found() {
        let resolver = resolver(&[
            ("example.com", Rtype::NS, b"\x04ns-1\x09awsdns-01\x03org\0"),
            ("example.com", Rtype::NS, b"\x07primary\x07example\x03com\0"),
            ("example.com", Rtype::NS, b"\x04NS-2\x09AWSDNS-02\x03com\0"),
            ("ns-1.awsdns-01.org", Rtype::A, &[192, 0, 2, 1]),
            ("ns-1.awsdns-01.org", Rtype::AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("ns-2.awsdns-02.com", Rtype::A, &[192, 0, 2, 2]),
            ("primary.example.com", Rtype::A, &[192, 0, 2, 3]),
            ("example.net", Rtype::NS, b"\x02ns\x07example\x03net\0"),
            ("example.org", Rtype::NS, b"\x04ns-3\x09awsdns-03\x03net\0"),
        ])
        .await;
        let closed = SocketAddr::from(([127, 0, 0, 1], 1));
        let find = async |zone: &str| name_servers(&zone.parse().unwrap(), &[closed, resolver]).await;
        let found = find("example.com").await.unwrap();
        let expected = ["192.0.2.1:53", "192.0.2.2:53", "[2001:db8::1]:53"].map(|text| text.parse().unwrap());
        assert_eq!(found, expected);
        assert!(matches!(find("example.net").await, Err(ResolveError::NotRoute53(_))));
        assert!(matches!(find("example").await, Err(ResolveError::NotRoute53(_))));
        assert!(matches!(find("example.org").await, Err(ResolveError::NoAddress(_))));
        let nobody = name_servers(&"example.com".parse().unwrap(), &[closed]).await;
        assert!(matches!(nobody, Err(ResolveError::Ask { .. })));
    }

    #[test]
    fn the_resolvers_of_the_system() {
        let text = "# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.1\n  nameserver\t::1 \nnameserver fe80::1%eth0\n";
        assert_eq!(of_system(text), ["192.0.2.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }

    #[test]
    fn names_of_route_53() {
        let is = |name: &str| is_route53(&name.parse().unwrap());
        assert!(is("ns-2048.awsdns-64.co.uk") && is("ns-1.awsdns-cn-01.com"));
        assert!(!is("ns-1.example.com") && !is("awsdns-1.example") && !is("."));
    }
}
