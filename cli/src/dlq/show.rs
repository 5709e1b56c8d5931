//! `dlq show`: all of one message.

use std::fmt::Write as _;
use std::process::ExitCode;

use secondary53_aws::Objects;
use secondary53_lambda::guard::Terms;
use secondary53_lambda::overflow::Overflow;
use secondary53_zone::message::{Body, Message, attribute};
use secondary53_zone::presentation::ZoneFile;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::{Limits, Zone};
use serde::Serialize;
use serde_json::Value;

use super::choose::Found;
use super::letter::{Letter, Note};
use super::list::Row;
use super::{Desk, stopped};
use crate::compare::{Compared, Stop};
use crate::terminal::{self, CHANGED, FAINT, REMOVED, STRONG, print, print_json, printable};
use crate::{Failed, aws, json, render};

/// Records of a zone that are shown without `--full`.
const RECORDS: usize = 20;

/// What JSON says.
#[derive(Serialize)]
struct Shown {
    message: Row,
    attributes: serde_json::Map<String, Value>,
    quarantine: Option<Note>,
    /// `null` where there is no snapshot to be had.
    zone_file: Option<String>,
    /// What it would change now; `null` where that is not known.
    plan: Option<Value>,
    /// Why something is `null`.
    errors: Vec<String>,
}

