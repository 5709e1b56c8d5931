//! TSIG (RFC 8945) over the octets of messages. No I/O and no clock: `now` is an argument, in seconds since
//! 1970-01-01T00:00:00Z.
//!
//! ```text
//!   we ask:   Exchange::request ──▶ answer, answer, …, answer ──▶ end         SOA queries and transfers
//!   we serve: open ──▶ Signed::seal, or Rejected::seal                          NOTIFY
//! ```
//!
//! What a signature covers begins with the one before it, so answers are bound to the request and to their order. Of a
//! transfer, the first and the last message must be signed, and 99 at most between two that are (§5.3.1): what an
//! unsigned one says is not known to be true until a signed one has followed it.
//!
//! A late or doubled request is not told from the first one (§5.2.3 would have the latest time of each key kept): all
//! that a NOTIFY sent twice can bring about is one more SOA query.

mod key;
mod record;

use std::sync::Arc;

use secondary53_zone::Name;

use self::key::Running;
pub use self::key::{Algorithm, Key, KeyError, SECRET_MIN};
pub use self::record::Misfit;
use self::record::{Found, Variables};
use crate::wire::Walk;

/// What the clocks of both sides may differ by, in seconds (RFC 8945 §10).
pub const FUDGE: u16 = 300;
/// Messages without a signature between two that have one (RFC 8945 §5.3.1).
pub const UNSIGNED_MAX: usize = 99;

/// Errors that a TSIG carries (RFC 8945 §3, RFC 6895 §2.3).
const BADSIG: u16 = 16;
const BADKEY: u16 = 17;
const BADTIME: u16 = 18;
const BADTRUNC: u16 = 22;

/// A request that was signed, and what has come of its answers so far.
#[derive(Clone, Debug)]
pub struct Exchange {
    key: Arc<Key>,
    /// What the next signature covers, as far as it has come: the signature before, and unsigned messages after it.
    running: Running,
    first: bool,
    unsigned: usize,
}

/// Why an answer is not the one of the server that has the key. Each completes "message 1 …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No signature where there must be one.
    #[error("is not signed{}", and_says(*.0))]
    Unsigned(u8),
    /// Too many without a signature.
    #[error("is one more than the {UNSIGNED_MAX} that may come without a signature in a row")]
    TooManyUnsigned,
    /// The last one is not signed.
    #[error("is the last one, and not signed")]
    EndsUnsigned,
    /// There is something like a signature, and it does not read.
    #[error("has a TSIG that {0}")]
    Misfit(#[from] Misfit),
    /// The server took the request for badly signed, and does not sign that.
    #[error("says {}", told(*.0))]
    Told(u16),
    /// The server's clock is not ours; it says so under its signature.
    #[error("says BADTIME: the clock of the primary is {} ours; set both by NTP", ahead(*.0))]
    Clock(i64),
    /// Signed with something else.
    #[error("is signed with {0}, not with the key of the request")]
    OtherKey(String),
    /// The signature is wrong.
    #[error("has a wrong signature: the primary has another secret for the key, or the message was altered")]
    Mismatch,
    /// Less of the signature than all of it.
    #[error("has a truncated signature")]
    Truncated,
    /// Signed too long ago, or too far in the future.
    #[error("was signed at a time {} our clock, more than its fudge allows; set both clocks by NTP", ahead(*.0))]
    Time(i64),
}

impl Exchange {
    /// Signs a request and begins to wait for its answers.
    pub fn request(key: &Arc<Key>, message: &mut Vec<u8>, now: u64) -> Self {
        let mac = append(key, key.begin(), message, &Variables::now(now));
        Self { key: Arc::clone(key), running: key.after(&mac), first: true, unsigned: 0 }
    }

