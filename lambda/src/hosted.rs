//! What a hosted zone holds, as Route 53 tells it.

use aws_sdk_route53::types::ResourceRecordSet;
use secondary53_zone::name::{Name, NameError};
use secondary53_zone::rdata::RdataError;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::serial::Serial;
use secondary53_zone::zone::Soa;

use crate::value::{self, ValueError};

/// An RRset in Route 53's words: what a change is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrsetText {
    /// The owner.
    pub name: Name,
    /// The type.
    pub rtype: Rtype,
    /// In seconds.
    pub ttl: u32,
    /// One for each record. For an RRset that is to be deleted, exactly as Route 53 gave them.
    pub values: Vec<String>,
}

/// One RRset of a hosted zone, or what stands in for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedRrset {
    /// What it holds; no values where it is an alias.
    pub text: RrsetText,
    /// Set where it cannot have come from a zone transfer: it is not ours to touch.
    pub foreign: Option<Foreign>,
}

/// Why an RRset is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It has an `AliasTarget`.
    Alias,
    /// It has a `SetIdentifier`: weighted, latency, geolocation, failover, multivalue or IP-based.
    Routed,
    /// It has a `TrafficPolicyInstanceId`.
    TrafficPolicy,
}

/// Why Route 53's answer could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostedError {
    /// An owner is not a name.
    #[error("Route 53 lists an RRset of {name:?}, which is not a name: {error}")]
    Name {
        /// What Route 53 gave.
        name: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// A type is neither a mnemonic nor `TYPEnnn`.
    #[error("Route 53 lists an RRset of {name:?} of the unknown type {rtype:?}")]
    Type {
        /// The owner.
        name: String,
        /// What Route 53 gave.
        rtype: String,
    },
    /// An RRset of its own has no TTL, or one below zero.
    #[error("Route 53 lists the RRset {name} {rtype} with the TTL {ttl:?}")]
    Ttl {
        /// The owner.
        name: Name,
        /// The type.
        rtype: Rtype,
        /// What Route 53 gave.
        ttl: Option<i64>,
    },
    /// A quota is no number of RRsets.
    #[error("Route 53 says that the hosted zone may hold {0} RRsets")]
    Quota(i64),
    /// There is no SOA, or not one.
    #[error("Route 53 lists no SOA for the hosted zone")]
    NoSoa,
    /// The SOA does not read.
    #[error("the hosted zone's SOA {text:?} does not read: {error}")]
    Soa {
        /// What Route 53 gave.
        text: String,
        /// What is wrong with it.
        error: ValueError,
    },
}

impl TryFrom<&ResourceRecordSet> for HostedRrset {
    type Error = HostedError;

    fn try_from(set: &ResourceRecordSet) -> Result<Self, HostedError> {
        let name =
            value::parse_name(set.name()).map_err(|error| HostedError::Name { name: set.name().to_owned(), error })?;
        let rtype: Rtype = set
            .r#type()
            .as_str()
            .parse()
            .map_err(|_| HostedError::Type { name: set.name().to_owned(), rtype: set.r#type().as_str().to_owned() })?;
        let foreign = if set.alias_target().is_some() {
            Some(Foreign::Alias)
        } else if set.traffic_policy_instance_id().is_some() {
            Some(Foreign::TrafficPolicy)
        } else {
            set.set_identifier().map(|_| Foreign::Routed)
        };
        let ttl = match set.ttl().map(u32::try_from) {
            Some(Ok(ttl)) => ttl,
            // An alias has none.
            _ if foreign.is_some() => 0,
            _ => return Err(HostedError::Ttl { name, rtype, ttl: set.ttl() }),
        };
        let values = set.resource_records().iter().map(|record| record.value().to_owned()).collect();
        Ok(Self { text: RrsetText { name, rtype, ttl, values }, foreign })
    }
}

/// Brings RRsets into the order that a plan goes by. Route 53's own order is by the text of its labels.
pub fn sort_hosted(hosted: &mut [HostedRrset]) {
    hosted.sort_by(|a, b| a.text.name.cmp(&b.text.name).then(a.text.rtype.cmp(&b.text.rtype)));
}

/// The first label of RNAME while a hosted zone is on its way from its serial to another. RNAME is a mailbox for people to
/// write to: Route 53 takes any, and nothing that resolves names reads it.
const MARK: &[u8] = b"secondary53-unfinished";
/// RNAME as Route 53 makes it.
const ROUTE_53S_RNAME: [&[u8]; 3] = [b"awsdns-hostmaster", b"amazon", b"com"];

/// What a hosted zone's SOA says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedSoa {
    /// Its parts.
    pub soa: Soa,
    /// Its TTL in seconds.
    pub ttl: u32,
}

impl HostedSoa {
    /// Reads the SOA's RRset.
    pub fn read(text: &RrsetText) -> Result<Self, HostedError> {
        let [value] = text.values.as_slice() else { return Err(HostedError::NoSoa) };
        let unreadable = |error: ValueError| HostedError::Soa { text: value.clone(), error };
        let rdata = value::from_text(Rtype::SOA, value).map_err(unreadable)?;
        let soa = Soa::from_rdata(&rdata).map_err(|error: RdataError| unreadable(error.into()))?;
        Ok(Self { soa, ttl: text.ttl })
    }

    /// Whether some of another version was applied: what the hosted zone holds is not what its serial says.
    pub fn is_marked(&self) -> bool {
        self.soa.rname.by_ref().labels().next() == Some(MARK)
    }

