//! The account's hosted zones, and which of them are wanted.
//!
//! A list is whole or an error: half of one would look as if the other half had been deleted.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use aws_types::SdkConfig;
use bytes::Bytes;
use secondary53_aws::Service;
use secondary53_aws::request::{Failure, Kind, Request};
use secondary53_zone::Name;
use secondary53_zone::name::NameError;

/// Where Route 53 is for who says nothing else ("Amazon Route 53 endpoints and quotas", AWS General Reference).
const ORIGIN: &str = "https://route53.amazonaws.com";
/// The same in the partitions that have one of their own.
const ORIGINS: [(&str, &str); 2] =
    [("cn-", "https://route53.amazonaws.com.cn"), ("us-gov-", "https://route53.us-gov.amazonaws.com")];
/// Hosted zones in one page: the most that Route 53 gives (`ListHostedZones`).
const PAGE: usize = 100;
/// Pages of one account: 100,000 hosted zones, 200 times the default quota. A bound, so that no answer makes us loop.
const MAX_PAGES: usize = 1_000;
/// Octets of one page. A hosted zone has its name of at most 1,024 characters, a comment of 256 and little else.
const MAX_PAGE_OCTETS: usize = 1 << 20;

/// An account's Route 53.
#[derive(Debug)]
pub struct Account {
    service: Service,
}

/// A public hosted zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name. Another may have the same.
    pub name: Name,
    /// Its id, without `/hostedzone/`.
    pub id: String,
}

/// Why the hosted zones are not known.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// Route 53 did not say.
    #[error("failed to list the account's hosted zones: {_0}{}", hint(_0))]
    Failure(#[from] Failure),
    /// The answer does not read.
    #[error("failed to read Route 53's list of hosted zones: {0}")]
    Answer(String),
    /// It goes on and on.
    #[error("failed to list the account's hosted zones: after {} of them there are more still", MAX_PAGES * PAGE)]
    Endless,
}

/// Which names are wanted: those that one of some patterns matches, and none of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

/// A name, in which `*` stands for any characters, dots among them, and for none. In lower case, without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is empty.
    #[error("a pattern is empty")]
    Empty,
    /// It can match no name.
    #[error("a pattern has characters that no name is written with: only ASCII without spaces is")]
    Characters,
}

impl Account {
    /// With the credentials and endpoints of a configuration; of its region, the partition counts.
    pub fn new(config: &SdkConfig) -> Self {
        Self { service: Service::new(config, Kind::Route53) }
    }

    /// All public hosted zones, in the order of Route 53, which is that of nothing.
    ///
    /// Needs `route53:ListHostedZones`, which IAM allows for all of an account or not at all.
    pub async fn hosted_zones(&self) -> Result<Vec<Found>, DiscoverError> {
        let origin = self.service.endpoint().unwrap_or_else(|| origin(self.service.region()));
        let (mut found, mut marker) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let mut url = format!("{origin}/2013-04-01/hostedzone?maxitems={PAGE}");
            if let Some(marker) = &marker {
                url.push_str("&marker=");
                url.extend(form_urlencoded::byte_serialize(String::as_bytes(marker)));
            }
            let request = Request { method: "GET", url, headers: Vec::new(), body: Bytes::new() };
            let answer = self.service.send(&request, MAX_PAGE_OCTETS).await?;
            let page = Page::read(&answer)?;
            found.extend(page.found);
            marker = page.next;
            if marker.is_none() {
                return Ok(found);
            }
        }
        Err(DiscoverError::Endless)
    }
}

impl Filter {
    /// With nothing to include, nothing is wanted.
    pub const fn new(include: Vec<Pattern>, exclude: Vec<Pattern>) -> Self {
        Self { include, exclude }
    }

