//! A zone transfer as a sequence of steps, worked out without a socket: what to send, and how it ends.

use std::collections::{HashSet, VecDeque};
use std::iter::{Peekable, once};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};

use super::message::{Header, Query, Section, Writer};
use super::{Behaviour, Forgery, Name, Packing, Record, ZoneFile};

/// Where [`Behaviour::Endless`] ends after all: beyond any limit a reader may have, about a gigabyte.
const ENDLESS_RECORDS: u32 = 40_000_000;

/// One thing to do on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write these octets.
    Send(Vec<u8>),
    Pause(Duration),
    /// Close in order.
    Close,
    /// Close with RST.
    Reset,
    /// Say nothing until the peer has had enough.
    Silence,
}

pub(super) type Steps = Box<dyn Iterator<Item = Step> + Send>;

/// What stands between the SOA that opens a transfer and the one that closes it.
#[derive(Clone)]
pub(super) enum Body {
    /// The zone.
    Whole(Arc<ZoneFile>),
    /// What leads to it: difference sequences (RFC 1995 §4).
    Differences(Arc<ZoneFile>, Arc<[Record]>),
}

impl Body {
    /// A sequence for each pair of an older and a newer version.
    pub fn differences<'a>(
        zone: &Arc<ZoneFile>,
        pairs: impl Iterator<Item = (&'a Arc<ZoneFile>, &'a Arc<ZoneFile>)>,
    ) -> Self {
        let only_in = |one: &ZoneFile, other: &ZoneFile| -> Vec<Record> {
            let others: HashSet<_> = other.records().iter().collect();
            one.records().iter().filter(|record| !others.contains(record)).cloned().collect()
        };
        let sequence = |(old, new): (&'a Arc<ZoneFile>, &'a Arc<ZoneFile>)| {
            let deleted = once(old.soa().clone()).chain(only_in(old, new));
            deleted.chain(once(new.soa().clone())).chain(only_in(new, old)).collect::<Vec<_>>()
        };
        Self::Differences(Arc::clone(zone), pairs.flat_map(sequence).collect())
    }

    fn soa(&self) -> &Record {
        let (Self::Whole(zone) | Self::Differences(zone, _)) = self;
        zone.soa()
    }

    fn records(&self) -> &[Record] {
        match self {
            Self::Whole(zone) => zone.records(),
            Self::Differences(_, records) => records,
        }
    }
}

/// The answer to a transfer query. After steps that end otherwise than in a close, the connection takes more queries.
pub(super) fn steps(body: &Body, query: Query, behaviour: &Behaviour, packing: Packing) -> Steps {
    let messages = Messages {
        items: items(body, behaviour).peekable(),
        query,
        packing,
        forge: if let Behaviour::Forge(forgery, from) = behaviour { Some((*forgery, *from)) } else { None },
        overstate: *behaviour == Behaviour::CountTooHigh,
        written: 0,
        ended: false,
    };
    let framed = messages.map(|message| framed(&message));
    match *behaviour {
        Behaviour::CutAfterMessages(n) => Box::new(framed.take(n).map(Step::Send).chain(once(Step::Close))),
        Behaviour::ResetAfterMessages(n) => Box::new(framed.take(n).map(Step::Send).chain(once(Step::Reset))),
        Behaviour::SilentAfterMessages(n) => Box::new(framed.take(n).map(Step::Send).chain(once(Step::Silence))),
        Behaviour::CutAfterRecords(_) | Behaviour::NoClosingSoa | Behaviour::Endless => {
            Box::new(framed.map(Step::Send).chain(once(Step::Close)))
        }
        Behaviour::CutAfterOctets(octets) => {
            let cut = framed.scan(octets, |left, mut message| {
                message.truncate(*left);
                *left -= message.len();
                (!message.is_empty()).then_some(Step::Send(message))
            });
            Box::new(cut.chain(once(Step::Close)))
        }
        Behaviour::Drip { octets, pause } => Box::new(framed.flat_map(move |message| {
            let drops: Vec<_> = message.chunks(octets.max(1)).map(<[u8]>::to_vec).collect();
            drops.into_iter().flat_map(move |drop| [Step::Send(drop), Step::Pause(pause)])
        })),
        _ => Box::new(framed.map(Step::Send)),
    }
}

