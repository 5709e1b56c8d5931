//! `dlq drop`: deletes messages for good.

use std::cell::RefCell;
use std::process::ExitCode;

use serde::Serialize;

use super::choose::Found;
use super::letter::{Letter, superseded};
use super::{Desk, stopped};
use crate::args::Chosen;
use crate::terminal::{self, REMOVED, STRONG, counted, print_json, printable};
use crate::{Failed, LEFT, interrupt};

/// What was deleted.
#[derive(Debug, Serialize)]
struct Dropped {
    id: String,
    zone: String,
    serial: Option<u32>,
}

/// Runs the command.
pub async fn run(desk: &Desk, chosen: &Chosen, only_superseded: bool, yes: bool) -> Result<ExitCode, Failed> {
    let dropped = RefCell::new(Vec::new());
    let done = if chosen.ids.is_empty() {
        all(desk, chosen, only_superseded, yes, &dropped).await
    } else {
        by_ids(desk, &chosen.ids, only_superseded, yes, &dropped).await
    };
    let dropped = dropped.into_inner();
    if desk.terminal.json {
        print_json(&dropped)?;
    }
    let done = done.map_err(|error| match dropped.len() {
        0 => error,
        some => Failed(format!("{error}; {} deleted before that", counted(some, "message"))),
    })?;
    desk.terminal.note(format_args!("{} deleted.", counted(dropped.len(), "message")));
    Ok(done)
}

async fn by_ids(
    desk: &Desk,
    ids: &[String],
    only_superseded: bool,
    yes: bool,
    dropped: &RefCell<Vec<Dropped>>,
) -> Result<ExitCode, Failed> {
    let done = desk.with(ids, async |Found { all, wanted }| {
        let superseded = superseded(&all);
        let (going, staying): (Vec<usize>, Vec<usize>) =
            wanted.into_iter().partition(|index| !only_superseded || superseded[*index].is_some());
        for index in &staying {
            desk.terminal.note(format_args!("{} stays: no other one there is newer", shown(desk, &all[*index])));
        }
        let letters: Vec<&Letter> = going.iter().map(|index| &all[*index]).collect();
        if letters.is_empty() {
            return Ok(false);
        }
        for letter in &letters {
            let reason = letter.note().map_or_else(|| "no note".to_owned(), |note| note.reason);
            desk.terminal.note(format_args!("{}: {}", shown(desk, letter), printable(&reason)));
        }
        if !yes && !terminal::asked(&format!("Delete {} for good?", counted(letters.len(), "message"))).await? {
            return Ok(false);
        }
        delete(desk, &letters, dropped).await?;
        Ok(staying.is_empty())
    });
    Ok(if done.await? { ExitCode::SUCCESS } else { ExitCode::from(LEFT) })
}

async fn all(
    desk: &Desk,
    chosen: &Chosen,
    only_superseded: bool,
    yes: bool,
    dropped: &RefCell<Vec<Dropped>>,
) -> Result<ExitCode, Failed> {
    let depth = desk.dead.depth().await?;
    let of = chosen.zone.as_ref().map(|zone| format!(" of {zone}")).unwrap_or_default();
    let what = if only_superseded { "messages that are older than another one there" } else { "all messages" };
    let question = format!("Delete {what}{of} for good? There are {} in all.", depth.visible + depth.hidden);
    if !yes && !terminal::asked(&question).await? {
        return Ok(ExitCode::from(LEFT));
    }
    let zone = chosen.zone.as_ref().map(ToString::to_string);
    let bar = desk.terminal.bar(u64::try_from(depth.visible).ok(), "deleting");
    // What stays of a zone hides what is behind it, so it is let go and looked at again, until a whole round deletes nothing.
    loop {
        let before = dropped.borrow().len();
        let swept = desk.dead.sweep(&bar, async |letters| {
            let superseded = superseded(&letters);
            let is_mine = |letter: &Letter| zone.as_ref().is_none_or(|zone| letter.zone() == zone);
            let (going, staying): (Vec<_>, Vec<_>) = letters
                .iter()
                .zip(&superseded)
                .partition(|(letter, by)| is_mine(letter) && (!only_superseded || by.is_some()));
            let going: Vec<&Letter> = going.into_iter().map(|(letter, _)| letter).collect();
            let mut kept = delete(desk, &going, dropped).await?;
            kept.extend(staying.into_iter().map(|(letter, _)| letter.id.clone()));
            Ok(kept)
        });
        swept.await?;
        if interrupt::is_told() {
            bar.finish_and_clear();
            return Ok(stopped());
        }
        if !only_superseded || dropped.borrow().len() == before {
            bar.finish_and_clear();
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The ids of those that SQS did not delete.
async fn delete(desk: &Desk, letters: &[&Letter], dropped: &RefCell<Vec<Dropped>>) -> Result<Vec<String>, Failed> {
    if letters.is_empty() || interrupt::is_told() {
        return Ok(letters.iter().map(|letter| letter.id.clone()).collect());
    }
    let failed = desk.dead.delete(letters).await?;
    let mut kept = Vec::new();
    for (place, letter) in letters.iter().enumerate() {
        if let Some((_, why)) = failed.iter().find(|(failed, _)| *failed == place) {
            desk.terminal.note(format_args!("{} was not deleted: {}", shown(desk, letter), printable(why)));
            kept.push(letter.id.clone());
        } else {
            let (id, zone) = (letter.id.clone(), letter.zone().to_owned());
            dropped.borrow_mut().push(Dropped { id, zone, serial: letter.serial().map(|serial| serial.0) });
        }
    }
    Ok(kept)
}

fn shown(desk: &Desk, letter: &Letter) -> String {
    let serial = letter.serial().map_or_else(String::new, |serial| format!(" serial {serial}"));
    let id = letter.id.get(..8).unwrap_or(&letter.id);
    format!(
        "{}  {}{serial}",
        desk.terminal.paint(REMOVED, printable(id)),
        desk.terminal.paint(STRONG, printable(letter.zone()))
    )
}
