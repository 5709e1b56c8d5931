//! `dlq replay` and `dlq approve`: back into the queue.

use std::cell::RefCell;
use std::process::ExitCode;

use futures_util::future::join_all;
use secondary53_zone::message::Approval;
use serde::Serialize;

use super::applied::Applied;
use super::choose::Found;
use super::letter::{Letter, newer, superseded};
use super::queue::{BATCH, Received};
use super::{Desk, not_given, stopped};
use crate::args::Chosen;
use crate::terminal::{self, ADDED, CHANGED, STRONG, counted, print, print_json, printable};
use crate::{Failed, LEFT, aws, interrupt};

/// What became of a message.
#[derive(Debug, Serialize)]
struct Told {
    id: String,
    zone: String,
    serial: Option<u32>,
    outcome: Outcome,
    /// Why it was passed over; what went wrong behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// In the queue, and no longer here.
    Sent,
    /// In the queue, and here as well.
    SentAndKept,
    /// Here.
    PassedOver,
}

/// All that was told so far.
struct Report<'a> {
    desk: &'a Desk,
    all: RefCell<Vec<Told>>,
    bar: indicatif::ProgressBar,
}

/// Puts messages back as they are.
pub async fn replay(desk: &Desk, chosen: &Chosen, older: bool) -> Result<ExitCode, Failed> {
    // Before anything is received: whoever does not know where to send it needs nothing hidden.
    desk.dead.main()?;
    if !chosen.ids.is_empty() {
        return by_ids(desk, &chosen.ids, older, async |_| Ok(true), |_| Ok(None)).await;
    }
    let depth = desk.dead.depth().await?;
    let report = Report::new(desk, desk.terminal.bar(u64::try_from(depth.visible).ok(), "replaying"));
    let zone = chosen.zone.as_ref().map(ToString::to_string);
    // All zones would be more than Route 53 is asked about in a hurry; the worker drops what is stale.
    let applied = zone.as_ref().map(|_| tokio::sync::Mutex::new(Applied::new(aws::route53(&desk.config))));
    let swept = desk.dead.sweep(&report.bar, async |Received { letters, is_full }| {
        let (mut mine, others): (Vec<_>, Vec<_>) =
            letters.into_iter().partition(|letter| zone.as_ref().is_none_or(|zone| letter.zone() == zone));
        let mut kept: Vec<String> = others.into_iter().map(|letter| letter.id).collect();
        // Each group's together, in their order.
        mine.sort_by(|a, b| a.group.cmp(&b.group));
        let why_not = if older { vec![None; mine.len()] } else { reasons(&mine, is_full, applied.as_ref()).await };
        // Those of one group one after the other, in their order.
        let lines = mine.chunk_by(|a, b| a.group == b.group).scan(0, |at, line| {
            let from = *at;
            *at += line.len();
            Some((line, &why_not[from..*at]))
        });
        let done = join_all(lines.map(|(line, why_not)| send_line(desk, &report, line, why_not))).await;
        for line in done {
            kept.extend(line?);
        }
        Ok(kept)
    });
    let swept = swept.await;
    report.bar.finish_and_clear();
    let unseen = match swept {
        Ok(_) if interrupt::is_told() => Ok(0),
        Ok(swept) => desk.dead.unseen(depth, swept).await,
        Err(error) => Err(error),
    };
    match unseen {
        Ok(unseen) => report.end(unseen),
        Err(error) => Err(report.so_far(error)?),
    }
}

/// Lets messages pass that are held.
pub async fn approve(desk: &Desk, ids: &[String], yes: bool, older: bool) -> Result<ExitCode, Failed> {
    desk.dead.main()?;
    let ask = async |letters: &[&Letter]| {
        if yes {
            return Ok(true);
        }
        for letter in letters {
            desk.terminal.note(format_args!("{}: {}", shown(desk, letter), what_for(letter)));
        }
        terminal::asked(&format!("Let {} pass?", counted(letters.len(), "held snapshot"))).await
    };
    by_ids(desk, ids, older, ask, |letter| needs(letter).map(Some)).await
}

/// What an operator's word would be for.
fn needs(letter: &Letter) -> Result<String, Failed> {
    let note = letter.note().unwrap_or_default();
    note.needs.ok_or_else(|| {
        let (id, zone) = (&letter.id, letter.zone());
        let outcome = if note.outcome.is_empty() { "no note".to_owned() } else { note.outcome };
        Failed(format!(
            "message {id} of {zone} is not held for anything that an operator can approve ({outcome}): see dlq show {id}"
        ))
    })
}

