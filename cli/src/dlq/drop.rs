//! `dlq drop`: deletes messages for good.

use std::cell::{Cell, RefCell};
use std::process::ExitCode;

use serde::Serialize;

use super::choose::Found;
use super::letter::{Letter, superseded};
use super::queue::{Received, Swept};
use super::{Desk, not_given, stopped};
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
    let Left { still_there, unseen, not_confirmed } = done;
    let stay = if still_there == 0 { String::new() } else { format!(", {still_there} still there") };
    let (told, told_of) = (interrupt::is_told(), counted(dropped.len(), "message"));
    let before = if told { "Stopped: " } else { "" };
    desk.terminal.note(format_args!("{before}{told_of} deleted{stay}.{}", not_given(unseen)));
    Ok(match still_there + unseen {
        _ if told => stopped(),
        0 if !not_confirmed => ExitCode::SUCCESS,
        _ => ExitCode::from(LEFT),
    })
}

/// What was not done.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    /// Was to be deleted, and was not.
    still_there: usize,
    /// SQS did not give it out.
    unseen: usize,
    not_confirmed: bool,
}

async fn by_ids(
    desk: &Desk,
    ids: &[String],
    only_superseded: bool,
    yes: bool,
    dropped: &RefCell<Vec<Dropped>>,
) -> Result<Left, Failed> {
    let done = desk.with(ids, async |Found { all, wanted }| {
        let superseded = superseded(&all);
        let (going, staying): (Vec<usize>, Vec<usize>) =
            wanted.into_iter().partition(|index| !only_superseded || superseded[*index].is_some());
        for index in &staying {
            desk.terminal.note(format_args!("{} stays: no other one there is newer", shown(desk, &all[*index])));
        }
        let letters: Vec<&Letter> = going.iter().map(|index| &all[*index]).collect();
        let stays = Left { still_there: staying.len(), ..Left::default() };
        if letters.is_empty() {
            return Ok(stays);
        }
        for letter in &letters {
            let reason = letter.note().map_or_else(|| "no note".to_owned(), |note| note.reason);
            desk.terminal.note(format_args!("{}: {}", shown(desk, letter), printable(&reason)));
        }
        if !yes && !terminal::asked(&format!("Delete {} for good?", counted(letters.len(), "message"))).await? {
            return Ok(Left { not_confirmed: true, ..stays });
        }
        let kept = delete(desk, &letters, dropped).await?;
        Ok(Left { still_there: staying.len() + kept.len(), ..stays })
    });
    Ok(done.await?.unwrap_or_default())
}

async fn all(
    desk: &Desk,
    chosen: &Chosen,
    only_superseded: bool,
    yes: bool,
    dropped: &RefCell<Vec<Dropped>>,
) -> Result<Left, Failed> {
    let depth = desk.dead.depth().await?;
    let of = chosen.zone.as_ref().map(|zone| format!(" of {zone}")).unwrap_or_default();
    let what = if only_superseded { "messages that are older than another one there" } else { "all messages" };
    let question = format!("Delete {what}{of} for good? There are {} in all.", depth.total());
    if !yes && !terminal::asked(&question).await? {
        return Ok(Left { not_confirmed: true, ..Left::default() });
    }
    let zone = chosen.zone.as_ref().map(ToString::to_string);
    let bar = desk.terminal.bar(u64::try_from(depth.visible).ok(), "deleting");
    // What stays of a zone hides what is behind it, so it is let go and looked at again, until a whole round deletes nothing.
    loop {
        let before = dropped.borrow().len();
        let still_there = Cell::new(0);
        let swept = desk.dead.sweep(&bar, async |Received { letters, .. }| {
            let superseded = superseded(&letters);
            let is_mine = |letter: &Letter| zone.as_ref().is_none_or(|zone| letter.zone() == zone);
            let (going, staying): (Vec<_>, Vec<_>) = letters
                .iter()
                .zip(&superseded)
                .partition(|(letter, by)| is_mine(letter) && (!only_superseded || by.is_some()));
            let going: Vec<&Letter> = going.into_iter().map(|(letter, _)| letter).collect();
            let mut kept = delete(desk, &going, dropped).await?;
            still_there.set(still_there.get() + kept.len());
            kept.extend(staying.into_iter().map(|(letter, _)| letter.id.clone()));
            Ok(kept)
        });
        let swept = swept.await?;
        if interrupt::is_told() || !only_superseded || dropped.borrow().len() == before {
            bar.finish_and_clear();
            // Of those that an earlier round saw, some are gone.
            let seen = Swept { seen: swept.seen + before, ..swept };
            let unseen = if interrupt::is_told() { 0 } else { desk.dead.unseen(depth, seen).await? };
            return Ok(Left { still_there: still_there.get(), unseen, not_confirmed: false });
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
