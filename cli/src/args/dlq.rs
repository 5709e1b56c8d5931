//! The command line of `dlq`.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use secondary53_zone::name::Name;

/// Which queues.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Queues")]
pub struct Queues {
    /// The queue that the worker takes snapshots from: where a replay goes; `SECONDARY53_QUEUE_URL`, or that of the stack, by
    /// default.
    #[arg(long, global = true, value_name = "URL")]
    pub queue_url: Option<String>,
    /// The dead-letter queue; `SECONDARY53_DLQ_URL`, or the one that the queue's redrive policy names, by default.
    #[arg(long, global = true, value_name = "URL")]
    pub dlq_url: Option<String>,
    /// The stack that made them, where no URL is given: its queue is STACK.fifo; `SECONDARY53_STACK`, or secondary53, by
    /// default. With it, no URL of the environment counts.
    #[arg(long, global = true, value_name = "STACK")]
    pub stack: Option<String>,
    /// Seconds for which what is looked at is hidden from others, the worker's redrive too; only after kill -9 they all pass.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 120, hide = true,
        value_parser = clap::value_parser!(i32).range(2..=43_200))]
    pub hold: i32,
    /// Whether somebody named both by their URLs, in one place.
    #[arg(skip)]
    pub is_pair: bool,
}

/// The stack of the template's own documentation.
const STACK: &str = "secondary53";

impl Queues {
    /// With what the environment says in the place of what was not given; empty counts as not set.
    ///
    /// Who types a stack or its queue means no other stack's, whatever the shell was set up for: then a URL of the
    /// environment is passed over.
    #[must_use]
    pub fn or(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let url = |name: &str| variable(name).filter(|_| self.stack.is_none() && self.queue_url.is_none());
        let (queue_url, dlq_url) = (url("SECONDARY53_QUEUE_URL"), url("SECONDARY53_DLQ_URL"));
        let is_pair = match (&self.queue_url, &self.dlq_url) {
            (Some(_), Some(_)) => true,
            (None, None) => queue_url.is_some() && dlq_url.is_some(),
            _ => false,
        };
        Self {
            queue_url: self.queue_url.or(queue_url),
            dlq_url: self.dlq_url.or(dlq_url),
            stack: self.stack.or_else(|| variable("SECONDARY53_STACK")).or_else(|| Some(STACK.to_owned())),
            hold: self.hold,
            is_pair,
        }
    }
}

/// What to do with the dead-letter queue.
///
/// An ID is what `dlq list` shows, or as much of its beginning as no other has; nothing is the beginning of all of them, and no
/// ID.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Show every message in a row: id, zone, serial, age, size, and why it is there.
    List,
    /// Show all of one message: its attributes, its zone, and what it would change in Route 53 now.
    Show {
        /// The message.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Print the whole zone, not its first records.
        #[arg(long)]
        full: bool,
        /// Print the zone file and nothing else.
        #[arg(long, conflicts_with = "full")]
        zone_file: bool,
    },
    /// Put messages back into the queue, once what they failed of is mended. Exit status: 0 all of them, 2 some were passed
    /// over, 1 error.
    Replay {
        /// Which.
        #[command(flatten)]
        chosen: Chosen,
        /// Also what is older than another one there or than what Route 53 has, and all that a zone has, in its order.
        #[arg(long)]
        older: bool,
    },
    /// Let held deletions pass: put messages back into the queue with an operator's word for what they are held for. It
    /// holds for just these snapshots.
    Approve {
        /// The messages.
        #[arg(required = true, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
        ids: Vec<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Also what is older than another one there or than what Route 53 has.
        #[arg(long)]
        older: bool,
    },
    /// Delete messages for good.
    Drop {
        /// Which.
        #[command(flatten)]
        chosen: Chosen,
        /// Only those that are older than another one there of their zone.
        #[arg(long)]
        superseded: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Which messages.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Chosen {
    /// These.
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// All of a zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<Name>,
    /// All.
    #[arg(long)]
    pub all: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::{Args, Command};

    /// Both URLs, the stack, and whether the URLs are a pair, with an environment that names all of them.
    fn queues(arguments: &[&str]) -> (Option<String>, Option<String>, Option<String>, bool) {
        let all = ["secondary53", "dlq"].iter().chain(arguments).chain(&["list"]);
        let Command::Dlq { queues, .. } = Args::try_parse_from(all).unwrap().command else { panic!("it is dlq") };
        let found = queues.or(|name| match name {
            "SECONDARY53_QUEUE_URL" => Some("prod".to_owned()),
            "SECONDARY53_DLQ_URL" => Some("prod-dlq".to_owned()),
            "SECONDARY53_STACK" => Some("prod-stack".to_owned()),
            _ => None,
        });
        (found.queue_url, found.dlq_url, found.stack, found.is_pair)
    }

    #[test]
    fn what_is_typed_goes_before_the_environment() {
        let some = |text: &str| Some(text.to_owned());
        let (queue, dead, stack) = (some("prod"), some("prod-dlq"), some("prod-stack"));
        assert_eq!(queues(&[]), (queue.clone(), dead, stack.clone(), true));
        assert_eq!(queues(&["--stack", "staging"]), (None, None, some("staging"), false));
        assert_eq!(queues(&["--stack", "staging", "--dlq-url", "d"]), (None, some("d"), some("staging"), false));
        assert_eq!(queues(&["--queue-url", "q"]), (some("q"), None, stack.clone(), false));
        assert_eq!(queues(&["--dlq-url", "d"]), (queue, some("d"), stack.clone(), false));
        assert_eq!(queues(&["--queue-url", "q", "--dlq-url", "d"]), (some("q"), some("d"), stack, true));
    }

    #[test]
    fn nothing_is_no_id() {
        for command in [&["drop", "--yes"][..], &["replay"], &["approve"], &["show"]] {
            let all = ["secondary53", "dlq"].iter().chain(command);
            assert!(Args::try_parse_from(all.clone().chain(&[""])).is_err(), "{command:?}");
            assert!(Args::try_parse_from(all.chain(&["6f1c2d0a"])).is_ok(), "{command:?}");
        }
    }
}
