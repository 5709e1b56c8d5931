//! Route 53's API: find a hosted zone, read it, change it.
//!
//! What was throttled, what met `PriorRequestNotComplete` and what got no answer is sent again: here and not by the SDK, so
//! that each attempt waits for its turn, is counted, and ends before the invocation does. That holds for changes too, and
//! rightly: each is DELETE of what is there and CREATE of what is not, so one that was applied though its answer was lost is
//! refused the second time, and the zone is read anew.

mod attempt;
mod create;
mod insync;
mod quota;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_route53::Client;
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{self, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use secondary53_zone::name::Name;
use secondary53_zone::rrset::Rtype;
use tokio::sync::watch;

use self::attempt::Attempts;
pub use self::create::Creation;
use crate::batch::{Action, Batch, Item};
use crate::handler;
use crate::hosted::{HostedError, HostedRrset, HostedSoa, sort_hosted};
use crate::pace::Pace;
use crate::settings::WORKERS;
use crate::turns::{OutOfTime, Turns};
use crate::value;

/// RRsets in one page: the most that Route 53 gives (`ListResourceRecordSets`).
const PAGE: i32 = 300;
/// Pages of one hosted zone: 600,000 RRsets, sixty times the default quota. A bound, so that no answer makes us loop.
const MAX_PAGES: u32 = 2_000;
/// Pages of hosted zones that share one name.
const MAX_ZONE_PAGES: u32 = 10;
/// The longest comment of a change (`ChangeBatch`).
const MAX_COMMENT: usize = 256;
/// The action that changes a hosted zone.
const CHANGE: &str = "ChangeResourceRecordSets";
/// In the place of AWS's code, where the SDK did not take a request.
const NOT_SENT: &str = "not sent";

/// Why Route 53 did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Route53Error {
    /// No hosted zone has the name.
    #[error(
        "no hosted zone has the name {0}: create it (aws route53 create-hosted-zone --name {0} --caller-reference {0}) and \
         replay this message"
    )]
    NoHostedZone(Name),
    /// More than one has it.
    #[error(
        "{count} {kind} hosted zones have the name {name}: name one as hosted_zone_id in the relay's configuration of the zone"
    )]
    SeveralHostedZones {
        /// The name.
        name: Name,
        /// "public" or "private".
        kind: &'static str,
        /// How many.
        count: usize,
    },
    /// The hosted zone that was to be made has been made before.
    #[error("a hosted zone was made of this snapshot before, and is there no more: the next snapshot makes another")]
    AlreadyMade,
    /// No hosted zone has the id.
    #[error(
        "there is no hosted zone {0}: was it deleted? Mend hosted_zone_id in the relay's configuration of the zone"
    )]
    NoSuchHostedZone(String),
    /// The hosted zone that the message names has another name.
    #[error("hosted zone {id} is {found:?}, not {name}: mend hosted_zone_id in the relay's configuration of the zone")]
    OtherName {
        /// The hosted zone's id.
        id: String,
        /// The snapshot's zone.
        name: Name,
        /// The hosted zone's name.
        found: String,
    },
    /// `InvalidChangeBatch`: at least one change does not fit what is there, or cannot be. Nothing of the batch was done.
    #[error("Route 53 refused the changes: {0}")]
    InvalidChangeBatch(String),
    /// IAM does not allow the function all of these changes: a policy may name types and names. Nothing of the batch was
    /// done.
    #[error(
        "the function may not make the changes: {0}; give its role route53:ChangeResourceRecordSets for the hosted zone"
    )]
    Denied(String),
    /// Asking again will not help.
    #[error("Route 53 refused {operation}: {code}: {message}")]
    Refused {
        /// The API's action.
        operation: &'static str,
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// Asking again may help.
    #[error("failed to reach Route 53 for {operation}: {message}")]
    Unavailable {
        /// The API's action.
        operation: &'static str,
        /// What happened.
        message: String,
    },
    /// The next attempt would be too late for this invocation.
    #[error("there is no time left for {operation} in this invocation")]
    OutOfTime {
        /// The API's action.
        operation: &'static str,
    },
    /// The answer was not understood.
    #[error(transparent)]
    Answer(#[from] HostedError),
    /// Every time that the zone was read, something was there that its changes did not fit.
    #[error("someone else keeps changing the hosted zone while it is worked on; Route 53 last refused: {0}")]
    Unsettled(String),
    /// An answer that does not end.
    #[error("Route 53's answer to {operation} does not end")]
    Endless {
        /// The API's action.
        operation: &'static str,
    },
}

impl Route53Error {
    /// Whether the same request may succeed later, with nothing changed by anyone.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::OutOfTime { .. } | Self::Unsettled(_) | Self::Endless { .. })
    }
}

