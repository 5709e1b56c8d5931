//! `plan` and `sync`: the relay's transfer and the worker's plan, in one process.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use secondary53_lambda::guard::{self, Held, Terms, Verdict};
use secondary53_lambda::hosted::HostedSoa;
use secondary53_lambda::plan::Plan;
use secondary53_lambda::route53::{HostedZone, Route53, Route53Error};
use secondary53_lambda::{start, sync as worker};
use secondary53_relay::daemon::Clock;
use secondary53_relay::primary::{self, FetchError, Limits};
use secondary53_zone::message::Approval;
use secondary53_zone::serial::Serial;
use secondary53_zone::zone::Zone;

use crate::args::{Permissions, Target};
use crate::render;

/// Changes are waiting: as terraform has it.
const CHANGES: u8 = 2;

/// Why a command did not do what it is for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No primary gave the zone.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Route 53 did not take part.
    #[error(transparent)]
    Route53(#[from] Route53Error),
    /// The primary's serial is not newer than the hosted zone's.
    #[error(
        "zone {zone} is at serial {hosted} in Route 53, and the primary's serial {primary} is not newer (RFC 1982): \
         raise the primary's serial above {hosted}, then sync again, or pass --accept-rollback"
    )]
    Backwards {
        /// The zone.
        zone: String,
        /// In Route 53.
        hosted: Serial,
        /// At the primary.
        primary: Serial,
    },
    /// A guard holds it.
    #[error("{0}")]
    Held(Held),
    /// It would delete much.
    #[error("{0}: pass --allow-mass-deletion")]
    MassDeletion(Held),
    /// There is nobody to ask.
    #[error("standard input is not a terminal: pass --yes to apply without being asked")]
    NobodyToAsk,
    /// The terminal went away.
    #[error("failed to ask: {0}")]
    Ask(#[from] std::io::Error),
}

/// Shows what would change.
pub async fn plan(target: &Target) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let route53 = client().await;
    let compared = compare(target, &route53).await?;
    print!("{}", render::plan(&compared.desired, &compared.plan));
    compared.refuse_backwards(Terms::default())?;
    if let Err(held) = guard::on_plan(&compared.plan, Terms::default()) {
        println!("! {held}");
    }
    Ok(if compared.plan.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(CHANGES) })
}

/// Shows it, asks, and does it.
pub async fn sync(target: &Target, permissions: Permissions) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let rollback = permissions.accept_rollback.then_some(Approval::Rollback);
    let mass_deletion = permissions.allow_mass_deletion.then_some(Approval::MassDeletion);
    let approved: Vec<Approval> = rollback.into_iter().chain(mass_deletion).collect();
    let terms = Terms { approved: &approved, ..Terms::default() };
    let route53 = client().await;
    let mut compared = compare(target, &route53).await?;
    print!("{}", render::plan(&compared.desired, &compared.plan));
    compared.refuse_backwards(terms)?;
    if compared.plan.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let passed = guard::on_plan(&compared.plan, terms).map_err(CommandError::from)?;
    if !permissions.yes && !asked()? {
        println!("Nothing was changed.");
        return Ok(ExitCode::from(CHANGES));
    }
    let applied = worker::apply(&mut compared.hosted, passed, &compared.desired).await.map_err(CommandError::from)?;
    let batches = applied.map_err(CommandError::from)?;
    println!(
        "Applied in {batches} {}: Route 53 has serial {}.",
        render::plural(batches, "request"),
        compared.desired.serial()
    );
    Ok(ExitCode::SUCCESS)
}

impl From<Held> for CommandError {
    fn from(held: Held) -> Self {
        match held.needs() {
            Some(Approval::MassDeletion) => Self::MassDeletion(held),
            Some(Approval::Rollback) | None => Self::Held(held),
        }
    }
}

struct Compared<'a> {
    hosted: HostedZone<'a>,
    hosted_soa: HostedSoa,
    desired: Zone,
    plan: Plan,
}

impl Compared<'_> {
    fn refuse_backwards(&self, terms: Terms<'_>) -> Result<(), CommandError> {
        match guard::on_serial(&self.hosted_soa, self.desired.serial(), terms) {
            Verdict::Stale => Err(CommandError::Backwards {
                zone: self.desired.apex().to_string(),
                hosted: self.hosted_soa.soa.serial,
                primary: self.desired.serial(),
            }),
            Verdict::Proceed | Verdict::Unchanged => Ok(()),
        }
    }
}

async fn client() -> Route53 {
    Route53::new(&aws_sdk_route53::Client::new(&start::aws().await))
}

async fn compare<'a>(target: &Target, route53: &'a Route53) -> Result<Compared<'a>, CommandError> {
    let fetched = primary::fetch(&target.zone, &[target.primary.into()], Limits::default(), Clock::start()).await?;
    let desired = fetched.transferred.zone;
    let mut hosted = route53.find(&target.zone, target.hosted_zone_id.as_deref()).await?;
    guard::on_zone(&hosted.name, &desired)?;
    let there = hosted.list().await?;
    let hosted_soa = worker::soa_of(&there)?;
    let plan = Plan::new(&there, &desired).map_err(Route53Error::from)?;
    Ok(Compared { hosted, hosted_soa, desired, plan })
}

fn asked() -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::NobodyToAsk);
    }
    print!("Apply this to Route 53? Only 'yes' is taken: ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
