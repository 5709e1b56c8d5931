//! What the account holds: hosted zones and their RRsets.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    change,
    name::Name,
    syntax::{self, Fault, RecordType, without_trailing_dots},
    xml::Element,
};

/// RRsets in the order of a listing: by name with its labels reversed, then by type, then by identifier.
pub type RecordSets = BTreeMap<Key, Arc<RecordSet>>;

/// What tells RRsets apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Owner.
    pub name: Name,
    /// Type.
    pub rtype: RecordType,
    /// `SetIdentifier`; none for what is not routed.
    pub set_identifier: Option<String>,
}

impl Key {
    /// Of an RRset that is not routed.
    pub fn simple(name: Name, rtype: RecordType) -> Self {
        Self { name, rtype, set_identifier: None }
    }
}

/// One `ResourceRecordSet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// Name, type and identifier.
    pub key: Key,
    /// `Weight`, `Region`, `GeoLocation`, …: kept as it came.
    pub routing: Option<Element>,
    /// `HealthCheckId`.
    pub health_check: Option<String>,
    /// What it answers with.
    pub body: Body,
}

/// Exactly one of three, as the API demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Plain data.
    Records {
        /// Seconds.
        ttl: u32,
        /// In the order in which they were given.
        values: Vec<Value>,
    },
    /// `AliasTarget`.
    Alias {
        /// The zone that the target is in.
        hosted_zone_id: String,
        /// The target.
        target: Name,
        /// `EvaluateTargetHealth`.
        evaluate_health: bool,
    },
    /// `TrafficPolicyInstanceId`.
    TrafficPolicy(String),
}

/// One `Value`: the text that is listed, the RDATA that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// As it was given.
    pub text: String,
    /// Uncompressed wire form.
    pub rdata: Vec<u8>,
}

impl Value {
    /// Checks the syntax.
    pub fn parse(rtype: RecordType, text: &str) -> Result<Self, Fault> {
        Ok(Self { text: text.to_owned(), rdata: syntax::rdata(rtype, text)? })
    }
}

impl RecordSet {
    /// Whether Route 53 sees no difference: values are an unordered set, trailing dots of names do not count.
    ///
    /// Everything else in a value is compared as text. That is narrow on purpose: a DELETE has to give back what was
    /// listed, not another spelling of it.
    pub fn is_same(&self, other: &Self) -> bool {
        let rest = |set: &Self| {
            let body = match &set.body {
                Body::Records { ttl, values } => {
                    let mut texts: Vec<_> =
                        values.iter().map(|value| without_trailing_dots(set.key.rtype, &value.text)).collect();
                    texts.sort_unstable();
                    Ok((*ttl, texts))
                }
                other => Err(other.clone()),
            };
            (set.key.clone(), set.routing.clone(), set.health_check.clone(), body)
        };
        rest(self) == rest(other)
    }

    /// As it is listed.
    pub fn to_element(&self) -> Element {
        let element = Element::new("ResourceRecordSet")
            .with(Element::leaf("Name", &self.key.name))
            .with(Element::leaf("Type", &self.key.rtype))
            .with_all(self.key.set_identifier.as_ref().map(|id| Element::leaf("SetIdentifier", id)))
            .with_all(self.routing.clone());
        let health_check = self.health_check.as_ref().map(|id| Element::leaf("HealthCheckId", id));
        match &self.body {
            Body::Records { ttl, values } => {
                let records =
                    values.iter().map(|value| Element::new("ResourceRecord").with(Element::leaf("Value", &value.text)));
                element
                    .with(Element::leaf("TTL", ttl))
                    .with(Element::new("ResourceRecords").with_all(records))
                    .with_all(health_check)
            }
            Body::Alias { hosted_zone_id, target, evaluate_health } => element
                .with(
                    Element::new("AliasTarget")
                        .with(Element::leaf("HostedZoneId", hosted_zone_id))
                        .with(Element::leaf("DNSName", target))
                        .with(Element::leaf("EvaluateTargetHealth", evaluate_health)),
                )
                .with_all(health_check),
            Body::TrafficPolicy(id) => {
                element.with_all(health_check).with(Element::leaf("TrafficPolicyInstanceId", id))
            }
        }
    }
}

/// A zone to make.
#[derive(Clone, Debug)]
pub struct ZoneSpec {
    /// Its name, with or without the trailing dot.
    pub name: String,
    /// Its id, without `/hostedzone/`; made up where none is given.
    pub id: Option<String>,
    /// Private zones are listed and changed, but not served over DNS.
    pub private: bool,
    /// Route 53 signs it: TTLs are capped at one week. (The stand-in signs nothing.)
    pub signed: bool,
}

impl ZoneSpec {
    /// A public, unsigned zone.
    pub fn public(name: &str) -> Self {
        Self { name: name.to_owned(), id: None, private: false, signed: false }
    }

    /// With an id of the caller's choice.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }
}

