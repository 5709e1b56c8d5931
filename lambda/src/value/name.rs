//! Names in Route 53's text ("DNS domain name format", Amazon Route 53 Developer Guide).

use std::fmt::Write as _;

use secondary53_zone::name::{Name, NameError, NameRef};

/// Writes a name as Route 53 gives it: every octet but `a-z 0-9 - _` as three octal digits, a dot at the end.
pub fn name_text(name: NameRef<'_>) -> String {
    let mut text = String::with_capacity(name.as_wire().len());
    push_name(&mut text, name);
    text
}

/// Reads a name of Route 53's: `\ooo` is octal, and a missing dot at the end changes nothing.
pub fn parse_name(text: &str) -> Result<Name, NameError> {
    if text == "." {
        return Ok(Name::root());
    }
    let mut labels = vec![Vec::new()];
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b'.' => {
                labels.push(Vec::new());
                continue;
            }
            b'\\' => unescape(&mut rest).ok_or(NameError::BadEscape)?,
            plain => plain,
        };
        if let Some(label) = labels.last_mut() {
            label.push(octet);
        }
    }
    // What the dot at the end began.
    labels.pop_if(|last| last.is_empty());
    if labels.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    Name::from_labels(labels)
}

pub(super) fn push_name(text: &mut String, name: NameRef<'_>) {
    for label in name.labels() {
        for &octet in label {
            match octet.to_ascii_lowercase() {
                plain @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => text.push(plain.into()),
                // Writing to a String does not fail.
                other => _ = write!(text, "\\{other:03o}"),
            }
        }
        text.push('.');
    }
    if name.as_wire() == [0] {
        text.push('.');
    }
}

/// What follows a backslash: three octal digits, or a character that stands for itself.
pub(super) fn unescape(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = rest.next()?;
    let digit = |octet: u8| matches!(octet, b'0'..=b'7').then(|| u32::from(octet - b'0'));
    let Some(high) = digit(first) else { return Some(first) };
    let (middle, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
    u8::try_from(high << 6 | middle << 3 | low).ok()
}
