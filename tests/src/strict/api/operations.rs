//! The operations, each from its parameters to an answer or a refusal.

use std::{collections::HashMap, ops::Bound, time::Duration};

use aws_sdk_route53::primitives::{DateTime, DateTimeFormat};
use axum::{http::StatusCode, response::Response};

use super::{Answer, Outcome, Refusal, admit, finish, throttled};
use crate::strict::{
    change,
    log::{Effect, LoggedChange},
    model::{HostedZone, Key, ZoneSpec},
    name::Name,
    policy,
    request::{self, Change, ChangeBody},
    server::{Account, Shared, Submitted},
    syntax::RecordType,
    xml::{self, Element, Malformed},
};

/// RRsets in one page.
const MAX_PAGE: usize = 300;
/// Hosted zones in one page.
const MAX_ZONE_PAGE: usize = 100;

type Params = HashMap<String, String>;

/// Processes one batch, and no other for the same zone meanwhile.
pub(super) async fn change_rrsets(shared: &Shared, id: &str, body: &[u8]) -> Response {
    const ACTION: &str = "ChangeResourceRecordSets";
    let at = shared.config.clock.now();
    let (batch, outcome) = match begin(shared, ACTION, id, body, at) {
        Ok(batch) => {
            if !shared.config.processing.is_zero() {
                shared.config.clock.reach(at + shared.config.processing).await;
            }
            let outcome = complete(shared, id, &batch);
            (Some(batch), outcome)
        }
        Err((batch, refusal)) => (batch, Err(refusal)),
    };
    let changes = batch.map(|batch| batch.changes).unwrap_or_default();
    let effects = outcome.as_ref().map(|(_, effects)| effects.as_slice()).unwrap_or_default();
    let logged = changes.iter().enumerate().map(|(at, change)| logged(change, effects.get(at).copied())).collect();
    finish(shared, ACTION, Some(id), at, logged, outcome.map(|(answer, _)| answer))
}

struct Batch {
    comment: Option<String>,
    changes: Vec<Change>,
}

/// Up to the point where the zone is busy with the batch.
fn begin(
    shared: &Shared,
    action: &'static str,
    id: &str,
    body: &[u8],
    now: Duration,
) -> Result<Batch, (Option<Batch>, Refusal)> {
    admit(shared, action, now).map_err(|refusal| (None, refusal))?;
    let request = xml::parse(body, "ChangeResourceRecordSetsRequest").map_err(|error| (None, malformed(&error)))?;
    let changes = request::changes(&request).map_err(|text| (None, Refusal::bad("InvalidInput", text)))?;
    let comment = request.child("ChangeBatch").and_then(|batch| batch.text_of("Comment"));
    let batch = Batch { comment: comment.map(ToOwned::to_owned), changes };
    let mut account = shared.account();
    let account = &mut *account;
    if account.denied.iter().any(|denial| batch.changes.iter().any(|change| denial.concerns(change))) {
        return Err((Some(batch), Refusal::with_status(StatusCode::FORBIDDEN, "AccessDenied", policy::words(id))));
    }
    let zone = match account.zones.get_mut(id).ok_or_else(|| no_such_zone(id)) {
        Ok(zone) => zone,
        Err(refusal) => return Err((Some(batch), refusal)),
    };
    if zone.busy {
        let message = "The request was rejected because Route 53 was still processing a prior request.";
        return Err((Some(batch), Refusal::bad("PriorRequestNotComplete", message)));
    }
    // A batch that is refused afterwards has cost its tokens (narrow: AWS does not say).
    let cost = batch.changes.iter().map(|change| change.action.weight()).sum::<usize>();
    if !account.rates.admit_changes(u32::try_from(cost).unwrap_or(u32::MAX), now) {
        return Err((Some(batch), throttled()));
    }
    zone.busy = true;
    Ok(batch)
}

/// Applies the batch and leaves the zone to the next.
fn complete(shared: &Shared, id: &str, batch: &Batch) -> Result<(Answer, Vec<Effect>), Refusal> {
    let now = shared.config.clock.now();
    let mut account = shared.account();
    // Deleted while the batch was being processed.
    let zone = account.zones.get_mut(id).ok_or_else(|| no_such_zone(id))?;
    zone.busy = false;
    let applied = change::apply(zone, &batch.changes, shared.config.max_rrsets)
        .map_err(|errors| Refusal::bad("InvalidChangeBatch", format!("[{}]", errors.join(", "))))?;
    let in_sync_at = now + shared.config.propagation;
    zone.replace(applied.rrsets, in_sync_at);
    let info = submit(&mut account, &Submitted { at: now, in_sync_at, comment: batch.comment.clone() });
    Ok((Element::new("ChangeResourceRecordSetsResponse").with(info).into(), applied.effects))
}

