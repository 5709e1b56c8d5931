//! `sync`: shows it, asks, and does it.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;
use secondary53_lambda::batch::Batches;
use secondary53_lambda::guard::{self, Terms};
use secondary53_lambda::isolate::{Refused, Rejection};
use secondary53_lambda::refusals::Refusals;
use secondary53_lambda::route53::{HostedZone, Route53Error};
use secondary53_lambda::sync::{self as worker, Outcome};
use secondary53_zone::message::Approval;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;
use serde_json::json;
use tokio::sync::watch;

use crate::args::{Aws, Permissions, Source};
use crate::compare::{Compared, told};
use crate::plan::{All, compare, shown, why};
use crate::source::Zones;
use crate::terminal::{ADDED, REMOVED, Terminal, asked, counted, print};
use crate::{Failed, aws, interrupt, json};

/// Between two looks at whether Route 53's name servers have it.
const LOOK: Duration = Duration::from_secs(2);
/// Looks, at most: ten minutes of them, where Route 53 takes one, mostly.
const LOOKS: u32 = 300;
/// How often at most a zone is compared that somebody else changes meanwhile.
const COMPARISONS: u32 = 5;

/// What became of a zone.
enum Done {
    Nothing,
    NotConfirmed,
    Applied,
    /// Route 53 did not take some of it.
    Refused(Vec<Refused>),
    /// Somebody wanted it to end.
    Stopped,
}

/// Runs the command.
pub async fn run(source: &Source, permissions: Permissions, aws: &Aws, terminal: Terminal) -> Result<ExitCode, Failed> {
    let zones = Zones::of(source)?;
    let route53 = aws::route53(&aws::config(aws, None).await?);
    let (mut left, mut all) = (false, All::new(terminal));
    // At a question Ctrl-C ends it at once, until something was applied.
    let mut listening = permissions.yes;
    if listening {
        interrupt::listen().map_err(|error| Failed(format!("failed to listen for Ctrl-C: {error}")))?;
    }
    for zone in &zones.zones {
        if interrupt::is_told() {
            break;
        }
        let at_hand = compare(&zones, zone, &route53, terminal);
        let Some(mut compared) = all.take(zone, at_hand.await) else { continue };
        let anew = async || compare(&zones, zone, &route53, terminal).await;
        let done = do_it(&mut compared, anew, permissions, terminal, &mut listening).await;
        let Some(done) = all.take(zone, done) else { continue };
        if let Done::Refused(refused) = &done {
            all.failed = true;
            report(refused, compared.hosted.applied, terminal);
        }
        left |= matches!(done, Done::NotConfirmed);
        if terminal.json {
            all.json.push(as_json(&compared, &done));
        }
    }
    let end = all.end(left)?;
    Ok(if interrupt::is_told() { ExitCode::from(interrupt::STATUS) } else { end })
}

