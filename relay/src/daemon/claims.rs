//! Who says that a zone is one here. The configuration comes first; then the catalogs in its order, but that a member stays
//! with the catalog that has it, until that one lets it go; then the account.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use secondary53_zone::Name;

use super::discovering::Discovery;
use super::registry::{Origin, Registry};
use crate::catalog::{Member, Members};
use crate::config::{self, Config};
use crate::notify::ZoneKey;

/// All that is said, at one moment.
pub(super) struct Claims<'a> {
    named: HashMap<&'a Name, &'a Arc<config::Zone>>,
    catalogs: Vec<Catalog<'a>>,
    discover: Option<&'a config::Discover>,
    found: Arc<BTreeMap<Name, String>>,
}

struct Catalog<'a> {
    key: ZoneKey,
    config: &'a config::Catalog,
    members: Arc<Members>,
}

impl<'a> Claims<'a> {
    /// What a configuration and the catalogs say.
    pub(super) fn new(config: &'a Config, zones: &Registry, discovery: &Discovery) -> Self {
        let catalog = |catalog: &'a config::Catalog| {
            let key = zones.find(&catalog.zone.name)?;
            let members = Arc::clone(zones.get(key)?.catalog.as_ref()?);
            Some(Catalog { key, config: catalog, members })
        };
        Self {
            named: config.zones.iter().map(|zone| (&zone.name, zone)).collect(),
            catalogs: config.catalogs.iter().filter_map(catalog).collect(),
            discover: config.discover.as_ref(),
            found: Arc::clone(&discovery.found),
        }
    }

    /// Whose zone it is, and how; `before` is whose it was.
    pub(super) fn zone(&self, name: &Name, before: Option<Origin>) -> Option<(Origin, Arc<config::Zone>)> {
        if let Some(zone) = self.named.get(name) {
            return Some((Origin::Named, Arc::clone(zone)));
        }
        if self.catalogs.iter().any(|catalog| catalog.config.zone.name == *name) {
            // A catalog that lists a catalog. One is enough.
            return None;
        }
        if let Some(catalog) = self.owner(name, before) {
            return Some((Origin::Member(catalog.key), Arc::new(catalog.config.member(name.clone()))));
        }
        let discover = self.discover.filter(|discover| discover.filter.wants(name))?;
        Some((Origin::Found, Arc::new(discover.zone(name.clone(), self.found.get(name)?.clone()))))
    }

    /// What a catalog says of a member.
    pub(super) fn member(&self, catalog: ZoneKey, name: &Name) -> Option<&Member> {
        self.catalogs.iter().find(|known| known.key == catalog)?.members.get(name)
    }

    /// Everything that is listed somewhere.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        let members = self.catalogs.iter().flat_map(|catalog| catalog.members.names());
        let found = self.discover.into_iter().flat_map(|_| self.found.keys());
        self.named.keys().copied().chain(members).chain(found)
    }

    fn owner(&self, name: &Name, before: Option<Origin>) -> Option<&Catalog<'a>> {
        let mut listing = self.catalogs.iter().filter(|catalog| catalog.members.get(name).is_some());
        // RFC 9432 §5.2: it stays where it is.
        let has_it = |catalog: &&Catalog<'_>| before == Some(Origin::Member(catalog.key));
        let catalog = listing.clone().find(has_it).or_else(|| listing.next())?;
        let coo = catalog.members.get(name).and_then(|member| member.coo.as_ref());
        // Unless that one lets it go (§4.3.1), and the other one has it.
        let other = |other: &&Catalog<'_>| Some(&other.config.zone.name) == coo && other.members.get(name).is_some();
        Some(self.catalogs.iter().find(other).unwrap_or(catalog))
    }
}
