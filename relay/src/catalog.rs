//! Catalog zones (RFC 9432): a zone in, its members out, or what is broken about it. No I/O, no clock.
//!
//! ```text
//!   version.CATALOG              TXT  "2"             must be there, and be this
//!   UNIQUE.zones.CATALOG         PTR  example.com.    a member; another UNIQUE for it is another life of it
//!   coo.UNIQUE.zones.CATALOG     PTR  other.catalog.  it may be taken over by that catalog
//!   anything else                …                    of no meaning here
//! ```
//!
//! A catalog is whole or broken: of a broken one nothing is taken (§5.1), for half of its members would look as if the
//! others had been removed.

use std::collections::BTreeMap;

use secondary53_zone::{Name, NameRef, Rrset, Rtype, Zone};

/// The members of a catalog, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<Name, Member>);

/// What a catalog says of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The label of its node, in lower case.
    pub unique: Box<[u8]>,
    /// The catalog that may take it over.
    pub coo: Option<Name>,
}

/// Why a zone is no catalog that can be used (RFC 9432 §5.1). Each completes "the catalog is broken: …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It does not say which version it is of (§4.2.1).
    #[error("it has no TXT at {0}, where its version must stand: is it a catalog zone?")]
    NoVersion(Name),
    /// It says so several times, or in several words.
    #[error("the TXT at {0} must be one, of one text")]
    Versions(Name),
    /// It is of another version.
    #[error("it is of version {0:?}; version \"2\" (RFC 9432) is what is known here")]
    Version(String),
    /// A member's node has several PTR (§4.1).
    #[error("{0} has several PTR: a node is of one member")]
    SeveralMembers(Name),
    /// A member has several nodes (§4.1).
    #[error("{member} is there twice, at {first} and at {second}")]
    Twice {
        /// The member.
        member: Name,
        /// One node.
        first: Name,
        /// The other.
        second: Name,
    },
    /// A change of ownership to several catalogs (§4.3.1).
    #[error("{0} has several PTR: a member can go to one catalog")]
    SeveralOwners(Name),
    /// More than are taken.
    #[error("it has more than {0} members")]
    TooMany(usize),
    /// A PTR whose name does not read. A zone holds none such.
    #[error("the PTR at {0} does not read")]
    Unreadable(Name),
}

/// Members of one catalog. Route 53 holds 500 zones for an account by default, and 10,000 and more on request.
pub const MAX_MEMBERS: usize = 100_000;

/// The only version that RFC 9432 knows.
const VERSION: &[u8] = b"2";

/// Where in a catalog an owner stands, by the labels before the catalog's name.
enum Place<'a> {
    /// `version`.
    Version,
    /// `UNIQUE.zones`.
    Member(&'a [u8]),
    /// `coo.UNIQUE.zones`.
    Coo(&'a [u8]),
    /// Anywhere else: of no meaning here.
    Other,
}

impl Members {
    /// Reads a catalog.
    pub fn read(catalog: &Zone) -> Result<Self, Broken> {
        Self::read_within(catalog, MAX_MEMBERS)
    }

    fn read_within(catalog: &Zone, most: usize) -> Result<Self, Broken> {
        let apex = catalog.apex().by_ref();
        let mut version = None;
        let mut members: BTreeMap<Name, Member> = BTreeMap::new();
        let mut coos: BTreeMap<&[u8], Name> = BTreeMap::new();
        for rrset in catalog.rrsets() {
            let owner = rrset.owner();
            match (Place::of(owner, apex), rrset.rtype()) {
                (Place::Version, Rtype::TXT) => version = Some(read_version(&rrset)?),
                (Place::Member(unique), Rtype::PTR) => {
                    let name = only(&rrset, Broken::SeveralMembers)?;
                    if members.len() >= most {
                        return Err(Broken::TooMany(most));
                    }
                    let member = Member { unique: unique.into(), coo: None };
                    if let Some(other) = members.get(&name) {
                        let first = node(&other.unique, apex).unwrap_or_else(|| owner.to_name());
                        return Err(Broken::Twice { member: name, first, second: owner.to_name() });
                    }
                    members.insert(name, member);
                }
                (Place::Coo(unique), Rtype::PTR) => {
                    coos.insert(unique, only(&rrset, Broken::SeveralOwners)?);
                }
                // What is not understood is passed over, another type at a known place too (§4.2).
                _ => {}
            }
        }
        if version.is_none() {
            return Err(Broken::NoVersion(below(&[b"version"], apex).unwrap_or_else(|| apex.to_name())));
        }
        if !coos.is_empty() {
            for member in members.values_mut() {
                member.coo = coos.remove(&*member.unique);
            }
        }
        Ok(Self(members))
    }

    /// What the catalog says of this zone, if it is a member.
    pub fn get(&self, name: &Name) -> Option<&Member> {
        self.0.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none: a catalog may be so.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names, in DNS order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.keys()
    }

    /// Those that the catalog had `before` too, under another label: what is known of them is of another life of theirs
    /// (RFC 9432 §5.4).
    pub fn reset_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a Name> {
        let differs =
            |(name, member): &(&Name, &Member)| before.get(name).is_some_and(|before| before.unique != member.unique);
        self.0.iter().filter(differs).map(|(name, _)| name)
    }
}

impl<'a> Place<'a> {
    fn of(owner: NameRef<'a>, apex: NameRef<'_>) -> Self {
        // A zone holds nothing outside its apex.
        let before = owner.below(apex).map_or(0, <[u8]>::len);
        // The labels before it, from the right.
        let mut left = before;
        let labels: Vec<&[u8]> = owner
            .labels()
            .take_while(|label| {
                let is_before = left > 0;
                left = left.saturating_sub(1 + label.len());
                is_before
            })
            .collect();
        match *labels.as_slice() {
            [b"version"] => Self::Version,
            [unique, b"zones"] => Self::Member(unique),
            [b"coo", unique, b"zones"] => Self::Coo(unique),
            _ => Self::Other,
        }
    }
}

fn read_version(rrset: &Rrset<'_>) -> Result<(), Broken> {
    let several = || Broken::Versions(rrset.owner().to_name());
    let mut texts = rrset.rdata();
    let (Some(text), None) = (texts.next(), texts.next()) else { return Err(several()) };
    // One character-string (RFC 1035 §3.3.14).
    let Some((length, text)) = text.split_first() else { return Err(several()) };
    if text.len() != usize::from(*length) {
        return Err(several());
    }
    if text == VERSION { Ok(()) } else { Err(Broken::Version(String::from_utf8_lossy(text).into_owned())) }
}

/// The name of the only PTR.
fn only(rrset: &Rrset<'_>, several: impl Fn(Name) -> Broken) -> Result<Name, Broken> {
    let mut names = rrset.rdata();
    let (Some(name), None) = (names.next(), names.next()) else { return Err(several(rrset.owner().to_name())) };
    match NameRef::split_from(name) {
        Ok((name, [])) => Ok(name.to_name()),
        _ => Err(Broken::Unreadable(rrset.owner().to_name())),
    }
}

fn node(unique: &[u8], apex: NameRef<'_>) -> Option<Name> {
    below(&[unique, b"zones"], apex)
}

fn below(labels: &[&[u8]], apex: NameRef<'_>) -> Option<Name> {
    Name::from_labels(labels.iter().copied().chain(apex.labels())).ok()
}

#[cfg(test)]
mod tests;
