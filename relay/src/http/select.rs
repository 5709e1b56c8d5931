//! Which zones are shown: searched, sorted with trouble first, and cut into pages.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::view::{Account, Time, View, Zone};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// A part of the zone's name, or of its status; empty for all.
    pub q: String,
    /// The page, from 1.
    pub page: usize,
    /// Zones on a page.
    pub per_page: usize,
}

/// What `/zones` answers: its fields are a promise, and all of them are always there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listing<'a> {
    /// What the relay calls itself.
    pub relay: Cow<'a, str>,
    /// The relay's version.
    pub version: Cow<'a, str>,
    /// When the relay was started.
    pub started_at: Time,
    /// When this was seen.
    pub now: Time,
    /// Why the relay is not well (as `/healthz` says); null where it is.
    pub illness: Option<String>,
    /// The account, where its hosted zones are zones here; null where not.
    pub account: Option<Cow<'a, Account>>,
    /// Zones that there are.
    pub total: usize,
    /// Of these, those in trouble.
    pub trouble: usize,
    /// Zones that the search matches.
    pub matched: usize,
    /// This page, from 1; the last one where a later one was asked for.
    pub page: usize,
    /// Pages that there are; at least one.
    pub pages: usize,
    /// The zones of this page, trouble first, then in DNS order.
    pub zones: Vec<Cow<'a, Zone>>,
}

impl Query {
    /// Zones on a page, where nothing else is asked for.
    pub const PER_PAGE: usize = 100;
    /// Zones on a page, at most.
    pub const PER_PAGE_MAX: usize = 10_000;
    /// A name in presentation format has no more characters.
    const Q_MAX: usize = 1_020;

    /// Reads the query of a URL. What makes no sense counts as not given.
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "q" => parsed.q = value.trim().to_lowercase().chars().take(Self::Q_MAX).collect(),
                "page" => parsed.page = value.parse().unwrap_or(1).max(1),
                "per_page" => parsed.per_page = value.parse().unwrap_or(Self::PER_PAGE).clamp(1, Self::PER_PAGE_MAX),
                _ => {}
            }
        }
        parsed
    }

    /// The same for another page, as the query of a URL.
    pub fn to_page(&self, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        if !self.q.is_empty() {
            query.append_pair("q", &self.q);
        }
        if self.per_page != Self::PER_PAGE {
            query.append_pair("per_page", &self.per_page.to_string());
        }
        query.append_pair("page", &page.to_string()).finish()
    }

    fn wants(&self, zone: &Zone) -> bool {
        self.q.is_empty() || zone.status.as_str() == self.q || zone.zone.to_string().contains(&self.q)
    }
}

impl Default for Query {
    fn default() -> Self {
        Self { q: String::new(), page: 1, per_page: Self::PER_PAGE }
    }
}

/// The page that is asked for.
pub fn list<'a>(view: &'a View, query: &Query) -> Listing<'a> {
    let mut zones: Vec<_> = view.zones.iter().filter(|zone| query.wants(zone)).collect();
    zones.sort_unstable_by_key(|zone| (zone.status, &zone.zone));
    let matched = zones.len();
    let pages = matched.div_ceil(query.per_page).max(1);
    let page = query.page.min(pages);
    Listing {
        relay: Cow::Borrowed(&view.relay),
        version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        started_at: view.started_at,
        now: view.now,
        illness: view.illness(),
        account: view.account.as_ref().map(Cow::Borrowed),
        total: view.zones.len(),
        trouble: view.zones.iter().filter(|zone| zone.status.is_trouble()).count(),
        matched,
        page,
        pages,
        zones: zones.into_iter().skip((page - 1) * query.per_page).take(query.per_page).map(Cow::Borrowed).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Counts, Seen, Status};

    fn view(zones: usize) -> View {
        let zone = |index| {
            let mut seen = Seen::default();
            if index % 10 == 7 {
                seen.failed("no answer".to_owned());
            }
            seen.show(format!("z{index:04}.example").parse().unwrap(), false, None, Time(0))
        };
        View {
            relay: "here".to_owned(),
            started_at: Time(0),
            now: Time(0),
            counts: Counts::default(),
            queues: Vec::new(),
            zones: (0..zones).map(zone).collect(),
            account: None,
        }
    }

    fn names(listing: &Listing<'_>) -> Vec<String> {
        listing.zones.iter().map(|zone| zone.zone.to_string()).collect()
    }

    #[test]
    fn trouble_comes_first_and_every_zone_once() {
        let view = view(250);
        let mut all = Vec::new();
        for page in 1..=3 {
            let listing = list(&view, &Query::parse(&format!("page={page}")));
            assert_eq!(
                (listing.total, listing.trouble, listing.matched, listing.page, listing.pages),
                (250, 25, 250, page, 3)
            );
            all.extend(names(&listing));
        }
        assert_eq!(all[..2], ["z0007.example.", "z0017.example."]);
        assert_eq!((all.len(), &*all[25], &*all[249]), (250, "z0000.example.", "z0249.example."));
        assert_eq!(list(&view, &Query::parse("page=99")).page, 3);
    }

    #[test]
    fn a_search_is_for_a_part_of_the_name_or_for_a_status() {
        let view = view(250);
        let found = list(&view, &Query::parse("q=+Z012"));
        assert_eq!((found.matched, &*names(&found)[0]), (10, "z0127.example."));
        assert_eq!(list(&view, &Query::parse("q=failing")).matched, 25);
        let nothing = list(&view, &Query::parse("q=%3Cscript%3E"));
        assert_eq!((nothing.matched, nothing.page, nothing.pages), (0, 1, 1));
    }

    #[test]
    fn what_makes_no_sense_counts_as_not_given() {
        assert_eq!(Query::parse("page=0&per_page=x&%ff=%ff&&="), Query::default());
        assert_eq!(Query::parse("per_page=99999999").per_page, Query::PER_PAGE_MAX);
        assert_eq!(Query::parse(&format!("q={}", "a".repeat(9_999))).q.len(), Query::Q_MAX);
        assert_eq!(Query::parse("q=a%26b&page=3").to_page(4), "?q=a%26b&page=4");
    }

    /// The names that programs rely on.
    #[test]
    fn the_fields_of_the_listing() {
        let view = view(1);
        let json = serde_json::to_value(list(&view, &Query::default())).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "relay": "here", "version": env!("CARGO_PKG_VERSION"), "started_at": "1970-01-01T00:00:00Z",
                "now": "1970-01-01T00:00:00Z", "illness": null, "account": null, "total": 1, "trouble": 0, "matched": 1, "page": 1, "pages": 1,
                "zones": [{
                    "zone": "z0000.example.", "status": "starting", "primary_serial": null, "sent_serial": null,
                    "live_serial": null, "notified_at": null, "refreshed_at": null, "transferred_at": null, "sent_at": null,
                    "live_at": null, "next_look_at": null, "behind_seconds": null, "records": null, "error": null,
                    "origin": "configuration", "catalog": null, "members": null,
                }],
            })
        );
        let read: Listing<'_> = serde_json::from_str(&json.to_string()).unwrap();
        assert_eq!(read.zones[0].status, Status::Starting);
    }
}
