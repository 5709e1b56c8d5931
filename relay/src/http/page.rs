//! `/`: one page for a person. It needs no script, loads nothing else, and comes anew by itself.
//!
//! Names of zones and texts of errors come from outside; `maud` escapes whatever is put into the page.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use secondary53_zone::Serial;

use super::select::{Listing, Query, list};
use crate::view::{Account, Origin, Status, Time, View, Zone};

/// Seconds until the page comes anew: long enough to type a search.
const REFRESH: u32 = 30;
const STYLE: &str = include_str!("page.css");
const COLUMNS: u32 = 8;

/// The page that is asked for.
pub fn page(view: &View, query: &Query) -> String {
    let listing = list(view, query);
    let title = match listing.trouble {
        0 => format!("secondary53 · {}", view.relay),
        trouble => format!("({trouble}) secondary53 · {}", view.relay),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "secondary53 " span { "relay " (view.relay) } }
                    p { "version " (listing.version) " · up " (span(view.now.since(view.started_at))) " · as of " (clock(view.now)) }
                }
                (alarms(view))
                div.bar {
                    (tags(view))
                    form action="/" method="get" role="search" {
                        input type="search" name="q" value=(query.q) placeholder="zone or state" aria-label="zone or state";
                        button { "Search" }
                    }
                }
                (table(&listing, query))
                @if listing.pages > 1 { (pages(&listing, query)) }
                footer {
                    @if !query.q.is_empty() {
                        (grouped(listing.matched)) " of " (zones(listing.total)) " match. " a href="/" { "Show all" } ". "
                    }
                    "For programs: " a href="/zones" { "/zones" } ", " a href="/metrics" { "/metrics" } ", "
                    a href="/healthz" { "/healthz" } ". This page comes anew every " (REFRESH) " s."
                }
            }
        }
    }
    .into_string()
}

fn alarms(view: &View) -> Markup {
    html! {
        @if let Some((since, error)) = &view.counts.store_failing {
            p.alarm role="alert" {
                b { "The state directory" } " has taken nothing for " (span(view.now.since(*since))) ", and what was sent meanwhile"
                " will be sent again after a restart: " (error)
            }
        }
        @if let Some(Account { failing_since: Some(since), error: Some(error), .. }) = &view.account {
            p.alarm role="alert" {
                b { "The account" } " has not been listed for " (span(view.now.since(*since))) ": " (error)
            }
        }
        @for queue in &view.queues {
            @if let Some((since, error)) = &queue.failing {
                p.alarm role="alert" {
                    b { "Queue " (queue.name) } " has accepted nothing for " (span(view.now.since(*since))) ": " (error)
                }
            }
        }
    }
}

/// How many zones stand how; each is a search.
fn tags(view: &View) -> Markup {
    html! {
        a.tag href="/" { b { (grouped(view.zones.len())) } @if view.zones.len() == 1 { " zone" } @else { " zones" } }
        @for status in Status::ALL {
            @let count = view.zones.iter().filter(|zone| zone.status == status).count();
            @if count > 0 {
                a class={ "tag " (colour(status)) } href={ "/?q=" (status.as_str()) } { b { (grouped(count)) } " " (status.as_str()) }
            }
        }
    }
}

fn table(listing: &Listing<'_>, query: &Query) -> Markup {
    html! {
        div.table {
            table {
                thead {
                    tr {
                        th { "Zone" }
                        th { "State" }
                        th.number title="the serial at the primary when it last answered" { "At primary" }
                        th.number title="the serial that the queues have accepted" { "Sent" }
                        th.number title="the serial at the hosted zone's name servers" { "Live" }
                        th.number { "Last NOTIFY" }
                        th.number { "Last transfer" }
                        th.number title="since the first news of what has not got through" { "Lag" }
                    }
                }
                @for zone in &listing.zones { (row(zone, listing.now)) }
                @if listing.zones.is_empty() {
                    tbody { tr { td.none colspan=(COLUMNS) {
                        @if query.q.is_empty() { "There is no zone." } @else { "No zone matches “" (query.q) "”." }
                    } } }
                }
            }
        }
    }
}

fn row(zone: &Zone, now: Time) -> Markup {
    let [primary, sent, live] = [zone.primary_serial, zone.sent_serial, zone.live_serial];
    html! {
        tbody {
            tr {
                td.name title=[whence(zone)] {
                    (zone.zone)
                    @if let Some(members) = zone.members { span.none { " catalog of " (zones(members)) } }
                }
                td { span class={ "tag " (colour(zone.status)) } { (zone.status.as_str()) } }
                (serial(primary, primary))
                (serial(sent, primary))
                (serial(live, sent))
                (ago(zone.notified_at, now))
                (ago(zone.transferred_at, now))
                td.number {
                    @match zone.behind_seconds {
                        Some(seconds) => span.off { (span(Duration::from_secs(seconds))) },
                        None => span.none { "–" },
                    }
                }
            }
            @if let Some(error) = &zone.error {
                tr class=(if zone.status.is_trouble() { "why" } else { "why soft" }) { td colspan=(COLUMNS) { (error) } }
            }
        }
    }
}

/// Who says that it is a zone here, where that is not the configuration.
fn whence(zone: &Zone) -> Option<String> {
    match (zone.origin, &zone.catalog) {
        (Origin::Configuration, _) => None,
        (Origin::Catalog, Some(catalog)) => Some(format!("a member of catalog {catalog}")),
        (Origin::Catalog, None) => Some("a member of a catalog".to_owned()),
        (Origin::Account, _) => Some("a hosted zone of the account".to_owned()),
    }
}

