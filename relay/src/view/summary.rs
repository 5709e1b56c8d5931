//! The relay in a line, for who has no room for more: the status of a service.

use super::{Status, View};

impl View {
    /// How many zones there are and how they stand, the worst first, and what is wrong with one of these; then what ails the
    /// relay.
    ///
    /// `3 zones: 1 failing, 2 current; example.com.: no primary has answered`
    pub fn summary(&self) -> String {
        let standing = |status: Status| self.zones.iter().filter(move |zone| zone.status == status);
        let counts: Vec<_> = Status::ALL
            .into_iter()
            .map(|status| (standing(status).count(), status.as_str()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, status)| format!("{count} {status}"))
            .collect();
        let mut summary = match self.zones.len() {
            1 => "1 zone".to_owned(),
            zones => format!("{zones} zones"),
        };
        if !counts.is_empty() {
            summary.extend([": ", &counts.join(", ")]);
        }
        let worst =
            Status::ALL.into_iter().filter(|status| status.is_trouble()).find_map(|status| standing(status).next());
        if let Some(zone) = worst {
            let error = zone.error.as_deref().unwrap_or_else(|| zone.status.as_str());
            summary.extend(["; ", &zone.zone.to_string(), ": ", error]);
        }
        if let Some(illness) = self.illness() {
            summary.extend(["; ", &illness]);
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use secondary53_zone::{Name, Serial};

    use crate::view::{Counts, Queue, Seen, Time, View, Zone};

    fn zone(name: &str, tell: impl FnOnce(&mut Seen)) -> Zone {
        let mut seen = Seen::default();
        tell(&mut seen);
        seen.show(name.parse::<Name>().unwrap(), false, None, Time(0))
    }

    #[test]
    fn a_relay_in_a_line() {
        let mut view = View {
            relay: String::new(),
            started_at: Time(0),
            now: Time(0),
            counts: Counts::default(),
            queues: vec![Queue::new("main")],
            zones: Vec::new(),
            account: None,
        };
        assert_eq!(view.summary(), "0 zones");
        view.zones.push(zone("a.example", |_| {}));
        assert_eq!(view.summary(), "1 zone: 1 starting");
        view.zones.push(zone("b.example", |seen| seen.current(Serial(1), Time(0))));
        view.zones.push(zone("c.example", |seen| seen.failed("no answer".to_owned())));
        view.zones.push(zone("d.example", |seen| seen.went_backwards(Serial(1), "older".to_owned())));
        assert_eq!(view.summary(), "4 zones: 1 backwards, 1 failing, 1 starting, 1 current; d.example.: older");
        view.zones.truncate(2);
        view.queues[0].failed("no route".to_owned(), Time(0));
        view.now = Time(600_000);
        assert_eq!(view.summary(), "2 zones: 1 starting, 1 current; queue main has accepted nothing for 10m: no route");
    }
}
