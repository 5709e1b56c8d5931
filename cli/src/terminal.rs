//! How things are told: to a person on a terminal, to a file, to a program.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::args::Output;
use crate::{Failed, interrupt};

/// What comes.
pub const ADDED: Style = AnsiColor::Green.on_default();
/// What goes, and what failed.
pub const REMOVED: Style = AnsiColor::Red.on_default();
/// What changes, and what wants an eye.
pub const CHANGED: Style = AnsiColor::Yellow.on_default();
/// What is only there to be known.
pub const FAINT: Style = Style::new().dimmed();
/// What is read first.
pub const STRONG: Style = Style::new().bold();

/// How often a bar is drawn where nothing moves it.
const TICK: Duration = Duration::from_millis(120);

/// What is written to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether there are colours on stdout.
    pub colours: bool,
    /// How many characters a line of stdout has; none where it is no terminal.
    pub width: Option<usize>,
    /// JSON, and nothing else on stdout.
    pub json: bool,
    /// No more than what was asked for.
    pub quiet: bool,
}

impl Terminal {
    /// As the arguments say, and what stdout is.
    pub fn new(output: &Output) -> Self {
        // https://no-color.org: set, and not empty.
        let forbidden = output.no_color || std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colours = !forbidden && !dumb && !output.json && io::stdout().is_terminal();
        let width = console::Term::stdout().size_checked().map(|(_, columns)| columns.into());
        Self { colours, width, json: output.json, quiet: output.quiet }
    }

    /// With a style, where there are colours.
    pub fn paint(self, style: Style, text: impl Display) -> String {
        if self.colours { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    /// Says something beside that, on stderr.
    pub fn note(self, text: impl Display) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// A bar on stderr for so many things, or a wheel where nobody knows how many; nothing where nobody looks.
    pub fn bar(self, length: Option<u64>, what: &'static str) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let target = ProgressDrawTarget::stderr();
        let template = match length {
            Some(_) => "{msg} {wide_bar} {pos}/{len} {elapsed}",
            None => "{spinner} {msg} {pos} {elapsed}",
        };
        let bar = ProgressBar::with_draw_target(length, target).with_message(what);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.enable_steady_tick(TICK);
        bar
    }
}

/// Prints what was asked for. Whoever reads may have seen enough.
pub fn print(text: &str) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failed(format!("failed to print: {error}"))),
        _ => Ok(()),
    }
}

/// Prints JSON, with an end of line.
pub fn print_json(value: &impl Serialize) -> Result<(), Failed> {
    let json = serde_json::to_string_pretty(value);
    print(&(json.map_err(|error| Failed(format!("failed to print: {error}")))? + "\n"))
}

/// The word, in the number that fits.
pub fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// A number of things: `1 message`, `2 messages`.
pub fn counted(count: usize, word: &str) -> String {
    format!("{count} {}", plural(count, word))
}

/// Asks a yes-or-no question, of whoever sits there. Only `yes` is yes, and Ctrl-C is no.
pub async fn asked(question: &str) -> Result<bool, Failed> {
    if !io::stdin().is_terminal() {
        return Err(Failed("standard input is not a terminal: pass --yes to go on without being asked".to_owned()));
    }
    let failed = |error| Failed(format!("failed to ask: {error}"));
    eprint!("{question} Only 'yes' is taken: ");
    io::stderr().flush().map_err(failed)?;
    // On a thread of its own, for signals are heard on this one.
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    tokio::select! {
        read = read => Ok(read.map_err(io::Error::other).flatten().map_err(failed)?.trim() == "yes"),
        () = interrupt::told() => Ok(false),
    }
}

/// How long ago, in the two largest units: `3d 4h`, `12m 5s`.
pub fn age(seconds: u64) -> String {
    let parts = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut left = seconds;
    let mut told = Vec::new();
    for (unit, name) in parts {
        if left >= unit {
            told.push(format!("{}{name}", left / unit));
            left %= unit;
        } else if !told.is_empty() {
            break;
        }
    }
    told.truncate(2);
    if told.is_empty() { "0s".to_owned() } else { told.join(" ") }
}

/// Octets, rounded: `812 B`, `13.4 KiB`.
pub fn size(octets: usize) -> String {
    const KIB: usize = 1 << 10;
    let tenths = |unit: usize| format!("{}.{}", octets / unit, octets % unit * 10 / unit);
    match octets {
        0..KIB => format!("{octets} B"),
        KIB..0x10_0000 => format!("{} KiB", tenths(KIB)),
        _ => format!("{} MiB", tenths(KIB * KIB)),
    }
}

/// As much of a text as there is room for.
pub fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    kept + "…"
}

/// Text from elsewhere, fit for a terminal: no control character gets through.
pub fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_short() {
        let ages = [0, 59, 60, 3_661, 86_400, 90_061].map(age);
        assert_eq!(ages, ["0s", "59s", "1m", "1h 1m", "1d", "1d 1h"]);
        assert_eq!([0, 1_023, 1_024, 13_722, 1 << 20].map(size), ["0 B", "1023 B", "1.0 KiB", "13.4 KiB", "1.0 MiB"]);
    }

    #[test]
    fn what_has_no_room_is_cut() {
        assert_eq!((cut("été", 3), cut("étés", 3), cut("a", 0)), ("été".into(), "ét…".into(), "…".into()));
    }

    #[test]
    fn what_comes_from_elsewhere_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a [2Jb ");
    }
}