    /// Whether this name is wanted.
    pub fn wants(&self, name: &Name) -> bool {
        let text = name.to_string();
        let text = text.strip_suffix('.').unwrap_or(&text);
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| matches(pattern.0.as_bytes(), text.as_bytes()));
        any(&self.include) && !any(&self.exclude)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(PatternError::Characters);
        }
        Ok(Self(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What lies between two stars is taken where it comes first: no later place of it leaves more for what follows.
fn matches(pattern: &[u8], mut text: &[u8]) -> bool {
    let mut parts = pattern.split(|octet| *octet == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(last) = parts.next_back() else { return pattern == text };
    let Some(rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    text = rest;
    for part in parts.filter(|part| !part.is_empty()) {
        let Some(at) = text.windows(part.len()).position(|window| window == part) else { return false };
        text = &text[at + part.len()..];
    }
    true
}

/// One answer of `ListHostedZones`.
#[derive(Debug, Default)]
struct Page {
    found: Vec<Found>,
    /// Where the next one begins; none where this is the last.
    next: Option<String>,
}

impl Page {
    fn read(answer: &[u8]) -> Result<Self, DiscoverError> {
        let bad = |what: &dyn fmt::Display| DiscoverError::Answer(what.to_string());
        let mut document = Document::try_from(answer).map_err(|error| bad(&error))?;
        let mut root = document.root_element().map_err(|error| bad(&error))?;
        if root.start_el().local() != "ListHostedZonesResponse" {
            return Err(bad(&format_args!("it is a {}", root.start_el().local())));
        }
        let (mut page, mut is_truncated) = (Self::default(), None);
        while let Some(mut element) = root.next_tag() {
            match element.start_el().local() {
                "HostedZones" => {
                    while let Some(mut zone) = element.next_tag() {
                        page.found.extend(hosted_zone(&mut zone).map_err(|error| bad(&error))?);
                    }
                }
                "IsTruncated" => is_truncated = Some(try_data(&mut element).map_err(|error| bad(&error))? == "true"),
                "NextMarker" => page.next = Some(try_data(&mut element).map_err(|error| bad(&error))?.into_owned()),
                _ => {}
            }
        }
        // It stands behind the zones: an answer without it was cut short.
        match (is_truncated, &page.next) {
            (Some(true), None) => Err(bad(&"it says that there is more, and not where")),
            (Some(true), Some(_)) => Ok(page),
            (Some(false), _) => Ok(Self { next: None, ..page }),
            (None, _) => Err(bad(&"it is not whole")),
        }
    }
}

/// None where it is private.
fn hosted_zone(element: &mut ScopedDecoder<'_, '_>) -> Result<Option<Found>, XmlDecodeError> {
    let (mut id, mut name, mut is_private) = (None, None, false);
    while let Some(mut field) = element.next_tag() {
        match field.start_el().local() {
            "Id" => id = Some(try_data(&mut field)?.trim_start_matches("/hostedzone/").to_owned()),
            "Name" => {
                let text = try_data(&mut field)?;
                let told = |error| XmlDecodeError::custom(format!("the hosted zone {text:?}: {error}"));
                name = Some(parse_name(&text).map_err(told)?);
            }
            "Config" => {
                while let Some(mut field) = field.next_tag() {
                    if field.start_el().local() == "PrivateZone" {
                        is_private = try_data(&mut field)? == "true";
                    }
                }
            }
            _ => {}
        }
    }
    match (name, id.filter(|id| !id.is_empty())) {
        (Some(name), Some(id)) => Ok((!is_private).then_some(Found { name, id })),
        _ => Err(XmlDecodeError::custom("a hosted zone has no name or no id")),
    }
}

/// Route 53 writes octets as `\ooo`, in octal ("DNS domain name format", Amazon Route 53 Developer Guide); a zone file, as
/// `\DDD`, in decimal.
fn parse_name(text: &str) -> Result<Name, NameError> {
    let mut parts = text.split('\\');
    let mut decimal = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).ok_or(NameError::BadEscape)?;
        let octet = u8::from_str_radix(digits, 8).map_err(|_| NameError::BadEscape)?;
        // Writing to a String does not fail.
        _ = write!(decimal, "\\{octet:03}{rest}");
    }
    Name::parse(&decimal)
}

fn origin(region: &str) -> &'static str {
    ORIGINS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or(ORIGIN, |(_, origin)| origin)
}

/// What an operator does about it.
fn hint(failure: &Failure) -> &'static str {
    match failure.code() {
        Some("AccessDenied" | "AccessDeniedException") => {
            "; the relay's credentials need route53:ListHostedZones for this"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// What a star may stand for is tried out, all of it.
    fn matches_by_trying(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|from| matches_by_trying(rest, &text[from..])),
            Some((octet, rest)) => text.strip_prefix(&[*octet]).is_some_and(|text| matches_by_trying(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn a_star_is_any_characters_or_none(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), matches_by_trying(pattern, text));
        }
    }

    #[test]
    fn what_is_included_and_not_excluded_is_wanted() {
        let filter = Filter::new(patterns(&["*.Example.", "xn--*"]), patterns(&["*.test.example", "in*.example"]));
        for (zone, wanted) in [
            ("a.example", true),
            ("A.b.EXAMPLE", true),
            ("example", false),
            ("a.test.example", false),
            ("a.test.example.net", false),
            ("internal.example", false),
            ("xn--bcher-kva.net", true),
        ] {
            assert_eq!(filter.wants(&name(zone)), wanted, "{zone}");
        }
        assert!(Filter::new(patterns(&["*"]), vec![]).wants(&Name::root()));
        assert!(!Filter::default().wants(&name("a.example")));
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_refused() {
        assert_eq!("".parse::<Pattern>(), Err(PatternError::Empty));
        for text in ["a b", "b\u{fc}cher.example", "\t*"] {
            assert_eq!(text.parse::<Pattern>(), Err(PatternError::Characters), "{text}");
        }
    }

    fn page(inside: &str) -> Result<Page, String> {
        let text = format!(
            "<?xml version=\"1.0\"?>\n<ListHostedZonesResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             {inside}</ListHostedZonesResponse>"
        );
        Page::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    fn zone(id: &str, name: &str, private: bool) -> String {
        format!(
            "<HostedZone><Id>{id}</Id><Name>{name}</Name><CallerReference>r</CallerReference><Config><Comment>&lt;Id&gt;</Comment>\
             <PrivateZone>{private}</PrivateZone></Config><ResourceRecordSetCount>2</ResourceRecordSetCount>\
             <LinkedService><Description>Name</Description></LinkedService></HostedZone>"
        )
    }

    #[test]
    fn a_page_is_its_public_zones_and_where_the_next_begins() {
        let zones = [
            zone("/hostedzone/Z1", "example.com.", false),
            zone("/hostedzone/Z2", "example.com.", true),
            zone("Z3", "0\\05726.2.0.192.in-addr.arpa.", false),
        ];
        let read = page(&format!(
            "<HostedZones>{}</HostedZones><Marker>Z0</Marker><IsTruncated>true</IsTruncated><NextMarker>Z4</NextMarker>\
             <MaxItems>3</MaxItems>",
            zones.concat()
        ))
        .unwrap();
        let found = |id: &str, zone: &str| Found { name: name(zone), id: id.to_owned() };
        assert_eq!(read.found, [found("Z1", "example.com"), found("Z3", "0/26.2.0.192.in-addr.arpa")]);
        assert_eq!(read.next.as_deref(), Some("Z4"));
        assert_eq!(
            page("<HostedZones/><IsTruncated>false</IsTruncated><NextMarker>Z4</NextMarker>").unwrap().next,
            None
        );
    }

    #[test]
    fn half_an_answer_is_none() {
        let told = |inside: &str| page(inside).unwrap_err();
        assert!(told("").ends_with("it is not whole"));
        assert!(
            told("<HostedZones/><IsTruncated>true</IsTruncated>")
                .ends_with("it says that there is more, and not where")
        );
        let nameless =
            "<HostedZones><HostedZone><Id>Z1</Id></HostedZone></HostedZones><IsTruncated>false</IsTruncated>";
        assert!(told(nameless).contains("a hosted zone has no name or no id"));
        let odd = format!("<HostedZones>{}</HostedZones><IsTruncated>false</IsTruncated>", zone("Z1", "a..b.", false));
        assert!(told(&odd).contains("\"a..b.\""), "{}", told(&odd));
        let whole = format!("<ListHostedZonesResponse><HostedZones>{}", zone("Z1", "example.com.", false));
        for length in 0..whole.len() {
            assert!(Page::read(&whole.as_bytes()[..length]).is_err(), "{}", &whole[..length]);
        }
        assert!(Page::read(b"<ErrorResponse/>").unwrap_err().to_string().ends_with("it is a ErrorResponse"));
        assert!(Page::read(b"\xff").is_err());
    }

    #[test]
    fn names_are_octal() {
        for (text, expected) in
            [("example.com.", "example.com"), ("\\052.a.", "*.a"), ("a\\134b.c", "a\\\\b.c"), ("a\\056b.c.", "a\\.b.c")]
        {
            assert_eq!(parse_name(text), Ok(name(expected)), "{text}");
        }
        for text in ["\\", "\\05", "\\08.a", "\\777", "\\xyz"] {
            assert!(parse_name(text).is_err(), "{text}");
        }
    }
}