fn what_for(letter: &Letter) -> String {
    let note = letter.note().unwrap_or_default();
    let plan = note.plan.map(|plan| {
        format!(" ({} to create, {} to change, {} to delete, as it was then)", plan.create, plan.change, plan.delete)
    });
    printable(&format!("{}{}", note.reason, plan.unwrap_or_default()))
}

/// Works on the messages with these ids. `approval` is what each is allowed.
async fn by_ids(
    desk: &Desk,
    ids: &[String],
    older: bool,
    ask: impl AsyncFnOnce(&[&Letter]) -> Result<bool, Failed>,
    approval: impl Fn(&Letter) -> Result<Option<String>, Failed>,
) -> Result<ExitCode, Failed> {
    let report = Report::new(desk, indicatif::ProgressBar::hidden());
    let done = desk.with(ids, async |Found { all, wanted }| {
        let why_not = if older {
            vec![None; wanted.len()]
        } else {
            let applied = tokio::sync::Mutex::new(Applied::new(aws::route53(&desk.config)));
            let letters: Vec<_> = wanted.iter().map(|index| all[*index].clone()).collect();
            let of_wanted = is_applied(&letters, Some(&applied)).await;
            let reasons = wanted.iter().zip(of_wanted);
            reasons.map(|(index, applied)| newer(&all, *index).map(by_another).or(applied)).collect()
        };
        let mut going = Vec::new();
        for (index, why_not) in wanted.into_iter().zip(why_not) {
            let letter = &all[index];
            let approval = approval(letter)?;
            match why_not {
                Some(why) => report.told(letter, Outcome::PassedOver, Some(why)),
                None => going.push((letter, approval)),
            }
        }
        let letters: Vec<_> = going.iter().map(|(letter, _)| *letter).collect();
        if letters.is_empty() || !ask(&letters).await? {
            return Ok(false);
        }
        for (letter, approval) in going {
            if interrupt::is_told() {
                break;
            }
            send(desk, &report, letter, approval.as_deref()).await?;
        }
        Ok(true)
    });
    match done.await {
        // Whatever was answered: somebody may have stopped it at the question.
        Ok(_) if interrupt::is_told() => report.end(0),
        Ok(Some(true)) => report.end(0),
        Ok(Some(false) | None) => {
            desk.terminal.note("Nothing was sent.");
            report.end(0).map(|_| ExitCode::from(LEFT))
        }
        Err(error) => Err(report.so_far(error)?),
    }
}

/// Why not to send each of these, which SQS gave together: of the groups among them, the oldest messages. One that is alone goes
/// in any case: what is behind it comes next.
async fn reasons(
    letters: &[Letter],
    is_full: bool,
    applied: Option<&tokio::sync::Mutex<Applied>>,
) -> Vec<Option<String>> {
    let of_applied = is_applied(letters, applied).await;
    let superseded = superseded(letters);
    let reason = |(index, of_applied): (usize, Option<String>)| {
        let group = &letters[index].group;
        if is_full && letters.iter().filter(|letter| &letter.group == group).count() > 1 {
            return Some(format!(
                "SQS gives out {BATCH} messages at once, and of this zone there may be newer ones behind them: dlq drop --superseded \
                 --zone {} leaves the newest, --older sends all of them",
                letters[index].zone()
            ));
        }
        superseded[index].map(by_another).or(of_applied)
    };
    of_applied.into_iter().enumerate().map(reason).collect()
}

fn by_another(newer: &Letter) -> String {
    let serial = newer.serial().map_or_else(String::new, |serial| format!(" with serial {serial}"));
    format!("it is older than message {}{serial}, which is there too; --older sends it all the same", newer.id)
}

/// Why not to send each, by what Route 53 has.
async fn is_applied(letters: &[Letter], applied: Option<&tokio::sync::Mutex<Applied>>) -> Vec<Option<String>> {
    let mut reasons = Vec::with_capacity(letters.len());
    for letter in letters {
        let goes_back = letter.approved().contains(&Approval::Rollback);
        let serial = match (applied, letter.message()) {
            (Some(applied), Ok(message)) => applied.lock().await.serial(&message).await,
            _ => None,
        };
        let is_newer = serial.zip(letter.serial()).is_some_and(|(hosted, serial)| hosted > serial);
        let hosted = serial
            .map_or_else(|| "what Route 53 has is not known".to_owned(), |serial| format!("Route 53 has {serial}"));
        reasons.push(match (goes_back, is_newer) {
            // Nobody else would stop it.
            (true, newer) if newer || serial.is_none() => {
                Some(format!("it may take the hosted zone back ({hosted}); --older sends it all the same"))
            }
            (false, true) => Some(format!(
                "{hosted}, which is newer: the worker would drop it as stale; --older sends it all the same"
            )),
            _ => None,
        });
    }
    reasons
}

