//! The parameters of SVCB and HTTPS (RFC 9460).

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Fault,
    fields::{Fields, decimal},
};

/// Route 53 takes half of the 16 bits of a `SvcPriority`.
const MAX_SVC_PRIORITY: u16 = 32_767;

/// SVCB and HTTPS (RFC 9460 §2.1), with the keys that Route 53 knows by name; `keyNNNNN` is not among them.
pub(super) fn service(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let priority: u16 = fields.number(MAX_SVC_PRIORITY)?;
    out.extend(priority.to_be_bytes());
    out.extend(fields.name()?.wire());
    let mut params: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    while !fields.rest.is_empty() {
        let (key, value) = fields.param()?;
        let fault = |what| Fault::new("SVCBRRDATAIllegalParam", what, fields.whole);
        let number = key_number(key).ok_or_else(|| fault("SvcParamKey is not supported"))?;
        let value = match number {
            2 | 8 => match value {
                None => Vec::new(),
                Some(_) => return Err(fault("SvcParamKey takes no value")),
            },
            _ => param_value(number, value.unwrap_or_default()).ok_or_else(|| fault("SvcParamValue is not valid"))?,
        };
        if params.insert(number, value).is_some() {
            return Err(fault("SvcParamKey is given twice"));
        }
    }
    let fault = |what| Fault::new("SVCBRRDATAIllegalParam", what, fields.whole);
    // RFC 9460 §2.4.2 lets a recipient ignore them; narrow: they are refused.
    if priority == 0 && !params.is_empty() {
        return Err(fault("AliasMode takes no parameters"));
    }
    // RFC 9460 §7.1.1
    if params.contains_key(&2) && !params.contains_key(&1) {
        return Err(fault("no-default-alpn needs alpn"));
    }
    // RFC 9460 §8
    if let Some(mandatory) = params.get(&0) {
        let present = mandatory.chunks_exact(2).all(|key| params.contains_key(&u16::from_be_bytes([key[0], key[1]])));
        if !present {
            return Err(fault("a mandatory key is not present"));
        }
    }
    for (key, value) in params {
        out.extend(key.to_be_bytes());
        // A value of at most 4,000 characters makes no more octets than that.
        out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

fn key_number(key: &str) -> Option<u16> {
    Some(match key {
        "mandatory" => 0,
        "alpn" => 1,
        "no-default-alpn" => 2,
        "port" => 3,
        "ipv4hint" => 4,
        "ech" => 5,
        "ipv6hint" => 6,
        "dohpath" => 7,
        "ohttp" => 8,
        _ => return None,
    })
}

/// The wire form of a parameter's value (RFC 9460 §7 and §8, RFC 9461 §5); `None` where it is not valid.
///
/// Narrow: no escapes at all. ALPN ids that would need them are not in use.
fn param_value(key: u16, value: &str) -> Option<Vec<u8>> {
    let plain = |octet: u8| octet.is_ascii_graphic() && octet != b'"' && octet != b'\\';
    if value.is_empty() || !value.bytes().all(plain) {
        return None;
    }
    let mut out = Vec::new();
    match key {
        0 => {
            let mut keys = value.split(',').map(key_number).collect::<Option<Vec<u16>>>()?;
            let given = keys.len();
            keys.sort_unstable();
            keys.dedup();
            if keys.len() != given || keys.contains(&0) {
                return None;
            }
            out.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        1 => {
            for id in value.split(',') {
                let length = u8::try_from(id.len()).ok().filter(|length| *length > 0)?;
                out.push(length);
                out.extend(id.bytes());
            }
        }
        3 => out.extend(decimal(value, u16::MAX)?.to_be_bytes()),
        4 => {
            for address in value.split(',') {
                out.extend(Ipv4Addr::from_str(address).ok()?.octets());
            }
        }
        5 => out = STANDARD.decode(value).ok()?,
        6 => {
            for address in value.split(',') {
                out.extend(Ipv6Addr::from_str(address).ok()?.octets());
            }
        }
        7 => {
            if !value.starts_with('/') || !value.contains("{?dns}") {
                return None;
            }
            out.extend(value.bytes());
        }
        _ => return None,
    }
    Some(out)
}
