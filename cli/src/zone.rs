//! `plan` and `sync`: the relay's transfer and the worker's plan, in one process.

use std::error::Error;
use std::process::ExitCode;

use secondary53_lambda::guard::{self, Terms};
use secondary53_lambda::sync as worker;
use secondary53_relay::daemon::Clock;
use secondary53_relay::primary::{self, Limits};
use secondary53_zone::message::Approval;

use crate::args::{Aws, Permissions, Target};
use crate::compare::{Compared, Stop, told};
use crate::terminal::{CHANGED, Terminal, asked, counted, print, print_json};
use crate::{Failed, LEFT, aws, json, render};

/// Shows what would change.
pub async fn plan(target: &Target, aws: &Aws, terminal: Terminal) -> Result<ExitCode, Box<dyn Error>> {
    let route53 = aws::route53(&aws::config(aws, None).await?);
    let fetched = primary::fetch(&target.zone, &[target.primary.into()], Limits::default(), Clock::start()).await?;
    let compared = Compared::read(&route53, fetched.transferred.zone, target.hosted_zone_id.as_deref()).await?;
    let stop = compared.stop(Terms::default());
    if terminal.json {
        print_json(&json::plan(&compared, stop.as_ref()))?;
    } else {
        print(&render::plan(&compared, terminal))?;
        if let Some(stop) = &stop {
            print(&format!("{}\n", terminal.paint(CHANGED, format_args!("! {}", why(&compared, stop)))))?;
        }
    }
    Ok(if compared.plan.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(LEFT) })
}

/// Shows it, asks, and does it.
pub async fn sync(
    target: &Target,
    permissions: Permissions,
    aws: &Aws,
    terminal: Terminal,
) -> Result<ExitCode, Box<dyn Error>> {
    let rollback = permissions.accept_rollback.then_some(Approval::Rollback);
    let mass_deletion = permissions.allow_mass_deletion.then_some(Approval::MassDeletion);
    let approved: Vec<Approval> = rollback.into_iter().chain(mass_deletion).collect();
    let terms = Terms { approved: &approved, ..Terms::default() };
    let route53 = aws::route53(&aws::config(aws, None).await?);
    let fetched = primary::fetch(&target.zone, &[target.primary.into()], Limits::default(), Clock::start()).await?;
    let mut compared = Compared::read(&route53, fetched.transferred.zone, target.hosted_zone_id.as_deref()).await?;
    print(&render::plan(&compared, terminal))?;
    if let Some(stop) = compared.stop(terms) {
        return Err(Failed(why(&compared, &stop)).into());
    }
    if compared.plan.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let passed = guard::on_plan(&compared.plan, terms).map_err(|held| Failed(held.to_string()))?;
    if !permissions.yes && !asked("Apply this to Route 53?")? {
        println!("Nothing was changed.");
        return Ok(ExitCode::from(LEFT));
    }
    let applied = worker::apply(&mut compared.hosted, passed, &compared.desired).await.map_err(|error| told(&error))?;
    let batches = applied.map_err(|held| Failed(held.to_string()))?;
    println!("Applied in {}: Route 53 has serial {}.", counted(batches, "request"), compared.desired.serial());
    Ok(ExitCode::SUCCESS)
}

/// Why it would not be done, and what allows it.
fn why(compared: &Compared<'_>, stop: &Stop) -> String {
    match stop {
        Stop::Stale => {
            let (zone, hosted, primary) = (compared.desired.apex(), compared.soa.soa.serial, compared.desired.serial());
            format!(
                "zone {zone} is at serial {hosted} in Route 53, and the primary's serial {primary} is not newer (RFC 1982): raise \
                 the primary's serial above {hosted}, then sync again, or pass --accept-rollback"
            )
        }
        Stop::Held(held) => match json::flag(held.needs()) {
            Some(flag) => format!("{held}: pass {flag}"),
            None => held.to_string(),
        },
    }
}