/// A message with the length that goes before it over TCP (RFC 1035 §4.2.2). The writer keeps to 65,535 octets.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}

/// What goes into the answer sections, in order.
enum Item {
    Record(Record),
    /// Octets in the place of a record.
    Raw(Vec<u8>),
    /// A record whose owner points to itself.
    PointerLoop,
    /// What follows is in the next message.
    NextMessage,
}

type Items = Box<dyn Iterator<Item = Item> + Send>;

fn items(body: &Body, behaviour: &Behaviour) -> Items {
    let whole = body;
    let soa = whole.soa().clone();
    let apex = soa.owner.clone();
    let opening = once(Item::Record(soa.clone()));
    let closing = once(Item::Record(soa.clone()));
    let body = part(whole, 0, usize::MAX);
    let half = whole.records().len() / 2;
    let with = |records: Vec<Record>| {
        let first = part(whole, 0, half);
        let second = part(whole, half, usize::MAX);
        first.chain(records.into_iter().map(Item::Record)).chain(second)
    };
    match behaviour {
        Behaviour::EmptyAnswer => Box::new(std::iter::empty()),
        Behaviour::CutAfterRecords(n) => Box::new(opening.chain(body).chain(closing).take(*n)),
        Behaviour::NoClosingSoa => Box::new(opening.chain(body)),
        Behaviour::NoOpeningSoa => Box::new(body.chain(closing)),
        Behaviour::ClosingSerial(serial) => {
            Box::new(opening.chain(body).chain(once(Item::Record(soa.with_serial(*serial)))))
        }
        Behaviour::ClosingContent => {
            let other = soa.with_soa_number(4, |minimum| minimum ^ 1);
            Box::new(opening.chain(body).chain(once(Item::Record(other))))
        }
        Behaviour::TrailingRecord => {
            Box::new(opening.chain(body).chain(closing).chain(once(Item::Record(text(apex, 0)))))
        }
        Behaviour::TrailingMessage => {
            let trailing = [Item::NextMessage, Item::Record(text(apex, 0))];
            Box::new(opening.chain(body).chain(closing).chain(trailing))
        }
        Behaviour::OutsideZone => {
            let outside = Record { owner: outside(&apex), ..text(apex, 0) };
            Box::new(opening.chain(with(vec![outside])).chain(closing))
        }
        Behaviour::With(records) => Box::new(opening.chain(with(records.clone())).chain(closing)),
        Behaviour::Endless => {
            let endless = (0..ENDLESS_RECORDS).map(move |n| Item::Record(text(apex.clone(), n)));
            Box::new(opening.chain(body).chain(endless))
        }
        Behaviour::PointerLoop => Box::new(opening.chain(once(Item::PointerLoop)).chain(body).chain(closing)),
        Behaviour::RdlengthTooLong => {
            // No message has room for 65,535 octets of RDATA behind its header.
            let lie = Item::Raw(raw(&apex, Rtype::A, u16::MAX, &[192, 0, 2, 1]));
            Box::new(opening.chain(once(lie)).chain(body).chain(closing))
        }
        Behaviour::RdlengthTooShort => {
            let lie = Item::Raw(raw(&apex, Rtype::MX, 4, b"\x00\x0a\x04mail\x00"));
            Box::new(opening.chain(once(lie)).chain(body).chain(closing))
        }
        _ => Box::new(opening.chain(body).chain(closing)),
    }
}

fn part(body: &Body, from: usize, to: usize) -> impl Iterator<Item = Item> + Send + use<> {
    let body = body.clone();
    (from..to).map_while(move |at| body.records().get(at).cloned().map(Item::Record))
}

/// A TXT record that no zone file holds, with a number.
fn text(apex: Name, number: u32) -> Record {
    let text = format!("generated {number:08x}");
    let rdata: Bytes = once(u8::try_from(text.len()).unwrap_or(0)).chain(text.bytes()).collect();
    Record { owner: apex, class: Class::IN, rtype: Rtype::TXT, ttl: 300, rdata }
}