/// The API, and the ids of the zones that were found.
#[derive(Debug)]
pub struct Route53 {
    client: Client,
    turns: Turns,
    /// By name, and by the id that was asked for: hosted zones may share a name.
    ids: Mutex<HashMap<(Name, Option<String>), String>>,
}

/// One hosted zone, and how many calls it took so far.
#[derive(Debug)]
pub struct HostedZone<'a> {
    client: &'a Client,
    turns: &'a Turns,
    /// Without `/hostedzone/`.
    pub id: String,
    /// The zone's name.
    pub name: Name,
    /// What was asked, what was asked again counted again.
    pub calls: u32,
    /// How often Route 53 said to slow down, or that the zone was busy.
    pub throttles: u32,
    /// Batches that were applied.
    pub applied: u32,
    /// Nothing is asked after this time since 1970-01-01T00:00:00Z: it is [`Route53Error::OutOfTime`] instead.
    pub stop_at: Option<Duration>,
    /// Told of [`HostedZone::applied`] after each batch: for who looks on.
    pub onlooker: Option<watch::Sender<u32>>,
    /// Where it has been asked for.
    known_quota: Option<usize>,
    /// The id of the change that was made last.
    last_change: Option<String>,
}

impl Route53 {
    /// Takes a client, whose retries are turned off, and goes at the pace of one of [`WORKERS`].
    pub fn new(client: &Client) -> Self {
        Self::with_turns(client, Turns::new(Pace::of(WORKERS), handler::clock))
    }

    /// The same at another pace.
    pub fn with_turns(client: &Client, turns: Turns) -> Self {
        let config = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), turns, ids: Mutex::default() }
    }

    /// Finds the hosted zone of a name: the one with `id` where that is given, else the only public one, else the only
    /// private one.
    pub async fn find(&self, name: &Name, id: Option<&str>) -> Result<HostedZone<'_>, Route53Error> {
        self.find_by(name, id, None).await
    }

    /// The same, and nothing is asked after `stop_at`: [`HostedZone::stop_at`].
    pub async fn find_by(
        &self,
        name: &Name,
        id: Option<&str>,
        stop_at: Option<Duration>,
    ) -> Result<HostedZone<'_>, Route53Error> {
        let wanted = (name.clone(), id.map(ToOwned::to_owned));
        let cached = self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(&wanted).cloned();
        let mut hosted = self.hosted(name, id, stop_at);
        hosted.id = match (cached, id) {
            (Some(cached), _) => cached,
            (None, Some(_)) => hosted.check().await?,
            (None, None) => hosted.search().await?,
        };
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(wanted, hosted.id.clone());
        Ok(hosted)
    }

    fn hosted(&self, name: &Name, id: Option<&str>, stop_at: Option<Duration>) -> HostedZone<'_> {
        HostedZone {
            client: &self.client,
            turns: &self.turns,
            // Until the id is known it is the name that stands in the lines.
            id: id.map_or_else(|| name.to_string(), |id| bare_id(id).to_owned()),
            name: name.clone(),
            calls: 0,
            throttles: 0,
            applied: 0,
            stop_at,
            onlooker: None,
            known_quota: None,
            last_change: None,
        }
    }

    /// Forgets where a zone was: it may have been deleted and made anew.
    pub fn forget(&self, name: &Name) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).retain(|(found, _), _| found != name);
    }
}

