//! From the XML of `ChangeResourceRecordSets` to changes.
//!
//! What is wrong here is wrong by the shape of the request, whatever the zone holds: `InvalidInput`, as AWS's own
//! front end answers before a batch is looked at.

use super::{
    syntax::{MAX_SECONDS, RecordType},
    xml::Element,
};

/// Characters of one `Value`.
pub const MAX_VALUE: usize = 4_000;
/// Characters of a `Name` on the way in, escapes counted.
const MAX_NAME_TEXT: usize = 1_024;
/// Characters of a `SetIdentifier`.
const MAX_IDENTIFIER: usize = 128;

/// What one change asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fails where the RRset exists.
    Create,
    /// Fails where the RRset is not exactly this.
    Delete,
    /// Creates or replaces.
    Upsert,
}

impl Action {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Upsert => "UPSERT",
        }
    }

    /// An UPSERT counts twice, in the limits of a batch and in the rate of changes.
    pub fn weight(self) -> usize {
        if self == Self::Upsert { 2 } else { 1 }
    }
}

/// One change, its name and values still text.
#[derive(Clone, Debug)]
pub struct Change {
    /// What to do.
    pub action: Action,
    /// As given.
    pub name: String,
    /// One of the 17.
    pub rtype: RecordType,
    /// Together with `routing`, or not at all.
    pub set_identifier: Option<String>,
    /// The routing policy's element, kept as it came.
    pub routing: Option<Element>,
    /// `HealthCheckId`.
    pub health_check: Option<String>,
    /// Exactly one of three.
    pub body: ChangeBody,
}

/// See [`super::model::Body`].
#[derive(Clone, Debug)]
pub enum ChangeBody {
    Records { ttl: u32, values: Vec<String> },
    Alias { hosted_zone_id: String, target: String, evaluate_health: bool },
    TrafficPolicy(String),
}

impl Change {
    /// An RRset of plain data, for seeding.
    pub fn plain(action: Action, name: &str, rtype: RecordType, ttl: u32, values: &[&str]) -> Self {
        let values = values.iter().map(ToString::to_string).collect();
        Self {
            action,
            name: name.to_owned(),
            rtype,
            set_identifier: None,
            routing: None,
            health_check: None,
            body: ChangeBody::Records { ttl, values },
        }
    }
}

/// The elements of which a routed RRset has exactly one.
const ROUTING: [&str; 7] =
    ["Weight", "Region", "GeoLocation", "Failover", "MultiValueAnswer", "GeoProximityLocation", "CidrRoutingConfig"];

/// The changes of a request, or the text of an `InvalidInput`.
pub fn changes(request: &Element) -> Result<Vec<Change>, String> {
    let batch = request.child("ChangeBatch").ok_or_else(|| null("changeBatch"))?;
    let changes = batch.child("Changes").ok_or_else(|| null("changeBatch.changes"))?;
    if changes.children.is_empty() {
        return Err(invalid("[]", "changeBatch.changes", "have length greater than or equal to 1"));
    }
    let numbered = changes.children.iter().zip(1..);
    numbered.map(|(element, number)| change(element, number)).collect()
}

fn change(element: &Element, number: usize) -> Result<Change, String> {
    let at = format!("changeBatch.changes.{number}.member");
    if element.name != "Change" {
        return Err(format!("Invalid request: '{}' is not a Change", element.name));
    }
    let action = match element.text_of("Action") {
        Some("CREATE") => Action::Create,
        Some("DELETE") => Action::Delete,
        Some("UPSERT") => Action::Upsert,
        Some(other) => {
            return Err(invalid(other, &format!("{at}.action"), "satisfy enum value set: [CREATE, DELETE, UPSERT]"));
        }
        None => return Err(null(&format!("{at}.action"))),
    };
    let at = format!("{at}.resourceRecordSet");
    let set = element.child("ResourceRecordSet").ok_or_else(|| null(&at))?;
    let name = set.text_of("Name").ok_or_else(|| null(&format!("{at}.name")))?;
    at_most(MAX_NAME_TEXT, name, &format!("{at}.name"))?;
    let rtype = set.text_of("Type").ok_or_else(|| null(&format!("{at}.type")))?;
    let rtype = RecordType::parse(rtype).ok_or_else(|| {
        let all = RecordType::ALL.map(|(_, name, _)| name).join(", ");
        invalid(rtype, &format!("{at}.type"), &format!("satisfy enum value set: [{all}]"))
    })?;
    let set_identifier = set.text_of("SetIdentifier");
    if let Some(identifier) = set_identifier {
        at_most(MAX_IDENTIFIER, identifier, &format!("{at}.setIdentifier"))?;
        if identifier.is_empty() {
            return Err(invalid("", &format!("{at}.setIdentifier"), "have length greater than or equal to 1"));
        }
    }
    let within = format!(
        "Change with [Action={}, Name={name}, Type={rtype}, SetIdentifier={}]",
        action.as_str(),
        set_identifier.unwrap_or("null")
    );
    Ok(Change {
        action,
        name: name.to_owned(),
        rtype,
        set_identifier: set_identifier.map(ToOwned::to_owned),
        routing: routing(set, set_identifier.is_some(), &within)?,
        health_check: set.text_of("HealthCheckId").map(ToOwned::to_owned),
        body: body(set, &at, &within)?,
    })
}

