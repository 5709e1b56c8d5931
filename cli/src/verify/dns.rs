//! What the hosted zone's name servers answer, RRset by RRset.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

use futures_util::StreamExt as _;
use futures_util::stream;
use indicatif::ProgressBar;
use secondary53_lambda::value;
use secondary53_relay::live::{self, LiveError};
use secondary53_relay::resolve;
use secondary53_zone::name::{Name, NameRef};
use secondary53_zone::presentation::Rdata;
use secondary53_zone::rrset::{Rrset, Rtype};
use secondary53_zone::serial::Serial;
use serde::Serialize;

use crate::Failed;
use crate::compare::Compared;
use crate::terminal::{ADDED, CHANGED, REMOVED, STRONG, Terminal, counted, printable};

/// Questions under way, to all servers together.
const AT_ONCE: usize = 64;
/// Questions to one server that may go without an answer before it is left alone.
const SILENT: usize = 10;

/// What one name server answers.
#[derive(Debug, Serialize)]
pub struct Answers {
    server: SocketAddr,
    serial: Option<u32>,
    /// RRsets that were asked for.
    asked: usize,
    differing: Vec<Difference>,
    /// Why some, or all, is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// At the primary.
    #[serde(skip)]
    wanted: Serial,
}

/// An RRset that a server has otherwise.
#[derive(Debug, Serialize)]
struct Difference {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    /// At the primary.
    primary: Records,
    /// `null` where there is none.
    answered: Option<Records>,
}

/// As a zone file has them.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Records {
    ttl: u32,
    values: Vec<String>,
}

impl Answers {
    /// Whether it has another serial, or other data.
    pub fn differs(&self) -> bool {
        !self.differing.is_empty() || self.serial.is_some_and(|serial| serial != self.wanted.0)
    }

    /// Whether it did not tell.
    pub const fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// For a person.
    pub fn told(&self, terminal: Terminal) -> String {
        let mut out = String::new();
        for Difference { name, rtype, primary, answered } in self.differing.iter().filter(|_| !terminal.quiet) {
            let shown = |records: &Records| printable(&format!("{} {}", records.ttl, records.values.join(" | ")));
            let answered = answered.as_ref().map_or_else(|| "nothing".to_owned(), shown);
            // Writing to a String does not fail.
            _ = writeln!(
                out,
                "{} {name} {rtype} at {}: {} → {}",
                terminal.paint(CHANGED, '~'),
                self.server,
                terminal.paint(ADDED, shown(primary)),
                terminal.paint(REMOVED, answered)
            );
        }
        let server = terminal.paint(STRONG, format_args!("{}:", self.server));
        if let Some(error) = &self.error {
            return format!("{out}{server} {}\n", terminal.paint(REMOVED, printable(error)));
        }
        let serial = self.serial.map_or_else(|| "no serial".to_owned(), |serial| format!("serial {serial}"));
        let style = if self.differs() { CHANGED } else { ADDED };
        let sum = format!("{serial}, {} asked for, {} differ", counted(self.asked, "RRset"), self.differing.len());
        format!("{out}{server} {}\n", terminal.paint(style, sum))
    }
}

/// Asks these, or those that DNS names.
pub async fn ask(compared: &Compared<'_>, given: &[SocketAddr], terminal: Terminal) -> Result<Vec<Answers>, Failed> {
    let zone = compared.desired.apex();
    let servers = if given.is_empty() {
        let found = resolve::name_servers(zone, &[]).await;
        found.map_err(|error| Failed(format!("{error}; or name them by --name-server")))?
    } else {
        given.to_vec()
    };
    let wanted: Vec<Rrset<'_>> = wanted(compared);
    let length = u64::try_from(wanted.len() * servers.len()).ok();
    let bar = terminal.bar(length, "asking the name servers");
    let share = (AT_ONCE / servers.len()).max(1);
    let (wanted, bar) = (&wanted, &bar);
    let all = servers.iter().map(|server| ask_one(compared, *server, wanted, share, bar));
    let all = futures_util::future::join_all(all).await;
    bar.finish_and_clear();
    Ok(all)
}

