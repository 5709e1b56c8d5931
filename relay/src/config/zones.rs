//! Whose zones: `[[zone]]`, `[[catalog]]` and `[discover]`, and the primaries and queues that they refer to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use secondary53_zone::Name;
use toml::Spanned;

use super::check::Check;
use super::file;
use super::{Catalog, Confirm, Discover, Primary, Queue, Zone};
use crate::discover::{Filter, Pattern, PatternError};

/// The port of DNS (RFC 1035 §4.2).
const DNS: u16 = 53;

/// What may be referred to.
pub(super) struct Known {
    pub(super) primaries: Choice<Primary>,
    pub(super) queues: Choice<Queue>,
}

/// What there is of a kind, and the lists made of it: ten thousand zones share a few.
pub(super) struct Choice<T> {
    kind: &'static str,
    names: Vec<String>,
    all: Vec<Arc<T>>,
    made: HashMap<Vec<usize>, Arc<[Arc<T>]>>,
}

impl<T> Choice<T> {
    pub(super) fn new(kind: &'static str, all: &[Arc<T>], name: fn(&T) -> &String) -> Self {
        let names = all.iter().map(|each| name(each).clone()).collect();
        Self { kind, names, all: all.to_vec(), made: HashMap::new() }
    }

    fn list(&mut self, chosen: Vec<usize>) -> Arc<[Arc<T>]> {
        let all = &self.all;
        let make = |chosen: &Vec<usize>| chosen.iter().filter_map(|index| all.get(*index)).cloned().collect();
        Arc::clone(self.made.entry(chosen).or_insert_with_key(make))
    }
}

impl Check {
    pub(super) fn zones(&mut self, given: &[Spanned<file::Zone>], known: &mut Known) -> Vec<Arc<Zone>> {
        let mut zones = Vec::with_capacity(given.len());
        let mut seen = HashSet::new();
        let mut ids = HashMap::new();
        for zone in given {
            let at = zone.span().start;
            let zone = zone.get_ref();
            let Some(name) = self.name("zone.name", zone.name.as_ref(), at) else { continue };
            if !seen.insert(name.clone()) {
                self.fault_at(at, "zone.name", format!("zone {name} is there twice"));
                continue;
            }
            let hosted_zone_id = self.hosted_zone_id(zone.hosted_zone_id.as_ref());
            // A hosted zone has one name: two zones would undo one another's records in it.
            if let (Some(id), Some(given)) = (&hosted_zone_id, &zone.hosted_zone_id)
                && let Some(same) = ids.insert(id.clone(), name.clone())
            {
                self.fault(given, "zone.hosted_zone_id", format!("{id:?} is that of zone {same} already"));
            }
            zones.push(Arc::new(Zone {
                primaries: self.references("zone.primaries", zone.primaries.as_ref(), at, &mut known.primaries),
                queues: self.references("zone.queues", zone.queues.as_ref(), at, &mut known.queues),
                hosted_zone_id,
                strip_dnssec: zone.strip_dnssec.as_ref().is_some_and(|strip| *strip.get_ref()),
                confirm: self.confirm(zone),
                name,
            }));
        }
        zones
    }

    fn confirm(&mut self, zone: &file::Zone) -> Confirm {
        let given = zone.confirm_servers.iter().flat_map(Spanned::get_ref);
        let servers: Vec<_> = given.filter_map(|text| self.host("zone.confirm_servers", text, DNS)).collect();
        match &zone.confirm {
            Some(confirm) if !confirm.get_ref() => Confirm::Off,
            _ if servers.is_empty() => Confirm::Found,
            _ => Confirm::Servers(servers.into()),
        }
    }