    /// Verifies the next answer, and takes its TSIG off it.
    pub fn answer(&mut self, message: &mut Vec<u8>, now: u64) -> Result<(), Fault> {
        let Some(found) = record::find(message)? else { return self.unsigned(message) };
        if found.mac.is_empty() {
            // RFC 8945 §5.3.2: a server that cannot verify the request cannot sign either. Nobody vouches for this; a
            // connection on which it comes has no use.
            return Err(if found.variables.error == 0 {
                Fault::Unsigned(rcode(message))
            } else {
                Fault::Told(found.variables.error)
            });
        }
        if !found.is_of(&self.key) {
            return Err(Fault::OtherKey(found.key_name()));
        }
        let mut running = self.running.clone();
        found.digest(message, &mut running);
        if self.first {
            found.variables.digest(&self.key, &mut running);
        } else {
            found.variables.digest_timers(&mut running);
        }
        match found.compare(running) {
            Compared::Same => {}
            Compared::SameAsFarAsItGoes => return Err(Fault::Truncated),
            Compared::Different => return Err(Fault::Mismatch),
        }
        if found.variables.error == BADTIME {
            let theirs = found.variables.other_time().ok_or(Misfit::Field)?;
            return Err(Fault::Clock(difference(theirs, now)));
        }
        if found.variables.error != 0 {
            return Err(Fault::Told(found.variables.error));
        }
        if !found.variables.holds_at(now) {
            return Err(Fault::Time(difference(found.variables.time, now)));
        }
        (self.running, self.first, self.unsigned) = (self.key.after(&found.mac), false, 0);
        found.strip(message);
        Ok(())
    }

    /// Verifies that the last answer may be the last one.
    pub fn end(&self) -> Result<(), Fault> {
        if self.first || self.unsigned > 0 { Err(Fault::EndsUnsigned) } else { Ok(()) }
    }

    fn unsigned(&mut self, message: &[u8]) -> Result<(), Fault> {
        if self.first {
            return Err(Fault::Unsigned(rcode(message)));
        }
        if self.unsigned == UNSIGNED_MAX {
            return Err(Fault::TooManyUnsigned);
        }
        self.unsigned += 1;
        self.running.update(message);
        Ok(())
    }
}

/// A request with a good signature. Its answer is to be signed too.
#[derive(Clone, Debug)]
pub struct Signed {
    key: Arc<Key>,
    running: Running,
}

/// A request with a signature that does not count, and what its answer is to carry.
#[derive(Clone, Debug)]
pub struct Rejected {
    why: Rejection,
    tsig: Carried,
}

/// Why the signature of a request does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// FORMERR (RFC 8945 §5.2).
    #[error("its TSIG {0}")]
    Misfit(#[from] Misfit),
    /// NOTAUTH and BADKEY (§5.2.1).
    #[error("it is signed with {0}, which is not the key of a primary at its source")]
    Key(String),
    /// NOTAUTH and BADSIG (§5.2.2).
    #[error("its signature is wrong: the primary has another secret for the key {0}, or the message was altered")]
    Signature(Name),
    /// NOTAUTH and BADTIME (§5.2.3).
    #[error("it was signed with the key {0} at a time {ahead} our clock; set both by NTP", ahead = ahead(*.1))]
    Time(Name, i64),
    /// NOTAUTH and BADTRUNC (§5.2.4).
    #[error("its signature with the key {0} is truncated")]
    Truncated(Name),
}

/// The TSIG in the answer to a request whose own does not count.
#[derive(Clone, Debug)]
enum Carried {
    Nothing,
    /// As it came, without a signature (§5.3.2).
    Unsigned(Found, u16),
    Signed(Box<Signed>, Variables),
}