/// A name that is not in the zone: its sibling. The root zone has none.
fn outside(apex: &Name) -> Name {
    let mut octets = apex.as_slice().to_vec();
    if let [_length, first, ..] = octets.as_mut_slice() {
        *first = if *first == b'x' { b'y' } else { b'x' };
    }
    Name::from_octets(octets.into()).unwrap_or_else(|_| apex.clone())
}

fn raw(owner: &Name, rtype: Rtype, rdlength: u16, rdata: &[u8]) -> Vec<u8> {
    let mut octets = owner.as_slice().to_vec();
    octets.extend(rtype.to_int().to_be_bytes());
    octets.extend(Class::IN.to_int().to_be_bytes());
    octets.extend(300_u32.to_be_bytes());
    octets.extend(rdlength.to_be_bytes());
    octets.extend(rdata);
    octets
}

/// Packs items into messages.
struct Messages {
    items: Peekable<Items>,
    query: Query,
    packing: Packing,
    forge: Option<(Forgery, usize)>,
    overstate: bool,
    written: usize,
    ended: bool,
}

impl Messages {
    fn writer(&self) -> Writer {
        let header = Header::answering(&self.query, Rcode::NOERROR);
        let forgery = self.forge.filter(|(_, from)| self.written >= *from).map(|(forgery, _)| forgery);
        // RFC 5936 §2.2.1: one question in the first message, none or one in the others.
        let asked = self.written == 0 || self.packing.repeat_question || forgery == Some(Forgery::WrongQuestion);
        writer(&self.query, header, asked, forgery, self.packing)
    }
}

/// The start of an answer, with something wrong in it where a forgery says so.
pub(super) fn writer(
    query: &Query,
    mut header: Header,
    with_question: bool,
    forgery: Option<Forgery>,
    packing: Packing,
) -> Writer {
    let mut name = query.name.clone();
    match forgery {
        None => {}
        Some(Forgery::WrongId) => header.id ^= 0x5a5a,
        Some(Forgery::WrongQuestion) => name = outside(&name),
        Some(Forgery::NotAnAnswer) => header.answer = false,
        Some(Forgery::WrongOpcode) => header.opcode = Opcode::NOTIFY,
        Some(Forgery::Truncated) => header.truncated = true,
        Some(Forgery::Rcode(rcode)) => header.rcode = rcode,
    }
    Writer::new(header, with_question.then_some((&name, query.rtype, query.class)), packing)
}

impl Iterator for Messages {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.ended {
            return None;
        }
        let mut writer = self.writer();
        if let Some((Forgery::Rcode(_), from)) = self.forge
            && self.written >= from
        {
            self.ended = true;
            return Some(writer.finish());
        }
        let mut records = 0;
        while let Some(item) = self.items.peek() {
            let fits = match item {
                _ if records >= self.packing.records.max(1) => break,
                Item::Record(record) => writer.record(Section::Answer, record),
                Item::Raw(octets) => writer.raw(Section::Answer, octets),
                Item::PointerLoop => match u16::try_from(writer.position()) {
                    Ok(here) => writer.raw(Section::Answer, &pointer_loop(here)),
                    Err(_) => break,
                },
                Item::NextMessage => {
                    self.items.next();
                    if records > 0 {
                        break;
                    }
                    continue;
                }
            };
            // A record that not even an empty message can hold is passed over: its RDATA is over 65,535 octets.
            if fits.is_err() && records > 0 {
                break;
            }
            records += usize::from(fits.is_ok());
            self.items.next();
        }
        if self.overstate && self.written == 0 {
            writer.overstate(Section::Answer);
        }
        self.ended = self.items.peek().is_none();
        self.written += 1;
        Some(writer.finish())
    }
}

fn pointer_loop(here: u16) -> Vec<u8> {
    let mut octets = (0xc000 | here).to_be_bytes().to_vec();
    octets.extend(raw(&Name::root_bytes(), Rtype::A, 4, &[192, 0, 2, 1]).split_off(1));
    octets
}

/// Behaviours for one query each, then one for all others.
#[derive(Clone, Debug, Default)]
pub(super) struct Script<B> {
    pub next: VecDeque<B>,
    pub then: B,
}

impl<B: Clone> Script<B> {
    pub fn take(&mut self) -> B {
        self.next.pop_front().unwrap_or_else(|| self.then.clone())
    }
}