/// Shows what would change, asks, and applies it. What is deleted is what was shown, and the last request says that the serial is
/// there: so where somebody else was at work since the hosted zone was read, it is compared anew, the primary's zone too.
async fn do_it<'a>(
    compared: &mut Compared<'a>,
    anew: impl AsyncFn() -> Result<Compared<'a>, Failed>,
    permissions: Permissions,
    terminal: Terminal,
    listening: &mut bool,
) -> Result<Done, Failed> {
    let rollback = permissions.accept_rollback.then_some(Approval::Rollback);
    let mass_deletion = permissions.allow_mass_deletion.then_some(Approval::MassDeletion);
    let approved: Vec<Approval> = rollback.into_iter().chain(mass_deletion).collect();
    let terms = Terms { approved: &approved, ..Terms::default() };
    for _ in 0..COMPARISONS {
        if !terminal.json {
            print(&shown(compared, None, terminal))?;
        }
        if let Some(stop) = compared.stop(terms) {
            return Err(Failed(why(compared, &stop)));
        }
        if compared.plan.is_empty() {
            return Ok(Done::Nothing);
        }
        if !permissions.yes && !asked("Apply this to Route 53?").await? {
            terminal.note("Nothing was changed.");
            return Ok(Done::NotConfirmed);
        }
        if !*listening {
            interrupt::listen().map_err(|error| Failed(format!("failed to listen for Ctrl-C: {error}")))?;
            *listening = true;
        }
        let now = match compared.hosted.soa().await {
            Ok(now) => now,
            Err(Route53Error::OutOfTime { .. }) if interrupt::is_told() => return Ok(stopped(compared, terminal)),
            Err(error) => return Err(told(&error)),
        };
        if now == compared.soa {
            return do_what_was_shown(compared, terms, permissions, terminal).await;
        }
        let (zone, was, is) = (compared.desired.apex(), compared.soa.soa.serial, now.soa.serial);
        terminal.note(format_args!(
            "The hosted zone of {zone} was changed meanwhile (serial {was} → {is}): compared anew."
        ));
        *compared = anew().await?;
    }
    Err(Failed(format!(
        "somebody else keeps changing the hosted zone of {}, {COMPARISONS} times since it was first read: nothing was applied; sync \
         again once they are done",
        compared.desired.apex()
    )))
}

async fn do_what_was_shown(
    compared: &mut Compared<'_>,
    terms: Terms<'_>,
    permissions: Permissions,
    terminal: Terminal,
) -> Result<Done, Failed> {
    let length = u64::try_from(Batches::of(&compared.plan).batches.len()).ok();
    let bar = terminal.bar(length, "requests");
    compared.hosted.onlooker = Some(onlooker(bar.clone()));
    let done = apply(compared, terms).await;
    compared.hosted.onlooker = None;
    bar.finish_and_clear();
    let applied = compared.hosted.applied;
    let so_far = counted(usize::try_from(applied).unwrap_or_default(), "request");
    match done {
        Err(Route53Error::OutOfTime { .. }) if interrupt::is_told() => Ok(stopped(compared, terminal)),
        Err(error) => Err(Failed(format!("{}; {so_far} were applied before that", told(&error)))),
        Ok(Outcome::Refused { refused, .. }) => Ok(Done::Refused(refused)),
        Ok(Outcome::Held { held, .. }) => Err(Failed(held.to_string())),
        Ok(Outcome::Stale) => {
            Err(Failed("somebody has brought the hosted zone to a newer serial meanwhile".to_owned()))
        }
        Ok(Outcome::Applied { .. } | Outcome::Unchanged) => {
            let (calls, serial) = (compared.hosted.calls, compared.desired.serial());
            let line = format!("Applied in {so_far}, {calls} API calls in all: Route 53 has serial {serial}.");
            terminal.note(terminal.paint(ADDED, line));
            if permissions.wait {
                wait(&mut compared.hosted, terminal).await?;
            }
            Ok(Done::Applied)
        }
    }
}

fn stopped(compared: &Compared<'_>, terminal: Terminal) -> Done {
    let (applied, serial) = (compared.hosted.applied, compared.soa.soa.serial);
    if applied == 0 {
        terminal.note("Stopped: nothing was changed.");
    } else {
        let applied = counted(usize::try_from(applied).unwrap_or_default(), "request");
        terminal.note(format_args!(
            "Stopped: {applied} of {} applied. The serial in Route 53 is still {serial}, which says that the zone is not complete; \
             sync again goes on from here.",
            Batches::of(&compared.plan).batches.len()
        ));
    }
    Done::Stopped
}

