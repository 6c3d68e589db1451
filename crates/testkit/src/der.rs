//! Writes DER (X.690), no more of it than certificates and timestamps need.

use crate::clock;

/// One value: tag, length, content.
#[must_use]
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        short @ 0..=0x7F => bytes.push(short as u8),
        long => {
            let size = long.to_be_bytes();
            let size = &size[size.iter().position(|byte| *byte != 0).unwrap_or(0)..];
            bytes.push(0x80 | size.len() as u8);
            bytes.extend(size);
        }
    }
    bytes.extend(content);
    bytes
}

/// `SEQUENCE` of values already encoded.
#[must_use]
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// `SET OF` values already encoded, sorted as DER wants (X.690 §11.6).
#[must_use]
pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut sorted = parts.to_vec();
    sorted.sort();
    tlv(0x31, &sorted.concat())
}

/// `OBJECT IDENTIFIER` from its dotted form.
///
/// # Panics
/// When the text is not a dotted identifier.
#[must_use]
pub fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> =
        dotted.split('.').map(|arc| arc.parse().expect("arcs are numbers")).collect();
    let first = arcs[0] * 40 + arcs[1];
    let mut content = Vec::new();
    for arc in std::iter::once(first).chain(arcs[2..].iter().copied()) {
        let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
        for group in (0..groups).rev() {
            let more = if group == 0 { 0 } else { 0x80 };
            content.push((arc >> (7 * group)) as u8 & 0x7F | more);
        }
    }
    tlv(0x06, &content)
}

/// `INTEGER`, not negative, from big-endian bytes.
#[must_use]
pub fn integer(magnitude: &[u8]) -> Vec<u8> {
    let start = magnitude.iter().position(|byte| *byte != 0).unwrap_or(magnitude.len());
    let mut content = magnitude[start..].to_vec();
    if content.first().is_none_or(|first| first & 0x80 != 0) {
        content.insert(0, 0);
    }
    tlv(0x02, &content)
}

/// `INTEGER` from a small number.
#[must_use]
pub fn small(number: u64) -> Vec<u8> {
    integer(&number.to_be_bytes())
}

/// `BOOLEAN`.
#[must_use]
pub fn boolean(value: bool) -> Vec<u8> {
    tlv(0x01, &[if value { 0xFF } else { 0x00 }])
}

/// `NULL`.
#[must_use]
pub fn null() -> Vec<u8> {
    tlv(0x05, &[])
}

/// `OCTET STRING`.
#[must_use]
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, bytes)
}

/// `BIT STRING` of whole bytes.
#[must_use]
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}

/// `BIT STRING` of named bits, trailing zeros cut off (X.690 §11.2.2): bit 0 is the first.
#[must_use]
pub fn named_bits(set: &[u8]) -> Vec<u8> {
    let Some(last) = set.iter().max() else { return tlv(0x03, &[0]) };
    let mut content = vec![0; usize::from(last / 8) + 1];
    for bit in set {
        content[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
    }
    tlv(0x03, &[&[7 - last % 8], &content[..]].concat())
}

/// `UTF8String`.
#[must_use]
pub fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0C, text.as_bytes())
}

/// A constructed value with a context-specific tag.
#[must_use]
pub fn context(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xA0 | number, content)
}

/// A primitive value with a context-specific tag.
#[must_use]
pub fn context_primitive(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0x80 | number, content)
}

/// A certificate's time: `UTCTime` before 2050, else `GeneralizedTime` (RFC 5280 §4.1.2.5).
#[must_use]
pub fn time(seconds: i64) -> Vec<u8> {
    const YEAR_2050: i64 = 2_524_608_000;
    let digits = clock::digits(seconds);
    if seconds < YEAR_2050 {
        tlv(0x17, format!("{}Z", &digits[2..]).as_bytes())
    } else {
        tlv(0x18, format!("{digits}Z").as_bytes())
    }
}

/// A `Name` of organisation and common name.
#[must_use]
pub fn name(organisation: &str, common: &str) -> Vec<u8> {
    let attribute = |kind: &str, text: &str| set(&[sequence(&[&oid(kind), &utf8(text)])]);
    sequence(&[&attribute("2.5.4.10", organisation), &attribute("2.5.4.3", common)])
}

/// The empty `Name`, as on Fulcio's certificates.
#[must_use]
pub fn empty_name() -> Vec<u8> {
    sequence(&[])
}