/// A serial, told apart where it is not what it should have become.
fn serial(serial: Option<Serial>, wanted: Option<Serial>) -> Markup {
    html! {
        td.number {
            @match serial {
                Some(serial) if wanted.is_some_and(|wanted| wanted != serial) => span.off { (serial) },
                Some(serial) => (serial),
                None => span.none { "–" },
            }
        }
    }
}

fn ago(time: Option<Time>, now: Time) -> Markup {
    html! {
        td.number {
            @match time {
                Some(time) => time.ago datetime=(time) title=(time) { (span(now.since(time))) " ago" },
                None => span.none { "–" },
            }
        }
    }
}

fn pages(listing: &Listing<'_>, query: &Query) -> Markup {
    let Listing { page, pages, .. } = *listing;
    html! {
        nav aria-label="pages" {
            @if page > 1 {
                a href=(query.to_page(1)) { "« First" }
                a href=(query.to_page(page - 1)) rel="prev" { "‹ Previous" }
            }
            span.none { "Page " (grouped(page)) " of " (grouped(pages)) }
            @if page < pages {
                a href=(query.to_page(page + 1)) rel="next" { "Next ›" }
                a href=(query.to_page(pages)) { "Last »" }
            }
        }
    }
}

fn colour(status: Status) -> &'static str {
    match status {
        _ if status.is_trouble() => "bad",
        Status::Behind | Status::Starting => "warn",
        _ => "good",
    }
}

/// A time in its largest unit, as a person says it.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// The time of day, with the date for whoever points at it.
fn clock(time: Time) -> Markup {
    let text = time.to_string();
    let of_day = text.get(11..19).unwrap_or(&text);
    html! { time datetime=(text) title=(text) { (of_day) " UTC" } }
}

fn zones(count: usize) -> String {
    grouped(count) + if count == 1 { " zone" } else { " zones" }
}

/// Digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Counts, Queue, Seen};

    fn view() -> View {
        let now = Time(1_700_000_000_000);
        let minutes = |minutes: u64| Time(now.0 - minutes * 60_000);
        let mut current = Seen::new(Some(Serial(7)));
        current.notified(minutes(3));
        current.current(Serial(7), minutes(1));
        let mut failing = Seen::new(Some(Serial(1)));
        failing.transferred(Serial(2), 4, minutes(10), None);
        failing.failed("from 192.0.2.1:53: <script>alert(\"1\")</script> & so on".to_owned());
        let mut counts = Counts::default();
        counts.stored(Some("<b>full".to_owned()), minutes(4));
        counts.stored(Some("failed to write: <b>No space".to_owned()), minutes(3));
        let mut queue = Queue::new("main");
        queue.failed("<b>AccessDenied</b>".to_owned(), minutes(2));
        let show = |name: &str, seen: Seen| seen.show(name.parse().unwrap(), false, None, now);
        View {
            relay: "<i>ns1</i>".to_owned(),
            started_at: minutes(60 * 24 * 3),
            now,
            counts,
            queues: vec![queue],
            zones: vec![show("example.com", current), show("<img\\032src=x>.example", failing)],
            account: None,
        }
    }

    #[test]
    fn a_row_for_each_zone_with_trouble_first() {
        let html = page(&view(), &Query::default());
        let [bad, good] = ["&lt;img", "example.com."].map(|name| html.find(name).unwrap());
        assert!(bad < good);
        for part in [
            "<title>(1) secondary53 · ",
            "<meta http-equiv=\"refresh\" content=\"30\">",
            "up 3 d",
            "<b>2</b> zones",
            "href=\"/?q=failing\"><b>1</b> failing",
            "<span class=\"tag bad\">failing</span>",
            "<td class=\"number\"><span class=\"off\">1</span></td>",
            "title=\"2023-11-14T22:10:20Z\">3 min ago</time>",
            "<span class=\"off\">10 min</span>",
            "<b>The state directory</b> has taken nothing for 4 min, and what was sent meanwhile",
            "<b>Queue main</b> has accepted nothing for 2 min: ",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!html.contains("<nav"));
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let html = page(&view(), &Query::parse("q=%22%3E%3Cscript%3E"));
        let all = page(&view(), &Query::default()) + &html;
        for markup in ["<script", "<img", "<b>Access", "<b>No space", "<i>ns1"] {
            assert!(!all.contains(markup), "{markup}");
        }
        assert!(html.contains("value=\"&quot;&gt;&lt;script&gt;\"") && html.contains("0 of 2 zones match"));
    }

    #[test]
    fn many_zones_are_pages() {
        let mut view = view();
        let zone = view.zones[0].clone();
        view.zones = vec![zone; 1_234];
        let html = page(&view, &Query::parse("page=2&q=EXAMPLE"));
        assert!(html.contains("<b>1,234</b> zones") && html.contains("Page 2 of 13"));
        assert!(html.contains("href=\"?q=example&amp;page=3\" rel=\"next\""));
        assert_eq!(html.matches("<tbody>").count(), Query::PER_PAGE);
    }

    #[test]
    fn times_are_in_their_largest_unit() {
        let text: Vec<_> = [0, 59, 60, 3_599, 3_600, 86_399, 86_400].map(Duration::from_secs).map(span).into();
        assert_eq!(text, ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d"]);
    }
}