fn only(name: &Name, public: Vec<String>, private: Vec<String>) -> Result<String, Route53Error> {
    let (kind, mut ids) = if public.is_empty() { ("private", private) } else { ("public", public) };
    match (ids.pop(), ids.len()) {
        (Some(id), 0) => Ok(id),
        (Some(_), others) => Err(Route53Error::SeveralHostedZones { name: name.clone(), kind, count: others + 1 }),
        (None, _) => Err(Route53Error::NoHostedZone(name.clone())),
    }
}

impl HostedZone<'_> {
    async fn check(&mut self) -> Result<String, Route53Error> {
        let request = self.client.get_hosted_zone().id(&self.id);
        let answer = self.attempts("GetHostedZone").ask(|| request.clone().send()).await?;
        let found = answer.hosted_zone().map(types::HostedZone::name).unwrap_or_default();
        if value::parse_name(found).is_ok_and(|found| found == self.name) {
            return Ok(self.id.clone());
        }
        Err(Route53Error::OtherName { id: self.id.clone(), name: self.name.clone(), found: found.to_owned() })
    }

    async fn search(&mut self) -> Result<String, Route53Error> {
        const OPERATION: &str = "ListHostedZonesByName";
        let name = self.name.clone();
        let (mut public, mut private) = (Vec::new(), Vec::new());
        let mut next_id = None;
        for _ in 0..MAX_ZONE_PAGES {
            let page = self.client.list_hosted_zones_by_name();
            let page = page.dns_name(value::name_text(name.by_ref())).set_hosted_zone_id(next_id);
            let answer = self.attempts(OPERATION).ask(|| page.clone().send()).await?;
            // The list begins at the name and goes on to those after it.
            let is_named = |text: &str| value::parse_name(text).is_ok_and(|found| found == name);
            for zone in answer.hosted_zones().iter().filter(|zone| is_named(zone.name())) {
                let is_private = zone.config().is_some_and(types::HostedZoneConfig::private_zone);
                let ids = if is_private { &mut private } else { &mut public };
                ids.push(bare_id(zone.id()).to_owned());
            }
            next_id = answer.next_hosted_zone_id().map(ToOwned::to_owned);
            if !answer.is_truncated() || !answer.next_dns_name().is_some_and(is_named) {
                return only(&name, public, private);
            }
        }
        Err(Route53Error::Endless { operation: OPERATION })
    }

    /// Reads the SOA, in one call.
    pub async fn soa(&mut self) -> Result<HostedSoa, Route53Error> {
        let apex = value::name_text(self.name.by_ref());
        let page = self.client.list_resource_record_sets().hosted_zone_id(&self.id);
        let page = page.start_record_name(apex).start_record_type(RrType::Soa).max_items(1);
        let answer = self.attempts("ListResourceRecordSets").ask(|| page.clone().send()).await?;
        let first = answer.resource_record_sets().first().ok_or(HostedError::NoSoa)?;
        let rrset = HostedRrset::try_from(first)?.text;
        if (&rrset.name, rrset.rtype) != (&self.name, Rtype::SOA) {
            return Err(HostedError::NoSoa.into());
        }
        Ok(HostedSoa::read(&rrset)?)
    }

    /// Reads all that it holds, page by page, in the order that a plan goes by.
    pub async fn list(&mut self) -> Result<Vec<HostedRrset>, Route53Error> {
        const OPERATION: &str = "ListResourceRecordSets";
        let mut rrsets = Vec::new();
        let (mut name, mut rtype, mut identifier) = (None, None, None);
        for _ in 0..MAX_PAGES {
            let page = self.client.list_resource_record_sets().hosted_zone_id(&self.id).max_items(PAGE);
            let page = page.set_start_record_name(name).set_start_record_type(rtype);
            let page = page.set_start_record_identifier(identifier);
            let answer = self.attempts(OPERATION).ask(|| page.clone().send()).await?;
            for set in answer.resource_record_sets() {
                rrsets.push(HostedRrset::try_from(set)?);
            }
            if !answer.is_truncated() {
                sort_hosted(&mut rrsets);
                return Ok(rrsets);
            }
            name = answer.next_record_name;
            rtype = answer.next_record_type;
            identifier = answer.next_record_identifier;
        }
        Err(Route53Error::Endless { operation: OPERATION })
    }

    /// Applies one batch, all of it or nothing.
    pub async fn change(&mut self, batch: &Batch, comment: &str) -> Result<(), Route53Error> {
        let comment: String = comment.chars().take(MAX_COMMENT).collect();
        let changes = batch.items.iter().map(change_of).collect::<Result<Vec<_>, _>>();
        let changes =
            changes.and_then(|changes| ChangeBatch::builder().comment(comment).set_changes(Some(changes)).build());
        // Only a field that was forgotten above makes a builder fail.
        let changes = changes.map_err(|error| refused(CHANGE, &error))?;
        let request = self.client.change_resource_record_sets().hosted_zone_id(&self.id).change_batch(changes);
        // Once, however often it is sent: what was throttled was not charged for.
        let turn = self.turns.changes(batch.changes(), &self.id, self.stop_at).await;
        turn.map_err(|OutOfTime| Route53Error::OutOfTime { operation: CHANGE })?;
        let answer = self.attempts(CHANGE).ask(|| request.clone().send()).await?;
        self.applied += 1;
        self.last_change = answer.change_info().map(|info| bare_id(info.id()).to_owned());
        if let Some(onlooker) = &self.onlooker {
            onlooker.send_replace(self.applied);
        }
        Ok(())
    }

    /// The same for what must not be left as it is, whether or not there is time for more.
    pub async fn change_at_any_time(&mut self, batch: &Batch, comment: &str) -> Result<(), Route53Error> {
        let stop_at = self.stop_at.take();
        let answer = self.change(batch, comment).await;
        self.stop_at = stop_at;
        answer
    }

    fn attempts(&mut self, operation: &'static str) -> Attempts<'_> {
        Attempts {
            operation,
            turns: self.turns,
            id: &self.id,
            stop_at: self.stop_at,
            calls: &mut self.calls,
            throttles: &mut self.throttles,
        }
    }
}