async fn ask_one(
    compared: &Compared<'_>,
    server: SocketAddr,
    wanted: &[Rrset<'_>],
    at_once: usize,
    bar: &ProgressBar,
) -> Answers {
    let serial = compared.desired.serial();
    let mut answers = Answers { server, serial: None, asked: 0, differing: Vec::new(), error: None, wanted: serial };
    let asked = live::ask(compared.desired.apex(), &[server]).await;
    answers.serial = asked.oldest().map(|serial| serial.0);
    if answers.serial.is_none() {
        answers.error = asked.failed.first().map(|(_, error)| error.to_string());
        return answers;
    }
    let questions = wanted.iter().map(|rrset| async move { (rrset, rrset_at(server, rrset).await) });
    // In the order of the zone.
    let mut questions = stream::iter(questions).buffered(at_once);
    let mut silent = 0;
    while let Some((rrset, answer)) = questions.next().await {
        bar.inc(1);
        answers.asked += 1;
        match answer {
            Ok(found) => answers.differing.extend(difference(rrset, found)),
            Err(error) => {
                silent += 1;
                let (name, rtype) = (rrset.owner(), rrset.rtype());
                answers.error.get_or_insert_with(|| format!("{name} {rtype}: {error}"));
            }
        }
        if silent >= SILENT {
            break;
        }
    }
    answers
}

async fn rrset_at(server: SocketAddr, rrset: &Rrset<'_>) -> Result<Option<live::Answered>, LiveError> {
    let name = rrset.owner().to_name();
    match live::rrset(server, &name, rrset.rtype()).await {
        // A datagram may be lost.
        Err(LiveError::Silent) => live::rrset(server, &name, rrset.rtype()).await,
        answer => answer,
    }
}

fn difference(rrset: &Rrset<'_>, found: Option<live::Answered>) -> Option<Difference> {
    let rtype = rrset.rtype();
    let primary = Records { ttl: rrset.ttl(), values: shown(rtype, rrset.rdata()) };
    let of =
        |found: live::Answered| Records { ttl: found.ttl, values: shown(rtype, found.rdata.iter().map(Vec::as_slice)) };
    let answered = found.map(of);
    let name = rrset.owner().to_string();
    (answered.as_ref() != Some(&primary)).then(|| Difference { name, rtype: rtype.to_string(), primary, answered })
}

/// As Route 53 can have them: what differs in the case of a target alone is one value there.
fn shown<'a>(rtype: Rtype, rdata: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut held: Vec<_> = rdata.map(|rdata| value::as_held(rtype, rdata)).collect();
    held.sort_unstable();
    held.dedup();
    held.iter().map(|rdata| Rdata(rtype, rdata).to_string()).collect()
}

/// What Route 53 is to have, and what can be asked for: not what it cannot hold, not what is its own, not what is below a
/// delegation.
fn wanted<'a>(compared: &'a Compared<'_>) -> Vec<Rrset<'a>> {
    let Compared { desired, plan, .. } = compared;
    let apex = desired.apex().by_ref();
    let cuts: HashSet<&[u8]> = desired
        .rrsets()
        .filter(|rrset| rrset.rtype() == Rtype::NS && rrset.owner() != apex)
        .map(|rrset| rrset.owner().as_wire())
        .collect();
    let out: HashSet<(Name, Rtype)> = plan
        .collisions
        .iter()
        .cloned()
        .chain(plan.left_out.iter().map(|left| (left.name.clone(), left.rtype)))
        .collect();
    let can_be_asked = |rrset: &Rrset<'_>| {
        let (owner, rtype) = (rrset.owner(), rrset.rtype());
        let is_apexs_own = owner == apex && matches!(rtype, Rtype::SOA | Rtype::NS);
        // At a cut its own NS and DS can be asked for; the name itself is the first of its ancestors.
        let is_the_cuts_own = matches!(rtype, Rtype::NS | Rtype::DS);
        !is_apexs_own
            && !plan.untranslated.contains_key(&rtype)
            && !out.contains(&(owner.to_name(), rtype))
            && !ancestors(owner).skip(usize::from(is_the_cuts_own)).any(|above| cuts.contains(above))
    };
    desired.rrsets().filter(can_be_asked).collect()
}

/// A name and those above it, in wire format, the root last.
fn ancestors(name: NameRef<'_>) -> impl Iterator<Item = &[u8]> {
    let mut next = Some(name.as_wire()).filter(|wire| !wire.is_empty());
    std::iter::from_fn(move || {
        let name = next?;
        next = name.split_first().and_then(|(length, rest)| rest.get(usize::from(*length)..));
        next = next.filter(|wire| !wire.is_empty());
        Some(name)
    })
}
