//! `status`: what the status page shows, in a terminal.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hyper::Uri;
use secondary53_zone::Serial;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{Listing, Query, span};
use crate::view::{Status, Time};

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The configuration has no status page.
    #[error("failed to ask the relay: http is \"\" in its configuration; give --url, or turn the status page on")]
    Off,
    /// It is not a URL that can be asked.
    #[error("failed to ask {0:?}: it is not a URL as in http://127.0.0.1:9153")]
    Url(String),
    /// No answer, or none that reads.
    #[error("failed to ask the relay at {url}: {error}")]
    Ask {
        /// Where.
        url: String,
        /// What went wrong.
        error: Box<dyn Error + Send + Sync>,
    },
}

/// The longest wait for a page.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest page, in octets: ten thousand zones, each with a long error.
const PAGE: u64 = 64 << 20;
/// Pages, at most: a million zones, and an end to it.
const PAGES: usize = 100;

/// Where the relay of a configuration is asked.
pub fn url(http: Option<SocketAddr>) -> Result<String, StatusError> {
    let mut address = http.ok_or(StatusError::Off)?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(format!("http://{address}"))
}

/// Asks for all zones.
pub async fn ask(url: &str) -> Result<Listing<'static>, StatusError> {
    let asked = |error| StatusError::Ask { url: url.to_owned(), error };
    let mut all: Option<Listing<'static>> = None;
    for page in 1..=PAGES {
        let query = Query { page, per_page: Query::PER_PAGE_MAX, ..Query::default() };
        let uri = format!("{}/zones{}", url.trim_end_matches('/'), query.to_page(page));
        let uri: Uri = uri.parse().map_err(|_| StatusError::Url(url.to_owned()))?;
        let fetched = timeout(PATIENCE, fetch(&uri)).await;
        let body = fetched.unwrap_or_else(|_| Err("no answer in 30 s".into())).map_err(asked)?;
        let listing: Listing<'static> = serde_json::from_slice(&body).map_err(|error| asked(error.into()))?;
        let pages = listing.pages;
        match &mut all {
            None => all = Some(Listing { page: 1, pages: 1, ..listing }),
            Some(all) => all.zones.extend(listing.zones),
        }
        if page >= pages {
            break;
        }
    }
    all.ok_or_else(|| asked("it has no pages".into()))
}

/// By HTTP/1.0 (RFC 1945), which any server of 1.1 answers in kind: whole, and then the end of the connection.
async fn fetch(uri: &Uri) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    let authority = authority.ok_or("only http://HOST:PORT can be asked")?;
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    exchange(stream, format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").as_bytes()).await
}

/// Sends a request, and gives back the body of the answer; what is not 200 is an error, with its body where that is text.
pub(crate) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    /// So much of a body is an error message.
    const WORDS: usize = 200;
    // Refused before it is read whole, a request may not be written whole; what is said of it is to be read.
    let written = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = stream.take(PAGE).read_to_end(&mut answer).await;
    let Some(end) = answer.windows(4).position(|octets| octets == b"\r\n\r\n") else {
        written?;
        read?;
        return Err("what it answers is not HTTP".into());
    };
    let status = answer.split(|octet| *octet == b' ').nth(1).unwrap_or_default();
    if status != b"200" {
        let words = String::from_utf8_lossy(&answer[end + 4..]).trim().chars().take(WORDS).collect::<String>();
        let told = format!("it answers {} {words}", String::from_utf8_lossy(status));
        return Err(printable(told.trim_end()).into());
    }
    read?;
    answer.drain(..end + 4);
    Ok(answer)
}

/// Whether nobody needs to look.
pub fn is_good(listing: &Listing<'_>) -> bool {
    listing.trouble == 0 && listing.illness.is_none()
}

