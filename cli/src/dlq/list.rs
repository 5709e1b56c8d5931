//! `dlq list`: a row for each message.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::process::ExitCode;

use secondary53_zone::message::attribute;
use serde::Serialize;

use super::letter::Letter;
use super::queue::{BATCH, Depth, Received};
use super::{Desk, stopped};
use crate::terminal::{self, CHANGED, FAINT, REMOVED, STRONG, Terminal, counted, print, print_json, printable};
use crate::{Failed, interrupt};

/// The shortest id that is shown: as git has it, enough not to be mixed up with another.
const SHORT: usize = 8;
/// Octets of a zone's name that a row shows; the rest of a longer one is in `dlq show`.
const NAME: usize = 40;

/// Characters of a reason that are shown however narrow the terminal is.
const REASON: usize = 20;

/// What is shown of a message, and what JSON says of it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// SQS's id of it.
    pub id: String,
    /// The zone.
    pub zone: String,
    /// Its serial, where the message says one.
    pub serial: Option<u32>,
    /// The snapshot's digest.
    pub digest: Option<String>,
    /// Why the relay sent it.
    pub sent_for: Option<String>,
    /// What became of it: [`NO_NOTE`] where the worker said nothing.
    pub outcome: String,
    /// In a sentence.
    pub reason: String,
    /// What an operator can approve.
    pub needs: Option<String>,
    /// When it was put aside, in milliseconds since 1970.
    pub at_ms: u64,
    /// How long ago.
    pub age_seconds: u64,
    /// As SQS counts them.
    pub octets: usize,
}

#[derive(Serialize)]
struct Listing<'a> {
    queue: &'a str,
    messages: &'a [Row],
    /// Messages that SQS did not give out: behind others of their zone, or received by somebody else.
    unseen: usize,
}

/// The outcome of a message that SQS moved, since the worker ended on it again and again.
pub const NO_NOTE: &str = "crashed";

/// Runs the command.
pub async fn run(desk: &Desk) -> Result<ExitCode, Failed> {
    let depth = desk.dead.depth().await?;
    let bar = desk.terminal.bar(u64::try_from(depth.visible).ok(), "reading the dead-letter queue");
    let rows = RefCell::new(Vec::new());
    let swept = desk.dead.sweep(&bar, async |Received { letters, .. }| {
        rows.borrow_mut().extend(letters.iter().map(|letter| Row::of(letter, desk.now_ms)));
        Ok(letters.into_iter().map(|letter| letter.id).collect())
    });
    swept.await?;
    bar.finish_and_clear();
    let mut rows = rows.into_inner();
    // By zone, and of each zone in the order in which they are worked on.
    rows.sort_by(|a, b| (&a.zone, a.at_ms, &a.id).cmp(&(&b.zone, b.at_ms, &b.id)));
    let unseen = depth.total().saturating_sub(rows.len());
    if desk.terminal.json {
        print_json(&Listing { queue: &desk.dead.url, messages: &rows, unseen })?;
    } else {
        print(&table(&rows, desk.terminal))?;
        desk.terminal.note(summary(&rows, depth, unseen, desk.terminal));
    }
    Ok(if interrupt::is_told() { stopped() } else { ExitCode::SUCCESS })
}

impl Row {
    /// What a message says without its snapshot.
    pub fn of(letter: &Letter, now_ms: u64) -> Self {
        let text = |name| letter.text(name).map(ToOwned::to_owned);
        let note = letter.note();
        let (outcome, reason, needs) = match note {
            Some(note) => (note.outcome, note.reason, note.needs),
            None => {
                let reason = "the worker ended on it again and again, and said nothing: its log may";
                (NO_NOTE.to_owned(), reason.to_owned(), None)
            }
        };
        let at_ms = letter.at_ms();
        Self {
            id: letter.id.clone(),
            zone: letter.zone().to_owned(),
            serial: letter.serial().map(|serial| serial.0),
            digest: text(attribute::DIGEST),
            sent_for: text(attribute::REASON),
            outcome,
            reason,
            needs,
            at_ms,
            age_seconds: now_ms.saturating_sub(at_ms) / 1_000,
            octets: letter.octets,
        }
    }
}

/// How many characters of the ids tell all of them apart.
fn length_of_ids(rows: &[Row]) -> usize {
    let mut ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    ids.sort_unstable();
    let alike = |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    ids.windows(2).map(alike).max().map_or(SHORT, |alike| SHORT.max(alike + 1))
}

/// The rows in columns.
fn table(rows: &[Row], terminal: Terminal) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let ids = length_of_ids(rows);
    let cells: Vec<[String; 6]> = rows
        .iter()
        .map(|row| {
            [
                printable(row.id.get(..ids).unwrap_or(&row.id)),
                terminal::cut(&printable(&row.zone), NAME),
                row.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string()),
                terminal::age(row.age_seconds),
                terminal::size(row.octets),
                printable(&row.outcome),
            ]
        })
        .collect();
    let head = ["ID", "ZONE", "SERIAL", "AGE", "SIZE", "OUTCOME"];
    let mut widths = head.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let [id, name, serial, age, octets, outcome] = widths;
    // On a terminal, a row is a line: the whole sentence is in `dlq show`.
    let before: usize = widths.iter().map(|width| width + 2).sum();
    let room = terminal.width.map_or(usize::MAX, |width| width.saturating_sub(before).max(REASON));
    let mut out = String::new();
    let head = format!(
        "{:id$}  {:name$}  {:>serial$}  {:>age$}  {:>octets$}  {:outcome$}  REASON",
        head[0], head[1], head[2], head[3], head[4], head[5]
    );
    // Writing to a String does not fail.
    _ = writeln!(out, "{}", terminal.paint(STRONG, head));
    for (row, cells) in rows.iter().zip(&cells) {
        let [of_id, of_zone, of_serial, of_age, of_octets, of_outcome] = cells;
        let style = if row.needs.is_some() { CHANGED } else { REMOVED };
        _ = writeln!(
            out,
            "{of_id:id$}  {of_zone:name$}  {of_serial:>serial$}  {of_age:>age$}  {of_octets:>octets$}  {}  {}",
            terminal.paint(style, format_args!("{of_outcome:outcome$}")),
            terminal::cut(&printable(&row.reason), room)
        );
    }
    out
}

/// What a person does next.
fn summary(rows: &[Row], depth: Depth, unseen: usize, terminal: Terminal) -> String {
    if rows.is_empty() && unseen == 0 {
        return "The dead-letter queue is empty.".to_owned();
    }
    let zones = rows.chunk_by(|a, b| a.zone == b.zone).count();
    let mut out = format!("{} of {}.", counted(rows.len(), "message"), counted(zones, "zone"));
    if unseen > 0 {
        _ = write!(
            out,
            " {unseen} more {} there that SQS does not give out now: of a zone it shows the oldest, {BATCH} at most, until these \
             are gone{}.",
            if unseen == 1 { "is" } else { "are" },
            if depth.hidden > 0 {
                format!(", and {} somebody else looks at, for two minutes at most", depth.hidden)
            } else {
                String::new()
            }
        );
    }
    let held = rows.iter().any(|row| row.needs.is_some());
    let approve = if held { ", dlq approve ID" } else { "" };
    let next = format!("Next: secondary53 dlq show ID, dlq replay ID{approve}, dlq drop ID");
    format!("{out}\n{}", terminal.paint(FAINT, next))
}