fn routing(set: &Element, identified: bool, within: &str) -> Result<Option<Element>, String> {
    let mut found = set.children.iter().filter(|child| ROUTING.contains(&child.name.as_str()));
    match (found.next(), found.next(), identified) {
        (None, None, false) => Ok(None),
        (Some(element), None, true) => {
            let text = element.text.as_str();
            let valid = match element.name.as_str() {
                "Weight" => text.parse::<u8>().is_ok(),
                "Failover" => matches!(text, "PRIMARY" | "SECONDARY"),
                // Narrow: AWS's page says nothing of what `false` would mean.
                "MultiValueAnswer" => text == "true",
                "Region" => !text.is_empty(),
                _ => !element.children.is_empty(),
            };
            if !valid {
                return Err(format!("Invalid request: Invalid value for field '{}' in {within}", element.name));
            }
            Ok(Some(element.clone()))
        }
        (Some(_), None, false) => Err(format!("Invalid request: Missing field 'SetIdentifier' in {within}")),
        (found, _, _) => {
            let found = if found.is_none() { "none" } else { "more than one" };
            let all = ROUTING.join(", ");
            Err(format!("Invalid request: Expected exactly one of [{all}], but found {found} in {within}"))
        }
    }
}

fn body(set: &Element, at: &str, within: &str) -> Result<ChangeBody, String> {
    let choice = |found: &str| {
        format!(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], \
             or TrafficPolicyInstanceId], but found {found} in {within}"
        )
    };
    let (ttl, records) = (set.text_of("TTL"), set.child("ResourceRecords"));
    let (alias, policy) = (set.child("AliasTarget"), set.text_of("TrafficPolicyInstanceId"));
    let kinds = usize::from(ttl.is_some() || records.is_some()) + usize::from(alias.is_some());
    match (kinds + usize::from(policy.is_some()), ttl, records, alias, policy) {
        (1, Some(ttl), Some(records), ..) => {
            let ttl_at = format!("{at}.tTL");
            let ttl = ttl.parse::<i64>().map_err(|_| invalid(ttl, &ttl_at, "be a number"))?;
            let ttl = u32::try_from(ttl)
                .map_err(|_| invalid(ttl, &ttl_at, "have value between 0 and 2147483647"))
                .and_then(|ttl| {
                    if ttl > MAX_SECONDS {
                        return Err(invalid(ttl, &ttl_at, "have value less than or equal to 2147483647"));
                    }
                    Ok(ttl)
                })?;
            let at = format!("{at}.resourceRecords");
            if records.children.is_empty() {
                return Err(invalid("[]", &at, "have length greater than or equal to 1"));
            }
            let mut values = Vec::with_capacity(records.children.len());
            for (record, number) in records.children.iter().zip(1..) {
                let at = format!("{at}.{number}.member.value");
                let value = record.text_of("Value").ok_or_else(|| null(&at))?;
                at_most(MAX_VALUE, value, &at)?;
                values.push(value.to_owned());
            }
            Ok(ChangeBody::Records { ttl, values })
        }
        (1, None, None, Some(alias), None) => {
            let field = |name: &str| {
                alias.text_of(name).ok_or_else(|| format!("Invalid request: Missing field '{name}' in {within}"))
            };
            Ok(ChangeBody::Alias {
                hosted_zone_id: field("HostedZoneId")?.to_owned(),
                target: field("DNSName")?.to_owned(),
                evaluate_health: field("EvaluateTargetHealth")? == "true",
            })
        }
        (1, None, None, None, Some(policy)) => Ok(ChangeBody::TrafficPolicy(policy.to_owned())),
        (1, None, ..) => Err(format!("Invalid request: Missing field 'TTL' in {within}")),
        (1, ..) => Err(format!("Invalid request: Missing field 'ResourceRecords' in {within}")),
        (0, ..) => Err(choice("none")),
        _ => Err(choice("more than one")),
    }
}

fn at_most(most: usize, text: &str, at: &str) -> Result<(), String> {
    if text.chars().count() > most {
        return Err(invalid(text, at, &format!("have length less than or equal to {most}")));
    }
    Ok(())
}

fn null(at: &str) -> String {
    format!("1 validation error detected: Value null at '{at}' failed to satisfy constraint: Member must not be null")
}

fn invalid(value: impl std::fmt::Display, at: &str, must: &str) -> String {
    format!("1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: Member must {must}")
}