fn logged(change: &Change, effect: Option<Effect>) -> LoggedChange {
    let (ttl, values) = match &change.body {
        ChangeBody::Records { ttl, values } => (Some(*ttl), values.clone()),
        ChangeBody::Alias { .. } | ChangeBody::TrafficPolicy(_) => (None, Vec::new()),
    };
    LoggedChange {
        action: change.action.as_str(),
        name: change.name.clone(),
        rtype: change.rtype.as_str(),
        set_identifier: change.set_identifier.clone(),
        ttl,
        values,
        effect,
    }
}

pub(super) fn list_rrsets(shared: &Shared, id: &str, params: &Params) -> Outcome {
    let input = |message: &str| Refusal::bad("InvalidInput", message);
    let (name, rtype, identifier) = (params.get("name"), params.get("type"), params.get("identifier"));
    if rtype.is_some() && name.is_none() {
        return Err(input("The request must specify a start record name with a start record type."));
    }
    if identifier.is_some() && rtype.is_none() {
        return Err(input("The request must specify a start record type with a start record identifier."));
    }
    let max_items = max_items(params, MAX_PAGE)?;
    let name = name.map(|name| Name::parse(name)).transpose().map_err(|fault| input(&fault.to_string()))?;
    let rtype = match rtype {
        Some(text) => RecordType::parse(text).ok_or_else(|| input("The start record type is not supported."))?,
        None => RecordType::ALL[0].0,
    };
    let start =
        name.map_or(Bound::Unbounded, |name| Bound::Included(Key { name, rtype, set_identifier: identifier.cloned() }));
    let account = shared.account();
    let zone = account.zones.get(id).ok_or_else(|| no_such_zone(id))?;
    let mut rest = zone.rrsets.range((start, Bound::Unbounded)).map(|(_, set)| set);
    let page = Element::new("ResourceRecordSets").with_all(rest.by_ref().take(max_items).map(|set| set.to_element()));
    let next = rest.next().map(|set| &set.key);
    Ok(Element::new("ListResourceRecordSetsResponse")
        .with(page)
        .with(Element::leaf("IsTruncated", &next.is_some()))
        .with_all(next.map(|key| Element::leaf("NextRecordName", &key.name)))
        .with_all(next.map(|key| Element::leaf("NextRecordType", &key.rtype)))
        .with_all(next.and_then(|key| key.set_identifier.as_ref()).map(|id| Element::leaf("NextRecordIdentifier", id)))
        .with(Element::leaf("MaxItems", &max_items))
        .into())
}

pub(super) fn get_zone(shared: &Shared, id: &str) -> Outcome {
    let account = shared.account();
    let zone = account.zones.get(id).ok_or_else(|| no_such_zone(id))?;
    let response = Element::new("GetHostedZoneResponse").with(zone_element(zone));
    // A private zone has VPCs in the place of name servers.
    let rest = if zone.private { vpcs() } else { delegation_set(zone) };
    Ok(response.with(rest).into())
}

pub(super) fn get_zone_limit(shared: &Shared, id: &str, limit: &str) -> Outcome {
    let account = shared.account();
    let zone = account.zones.get(id).ok_or_else(|| no_such_zone(id))?;
    let (value, count) = match limit {
        "MAX_RRSETS_BY_ZONE" => (shared.config.max_rrsets, zone.rrsets.len()),
        "MAX_VPCS_ASSOCIATED_BY_ZONE" if zone.private => (300, 1),
        "MAX_VPCS_ASSOCIATED_BY_ZONE" => {
            return Err(Refusal::bad("HostedZoneNotPrivate", "The specified hosted zone is a public hosted zone."));
        }
        other => return Err(Refusal::bad("InvalidInput", format!("Value '{other}' is not a limit of a hosted zone"))),
    };
    let limit = Element::new("Limit").with(Element::leaf("Type", &limit)).with(Element::leaf("Value", &value));
    Ok(Element::new("GetHostedZoneLimitResponse").with(limit).with(Element::leaf("Count", &count)).into())
}

pub(super) fn get_change(shared: &Shared, id: &str, now: Duration) -> Outcome {
    let account = shared.account();
    let submitted = account.submitted.get(id).ok_or_else(|| {
        let message = format!("Could not find resource with ID: {id}");
        Refusal::with_status(StatusCode::NOT_FOUND, "NoSuchChange", message)
    })?;
    let in_sync = submitted.in_sync_at <= now;
    Ok(Element::new("GetChangeResponse").with(change_info(id, submitted, in_sync)).into())
}

