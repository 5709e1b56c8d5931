//! The parameters of SVCB and HTTPS, read from their wire form (RFC 9460 §2.2).
//!
//! How they are written is the business of whoever writes them: a zone file and Route 53 differ in escapes and in the
//! keys that they know.

use std::net::{Ipv4Addr, Ipv6Addr};

/// One parameter of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param<'a> {
    /// Keys that a client must know, ascending, at least one (RFC 9460 §8).
    Mandatory(Vec<u16>),
    /// Protocol ids of 1 to 255 octets, at least one (RFC 9460 §7.1).
    Alpn(Vec<&'a [u8]>),
    /// The default protocol is not served (RFC 9460 §7.1).
    NoDefaultAlpn,
    /// A port (RFC 9460 §7.2).
    Port(u16),
    /// At least one address (RFC 9460 §7.3).
    Ipv4Hint(Vec<Ipv4Addr>),
    /// An `ECHConfigList` (RFC 9848).
    Ech(&'a [u8]),
    /// At least one address (RFC 9460 §7.3).
    Ipv6Hint(Vec<Ipv6Addr>),
    /// A URI template (RFC 9461 §5), not looked into.
    DohPath(&'a [u8]),
    /// The service is an Oblivious HTTP target (RFC 9540 §4).
    Ohttp,
    /// Any other key, and its value.
    Other(u16, &'a [u8]),
}

/// Why parameters are malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SvcbError {
    /// The octets end within a parameter.
    #[error("its parameters are cut short")]
    CutShort,
    /// Keys must ascend, and so none can be there twice.
    #[error("its parameters are not in the order of their keys (RFC 9460 §2.2)")]
    Order,
    /// A value is not what its key asks for.
    #[error("the value of its parameter {} is malformed", key_name(*.0).unwrap_or("of another key"))]
    Value(u16),
    /// A key is called mandatory and is not there.
    #[error("its mandatory parameter {} is missing (RFC 9460 §8)", key_name(*.0).unwrap_or("of another key"))]
    Missing(u16),
    /// `no-default-alpn` stands alone.
    #[error("it has no-default-alpn and no alpn (RFC 9460 §7.1.1)")]
    NoAlpn,
}

/// The keys that have a name here, by their number.
const NAMES: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

/// What a key is called at IANA (its registry of service parameter keys), up to `ohttp`; others are `keyNNNNN`.
pub fn key_name(key: u16) -> Option<&'static str> {
    NAMES.get(usize::from(key)).copied()
}

/// The number of a key's name, in lower case.
pub fn key_number(name: &str) -> Option<u16> {
    let at = NAMES.iter().position(|known| *known == name)?;
    u16::try_from(at).ok()
}

impl Param<'_> {
    /// The number of its key.
    pub fn key(&self) -> u16 {
        match self {
            Self::Mandatory(_) => 0,
            Self::Alpn(_) => 1,
            Self::NoDefaultAlpn => 2,
            Self::Port(_) => 3,
            Self::Ipv4Hint(_) => 4,
            Self::Ech(_) => 5,
            Self::Ipv6Hint(_) => 6,
            Self::DohPath(_) => 7,
            Self::Ohttp => 8,
            Self::Other(key, _) => *key,
        }
    }
}

/// Reads what follows the target name. What a client would call malformed is an error, as is what is not consistent in
/// itself.
pub fn params(mut octets: &[u8]) -> Result<Vec<Param<'_>>, SvcbError> {
    let mut params: Vec<Param<'_>> = Vec::new();
    while !octets.is_empty() {
        let ([key, length], rest) = octets
            .split_first_chunk::<4>()
            .map(|(&[a, b, c, d], rest)| ([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])], rest))
            .ok_or(SvcbError::CutShort)?;
        let (value, rest) = rest.split_at_checked(length.into()).ok_or(SvcbError::CutShort)?;
        octets = rest;
        if params.last().is_some_and(|last| last.key() >= key) {
            return Err(SvcbError::Order);
        }
        params.push(param(key, value).ok_or(SvcbError::Value(key))?);
    }
    let has = |key: u16| params.iter().any(|param| param.key() == key);
    for param in &params {
        match param {
            Param::Mandatory(keys) => {
                if let Some(missing) = keys.iter().find(|key| !has(**key)) {
                    return Err(SvcbError::Missing(*missing));
                }
            }
            Param::NoDefaultAlpn if !has(1) => return Err(SvcbError::NoAlpn),
            _ => {}
        }
    }
    Ok(params)
}

