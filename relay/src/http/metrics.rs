//! `/metrics`, in the text format of Prometheus (version 0.0.4): base units, `_total` on what only grows, and labels whose
//! values the configuration bounds.

use std::fmt::{self, Display, Write as _};

use crate::view::{Histogram, Origin, Status, Time, View, Zone};

/// All of it.
pub fn metrics(view: &View) -> String {
    // A zone has about a dozen lines of a hundred octets.
    let mut text = Text(String::with_capacity((4 << 10) + view.zones.len() * 1_200));
    process(&mut text, view);
    totals(&mut text, view);
    queues(&mut text, view);
    zones(&mut text, view);
    text.0
}

/// What is written, family by family.
struct Text(String);

/// A family with a sample for each zone: a part of its name, its help, and the value.
type Family<T> = (&'static str, &'static str, fn(&Zone) -> T);

/// The value of a label: a backslash, a quote and a line feed are escaped.
struct Label<'a>(&'a str);

/// Milliseconds, written as seconds.
struct Seconds(u64);

fn process(text: &mut Text, view: &View) {
    text.family("process_start_time_seconds", "gauge", "When the process was started, in seconds since 1970.");
    text.sample("process_start_time_seconds", &[], Seconds(view.started_at.0));
    let name = "secondary53_relay_build_info";
    text.family(name, "gauge", "The version of the relay; the value is 1.");
    text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let name = "secondary53_relay_healthy";
    text.family(name, "gauge", "Whether /healthz says ok.");
    text.sample(name, &[], u8::from(view.illness().is_none()));
}

fn totals(text: &mut Text, view: &View) {
    let counts = &view.counts;
    let name = "secondary53_relay_notifies_total";
    text.family(name, "counter", "NOTIFY messages, by what they led to; not all that is refused is a NOTIFY.");
    for (outcome, count) in [
        ("look", counts.notifies_looked),
        ("merged", counts.notifies_merged),
        ("not_newer", counts.notifies_not_newer),
        ("refused", counts.notifies_refused),
    ] {
        text.sample(name, &[("outcome", outcome)], count);
    }
    let name = "secondary53_relay_looks_total";
    text.family(name, "counter", "Looks at the primaries of a zone, by how they ended.");
    for (outcome, count) in [
        ("current", counts.looks_current),
        ("transferred", counts.looks_transferred),
        ("backwards", counts.looks_backwards),
        ("failed", counts.looks_failed),
    ] {
        text.sample(name, &[("outcome", outcome)], count);
    }
    for (name, help, count) in [
        ("secondary53_relay_transfer_bytes_total", "Octets of complete transfers.", counts.transfer_octets),
        ("secondary53_relay_transfer_records_total", "Records of complete transfers.", counts.transfer_records),
        ("secondary53_relay_pack_failures_total", "Zones that did not fit a message.", counts.pack_failures),
        ("secondary53_relay_store_failures_total", "Snapshots that could not be kept.", counts.store_failures),
    ] {
        text.family(name, "counter", help);
        text.sample(name, &[], count);
    }
    let name = "secondary53_relay_primary_failures_total";
    text.family(name, "counter", "Looks at one primary that failed, by its address.");
    for (primary, count) in &counts.primary_failures {
        text.sample(name, &[("primary", &primary.to_string())], count);
    }
    let name = "secondary53_relay_primary_reachable";
    text.family(name, "gauge", "Whether a primary could be reached when it was last asked; if not, others are asked.");
    for (primary, _) in &counts.primary_failures {
        let reachable = !counts.primaries_lost.contains(primary);
        text.sample(name, &[("primary", &primary.to_string())], u8::from(reachable));
    }
    let help = "From NOTIFY until all queues have accepted the change.";
    text.histogram("secondary53_relay_accepted_seconds", help, &counts.accepted_seconds);
    let help = "From NOTIFY until the change is live at the hosted zone's name servers.";
    text.histogram("secondary53_relay_live_seconds", help, &counts.live_seconds);
}