/// Runs the command.
pub async fn run(desk: &Desk, id: &str, full: bool, zone_file: bool) -> Result<ExitCode, Failed> {
    let ids = [id.to_owned()];
    let found =
        desk.with(&ids, async |Found { mut all, wanted }| Ok(wanted.first().map(|index| all.swap_remove(*index))));
    let Some(found) = found.await? else { return Ok(stopped()) };
    // One was found, or that was an error.
    let Some(letter) = found else { return Ok(ExitCode::FAILURE) };
    let message = letter.message().map_err(|error| Failed(error.to_string()));
    let snapshot = match &message {
        Ok(message) => snapshot(desk, message).await,
        Err(error) => Err(Failed(error.0.clone())),
    };
    if zone_file {
        let snapshot = snapshot?;
        print(&ZoneFile(snapshot.zone()).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let route53 = aws::route53(&desk.config);
    let compared = match (&message, &snapshot) {
        (Ok(message), Ok(snapshot)) => {
            let id = message.meta.hosted_zone_id.as_deref();
            Compared::read(&route53, snapshot.zone().clone(), id).await
        }
        // Said once, where the snapshot would be.
        _ => Err(Failed(String::new())),
    };
    let approved = letter.approved();
    let terms = Terms { approved: &approved, ..Terms::default() };
    if desk.terminal.json {
        let mut errors = Vec::new();
        let zone_file = snapshot.as_ref().map(|snapshot| ZoneFile(snapshot.zone()).to_string());
        errors.extend(zone_file.as_ref().err().map(ToString::to_string));
        let plan = compared.as_ref().map(|compared| json::plan(compared, compared.stop(terms).as_ref()));
        errors.extend(plan.as_ref().err().map(ToString::to_string).filter(|error| !error.is_empty()));
        let attributes = letter.texts().into_iter().map(|(name, value)| (name.to_owned(), read(value))).collect();
        let message = Row::of(&letter, desk.now_ms);
        let quarantine = letter.note();
        let shown = Shown { message, attributes, quarantine, zone_file: zone_file.ok(), plan: plan.ok(), errors };
        print_json(&shown)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = head(desk, &letter);
    heading(desk, &mut out, "The zone");
    match &snapshot {
        Ok(snapshot) => zone(desk, &mut out, snapshot.zone(), full, &letter),
        Err(error) => line(&mut out, desk.terminal.paint(REMOVED, printable(&error.0))),
    }
    heading(desk, &mut out, "What it would change in Route 53 now");
    match &compared {
        Ok(compared) => {
            let stop = compared.stop(terms);
            out.push_str(&render::plan(compared, desk.terminal));
            if stop == Some(Stop::Stale) {
                let (hosted, serial) = (compared.soa.soa.serial, compared.desired.serial());
                let stale = format!(
                    "nothing: Route 53 has serial {hosted}, and {serial} is not newer; the worker would drop it as stale"
                );
                line(&mut out, desk.terminal.paint(CHANGED, stale));
            }
            if let Some(Stop::Held(held)) = stop {
                line(&mut out, desk.terminal.paint(CHANGED, format_args!("it would be held again: {held}")));
            }
        }
        Err(error) if error.0.is_empty() => line(&mut out, "not known without a snapshot"),
        Err(error) => line(&mut out, desk.terminal.paint(REMOVED, printable(&error.0))),
    }
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// A message's snapshot, wherever it is. Whoever asks may read what their credentials let them, so that is no more than what the
/// message says; the key must still be that of its digest.
async fn snapshot(desk: &Desk, message: &Message) -> Result<Snapshot, Failed> {
    let buckets = match &message.body {
        Body::Pointer { pointer, .. } => vec![pointer.bucket.clone()],
        Body::Snapshot(_) => Vec::new(),
    };
    let overflow = Overflow::new(Objects::new(&desk.config), buckets);
    let whole = overflow.fetch(message, Limits::default()).await.map_err(|error| Failed(error.to_string()))?;
    whole.snapshot(Limits::default()).map_err(|error| Failed(error.to_string()))
}

/// What is known without the snapshot.
fn head(desk: &Desk, letter: &Letter) -> String {
    let row = Row::of(letter, desk.now_ms);
    let mut out = String::new();
    let mut say = |name: &str, value: &str| {
        let name = desk.terminal.paint(FAINT, format_args!("{name:<12}"));
        line(&mut out, format_args!("{name} {}", printable(value)));
    };
    say("message", &row.id);
    let serial = row.serial.map_or_else(|| "no serial".to_owned(), |serial| format!("serial {serial}"));
    say("zone", &format!("{} {serial}", row.zone));
    say("age", &terminal::age(row.age_seconds));
    say("size", &terminal::size(row.octets));
    say("outcome", &row.outcome);
    say("why", &row.reason);
    let note = letter.note().unwrap_or_default();
    if let Some(words) = &note.route53 {
        say("Route 53", words);
    }
    if !note.rrsets.is_empty() {
        let more = note.rrsets_count.unwrap_or_default().saturating_sub(note.rrsets.len());
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        say("refused", &format!("{}{more}", note.rrsets.join(", ")));
    }
    if let Some(plan) = note.plan {
        let plan = format!("{} to create, {} to change, {} to delete", plan.create, plan.change, plan.delete);
        say("not done", &plan);
    }
    if let Some(needs) = &note.needs {
        say("approvable", &format!("{needs}: secondary53 dlq approve {}", row.id.get(..8).unwrap_or(&row.id)));
    }
    heading(desk, &mut out, "Its attributes");
    // The note was told above.
    for (name, value) in letter.texts().into_iter().filter(|(name, _)| *name != attribute::QUARANTINE) {
        let name = desk.terminal.paint(FAINT, format_args!("{name:<12}"));
        line(&mut out, format_args!("{name} {}", printable(value)));
    }
    out
}

fn zone(desk: &Desk, out: &mut String, zone: &Zone, full: bool, letter: &Letter) {
    let text = ZoneFile(zone).to_string();
    let count = zone.record_count();
    let shown = if full { count } else { RECORDS };
    for record in text.lines().take(shown) {
        line(out, record);
    }
    if count > shown {
        let id = letter.id.get(..8).unwrap_or(&letter.id);
        let more =
            format!("; and {} more: secondary53 dlq show {id} --full, or --zone-file for it alone", count - shown);
        line(out, desk.terminal.paint(FAINT, more));
    }
}

fn heading(desk: &Desk, out: &mut String, text: &str) {
    line(out, format_args!("\n{}", desk.terminal.paint(STRONG, text)));
}

fn line(out: &mut String, text: impl std::fmt::Display) {
    // Writing to a String does not fail.
    _ = writeln!(out, "{text}");
}

/// JSON in JSON rather than in a text, where it is that.
fn read(value: &str) -> Value {
    match serde_json::from_str(value) {
        Ok(read @ (Value::Object(_) | Value::Array(_))) => read,
        _ => value.into(),
    }
}