/// `None` where the value is not what the key asks for.
fn param(key: u16, value: &[u8]) -> Option<Param<'_>> {
    Some(match key {
        0 => {
            let keys: Vec<u16> = chunks(value)?.map(u16::from_be_bytes).collect();
            // "In strictly increasing numeric order", and never itself (RFC 9460 §8).
            (keys[0] > 0 && keys.is_sorted_by(|a, b| a < b)).then_some(Param::Mandatory(keys))?
        }
        1 => Param::Alpn(protocols(value)?),
        2 => value.is_empty().then_some(Param::NoDefaultAlpn)?,
        3 => Param::Port(u16::from_be_bytes(value.try_into().ok()?)),
        4 => Param::Ipv4Hint(chunks::<4>(value)?.map(Ipv4Addr::from).collect()),
        5 => is_ech_config_list(value).then_some(Param::Ech(value))?,
        6 => Param::Ipv6Hint(chunks::<16>(value)?.map(Ipv6Addr::from).collect()),
        7 => Param::DohPath(value),
        8 => value.is_empty().then_some(Param::Ohttp)?,
        _ => Param::Other(key, value),
    })
}

/// Pieces of `N` octets, at least one, with nothing left over.
fn chunks<const N: usize>(value: &[u8]) -> Option<impl Iterator<Item = [u8; N]>> {
    let (chunks, rest) = value.as_chunks::<N>();
    (!chunks.is_empty() && rest.is_empty()).then(|| chunks.iter().copied())
}

fn protocols(mut value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut ids = Vec::new();
    while let Some((&length, rest)) = value.split_first() {
        let (id, rest) = rest.split_at_checked(length.into())?;
        ids.push(id);
        value = rest;
    }
    (!ids.is_empty() && ids.iter().all(|id| !id.is_empty())).then_some(ids)
}

/// Two octets of length and then at least one configuration, which is a version and a length and what they say
/// (RFC 9849 §4).
fn is_ech_config_list(value: &[u8]) -> bool {
    const SMALLEST: usize = 4;
    value
        .split_first_chunk::<2>()
        .is_some_and(|(length, list)| list.len() >= SMALLEST && usize::from(u16::from_be_bytes(*length)) == list.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let octets = b"\0\0\0\x04\0\x01\0\x03\0\x01\0\x06\x02h2\x02h3\0\x02\0\0\0\x03\0\x02\x01\xbb\
            \0\x04\0\x04\xc0\0\x02\x01\0\x05\0\x06\0\x04\xfe\x0d\0\0\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
            \0\x07\0\x02/q\0\x08\0\0\xfe\0\0\x01x";
        let params = params(octets).unwrap();
        assert_eq!(
            params,
            [
                Param::Mandatory(vec![1, 3]),
                Param::Alpn(vec![b"h2", b"h3"]),
                Param::NoDefaultAlpn,
                Param::Port(443),
                Param::Ipv4Hint(vec![[192, 0, 2, 1].into()]),
                Param::Ech(b"\0\x04\xfe\x0d\0\0"),
                Param::Ipv6Hint(vec!["2001:db8::1".parse().unwrap()]),
                Param::DohPath(b"/q"),
                Param::Ohttp,
                Param::Other(65024, b"x"),
            ]
        );
        for param in &params {
            let key = param.key();
            assert_eq!(key_name(key).map(key_number), (key <= 8).then_some(Some(key)));
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        use SvcbError::{CutShort, Missing, NoAlpn, Order, Value};
        for (octets, error) in [
            (&b"\0\x03\0"[..], CutShort),
            (b"\0\x03\0\x02\0", CutShort),
            (b"\0\x08\0\0\0\x07\0\0", Order),
            (b"\0\x08\0\0\0\x08\0\0", Order),
            (b"\0\0\0\0", Value(0)),
            (b"\0\0\0\x01\0", Value(0)),
            (b"\0\0\0\x02\0\0", Value(0)),
            (b"\0\0\0\x04\0\x08\0\x07\0\x07\0\0\0\x08\0\0", Value(0)),
            (b"\0\0\0\x04\0\x08\0\x08\0\x08\0\0", Value(0)),
            (b"\0\x01\0\0", Value(1)),
            (b"\0\x01\0\x01\0", Value(1)),
            (b"\0\x01\0\x02\x02h", Value(1)),
            (b"\0\x02\0\x01x", Value(2)),
            (b"\0\x03\0\x01\0", Value(3)),
            (b"\0\x03\0\x03\0\0\0", Value(3)),
            (b"\0\x04\0\0", Value(4)),
            (b"\0\x04\0\x05\0\0\0\0\0", Value(4)),
            (b"\0\x05\0\0", Value(5)),
            (b"\0\x05\0\x05\0\x03\0\0\0", Value(5)),
            (b"\0\x05\0\x06\0\x05\0\0\0\0", Value(5)),
            (b"\0\x06\0\x01\0", Value(6)),
            (b"\0\x08\0\x01x", Value(8)),
            (b"\0\0\0\x02\0\x03", Missing(3)),
            (b"\0\x02\0\0", NoAlpn),
        ] {
            assert_eq!(params(octets), Err(error), "{octets:?}");
            assert!(!error.to_string().is_empty());
        }
        assert_eq!(params(b""), Ok(Vec::new()));
    }
}