fn change_of(item: &Item) -> Result<types::Change, BuildError> {
    let action = match item.action {
        Action::Delete => ChangeAction::Delete,
        Action::Create => ChangeAction::Create,
        Action::Upsert => ChangeAction::Upsert,
    };
    let records = item.rrset.values.iter().map(|value| ResourceRecord::builder().value(value).build());
    let set = ResourceRecordSet::builder()
        .name(value::name_text(item.rrset.name.by_ref()))
        .r#type(RrType::from(item.rrset.rtype.to_string().as_str()))
        .ttl(i64::from(item.rrset.ttl))
        .set_resource_records(Some(records.collect::<Result<_, _>>()?))
        .build()?;
    types::Change::builder().action(action).resource_record_set(set).build()
}

/// Ids come with and without `/hostedzone/`.
fn bare_id(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

fn refused(operation: &'static str, error: &BuildError) -> Route53Error {
    Route53Error::Refused { operation, code: NOT_SENT.to_owned(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_zone_goes_before_a_private_one_and_two_are_an_error() {
        let name = Name::parse("example.com").unwrap();
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(only(&name, ids(&["ZPUB"]), ids(&["ZPRIV"])).unwrap(), "ZPUB");
        assert_eq!(only(&name, ids(&[]), ids(&["ZPRIV"])).unwrap(), "ZPRIV");
        let several = only(&name, ids(&["Z1", "Z2"]), ids(&[])).unwrap_err().to_string();
        assert_eq!(
            several,
            "2 public hosted zones have the name example.com.: name one as hosted_zone_id in the relay's configuration of the zone"
        );
        assert!(matches!(only(&name, ids(&[]), ids(&[])), Err(Route53Error::NoHostedZone(_))));
    }

    #[test]
    fn ids_come_with_and_without_a_path() {
        assert_eq!(bare_id("/hostedzone/Z1"), "Z1");
        assert_eq!(bare_id("Z1"), "Z1");
    }
}