    /// The catalogs; `zones` are those that are named one by one.
    pub(super) fn catalogs(
        &mut self,
        given: &[Spanned<file::Catalog>],
        zones: &[Arc<Zone>],
        known: &mut Known,
    ) -> Vec<Catalog> {
        let mut catalogs = Vec::with_capacity(given.len());
        let mut seen: HashSet<Name> = HashSet::new();
        for catalog in given {
            let at = catalog.span().start;
            let catalog = catalog.get_ref();
            let Some(name) = self.name("catalog.zone", catalog.zone.as_ref(), at) else { continue };
            if zones.iter().any(|zone| zone.name == name) {
                self.fault_at(at, "catalog.zone", format!("{name} is there as a zone too"));
            }
            if !seen.insert(name.clone()) {
                self.fault_at(at, "catalog.zone", format!("catalog {name} is there twice"));
                continue;
            }
            let primaries = self.references("catalog.primaries", catalog.primaries.as_ref(), at, &mut known.primaries);
            let queues = self.references("catalog.queues", catalog.queues.as_ref(), at, &mut known.queues);
            // It is read and not published: that it is signed means nothing.
            let zone = Zone { strip_dnssec: true, confirm: Confirm::Off, ..Zone::new(name, primaries, [].into()) };
            catalogs.push(Catalog { zone: Arc::new(zone), queues });
        }
        catalogs
    }

    pub(super) fn discover(&mut self, discover: &Spanned<file::Discover>, known: &mut Known) -> Option<Discover> {
        let at = discover.span().start;
        let discover = discover.get_ref();
        let is_on = discover.route53.as_ref().is_some_and(|on| *on.get_ref());
        let (mut primaries, mut queues) = (None, None);
        // Which, where there are several, need not be said while it is off.
        if is_on || discover.primaries.is_some() {
            let given = discover.primaries.as_ref();
            primaries = Some(self.references("discover.primaries", given, at, &mut known.primaries));
        }
        if is_on || discover.queues.is_some() {
            queues = Some(self.references("discover.queues", discover.queues.as_ref(), at, &mut known.queues));
        }
        let range = Duration::from_mins(1)..=366 * Duration::from_hours(24);
        let every = self.duration("discover.every", discover.every.clone(), Duration::from_hours(1), range);
        let include = match &discover.include {
            Some(given) => self.patterns("discover.include", given),
            None => "*".parse().into_iter().collect(),
        };
        let exclude = self.patterns("discover.exclude", discover.exclude.as_deref().unwrap_or_default());
        let filter = Filter::new(include, exclude);
        primaries.zip(queues).filter(|_| is_on).map(|(primaries, queues)| Discover { primaries, queues, every, filter })
    }

    fn patterns(&mut self, key: &str, given: &[Spanned<String>]) -> Vec<Pattern> {
        let parse = |text: &Spanned<String>| {
            let parsed = text.get_ref().parse();
            parsed.map_err(|error: PatternError| self.fault(text, key, format!("{:?}: {error}", text.get_ref()))).ok()
        };
        given.iter().filter_map(parse).collect()
    }

    /// Names of primaries or queues. Where none are given, there must be one to choose from.
    fn references<T>(
        &mut self,
        key: &str,
        given: Option<&Spanned<Vec<Spanned<String>>>>,
        at: usize,
        known: &mut Choice<T>,
    ) -> Arc<[Arc<T>]> {
        let Some(given) = given else {
            // None at all was told already.
            if known.names.len() > 1 {
                let names = known.names.join(", ");
                self.fault_at(at, key, format!("it is missing, and there is more than one: {names}"));
            }
            return known.list(vec![0]);
        };
        if given.get_ref().is_empty() {
            self.fault(given, key, "it is empty");
        }
        let mut chosen = Vec::new();
        for name in given.get_ref() {
            match known.names.iter().position(|known| known == name.get_ref()) {
                None => self.unknown(name, key, known.kind, known.names.iter()),
                Some(index) if chosen.contains(&index) => {
                    self.fault(name, key, format!("{:?} is there twice", name.get_ref()));
                }
                Some(index) => chosen.push(index),
            }
        }
        known.list(chosen)
    }

    fn hosted_zone_id(&mut self, given: Option<&Spanned<String>>) -> Option<String> {
        let given = given.filter(|given| !given.get_ref().is_empty())?;
        // The API gives it with and without the prefix.
        let id = given.get_ref().trim_start_matches("/hostedzone/");
        // Amazon Route 53 API Reference: ResourceId has at most 32 characters.
        if id.len() > 32
            || id.is_empty()
            || !id.bytes().all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit())
        {
            let what = format!("{:?} is not the id of a hosted zone, as in Z0123456789ABCDEFGHIJ", given.get_ref());
            self.fault(given, "zone.hosted_zone_id", what);
        }
        Some(id.to_owned())
    }
}
