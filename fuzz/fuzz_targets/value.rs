//! The worker's values: whatever text is read, what is written for it is read as the same RDATA, and written the same
//! again. Whatever RDATA is written is read back, but for the case of its names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secondary53_lambda::value::{HELD, from_text, name_text, parse_name, to_text};
use secondary53_zone::rdata::{Field, Value};
use secondary53_zone::{Rtype, rdata};

/// Octets before the name in SVCB and HTTPS, the only types whose names keep their case.
const PRIORITY: usize = 2;

fuzz_target!(|input: &[u8]| {
    let Some((&which, rest)) = input.split_first() else { return };
    let rtype = HELD[usize::from(which) % HELD.len()];
    // The rest is a text and RDATA at once: nearly all of either is refused by its first octets.
    if let Ok(text) = std::str::from_utf8(rest) {
        if let Ok(read) = from_text(rtype, text) {
            stays(rtype, &read);
        }
        if let Ok(name) = parse_name(text) {
            let written = name_text(name.by_ref());
            assert_eq!(parse_name(&written), Ok(name));
        }
    }
    let mut canonical = Vec::new();
    if rdata::push_canonical(rtype, rest, 0, rest.len(), &mut canonical).is_ok() {
        stays(rtype, &canonical);
    }
});

/// RDATA that has a text has one that says the same.
fn stays(rtype: Rtype, rdata: &[u8]) {
    let Ok(text) = to_text(rtype, rdata) else { return };
    assert!(text.is_ascii() && !text.bytes().any(|octet| octet.is_ascii_control()), "{text:?}");
    let back = from_text(rtype, &text).unwrap_or_else(|error| panic!("{rtype} {text:?}: {error}"));
    assert_eq!(back, lowered(rtype, rdata), "{rtype} {text}");
    assert_eq!(to_text(rtype, &back).as_deref(), Ok(&*text));
}

/// Route 53 holds every name in lower case, also those whose case canonical form keeps (RFC 9460 §2.2).
fn lowered(rtype: Rtype, rdata: &[u8]) -> Vec<u8> {
    let fields = rdata::fields(rtype).filter(|fields| fields.contains(&Field::PlainName));
    let Some(Value::Name(name)) = fields.and_then(|fields| rdata::values(fields, rdata).ok()?.get(1).copied()) else {
        return rdata.to_vec();
    };
    let mut lowered = rdata.to_vec();
    lowered[PRIORITY..PRIORITY + name.as_wire().len()].make_ascii_lowercase();
    lowered
}