/// Applies what was shown. Where Route 53 refuses some of it, the worker reads the zone anew and looks for what is bad.
async fn apply(compared: &mut Compared<'_>, terms: Terms<'_>) -> Result<Outcome, Route53Error> {
    let Compared { hosted, desired, plan, .. } = compared;
    let passed = match guard::on_plan(plan, terms) {
        Ok(passed) => passed,
        Err(held) => return Ok(Outcome::Held { held, plan: None }),
    };
    match worker::apply(hosted, passed, desired).await {
        Ok(Ok(batches)) => Ok(Outcome::Applied { plan: plan.clone(), batches, path: worker::Path::Full }),
        Ok(Err(held)) => Ok(Outcome::Held { held, plan: None }),
        // Whatever it was refused for, that may be of a part of it.
        Err(error) if !error.is_transient() => look_closer(hosted, desired.clone(), terms).await,
        Err(error) => Err(error),
    }
}

async fn look_closer(hosted: &mut HostedZone<'_>, desired: Zone, terms: Terms<'_>) -> Result<Outcome, Route53Error> {
    worker::sync(hosted, &Snapshot::new(desired), terms, &Refusals::default()).await
}

/// Moves a bar with the batches that are applied.
fn onlooker(bar: ProgressBar) -> watch::Sender<u32> {
    let (sender, mut receiver) = watch::channel(0);
    tokio::spawn(async move {
        while receiver.changed().await.is_ok() {
            let applied = u64::from(*receiver.borrow_and_update());
            // A zone that was read anew takes more of them.
            bar.set_length(bar.length().unwrap_or_default().max(applied));
            bar.set_position(applied);
        }
    });
    sender
}

/// Until all of Route 53's name servers have it.
async fn wait(hosted: &mut HostedZone<'_>, terminal: Terminal) -> Result<(), Failed> {
    let bar = terminal.bar(None, "waiting for INSYNC");
    for _ in 0..LOOKS {
        let is_in_sync = match hosted.is_in_sync().await {
            // There was no time left to ask.
            Err(_) if interrupt::is_told() => false,
            answer => answer.map_err(|error| told(&error))?,
        };
        if is_in_sync {
            bar.finish_and_clear();
            terminal.note("All of Route 53's name servers have it (INSYNC).");
            return Ok(());
        }
        bar.inc(1);
        tokio::select! { () = tokio::time::sleep(LOOK) => {}, () = interrupt::told() => {} }
        if interrupt::is_told() {
            bar.finish_and_clear();
            terminal.note("Stopped waiting: it is applied, and may still be on its way to the name servers (PENDING).");
            return Ok(());
        }
    }
    bar.finish_and_clear();
    Err(Failed("it is applied, and after ten minutes not yet on all of Route 53's name servers (PENDING)".to_owned()))
}

/// What Route 53 did not take.
fn report(refused: &[Refused], applied: u32, terminal: Terminal) {
    for Refused { name, rejection: Rejection { words, .. }, .. } in refused {
        eprintln!("{} {name}: {words}", terminal.paint(REMOVED, "refused:"));
    }
    let rrsets: Vec<String> = refused.iter().flat_map(Refused::rrsets).collect();
    // Where not even the SOA can be marked, nothing is begun.
    let others = if applied == 0 { "Nothing was applied" } else { "All else was applied" };
    eprintln!(
        "secondary53: Route 53 refused {}: {}. {others}, and the serial was not advanced: mend these on the primary, then sync again",
        counted(rrsets.len(), "RRset"),
        rrsets.join(", ")
    );
}

fn as_json(compared: &Compared<'_>, done: &Done) -> serde_json::Value {
    let (outcome, refused) = match done {
        Done::Nothing => ("nothing", &[][..]),
        Done::NotConfirmed => ("not_confirmed", &[][..]),
        Done::Applied => ("applied", &[][..]),
        Done::Refused(refused) => ("refused", refused.as_slice()),
        Done::Stopped => ("stopped", &[][..]),
    };
    let refused = refused
        .iter()
        .map(|refused| json!({"name": refused.name.to_string(), "rrsets": refused.rrsets(), "words": refused.rejection.words}));
    let mut plan = json::plan(compared, None);
    plan["outcome"] = outcome.into();
    plan["applied"] = compared.hosted.applied.into();
    plan["refused"] = refused.collect::<Vec<_>>().into();
    plan
}
