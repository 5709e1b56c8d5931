//! What syncing costs in calls of Route 53's API: the reference zone for the first time, with one record changed, and with
//! nothing changed. The hosted zone's id is known. None of it depends on the machine.

use std::time::Duration;

use aws_sdk_route53::Client;
use aws_sdk_route53::config::{BehaviorVersion, Credentials, Region};
use secondary53_aws::Https;
use secondary53_lambda::guard::Terms;
use secondary53_lambda::handler;
use secondary53_lambda::pace::{Pace, Rate};
use secondary53_lambda::refusals::Refusals;
use secondary53_lambda::route53::Route53;
use secondary53_lambda::sync::sync;
use secondary53_lambda::turns::Turns;
use secondary53_zone::delta::Delta;
use secondary53_zone::message::{Message, Meta, Reason};
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::{Limits, Zone};

use crate::stack::usage;
use crate::strict::{Config, Server, ZoneSpec};
use crate::zones::{one_changed, reference};

/// Calls are counted here, not timed.
const UNLIMITED: Pace = {
    const ANY: Rate = Rate { burst: u32::MAX, per_second: u32::MAX };
    Pace { requests: ANY, changes: ANY, ..Pace::of(1) }
};

/// What one step took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// What was done.
    pub what: &'static str,
    /// Calls of the API.
    pub calls: usize,
    /// Of these, requests that change something: batches.
    pub batches: usize,
    /// What Route 53 counts in them: CREATE and DELETE as one, UPSERT as two.
    pub changes: u32,
    /// Octets of the message that brings it.
    pub octets: usize,
    /// What the worker took, in this process, from the decoding to the last answer: by the clock, and so of this machine.
    pub took: Duration,
}

/// Brings a hosted zone up to the reference zone of so many records, and on.
///
/// # Errors
/// Something of it failed.
pub async fn costs(records: usize) -> Result<Vec<Cost>, Box<dyn std::error::Error>> {
    let zones = vec![ZoneSpec::public("example.com")];
    let server = Server::start(Config { zones, max_rrsets: 200_000, ..Config::default() }).await?;
    let route53 = Route53::with_turns(&client(&server.endpoint()), Turns::new(UNLIMITED, handler::clock));
    let first = Snapshot::new(reference(records)?);
    let second = one_changed(first.zone())?;
    let third = Snapshot::new(one_changed(&second)?);
    // As the relay makes it, where it makes one.
    let delta = |base: &Snapshot, zone: &Zone| Delta::between(base, zone, zone.rrsets().count() / 4);
    let second = Snapshot::new(second.clone()).with_delta(delta(&first, &second));
    route53.find(first.zone().apex(), None).await?;
    let limits = Limits { records: 1_000_000, ..Limits::default() };
    let steps = [
        ("first sync", &first, false),
        ("one record changed, and the relay says what", &second, true),
        ("one record changed, and the zone is read", &third, true),
        ("nothing changed", &third, true),
        ("nothing changed, compared in full", &third, false),
    ];
    let mut costs = Vec::with_capacity(steps.len());
    for (what, snapshot, trusts_serial) in steps {
        server.reset_calls();
        let message = Message::new(snapshot, Reason::Notify, Meta::default())?;
        let began = usage::now();
        let snapshot = message.snapshot(limits)?;
        let mut hosted = route53.find(snapshot.zone().apex(), None).await?;
        let terms = Terms { trusts_serial, ..Terms::default() };
        sync(&mut hosted, &snapshot, terms, &Refusals::default()).await?;
        let took = began.elapsed();
        let calls = server.calls();
        let batches = calls.iter().filter(|call| call.action == "ChangeResourceRecordSets");
        let changes = batches.clone().flat_map(|call| &call.changes);
        let changes = changes.map(|change| if change.action == "UPSERT" { 2 } else { 1 }).sum();
        let (calls, batches, octets) = (calls.len(), batches.count(), message.octets());
        costs.push(Cost { what, calls, batches, changes, octets, took });
    }
    Ok(costs)
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "calls"))
        .endpoint_url(endpoint)
        .http_client(Https::new().shared())
        .build();
    Client::from_conf(config)
}