pub(super) fn list_zones(shared: &Shared, params: &Params) -> Outcome {
    let max_items = max_items(params, MAX_ZONE_PAGE)?;
    if params.contains_key("delegationsetid") {
        return Err(Refusal::bad("NoSuchDelegationSet", "The strict hosted zone has no reusable delegation sets"));
    }
    let only_private = match params.get("hostedzonetype").map(String::as_str) {
        None => false,
        Some("PrivateHostedZone") => true,
        Some(other) => {
            return Err(Refusal::bad("InvalidInput", format!("Value '{other}' is not a type of hosted zone")));
        }
    };
    let start = params.get("marker").map(String::as_str).unwrap_or_default();
    let account = shared.account();
    let from_start = account.zones.range::<str, _>((Bound::Included(start), Bound::Unbounded));
    let mut rest = from_start.map(|(_, zone)| zone).filter(|zone| zone.private || !only_private);
    let page = Element::new("HostedZones").with_all(rest.by_ref().take(max_items).map(zone_element));
    let next = rest.next();
    Ok(Element::new("ListHostedZonesResponse")
        .with(page)
        .with_all(params.get("marker").map(|marker| Element::leaf("Marker", marker)))
        .with(Element::leaf("IsTruncated", &next.is_some()))
        .with_all(next.map(|zone| Element::leaf("NextMarker", &zone.id)))
        .with(Element::leaf("MaxItems", &max_items))
        .into())
}

/// Starts at a name and goes on to the end of the account: the first zone need not have that name.
pub(super) fn list_zones_by_name(shared: &Shared, params: &Params) -> Outcome {
    let max_items = max_items(params, MAX_ZONE_PAGE)?;
    let (name, id) = (params.get("dnsname"), params.get("hostedzoneid"));
    if id.is_some() && name.is_none() {
        return Err(Refusal::bad("InvalidInput", "The request must specify a DNS name with a hosted zone ID."));
    }
    let start = match name {
        Some(text) => {
            let fault = |fault: crate::strict::syntax::Fault| Refusal::bad("InvalidDomainName", fault.to_string());
            Some((Name::parse(text).map_err(fault)?, id.map(|id| bare(id).to_owned()).unwrap_or_default()))
        }
        None => None,
    };
    let account = shared.account();
    let mut zones: Vec<_> = account.zones.values().collect();
    zones.sort_by_key(|zone| (&zone.name, &zone.id));
    let mut rest = zones
        .into_iter()
        .skip_while(|zone| start.as_ref().is_some_and(|(name, id)| (&zone.name, &zone.id) < (name, id)));
    let page = Element::new("HostedZones").with_all(rest.by_ref().take(max_items).map(zone_element));
    let next = rest.next();
    Ok(Element::new("ListHostedZonesByNameResponse")
        .with(page)
        .with_all(name.map(|name| Element::leaf("DNSName", name)))
        .with_all(id.map(|id| Element::leaf("HostedZoneId", id)))
        .with(Element::leaf("IsTruncated", &next.is_some()))
        .with_all(next.map(|zone| Element::leaf("NextDNSName", &zone.name)))
        .with_all(next.map(|zone| Element::leaf("NextHostedZoneId", &zone.id)))
        .with(Element::leaf("MaxItems", &max_items))
        .into())
}

pub(super) fn create_zone(shared: &Shared, body: &[u8], now: Duration) -> Outcome {
    let request = xml::parse(body, "CreateHostedZoneRequest").map_err(|error| malformed(&error))?;
    let field = |name: &str| {
        request
            .text_of(name)
            .ok_or_else(|| Refusal::bad("InvalidInput", format!("Invalid request: Missing field '{name}'")))
    };
    let (name, reference) = (field("Name")?, field("CallerReference")?);
    let config = request.child("HostedZoneConfig");
    let private = config.and_then(|config| config.text_of("PrivateZone")) == Some("true");
    if private != request.child("VPC").is_some() {
        return Err(Refusal::bad("InvalidInput", "A private hosted zone, and only a private one, needs a VPC"));
    }
    if let Some(set) = request.text_of("DelegationSetId").filter(|set| !set.is_empty()) {
        let message = format!("The specified delegation set does not exist: {set}");
        return Err(Refusal::bad("NoSuchDelegationSet", message));
    }
    let mut account = shared.account();
    if account.zones.values().any(|zone| zone.caller_reference == reference) {
        let message =
            format!("A hosted zone has already been created with the specified caller reference: {reference}");
        return Err(Refusal::with_status(StatusCode::CONFLICT, "HostedZoneAlreadyExists", message));
    }
    let spec = ZoneSpec { private, ..ZoneSpec::public(name) };
    let id = account
        .create_zone(&spec, Some(reference))
        .map_err(|fault| Refusal::bad("InvalidDomainName", fault.to_string()))?;
    let info = submit(&mut account, &Submitted { at: now, in_sync_at: now + shared.config.propagation, comment: None });
    let zone = account.zones.get_mut(&id).ok_or_else(|| no_such_zone(&id))?;
    zone.comment = config.and_then(|config| config.text_of("Comment")).map(ToOwned::to_owned);
    let response = Element::new("CreateHostedZoneResponse").with(zone_element(zone)).with(info);
    let body = response.with(if private { vpc() } else { delegation_set(zone) });
    let location = format!("https://route53.amazonaws.com/2013-04-01/hostedzone/{id}");
    Ok(Answer { status: StatusCode::CREATED, location: Some(location), body })
}