fn queues(text: &mut Text, view: &View) {
    let name = "secondary53_relay_sends_total";
    text.family(name, "counter", "Messages given to a queue, by outcome.");
    for queue in &view.queues {
        text.sample(name, &[("queue", &queue.name), ("outcome", "accepted")], queue.accepted);
        text.sample(name, &[("queue", &queue.name), ("outcome", "failed")], queue.failed);
    }
    let name = "secondary53_relay_sent_bytes_total";
    text.family(name, "counter", "Octets of messages that a queue accepted.");
    for queue in &view.queues {
        text.sample(name, &[("queue", &queue.name)], queue.octets);
    }
    let name = "secondary53_relay_queue_accepted_timestamp_seconds";
    text.family(name, "gauge", "When a queue last accepted a message.");
    for queue in &view.queues {
        if let Some(time) = queue.accepted_at {
            text.sample(name, &[("queue", &queue.name)], Seconds(time.0));
        }
    }
    let name = "secondary53_relay_queue_failing_seconds";
    text.family(name, "gauge", "For how long a queue has accepted nothing that was sent; 0 where it accepts.");
    for queue in &view.queues {
        let long = queue.failing.as_ref().map_or(0, |(since, _)| view.now.0.saturating_sub(since.0));
        text.sample(name, &[("queue", &queue.name)], Seconds(long));
    }
}