/// A hosted zone.
#[derive(Debug)]
pub struct HostedZone {
    /// Without `/hostedzone/`.
    pub id: String,
    /// The apex.
    pub name: Name,
    /// See [`ZoneSpec::private`].
    pub private: bool,
    /// See [`ZoneSpec::signed`].
    pub signed: bool,
    /// What made its creation idempotent.
    pub caller_reference: String,
    /// `HostedZoneConfig/Comment`.
    pub comment: Option<String>,
    /// What the API lists.
    pub rrsets: Arc<RecordSets>,
    /// RRsets that may not be changed (record-set protections).
    pub protected: BTreeSet<(Name, RecordType)>,
    /// RRsets that may not be created, of any TTL or of this one, and what is said then.
    pub refused: BTreeMap<(Name, RecordType), (Option<u32>, String)>,
    /// A change is being processed: the next gets `PriorRequestNotComplete`.
    pub busy: bool,
    served: Arc<RecordSets>,
    propagating: VecDeque<(Duration, Arc<RecordSets>)>,
}

/// Seconds: of the SOA and of the NS that Route 53 gives a new zone.
const NEW_SOA_TTL: u32 = 900;
const NEW_NS_TTL: u32 = 172_800;

impl HostedZone {
    /// That of its SOA.
    pub fn serial(&self) -> u32 {
        let soa = self.rrsets.get(&Key::simple(self.name.clone(), RecordType::Soa));
        let read = |soa: &Arc<RecordSet>| {
            let Body::Records { values, .. } = &soa.body else { return None };
            // RFC 1035 §3.3.13: five numbers of 32 bits end the RDATA, and the serial is the first of them.
            values.first()?.rdata.last_chunk::<20>()?.first_chunk().map(|octets| u32::from_be_bytes(*octets))
        };
        soa.and_then(read).unwrap_or_default()
    }

    /// With the SOA and the NS that Route 53 makes. `number` is any, and tells its name servers from another zone's.
    pub fn new(spec: &ZoneSpec, id: String, caller_reference: String, number: u32) -> Result<Self, Fault> {
        let name = Name::parse(&spec.name)?;
        // No `*` in the leftmost label; elsewhere it is a character like any other.
        if name.labels().next().is_none_or(|label| label.contains(&b'*')) {
            return Err(Fault::new("InvalidDomainName", "Not a name for a hosted zone", &spec.name));
        }
        let servers = name_servers(number);
        let soa = format!("{}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400", servers[0]);
        let mut rrsets = RecordSets::new();
        for (rtype, ttl, values) in [
            (RecordType::Ns, NEW_NS_TTL, servers.iter().map(|server| format!("{server}.")).collect()),
            (RecordType::Soa, NEW_SOA_TTL, vec![soa]),
        ] {
            let key = Key::simple(name.clone(), rtype);
            let values = values.iter().map(|value| Value::parse(rtype, value)).collect::<Result<_, _>>()?;
            let body = Body::Records { ttl, values };
            rrsets.insert(key.clone(), Arc::new(RecordSet { key, routing: None, health_check: None, body }));
        }
        let rrsets = Arc::new(rrsets);
        Ok(Self {
            id,
            name,
            private: spec.private,
            signed: spec.signed,
            caller_reference,
            comment: None,
            served: Arc::clone(&rrsets),
            rrsets,
            protected: BTreeSet::new(),
            refused: BTreeMap::new(),
            busy: false,
            propagating: VecDeque::new(),
        })
    }

    /// Takes what a batch makes of the zone: listed at once, served from `in_sync_at` on.
    pub fn replace(&mut self, rrsets: RecordSets, in_sync_at: Duration) {
        self.rrsets = Arc::new(rrsets);
        self.propagating.push_back((in_sync_at, Arc::clone(&self.rrsets)));
    }

    /// What its name servers serve at `now`.
    pub fn served(&mut self, now: Duration) -> Arc<RecordSets> {
        while let Some((_, rrsets)) = self.propagating.pop_front_if(|(due, _)| *due <= now) {
            self.served = rrsets;
        }
        Arc::clone(&self.served)
    }

    /// Its name servers, from its apex NS.
    pub fn name_servers(&self) -> Vec<String> {
        let apex = self.rrsets.get(&Key::simple(self.name.clone(), RecordType::Ns));
        match apex.map(|set| &set.body) {
            Some(Body::Records { values, .. }) => {
                values.iter().map(|value| value.text.trim_end_matches('.').to_owned()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether it holds nothing but what Route 53 made, so that it may be deleted.
    pub fn is_bare(&self) -> bool {
        self.rrsets.keys().all(|key| change::is_apex_of(&self.name, key))
    }
}

fn name_servers(number: u32) -> [String; 4] {
    let server = |at: u32, domain: &str| {
        let host = number % 512 + at * 512;
        format!("ns-{host}.awsdns-{:02}.{domain}", host / 8 % 64)
    };
    [server(0, "com"), server(1, "net"), server(2, "org"), server(3, "co.uk")]
}