    /// The same, marked.
    #[must_use]
    pub fn marked(&self) -> Self {
        let unmarked = self.rname();
        let rname = Name::from_labels(std::iter::once(MARK).chain(unmarked.by_ref().labels()))
            // Where somebody has set one that leaves no room, it gives way.
            .or_else(|_| Name::from_labels(std::iter::once(MARK).chain(ROUTE_53S_RNAME)))
            .unwrap_or(unmarked);
        Self { soa: Soa { rname, ..self.soa.clone() }, ttl: self.ttl }
    }

    /// RNAME without a mark.
    pub fn rname(&self) -> Name {
        let rname = self.soa.rname.by_ref();
        let unmarked = Name::from_labels(rname.labels().skip(usize::from(self.is_marked())));
        unmarked.unwrap_or_else(|_| rname.to_name())
    }

    /// The SOA's RRset.
    pub fn to_text(&self, apex: &Name) -> RrsetText {
        let Soa { mname, rname, serial, refresh, retry, expire, minimum } = &self.soa;
        let (mname, rname) = (value::name_text(mname.by_ref()), value::name_text(rname.by_ref()));
        let value = format!("{mname} {rname} {serial} {refresh} {retry} {expire} {minimum}");
        RrsetText { name: apex.clone(), rtype: Rtype::SOA, ttl: self.ttl, values: vec![value] }
    }

    /// Whether it is still the SOA that Route 53 makes with a zone ("NS and SOA records", Amazon Route 53 Developer
    /// Guide). Its serial 1 then means "never synced" and has no place in RFC 1982's order.
    pub fn is_route_53s_own(&self) -> bool {
        let Soa { serial, refresh, retry, expire, minimum, .. } = self.soa;
        (serial, refresh, retry, expire, minimum) == (Serial(1), 7200, 900, 1_209_600, 86400)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::{AliasTarget, ResourceRecord, RrType};

    use super::*;

    fn set(rtype: RrType) -> aws_sdk_route53::types::builders::ResourceRecordSetBuilder {
        ResourceRecordSet::builder().name("\\052.Example.com").r#type(rtype)
    }

    #[test]
    fn an_rrset_is_read_and_a_foreign_one_known() {
        let record = ResourceRecord::builder().value("192.0.2.1").build().unwrap();
        let plain = set(RrType::A).ttl(300).resource_records(record.clone()).build().unwrap();
        let hosted = HostedRrset::try_from(&plain).unwrap();
        assert_eq!(hosted.text.name.to_string(), "*.example.com.");
        assert_eq!((hosted.text.ttl, hosted.text.values, hosted.foreign), (300, vec!["192.0.2.1".into()], None));

        let target = AliasTarget::builder().hosted_zone_id("Z").dns_name("x.").evaluate_target_health(false).build();
        let alias = set(RrType::A).alias_target(target.unwrap()).build().unwrap();
        let hosted = HostedRrset::try_from(&alias).unwrap();
        assert_eq!((hosted.text.values.len(), hosted.foreign), (0, Some(Foreign::Alias)));

        let routed = set(RrType::A).ttl(1).set_identifier("blue").resource_records(record).build().unwrap();
        assert_eq!(HostedRrset::try_from(&routed).unwrap().foreign, Some(Foreign::Routed));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let no_ttl = set(RrType::A).build().unwrap();
        assert!(matches!(HostedRrset::try_from(&no_ttl), Err(HostedError::Ttl { .. })));
        let no_name = ResourceRecordSet::builder().name("a..b").r#type(RrType::A).ttl(1).build().unwrap();
        assert!(matches!(HostedRrset::try_from(&no_name), Err(HostedError::Name { .. })));
        let no_type = set(RrType::from("WHAT")).ttl(1).build().unwrap();
        assert!(matches!(HostedRrset::try_from(&no_type), Err(HostedError::Type { .. })));
    }

    #[test]
    fn the_soa_of_a_fresh_zone_is_known() {
        let soa = |value: &str| {
            let name = Name::parse("example.com").unwrap();
            HostedSoa::read(&RrsetText { name, rtype: Rtype::SOA, ttl: 900, values: vec![value.into()] })
        };
        let fresh = "ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
        assert!(soa(fresh).unwrap().is_route_53s_own());
        let synced = "ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 1 3600 900 1209600 86400";
        assert!(!soa(synced).unwrap().is_route_53s_own());
        assert!(matches!(soa("ns. host. 1"), Err(HostedError::Soa { .. })));
    }

    #[test]
    fn a_mark_is_known_and_leaves_no_trace() {
        let apex = Name::parse("example.com").unwrap();
        let read = |rname: &str, ttl| {
            let values = vec![format!("ns. {rname} 7 1 2 3 4")];
            HostedSoa::read(&RrsetText { name: apex.clone(), rtype: Rtype::SOA, ttl, values }).unwrap()
        };
        let long = format!("{}x.", "abcdefghi.".repeat(23));
        for (rname, after) in [
            ("awsdns-hostmaster.amazon.com.", "awsdns-hostmaster.amazon.com."),
            ("a\\056b.example.net.", "a\\056b.example.net."),
            (".", "."),
            // There is no room beside this one.
            (&long, "awsdns-hostmaster.amazon.com."),
        ] {
            for ttl in [0, 1, 900, i32::MAX.cast_unsigned()] {
                let soa = read(rname, ttl);
                assert_eq!((soa.is_marked(), soa.rname()), (false, soa.soa.rname.clone()));
                let marked = soa.marked();
                assert!(marked.is_marked() && marked != soa, "{rname}");
                assert_eq!((marked.soa.serial, marked.ttl), (soa.soa.serial, ttl));
                assert_eq!(
                    (marked.marked(), HostedSoa::read(&marked.to_text(&apex)).unwrap()),
                    (marked.clone(), marked.clone())
                );
                assert_eq!(marked.rname(), read(after, ttl).soa.rname);
            }
        }
    }
}