pub(super) fn delete_zone(shared: &Shared, id: &str, now: Duration) -> Outcome {
    let mut account = shared.account();
    let zone = account.zones.get(id).ok_or_else(|| no_such_zone(id))?;
    if !zone.is_bare() {
        let message = "The specified hosted zone contains non-required resource record sets and so cannot be deleted.";
        return Err(Refusal::bad("HostedZoneNotEmpty", message));
    }
    account.zones.remove(id);
    let info = submit(&mut account, &Submitted { at: now, in_sync_at: now + shared.config.propagation, comment: None });
    Ok(Element::new("DeleteHostedZoneResponse").with(info).into())
}

/// Notes a change and tells of it: as the answer to the request itself it is always `PENDING`.
fn submit(account: &mut Account, submitted: &Submitted) -> Element {
    let id = account.submit(submitted.clone());
    change_info(&id, submitted, false)
}

fn change_info(id: &str, submitted: &Submitted, in_sync: bool) -> Element {
    // Past the year 9999 there is no such format; the epoch will do there.
    let at = i64::try_from(submitted.at.as_secs()).unwrap_or_default();
    let at =
        DateTime::from_secs(at).fmt(DateTimeFormat::DateTime).unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned());
    Element::new("ChangeInfo")
        .with(Element::leaf("Id", &format!("/change/{id}")))
        .with(Element::leaf("Status", if in_sync { "INSYNC" } else { "PENDING" }))
        .with(Element::leaf("SubmittedAt", &at))
        .with_all(submitted.comment.as_ref().map(|comment| Element::leaf("Comment", comment)))
}

fn zone_element(zone: &HostedZone) -> Element {
    Element::new("HostedZone")
        .with(Element::leaf("Id", &format!("/hostedzone/{}", zone.id)))
        .with(Element::leaf("Name", &zone.name))
        .with(Element::leaf("CallerReference", &zone.caller_reference))
        .with(
            Element::new("Config")
                .with_all(zone.comment.as_ref().map(|comment| Element::leaf("Comment", comment)))
                .with(Element::leaf("PrivateZone", &zone.private)),
        )
        .with(Element::leaf("ResourceRecordSetCount", &zone.rrsets.len()))
}

fn delegation_set(zone: &HostedZone) -> Element {
    let servers = zone.name_servers();
    let servers = servers.iter().map(|server| Element::leaf("NameServer", server));
    Element::new("DelegationSet").with(Element::new("NameServers").with_all(servers))
}

fn vpcs() -> Element {
    Element::new("VPCs").with(vpc())
}

fn vpc() -> Element {
    Element::new("VPC").with(Element::leaf("VPCRegion", "eu-west-1")).with(Element::leaf("VPCId", "vpc-00000000"))
}

/// Ids come with and without their prefix.
fn bare(id: &str) -> &str {
    id.strip_prefix("/hostedzone/").unwrap_or(id)
}

/// Items in a page: as many as asked for, but never more than `most`.
fn max_items(params: &Params, most: usize) -> Result<usize, Refusal> {
    match params.get("maxitems").map(|text| text.parse::<usize>()) {
        None => Ok(most),
        Some(Ok(items)) if items > 0 => Ok(items.min(most)),
        Some(_) => Err(Refusal::bad("InvalidInput", "The value of MaxItems is not a positive number.")),
    }
}

fn no_such_zone(id: &str) -> Refusal {
    Refusal::with_status(StatusCode::NOT_FOUND, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}"))
}

fn malformed(error: &Malformed) -> Refusal {
    Refusal::bad("MalformedInput", format!("The XML you provided {error}"))
}