/// One group's messages, in their order. The ids of those that stay.
async fn send_line(
    desk: &Desk,
    report: &Report<'_>,
    line: &[Letter],
    why_not: &[Option<String>],
) -> Result<Vec<String>, Failed> {
    let mut kept = Vec::new();
    for (letter, why_not) in line.iter().zip(why_not) {
        let is_gone = match why_not {
            Some(why) => {
                report.told(letter, Outcome::PassedOver, Some(why.clone()));
                false
            }
            None => !interrupt::is_told() && send(desk, report, letter, None).await?,
        };
        if !is_gone {
            kept.push(letter.id.clone());
        }
    }
    Ok(kept)
}

/// Sends one, and deletes it. Whether that was done too.
async fn send(desk: &Desk, report: &Report<'_>, letter: &Letter, approval: Option<&str>) -> Result<bool, Failed> {
    match desk.dead.replay(letter, letter.copy(approval)?).await? {
        Ok(()) => {
            report.told(letter, Outcome::Sent, None);
            Ok(true)
        }
        Err(error) => {
            let why = format!(
                "it is in the queue, and was not deleted here ({error}): replayed within five minutes it makes no double"
            );
            report.told(letter, Outcome::SentAndKept, Some(why));
            Ok(false)
        }
    }
}

fn shown(desk: &Desk, letter: &Letter) -> String {
    let serial = letter.serial().map_or_else(String::new, |serial| format!(" serial {serial}"));
    let id = letter.id.get(..8).unwrap_or(&letter.id);
    format!("{}  {}{serial}", printable(id), desk.terminal.paint(STRONG, printable(letter.zone())))
}

impl<'a> Report<'a> {
    fn new(desk: &'a Desk, bar: indicatif::ProgressBar) -> Self {
        Self { desk, all: RefCell::default(), bar }
    }

    /// At once to a person, at the end to a program.
    fn told(&self, letter: &Letter, outcome: Outcome, why: Option<String>) {
        let terminal = self.desk.terminal;
        if !terminal.json {
            let (style, word) = match outcome {
                Outcome::Sent => (ADDED, "sent"),
                Outcome::SentAndKept => (CHANGED, "sent, and kept"),
                Outcome::PassedOver => (CHANGED, "passed over"),
            };
            let why = why.as_ref().map(|why| format!(": {}", printable(why))).unwrap_or_default();
            let line = format!("{}: {}{why}\n", shown(self.desk, letter), terminal.paint(style, word));
            // Who cannot be told is not kept from having it done.
            _ = self.bar.suspend(|| print(&line));
        }
        let (id, zone, serial) = (letter.id.clone(), letter.zone().to_owned(), letter.serial().map(|serial| serial.0));
        self.all.borrow_mut().push(Told { id, zone, serial, outcome, why });
    }

    fn count(&self, of: Outcome) -> usize {
        self.all.borrow().iter().filter(|told| told.outcome == of).count()
    }

    /// An error, and what was done before it.
    fn so_far(&self, error: Failed) -> Result<Failed, Failed> {
        if self.desk.terminal.json {
            print_json(&*self.all.borrow())?;
        }
        let sent = self.count(Outcome::Sent) + self.count(Outcome::SentAndKept);
        Ok(if sent == 0 { error } else { Failed(format!("{error}; {} sent before that", counted(sent, "message"))) })
    }

    fn end(&self, unseen: usize) -> Result<ExitCode, Failed> {
        let was_stopped = interrupt::is_told();
        let (sent, over) = (self.count(Outcome::Sent), self.count(Outcome::PassedOver));
        let kept = self.count(Outcome::SentAndKept);
        if self.desk.terminal.json {
            print_json(&*self.all.borrow())?;
        }
        let stay = if over == 0 { String::new() } else { format!(", {over} passed over and still there") };
        let before = if was_stopped { "Stopped: " } else { "" };
        self.desk.terminal.note(format_args!(
            "{before}{} sent{stay}.{}",
            counted(sent + kept, "message"),
            not_given(unseen)
        ));
        if was_stopped {
            return Ok(stopped());
        }
        Ok(if over + kept + unseen == 0 { ExitCode::SUCCESS } else { ExitCode::from(LEFT) })
    }
}
