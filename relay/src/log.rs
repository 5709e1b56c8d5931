//! The log, to stderr or to the journal, in the form that whoever is there reads.
//!
//! | where stderr leads                  | what is written                                           |
//! | ----------------------------------- | --------------------------------------------------------- |
//! | the journal (`JOURNAL_STREAM`)      | entries with fields: `journalctl ZONE=example.com.`        |
//! | a terminal                          | text                                                      |
//! | elsewhere, from `run`               | JSON, an object a line, for what collects logs             |
//! | elsewhere, from a command that ends | text, for the mail of cron                                 |
//!
//! The fields of an event are the fields in the journal, in upper case. `MESSAGE` holds all of them too: it is all that
//! `journalctl -u` shows.

use std::array;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, stderr};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use clap::ValueEnum;
use tracing::field::{Field, Value, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields as _;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// To the journal where stderr leads there, as text on a terminal, else as JSON (`run`) or text (the other commands).
    #[default]
    Auto,
    /// Lines for a person, on stderr.
    Text,
    /// An object a line, on stderr.
    Json,
    /// Entries with fields, in the journal of systemd.
    Journald,
}

/// Starts it. `runs` says that this is the relay itself, not a command that ends; `debug` to say more, unless `RUST_LOG` says
/// what.
pub fn start(format: Format, runs: bool, debug: bool) {
    const QUIET: &str = "info,aws_config=warn,aws_smithy_runtime=warn";
    const DEBUG: &str = "debug,hyper_util=info,rustls=info";
    let (filter, odd) = filter(std::env::var("RUST_LOG").ok().as_deref(), if debug { DEBUG } else { QUIET });
    let log = tracing_subscriber::registry().with(filter);

    let (journal, terminal) = (leads_to_journal(), stderr().is_terminal());
    let text = |journal| {
        let text = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(terminal).with_target(false);
        // The journal has the time itself.
        if journal { text.without_time().boxed() } else { text.boxed() }
    };
    let format = match format {
        Format::Auto if journal => Format::Journald,
        Format::Auto if runs && !terminal => Format::Json,
        Format::Auto => Format::Text,
        given => given,
    };
    match format {
        Format::Auto | Format::Text => log.with(text(journal)).init(),
        Format::Json => {
            let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
            log.with(json.with_span_list(false).with_writer(stderr).with_target(false)).init();
        }
        Format::Journald => match Journal::connect() {
            Ok(entries) => log.with(entries).init(),
            Err(error) => {
                log.with(text(journal)).init();
                tracing::warn!(%error, "the journal cannot be reached: the log is text on stderr");
            }
        },
    }
    for directive in odd {
        tracing::warn!(
            directive,
            "RUST_LOG: this is passed over; it takes target=level, as in info,secondary53_relay=debug"
        );
    }
}

/// What is logged: targets and their levels, as in `info,secondary53_relay=debug`; and what of `given` does not read so.
/// `tracing_subscriber::EnvFilter` reads more, for spans, of which there are none here, and brings two regex engines for it.
fn filter(given: Option<&str>, default: &str) -> (Targets, Vec<String>) {
    let (mut targets, mut odd) = (Targets::new(), Vec::new());
    let text = given.filter(|text| !text.trim().is_empty()).unwrap_or(default);
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        match directive.parse::<Targets>() {
            Ok(parsed) => {
                if let Some(level) = parsed.default_level() {
                    targets = targets.with_default(level);
                }
                targets.extend(parsed);
            }
            Err(_) => odd.push(directive.to_owned()),
        }
    }
    (targets, odd)
}

/// Whether stderr is the stream of which systemd says that it leads to the journal (`systemd.exec(5)`). The variable is
/// inherited by what somebody starts with its stderr elsewhere.
fn leads_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = stderr().as_fd().try_clone_to_owned() else { return false };
    let metadata = File::from(stderr).metadata();
    metadata.is_ok_and(|metadata| stream == format!("{}:{}", metadata.dev(), metadata.ino()))
}

/// Entries in the journal, with every field in their text as well.
struct Journal(tracing_journald::Layer);

/// The fields of an event. tracing's macros took 32 at most for long; ours have a third of that.
const FIELDS: usize = 32;

impl Journal {
    fn connect() -> io::Result<Self> {
        // As syslog has them; info would be a notice by default.
        let priorities = PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            trace: Priority::Debug,
            ..PriorityMappings::new()
        };
        let layer = tracing_journald::layer()?.with_field_prefix(None).with_priority_mappings(priorities);
        Ok(Self(layer.with_syslog_identifier("secondary53-relay".to_owned())))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let fields = Fields::of(event);
        let Some((first, _)) = fields.0.first() else { return };
        let pairs: [_; FIELDS] = array::from_fn(|index| match fields.0.get(index) {
            Some((field, text)) => (field, Some(text as &dyn Value)),
            None => (first, None),
        });
        let values = event.metadata().fields().value_set(&pairs);
        self.0.on_event(&Event::new(event.metadata(), &values), context);
    }
}

/// The fields of an event as text.
struct Fields(Vec<(Field, String)>);

impl Fields {
    /// With the message as text would have it: itself, and what follows it.
    fn of(event: &Event<'_>) -> Self {
        let mut fields = Self(Vec::new());
        event.record(&mut fields);
        let mut line = String::new();
        // Writing to a String cannot fail.
        let _ = DefaultFields::new().format_fields(Writer::new(&mut line), event);
        if let Some((_, message)) = fields.0.iter_mut().find(|(field, _)| field.name() == "message") {
            *message = line;
        }
        fields
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.clone(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.clone(), format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn what_is_logged_is_a_level_for_each_target() {
        let (targets, odd) = filter(None, "info,aws_config=warn");
        assert!(odd.is_empty() && targets.would_enable("secondary53_relay::daemon", &Level::INFO));
        assert!(
            !targets.would_enable("secondary53_relay", &Level::DEBUG)
                && !targets.would_enable("aws_config::x", &Level::INFO)
        );
        let (targets, odd) = filter(Some("warn, secondary53_relay::primary=trace,[span{zone=a}]=debug,x=loud"), "info");
        assert_eq!(odd, ["[span{zone=a}]=debug", "x=loud"]);
        assert!(targets.would_enable("secondary53_relay::primary", &Level::TRACE));
        assert!(targets.would_enable("x", &Level::WARN) && !targets.would_enable("x", &Level::INFO));
        assert!(filter(Some(""), "info").0.would_enable("x", &Level::INFO));
    }
}