/// Looks for a signature and verifies it with the key that `find` knows by name and algorithm; `None` where there is none.
pub fn open(
    message: &[u8],
    find: impl FnOnce(&[u8], Algorithm) -> Option<Arc<Key>>,
    now: u64,
) -> Result<Option<Signed>, Box<Rejected>> {
    let malformed = |misfit| Rejected::new(Rejection::Misfit(misfit), Carried::Nothing);
    let Some(found) = record::find(message).map_err(malformed)? else { return Ok(None) };
    let Some(key) = found.algorithm().and_then(|algorithm| find(&found.owner, algorithm)) else {
        let why = Rejection::Key(found.key_name());
        return Err(Rejected::new(why, Carried::Unsigned(found, BADKEY)));
    };
    // §5.2.2.1: no shorter than half of it and than 10 octets, and no longer than it.
    let whole = key.algorithm().octets();
    if !((whole / 2).max(10)..=whole).contains(&found.mac.len()) {
        return Err(malformed(Misfit::Field));
    }
    let mut running = key.begin();
    found.digest(message, &mut running);
    found.variables.digest(&key, &mut running);
    let name = key.name().clone();
    let signed = Signed { running: key.after(&found.mac), key };
    let compared = found.compare(running);
    if compared == Compared::Different {
        return Err(Rejected::new(Rejection::Signature(name), Carried::Unsigned(found, BADSIG)));
    }
    let Variables { time, fudge, .. } = found.variables;
    if !found.variables.holds_at(now) {
        // §5.2.3: the request's own time, so that the other side can verify it, and ours beside it.
        let variables = Variables { time, fudge, error: BADTIME, other: time48(now).to_vec() };
        let why = Rejection::Time(name, difference(time, now));
        return Err(Rejected::new(why, Carried::Signed(Box::new(signed), variables)));
    }
    if compared == Compared::SameAsFarAsItGoes {
        let variables = Variables { error: BADTRUNC, ..Variables::now(now) };
        return Err(Rejected::new(Rejection::Truncated(name), Carried::Signed(Box::new(signed), variables)));
    }
    Ok(Some(signed))
}

impl Signed {
    /// What it is signed with.
    pub const fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Signs the answer.
    pub fn seal(self, answer: &mut Vec<u8>, now: u64) {
        self.append(answer, &Variables::now(now));
    }

    fn append(self, answer: &mut Vec<u8>, variables: &Variables) {
        append(&self.key, self.running, answer, variables);
    }
}

impl Rejected {
    fn new(why: Rejection, tsig: Carried) -> Box<Self> {
        Box::new(Self { why, tsig })
    }

    /// Why.
    pub const fn why(&self) -> &Rejection {
        &self.why
    }

    /// Adds to the answer what it is to carry, and says why.
    pub fn seal(self, answer: &mut Vec<u8>) -> Rejection {
        match self.tsig {
            Carried::Nothing => {}
            Carried::Unsigned(found, error) => {
                let variables = Variables { error, other: Vec::new(), ..found.variables };
                record::push(answer, &found.owner, &found.algorithm, &variables, &[]);
            }
            Carried::Signed(signed, variables) => signed.append(answer, &variables),
        }
        self.why
    }
}

/// How a signature compares with the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Same,
    /// It is the beginning of the right one (RFC 8945 §5.2.2.1).
    SameAsFarAsItGoes,
    Different,
}

/// Signs a message with what it is preceded by in `running`, and gives the signature.
fn append(key: &Key, mut running: Running, message: &mut Vec<u8>, variables: &Variables) -> Vec<u8> {
    running.update(message);
    variables.digest(key, &mut running);
    let mac = running.finish();
    record::push(message, key.name().as_wire(), key.algorithm().wire(), variables, &mac);
    mac
}

/// The low 48 bits, as they are sent.
fn time48(time: u64) -> [u8; 6] {
    let [_, _, low @ ..] = time.to_be_bytes();
    low
}

/// How far `theirs` is ahead of `ours`, in seconds.
fn difference(theirs: u64, ours: u64) -> i64 {
    i64::try_from(i128::from(theirs) - i128::from(ours)).unwrap_or(i64::MAX)
}

fn ahead(seconds: i64) -> String {
    format!("{} s {}", seconds.unsigned_abs(), if seconds < 0 { "behind" } else { "ahead of" })
}

fn rcode(message: &[u8]) -> u8 {
    Walk::begin(message).map_or(0, |(header, _)| header.rcode())
}

fn and_says(rcode: u8) -> String {
    if rcode == 0 { String::new() } else { format!(", and says {}", crate::transfer::rcode(rcode)) }
}

fn told(error: u16) -> String {
    match error {
        BADSIG => "BADSIG: the primary has another secret for the key".to_owned(),
        BADKEY => "BADKEY: the primary does not know the key, or knows it with another algorithm".to_owned(),
        BADTRUNC => "BADTRUNC: the primary takes the signature for truncated".to_owned(),
        other => format!("TSIG error {other}"),
    }
}

#[cfg(test)]
mod tests;
