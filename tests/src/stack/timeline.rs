//! Where the time goes between a change at a primary and its acceptance by Route 53, by what relay and worker log at level
//! debug.

use std::time::{Duration, SystemTime};

use super::chain::{Chain, Detours};
use super::wait::time_of_day;

/// A step, by what its end is logged as.
struct Step {
    name: &'static str,
    whose: Whose,
    /// All of these are in the line.
    words: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Relay,
    Worker,
}

/// In their order. A step is all that is done and waited for since the end of the one before.
const STEPS: [Step; 10] = [
    Step { name: "NOTIFY", whose: Whose::Relay, words: &[" notified "] },
    Step { name: "SOA", whose: Whose::Relay, words: &[" answered "] },
    Step { name: "transfer", whose: Whose::Relay, words: &[" transferred "] },
    Step { name: "encode", whose: Whose::Relay, words: &[" packed "] },
    Step { name: "SQS", whose: Whose::Relay, words: &[" accepted "] },
    Step { name: "Lambda", whose: Whose::Worker, words: &["\"message\":\"an event\""] },
    Step { name: "decode", whose: Whose::Worker, words: &["\"message\":\"asking\"", "\"ListResourceRecordSets\""] },
    Step { name: "list", whose: Whose::Worker, words: &["\"message\":\"answered\"", "\"ListResourceRecordSets\""] },
    Step { name: "plan", whose: Whose::Worker, words: &["\"message\":\"asking\"", "\"ChangeResourceRecordSets\""] },
    Step { name: "change", whose: Whose::Worker, words: &["\"message\":\"answered\"", "\"ChangeResourceRecordSets\""] },
];

/// The names of the steps.
pub fn steps() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|step| step.name)
}

/// What the programs of a chain are told, so that their logs say enough.
pub fn detours() -> Detours {
    Detours {
        worker: [("RUST_LOG", "info,secondary53_lambda=debug".to_owned())].into(),
        relay: [("RUST_LOG", "info,secondary53_relay=debug".to_owned())].into(),
        ..Detours::default()
    }
}

/// A change, from when to when.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// When it was made.
    pub since: SystemTime,
    /// When it was seen in the hosted zone.
    pub until: SystemTime,
}

impl Change {
    /// From then to now.
    pub fn since(since: SystemTime) -> Self {
        Self { since, until: time_of_day() }
    }
}

/// How long each step took of each change, in the order of [`steps`]; of a change whose steps are not all in the logs, none.
pub fn timelines(chain: &Chain, changes: &[Change]) -> Vec<Vec<Duration>> {
    of_logs(&chain.relay.log_text(), &chain.ministack.process.log_text(), changes)
}

fn of_logs(relay: &str, worker: &str, changes: &[Change]) -> Vec<Vec<Duration>> {
    let (relay, worker) = (lines(relay), lines(worker));
    let step_end = |change: &Change, step: &Step| {
        let lines = if step.whose == Whose::Relay { &relay } else { &worker };
        let from = lines.partition_point(|(at, _)| *at < change.since);
        let of_change = lines.iter().skip(from).take_while(|(at, _)| *at <= change.until + AFTERWARDS);
        of_change.filter(|(_, line)| step.words.iter().all(|word| line.contains(word))).map(|(at, _)| *at).next()
    };
    let timeline = |change: &Change| {
        let mut before = change.since;
        let mut took = Vec::with_capacity(STEPS.len());
        for step in &STEPS {
            // What is said of a step may be said after the next one has begun.
            let end = step_end(change, step)?.max(before);
            took.push(end.duration_since(before).unwrap_or_default());
            before = end;
        }
        Some(took)
    };
    changes.iter().filter_map(timeline).collect()
}

/// The hosted zone has a change before the worker has the answer. The next change is made later than that.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// The lines that begin with a time, or are JSON that does, in the order of their times.
fn lines(log: &str) -> Vec<(SystemTime, &str)> {
    let stamped = |line| {
        let text = str::strip_prefix(line, "{\"timestamp\":\"").unwrap_or(line);
        let (time, _) = text.split_once('Z')?;
        Some((humantime::parse_rfc3339(&format!("{time}Z")).ok()?, line))
    };
    let mut lines: Vec<_> = log.lines().filter_map(stamped).collect();
    lines.sort_by_key(|(at, _)| *at);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: &str = "\
2026-11-27T10:00:00.001000Z  INFO notified zone=a. serial=2
2026-11-27T10:00:00.003000Z DEBUG answered zone=a. serial=2
2026-11-27T10:00:00.006000Z  INFO transferred zone=a. serial=2
2026-11-27T10:00:00.010000Z DEBUG packed zone=a. serial=2
2026-11-27T10:00:00.025000Z DEBUG accepted zone=a. serial=2
";
    const WORKER: &str = r#"
ministack says something of its own
{"timestamp":"2026-11-27T10:00:00.020000Z","level":"DEBUG","message":"an event","messages":1}
{"timestamp":"2026-11-27T10:00:00.031000Z","level":"DEBUG","message":"asking","operation":"ListResourceRecordSets"}
{"timestamp":"2026-11-27T10:00:00.032000Z","level":"DEBUG","message":"answered","operation":"ListResourceRecordSets"}
{"timestamp":"2026-11-27T10:00:00.033000Z","level":"DEBUG","message":"asking","operation":"ChangeResourceRecordSets"}
{"timestamp":"2026-11-27T10:00:00.041000Z","level":"DEBUG","message":"answered","operation":"ChangeResourceRecordSets"}
"#;

    #[test]
    fn each_step_is_what_was_done_since_the_one_before() {
        let at = |text| humantime::parse_rfc3339(text).unwrap();
        let change = Change { since: at("2026-11-27T10:00:00Z"), until: at("2026-11-27T10:00:00.040Z") };
        let took: Vec<_> = of_logs(RELAY, WORKER, &[change]).concat().iter().map(Duration::as_millis).collect();
        // The event is there before the relay says that SQS has accepted the message.
        assert_eq!(took, [1, 2, 3, 4, 15, 0, 6, 1, 1, 8]);
        let later = Change { since: at("2026-11-27T10:00:01Z"), until: at("2026-11-27T10:00:02Z") };
        assert!(of_logs(RELAY, WORKER, &[later]).is_empty());
    }
}
