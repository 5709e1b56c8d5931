//! What a batch makes of a zone: everything, or a list of what is wrong. No I/O, no clock.
//!
//! The changes are applied one after the other to a copy, each against what those before it left: that is why a CNAME
//! can replace an A in one batch, with the DELETE first, and only so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    log::Effect,
    model::{Body, HostedZone, Key, RecordSet, RecordSets, Value},
    name::Name,
    request::{Action, Change, ChangeBody},
    syntax::RecordType,
};

/// `ResourceRecord` elements in one request; those of an UPSERT count twice, an alias counts as one.
pub const MAX_RECORDS: usize = 1_000;
/// Characters in all `Value`s of one request; those of an UPSERT count twice.
pub const MAX_CHARACTERS: usize = 32_000;
/// Values in one RRset.
pub const MAX_VALUES: usize = 400;
/// Seconds: the TTL in a zone that Route 53 signs.
pub const MAX_SIGNED_TTL: u32 = 604_800;

/// A batch that was accepted.
#[derive(Debug)]
pub struct Applied {
    /// The whole zone.
    pub rrsets: RecordSets,
    /// What each change did, in the order of the batch.
    pub effects: Vec<Effect>,
}

/// Applies the batch, or says all that is wrong with it, each as Route 53 words it.
///
/// `max_rrsets` is the zone's quota. A zone over its quota may still shrink.
pub fn apply(zone: &HostedZone, changes: &[Change], max_rrsets: u64) -> Result<Applied, Vec<String>> {
    let errors = over_limits(changes);
    if !errors.is_empty() {
        return Err(errors);
    }
    apply_unlimited(zone, changes, max_rrsets)
}

/// As [`apply`], but for the limits of one batch, which bound what a client sends and not what a zone holds.
pub fn apply_unlimited(zone: &HostedZone, changes: &[Change], max_rrsets: u64) -> Result<Applied, Vec<String>> {
    let mut batch = Batch {
        zone,
        rrsets: (*zone.rrsets).clone(),
        touched: BTreeMap::new(),
        invalid_sets: BTreeSet::new(),
        errors: Vec::new(),
    };
    let keys: Vec<Option<Key>> = changes.iter().map(|change| batch.apply(change)).collect();
    let (before, after) = (zone.rrsets.len(), batch.rrsets.len());
    if after > before && after as u64 > max_rrsets {
        batch.errors.push(format!("Exceeded limit MAX_RRSETS_BY_ZONE for zone: {}", zone.id));
    }
    if !batch.errors.is_empty() {
        return Err(batch.errors);
    }
    let mut rrsets = batch.rrsets;
    let keys: Vec<Key> = keys.into_iter().flatten().collect();
    let effects: Vec<Effect> = keys.iter().map(|key| effect(zone.rrsets.get(key), rrsets.get(key))).collect();
    for (key, effect) in keys.into_iter().zip(&effects) {
        // Accepted and silently not done: the old one stands.
        if let (Effect::NothingOrderOrDot, Some(old)) = (effect, zone.rrsets.get(&key)) {
            rrsets.insert(key, Arc::clone(old));
        }
    }
    Ok(Applied { rrsets, effects })
}

/// Whether this is one of the two RRsets that Route 53 makes with the zone.
pub fn is_apex_of(zone: &Name, key: &Key) -> bool {
    key.name == *zone && matches!(key.rtype, RecordType::Ns | RecordType::Soa) && key.set_identifier.is_none()
}

fn over_limits(changes: &[Change]) -> Vec<String> {
    let mut records = 0;
    let mut characters = 0;
    for change in changes {
        let (own_records, own_characters) = match &change.body {
            ChangeBody::Records { values, .. } => {
                (values.len(), values.iter().map(|value| value.chars().count()).sum::<usize>())
            }
            ChangeBody::Alias { .. } | ChangeBody::TrafficPolicy(_) => (1, 0),
        };
        records += own_records * change.action.weight();
        characters += own_characters * change.action.weight();
    }
    let mut errors = Vec::new();
    if records > MAX_RECORDS {
        errors.push(format!("Number of records limit of {MAX_RECORDS} exceeded."));
    }
    if characters > MAX_CHARACTERS {
        errors.push(format!("RDATA character limit of {MAX_CHARACTERS} exceeded."));
    }
    errors
}

