//! The parameters of SVCB and HTTPS in Route 53's text: `key=value`, by name (RFC 9460 §2.1).
//!
//! Of escapes in a parameter's value Route 53's pages say nothing. So a value that would need one is not written, and one
//! that is there is read: first the string's, in octal as everywhere in Route 53, then a list's own (appendix A.1).

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use secondary53_zone::svcb::{self, Param, key_name, key_number};

use super::ValueError;
use super::read::{Tokens, decimal, push_string};

/// Padding or none.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Writes wire parameters behind a target name.
pub(super) fn push_params(text: &mut String, octets: &[u8]) -> Result<(), ValueError> {
    for param in svcb::params(octets)? {
        let key = param.key();
        let name = key_name(key).ok_or(ValueError::Key(key))?;
        // Writing to a String does not fail.
        _ = write!(text, " {name}");
        match &param {
            // Another key has no name, and has been refused.
            Param::NoDefaultAlpn | Param::Ohttp | Param::Other(..) => {}
            Param::Mandatory(keys) => {
                let names: Result<Vec<_>, _> =
                    keys.iter().map(|key| key_name(*key).ok_or(ValueError::Key(*key))).collect();
                push_list(text, &names?);
            }
            Param::Alpn(ids) => {
                let ids: Option<Vec<_>> = ids.iter().map(|id| plain(id).filter(|id| !id.contains(','))).collect();
                let ids = ids.ok_or(ValueError::NotHeld("an ALPN id in it would have to be escaped"))?;
                _ = write!(text, "=\"{}\"", ids.join(","));
            }
            Param::Port(port) => _ = write!(text, "={port}"),
            Param::Ipv4Hint(addresses) => push_list(text, addresses),
            Param::Ipv6Hint(addresses) => push_list(text, addresses),
            Param::Ech(configs) => _ = write!(text, "={}", STANDARD.encode(configs)),
            Param::DohPath(path) => {
                // Narrower than RFC 9461 §5, which lets the variable stand in any expression of the template.
                let path = plain(path).filter(|path| path.starts_with('/') && path.contains("{?dns}"));
                let path =
                    path.ok_or(ValueError::NotHeld("its dohpath is not a plain path with {?dns} (RFC 9461 §5)"))?;
                _ = write!(text, "={path}");
            }
        }
    }
    Ok(())
}

/// Reads all parameters that are left, in any order, into wire form and order. Whether they make sense together is not
/// asked: this is for comparing.
pub(super) fn read_params(tokens: &mut Tokens<'_>, rdata: &mut Vec<u8>) -> Result<(), ValueError> {
    let mut params = BTreeMap::new();
    while !tokens.is_empty() {
        let (name, value) = tokens.param()?;
        let key = key_number(&name.to_ascii_lowercase()).ok_or(ValueError::Part { part: "a parameter's key" })?;
        let value =
            read_value(key, value.unwrap_or_default()).ok_or(ValueError::Part { part: "a parameter's value" })?;
        if params.insert(key, value).is_some() {
            return Err(ValueError::NotHeld("a parameter is there twice"));
        }
    }
    for (key, value) in params {
        let length = u16::try_from(value.len()).map_err(|_| ValueError::Part { part: "a parameter's value" })?;
        rdata.extend(key.to_be_bytes());
        rdata.extend(length.to_be_bytes());
        rdata.extend(value);
    }
    Ok(())
}

/// The wire form of a value from which the string's escapes are gone; `None` where it does not read.
fn read_value(key: u16, value: Vec<u8>) -> Option<Vec<u8>> {
    let text = || std::str::from_utf8(&value).ok();
    let mut wire = Vec::new();
    match key {
        0 => {
            let names = text()?.split(',').map(|name| key_number(&name.to_ascii_lowercase()));
            let mut keys = names.collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            wire.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        1 => {
            for id in list_items(&value)? {
                push_string(&mut wire, &id).ok().filter(|()| !id.is_empty())?;
            }
        }
        2 | 8 => value.is_empty().then_some(())?,
        3 => wire.extend(decimal::<u16>(text()?)?.to_be_bytes()),
        4 => addresses::<Ipv4Addr>(text()?, |address| wire.extend(address.octets()))?,
        5 => wire = ANY_PADDING.decode(value).ok()?,
        6 => addresses::<Ipv6Addr>(text()?, |address| wire.extend(address.octets()))?,
        _ => wire = value,
    }
    Some(wire)
}

/// Splits at the commas that are not escaped, and takes the escapes away; `None` where a backslash escapes nothing.
fn list_items(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = vec![Vec::new()];
    let mut rest = value.iter().copied();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b',' => {
                items.push(Vec::new());
                continue;
            }
            b'\\' => rest.next()?,
            plain => plain,
        };
        items.last_mut()?.push(octet);
    }
    Some(items)
}

fn addresses<A: FromStr>(text: &str, mut push: impl FnMut(A)) -> Option<()> {
    text.split(',').try_for_each(|address| address.parse().ok().map(&mut push))
}

fn push_list(text: &mut String, items: &[impl Display]) {
    for (index, item) in items.iter().enumerate() {
        // Writing to a String does not fail.
        _ = write!(text, "{}{item}", if index == 0 { '=' } else { ',' });
    }
}

/// The octets as text, where none of them would need an escape.
fn plain(octets: &[u8]) -> Option<&str> {
    let is_plain = |octet: &u8| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'\\');
    std::str::from_utf8(octets).ok().filter(|_| octets.iter().all(is_plain))
}