/// The zones in columns, trouble first, each error below its zone.
pub fn table(listing: &Listing<'_>, colours: bool) -> String {
    const HEAD: [&str; 8] = ["ZONE", "STATE", "PRIMARY", "SENT", "LIVE", "NOTIFY", "TRANSFER", "LAG"];
    /// The first two are words, the others numbers, which stand on the right.
    const WORDS: usize = 2;
    let rows: Vec<_> = listing
        .zones
        .iter()
        .map(|zone| {
            let ago = |time: Option<Time>| or_dash(time.map(|time| span(listing.now.since(time)) + " ago"));
            let number = |serial: Option<Serial>| or_dash(serial.map(|serial| serial.to_string()));
            [
                Cow::Owned(zone.zone.to_string()),
                Cow::Borrowed(zone.status.as_str()),
                number(zone.primary_serial),
                number(zone.sent_serial),
                number(zone.live_serial),
                ago(zone.notified_at),
                ago(zone.transferred_at),
                or_dash(zone.behind_seconds.map(|seconds| span(Duration::from_secs(seconds)))),
            ]
        })
        .collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: &[Cow<'_, str>; 8], status: Option<Status>| {
        let mut line = String::new();
        for (index, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            let gap = if index == 0 { "" } else { "  " };
            let padded = if index < WORDS { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            let colour = status.filter(|_| colours && index + 1 == WORDS).map(colour);
            let _ = match colour {
                Some(colour) => write!(line, "{gap}\x1b[{colour}m{padded}\x1b[0m"),
                None => write!(line, "{gap}{padded}"),
            };
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut text = line(&HEAD.map(Cow::Borrowed), None);
    for (zone, row) in listing.zones.iter().zip(&rows) {
        text += &line(row, Some(zone.status));
        if let Some(error) = &zone.error {
            let _ = writeln!(text, "    {}", printable(error));
        }
    }
    let Listing { total, trouble, .. } = listing;
    let _ = writeln!(text, "\nrelay {}: {total} zones, {trouble} in trouble", printable(&listing.relay));
    if let Some(illness) = &listing.illness {
        let _ = writeln!(text, "not well: {}", printable(illness));
    }
    text
}

fn or_dash(text: Option<String>) -> Cow<'static, str> {
    text.map_or(Cow::Borrowed("-"), Cow::Owned)
}

/// A colour as ECMA-48 numbers them.
fn colour(status: Status) -> u8 {
    const RED: u8 = 31;
    const GREEN: u8 = 32;
    const YELLOW: u8 = 33;
    match status {
        _ if status.is_trouble() => RED,
        Status::Current => GREEN,
        _ => YELLOW,
    }
}

/// What came from outside must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::list;
    use crate::view::{Counts, Seen, View};

    fn view() -> View {
        let mut current = Seen::new(Some(Serial(7)));
        current.current(Serial(7), Time(60_000));
        let mut failing = Seen::default();
        failing.transferred(Serial(4_294_967_295), 9, Time(30_000), None);
        failing.failed("no \x1b[2Janswer".to_owned());
        let show = |name: &str, seen: Seen| seen.show(name.parse().unwrap(), false, None, Time(61_000));
        View {
            relay: "ns1".to_owned(),
            started_at: Time(0),
            now: Time(61_000),
            counts: Counts::default(),
            queues: Vec::new(),
            zones: vec![show("example.com", current), show("longer.example", failing)],
            account: None,
        }
    }

    #[test]
    fn columns_stand_below_one_another() {
        let (view, query) = (view(), Query::default());
        let listing = list(&view, &query);
        let expected = "\
ZONE             STATE       PRIMARY  SENT  LIVE  NOTIFY  TRANSFER   LAG
longer.example.  failing  4294967295     -     -       -  31 s ago  31 s
    no \u{fffd}[2Janswer
example.com.     current           7     7     -       -         -     -

relay ns1: 2 zones, 1 in trouble
";
        assert_eq!(table(&listing, false), expected);
        assert!(!is_good(&listing));
        let coloured = table(&listing, true);
        assert!(coloured.contains("\x1b[31mfailing\x1b[0m") && coloured.contains("\x1b[32mcurrent\x1b[0m"));
    }

    #[test]
    fn the_relay_is_asked_where_it_listens() {
        assert_eq!(url(Some("0.0.0.0:80".parse().unwrap())).unwrap(), "http://127.0.0.1:80");
        assert_eq!(url(Some("[::]:80".parse().unwrap())).unwrap(), "http://[::1]:80");
        assert!(matches!(url(None), Err(StatusError::Off)));
    }
}