/// What became of an RRset by the whole batch.
fn effect(before: Option<&Arc<RecordSet>>, after: Option<&Arc<RecordSet>>) -> Effect {
    match (before, after) {
        (Some(old), Some(new)) if old == new => Effect::NothingIdentical,
        (Some(old), Some(new)) if old.is_same(new) => Effect::NothingOrderOrDot,
        (Some(_), Some(_)) => Effect::Replaced,
        (Some(_), None) => Effect::Deleted,
        // A DELETE of what was not there was refused, so there is no (None, None).
        (None, _) => Effect::Created,
    }
}

struct Batch<'a> {
    zone: &'a HostedZone,
    rrsets: RecordSets,
    /// The last action on each RRset so far.
    touched: BTreeMap<Key, Action>,
    /// Told of once each.
    invalid_sets: BTreeSet<Key>,
    errors: Vec<String>,
}

impl Batch<'_> {
    /// Applies one change, or notes what is wrong; the key of what was applied.
    fn apply(&mut self, change: &Change) -> Option<Key> {
        let (set, errors) = self.read(change);
        self.errors.extend(errors);
        let set = set?;
        if self.zone.protected.contains(&(set.key.name.clone(), set.key.rtype)) {
            self.errors.push(format!("RRSet {} is protected and cannot be changed", shown(&set.key)));
            return None;
        }
        let refused = self.zone.refused.get(&(set.key.name.clone(), set.key.rtype));
        let ttl = if let Body::Records { ttl, .. } = &set.body { Some(*ttl) } else { None };
        let is_refused = |only: &Option<u32>| change.action != Action::Delete && (only.is_none() || *only == ttl);
        if let Some((_, words)) = refused.filter(|(only, _)| is_refused(only)) {
            self.errors.push(words.clone());
            return None;
        }
        let key = set.key.clone();
        // Narrow: that DELETE and then CREATE works is all that AWS says of two changes of one RRset.
        match (self.touched.insert(key.clone(), change.action), change.action) {
            (None, _) | (Some(Action::Delete), Action::Create) => {}
            _ => {
                if self.invalid_sets.insert(key.clone()) {
                    self.errors.push(format!(
                        "The request contains an invalid set of changes for a resource record set '{} {}'",
                        key.rtype, key.name
                    ));
                }
                return None;
            }
        }
        let allowed = match change.action {
            Action::Delete => self.may_delete(&set),
            Action::Create if self.rrsets.contains_key(&key) => {
                Err(format!("Tried to create resource record set {} but it already exists", shown(&key)))
            }
            Action::Create | Action::Upsert => self.may_stand(&set),
        };
        if let Err(error) = allowed {
            self.errors.push(error);
            return None;
        }
        if change.action == Action::Delete {
            self.rrsets.remove(&key);
        } else {
            self.rrsets.insert(key.clone(), Arc::new(set));
        }
        Some(key)
    }

    /// The change with its name and values parsed. A value that is not valid does not hide the next one.
    fn read(&self, change: &Change) -> (Option<RecordSet>, Vec<String>) {
        let name = match Name::parse(&change.name) {
            Ok(name) => name,
            Err(fault) => return (None, vec![fault.to_string()]),
        };
        let mut errors = Vec::new();
        let body = match &change.body {
            ChangeBody::Records { ttl, values } => {
                let mut read: Vec<Value> = Vec::with_capacity(values.len());
                for text in values {
                    match Value::parse(change.rtype, text) {
                        // Two spellings of one record are one record on the wire. Narrow: AWS may compare text.
                        Ok(value) if read.iter().any(|other| other.rdata == value.rdata) => {
                            errors.push(format!("Duplicate Resource Record: '{text}'"));
                        }
                        Ok(value) => read.push(value),
                        Err(fault) => errors.push(format!("Invalid Resource Record: '{fault}'")),
                    }
                }
                errors.extend(self.bad_count(&name, change.rtype, values.len()));
                if self.zone.signed && *ttl > MAX_SIGNED_TTL {
                    errors.push(format!(
                        "TTL {ttl} of RRSet with DNS name {name}, type {} exceeds {MAX_SIGNED_TTL} in signed zone {}",
                        change.rtype, self.zone.name
                    ));
                }
                Body::Records { ttl: *ttl, values: read }
            }
            ChangeBody::Alias { hosted_zone_id, target, evaluate_health } => {
                if matches!(change.rtype, RecordType::Ns | RecordType::Soa) {
                    errors.push(format!("RRSet of type {} with DNS name {name} cannot be an alias", change.rtype));
                }
                match Name::parse(target) {
                    Ok(target) => Body::Alias {
                        hosted_zone_id: hosted_zone_id.clone(),
                        target,
                        evaluate_health: *evaluate_health,
                    },
                    Err(fault) => return (None, vec![fault.to_string()]),
                }
            }
            ChangeBody::TrafficPolicy(id) => Body::TrafficPolicy(id.clone()),
        };
        let key = Key { name, rtype: change.rtype, set_identifier: change.set_identifier.clone() };
        let (routing, health_check) = (change.routing.clone(), change.health_check.clone());
        (errors.is_empty().then_some(RecordSet { key, routing, health_check, body }), errors)
    }

    fn bad_count(&self, name: &Name, rtype: RecordType, count: usize) -> Option<String> {
        match rtype {
            RecordType::Cname | RecordType::Soa if count > 1 => Some(format!(
                "RRSet of type {rtype} with DNS name {name} must have exactly one value in zone {}",
                self.zone.name
            )),
            _ if count > MAX_VALUES => Some(format!(
                "Number of values limit of {MAX_VALUES} exceeded by RRSet with DNS name {name}, type {rtype}"
            )),
            _ => None,
        }
    }

    fn may_delete(&self, set: &RecordSet) -> Result<(), String> {
        let tried = format!("Tried to delete resource record set {} but", shown(&set.key));
        let stored = self.rrsets.get(&set.key).ok_or_else(|| format!("{tried} it was not found"))?;
        if !stored.is_same(set) {
            return Err(format!("{tried} the values provided do not match the current values"));
        }
        // Refused even where a CREATE of the same follows. Narrow: AWS says no more than that they cannot be deleted.
        if is_apex_of(&self.zone.name, &set.key) {
            return Err(match set.key.rtype {
                RecordType::Soa => "A HostedZone must contain exactly one SOA record.".to_owned(),
                _ => "A HostedZone must contain at least one NS record for the zone itself.".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether the RRset can stand beside what the zone holds at this point of the batch.
    fn may_stand(&self, set: &RecordSet) -> Result<(), String> {
        let Key { name, rtype, set_identifier } = &set.key;
        let zone = &self.zone.name;
        if !name.is_within(zone) {
            return Err(format!("RRSet with DNS name {name} is not permitted in zone {zone}"));
        }
        let at_apex = name == zone;
        let only =
            |whether: &str| Err(format!("RRSet of type {rtype} with DNS name {name} is {whether} in zone {zone}"));
        match rtype {
            RecordType::Cname | RecordType::Ds if at_apex => return only("not permitted at apex"),
            RecordType::Soa if !at_apex => return only("only permitted at apex"),
            RecordType::Ns if name.is_wildcard() => return only("not permitted at a wildcard"),
            RecordType::Ns | RecordType::Soa if set_identifier.is_some() => return only("not permitted to be routed"),
            _ => {}
        }
        let first = Key::simple(name.clone(), RecordType::ALL[0].0);
        let at_name =
            || self.rrsets.range(&first..).map(|(_, other)| other).take_while(|other| other.key.name == *name);
        if *rtype == RecordType::Cname && at_name().any(|other| other.key.rtype != RecordType::Cname) {
            return Err(format!(
                "RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records \
                 with the same DNS name in zone {zone}"
            ));
        }
        if *rtype != RecordType::Cname && at_name().any(|other| other.key.rtype == RecordType::Cname) {
            // Two spaces before CNAME: that is how Route 53 words it.
            return Err(format!(
                "RRSet of type {rtype} with DNS name {name} is not permitted because a conflicting RRSet of type  \
                 CNAME with the same DNS name already exists in zone {zone}"
            ));
        }
        let of_type = at_name().filter(|other| other.key.rtype == *rtype && other.key != set.key);
        for other in of_type {
            let policy = |set: &RecordSet| set.routing.as_ref().map(|element| element.name.clone());
            if policy(other) != policy(set) {
                return Err(format!(
                    "RRSet with DNS name {name}, type {rtype}, SetIdentifier {} cannot be created as other RRSets \
                     exist with the same name and type and another routing policy",
                    set_identifier.as_deref().unwrap_or("null")
                ));
            }
        }
        Ok(())
    }
}

fn shown(key: &Key) -> String {
    match &key.set_identifier {
        Some(id) => format!("[name='{}', type='{}', set-identifier='{id}']", key.name, key.rtype),
        None => format!("[name='{}', type='{}']", key.name, key.rtype),
    }
}