fn zones(text: &mut Text, view: &View) {
    let names: Vec<_> = view.zones.iter().map(|zone| zone.zone.to_string()).collect();
    let name = "secondary53_relay_zones";
    text.family(name, "gauge", "Zones, by how they stand.");
    for status in Status::ALL {
        let count = view.zones.iter().filter(|zone| zone.status == status).count();
        text.sample(name, &[("status", status.as_str())], count);
    }
    let name = "secondary53_relay_zones_by_origin";
    text.family(name, "gauge", "Zones, by who says that they are zones: the configuration, a catalog, the account.");
    for (origin, label) in
        [(Origin::Configuration, "configuration"), (Origin::Catalog, "catalog"), (Origin::Account, "account")]
    {
        let count = view.zones.iter().filter(|zone| zone.origin == origin).count();
        text.sample(name, &[("origin", label)], count);
    }
    let name = "secondary53_relay_catalog_members";
    text.family(name, "gauge", "Members of a catalog.");
    for (zone, label) in view.zones.iter().zip(&names) {
        if let Some(members) = zone.members {
            text.sample(name, &[("zone", label)], members);
        }
    }
    if let Some(account) = &view.account {
        let name = "secondary53_relay_account_failing_seconds";
        text.family(name, "gauge", "For how long the account's hosted zones could not be listed; 0 where they were.");
        let long = account.failing_since.map_or(0, |since| view.now.0.saturating_sub(since.0));
        text.sample(name, &[], Seconds(long));
        let name = "secondary53_relay_account_hosted_zones";
        text.family(name, "gauge", "Public hosted zones of the account when they were last listed.");
        text.sample(name, &[], account.hosted_zones);
    }
    let name = "secondary53_relay_zone_serial";
    text.family(name, "gauge", "The serial of a zone: at the primary, sent to its queues, live in Route 53.");
    for (zone, label) in view.zones.iter().zip(&names) {
        for (place, serial) in
            [("primary", zone.primary_serial), ("sent", zone.sent_serial), ("live", zone.live_serial)]
        {
            if let Some(serial) = serial {
                text.sample(name, &[("zone", label), ("at", place)], serial);
            }
        }
    }
    let times: [Family<Option<Time>>; 5] = [
        ("notified", "When a primary last sent NOTIFY.", |zone| zone.notified_at),
        ("refreshed", "When a primary last answered well.", |zone| zone.refreshed_at),
        ("transferred", "When the zone was last transferred.", |zone| zone.transferred_at),
        ("sent", "When all queues last accepted the zone.", |zone| zone.sent_at),
        ("live", "When what was sent was last seen live.", |zone| zone.live_at),
    ];
    for (what, help, time) in times {
        let name = format!("secondary53_relay_zone_{what}_timestamp_seconds");
        text.family(&name, "gauge", help);
        for (zone, label) in view.zones.iter().zip(&names) {
            if let Some(time) = time(zone) {
                text.sample(&name, &[("zone", label)], Seconds(time.0));
            }
        }
    }
    let flags: [Family<u64>; 4] = [
        ("expired", "Whether no primary has answered for the SOA's expire time.", |zone| {
            u64::from(zone.status == Status::Expired)
        }),
        ("backwards", "Whether the primary's serial is older than ours.", |zone| {
            u64::from(zone.status == Status::Backwards)
        }),
        ("trouble", "Whether somebody should look at it.", |zone| u64::from(zone.status.is_trouble())),
        ("behind_seconds", "Time since the first news of a change that has not got through.", |zone| {
            zone.behind_seconds.unwrap_or_default()
        }),
    ];
    for (what, help, value) in flags {
        let name = format!("secondary53_relay_zone_{what}");
        text.family(&name, "gauge", help);
        for (zone, label) in view.zones.iter().zip(&names) {
            text.sample(&name, &[("zone", label)], value(zone));
        }
    }
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (key, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            self.write(format_args!("{key}=\"{}\"", Label(text)));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let (count, sum) = histogram.totals();
        let bucket = format!("{name}_bucket");
        for (bound, below) in histogram.buckets() {
            self.sample(&bucket, &[("le", &Seconds(bound).to_string())], below);
        }
        self.sample(&bucket, &[("le", "+Inf")], count);
        self.sample(&format!("{name}_sum"), &[], Seconds(sum));
        self.sample(&format!("{name}_count"), &[], count);
    }

    fn line(&mut self, arguments: fmt::Arguments<'_>) {
        self.write(arguments);
        self.0.push('\n');
    }

    fn write(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.0.write_fmt(arguments);
    }
}

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, milliseconds) = (self.0 / 1_000, self.0 % 1_000);
        match milliseconds {
            0 => write!(f, "{seconds}"),
            _ => f.write_str(format!("{seconds}.{milliseconds:03}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use secondary53_zone::Serial;

    use super::*;
    use crate::view::{Counts, Queue, Seen};

    fn view() -> View {
        let mut counts =
            Counts::new(["192.0.2.1:53", "192.0.2.2:53"].into_iter().map(|primary| primary.parse().unwrap()));
        counts.primaries_lost.insert("192.0.2.2:53".parse().unwrap());
        counts.notifies_merged = 3;
        counts.primary_failed("192.0.2.1:53".parse().unwrap());
        counts.live_seconds.count(Duration::from_millis(2_250));
        let mut queue = Queue::new("main");
        queue.accepted(100, Time(5_000));
        queue.failed("no route".to_owned(), Time(6_000));
        let mut seen = Seen::new(Some(Serial(u32::MAX)));
        seen.transferred(Serial(1), 4, Time(1_500), None);
        View {
            relay: "here".to_owned(),
            started_at: Time(1_250),
            now: Time(8_500),
            counts,
            queues: vec![queue],
            zones: vec![seen.show(r"a\\\034b.example".parse().unwrap(), false, None, Time(8_500))],
            account: None,
        }
    }

    #[test]
    fn samples() {
        let text = metrics(&view());
        for line in [
            "process_start_time_seconds 1.25",
            "secondary53_relay_healthy 1",
            "secondary53_relay_notifies_total{outcome=\"merged\"} 3",
            "secondary53_relay_primary_failures_total{primary=\"192.0.2.1:53\"} 1",
            "secondary53_relay_primary_reachable{primary=\"192.0.2.1:53\"} 1",
            "secondary53_relay_primary_reachable{primary=\"192.0.2.2:53\"} 0",
            "secondary53_relay_live_seconds_bucket{le=\"1\"} 0",
            "secondary53_relay_live_seconds_bucket{le=\"2.5\"} 1",
            "secondary53_relay_live_seconds_bucket{le=\"+Inf\"} 1",
            "secondary53_relay_live_seconds_sum 2.25",
            "secondary53_relay_live_seconds_count 1",
            "secondary53_relay_sends_total{queue=\"main\",outcome=\"failed\"} 1",
            "secondary53_relay_queue_failing_seconds{queue=\"main\"} 2.5",
            "secondary53_relay_zones{status=\"behind\"} 1",
            r#"secondary53_relay_zone_serial{zone="a\\\\\\\"b.example.",at="sent"} 4294967295"#,
            r#"secondary53_relay_zone_behind_seconds{zone="a\\\\\\\"b.example."} 7"#,
        ] {
            assert!(text.lines().any(|given| given == line), "{line}\n{text}");
        }
    }

    /// What the format demands: each family once, with help and type, its samples together.
    #[test]
    fn families_are_whole() {
        let text = metrics(&view());
        let mut seen = BTreeSet::new();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split(' ').next().unwrap().to_owned();
                assert!(seen.insert(family.clone()), "{family} is there twice");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, family);
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            } else {
                let name = line.split(['{', ' ']).next().unwrap();
                let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} stands under {family}"));
                assert!(["", "_bucket", "_sum", "_count"].contains(&suffix), "{line}");
                assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(seen.len() > 25);
    }
}
