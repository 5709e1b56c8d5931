//! The snapshot on its way to SQS.
//!
//! While a queue cannot be reached, the newest snapshot of each zone waits, and only the newest: what it replaces would be
//! superseded on arrival. So what waits is one message of at most 1 MiB for each zone, however long it takes. A zone of
//! several queues has an outbox for each, so that one that is down holds up no other.
//!
//! Newest is what was taken last from the primaries. That is not always the highest serial: an audit brings the same one
//! again, and an operator may have accepted an older one.
//!
//! A snapshot beyond one message goes to the queue's bucket first, and the message says where it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::types::MessageAttributeValue;
use aws_smithy_http_client::tls;
use bytes::Bytes;
use secondary53_aws::{Objects, chain};
use secondary53_zone::message::{Approval, MAX_OCTETS, Message, Meta, QUARANTINE_OCTETS, Reason};
use secondary53_zone::{Name, Snapshot};
use tokio::sync::Semaphore;

use crate::config;
use crate::refresh::Moment;

/// The newest snapshot of one zone, until one of its queues has it.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Option<Outgoing>,
    in_flight: bool,
    /// What is in flight, if it is to come back where it fails.
    sent: Option<Outgoing>,
    /// The place in the zone's order of what was offered last.
    newest: Option<u64>,
    failures: u32,
    due: Moment,
}

/// A message on its way to all queues of its zone; its clones know of one another. Queues are told apart by their URLs.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The message.
    pub message: Arc<Message>,
    queues: Arc<[Arc<config::Queue>]>,
    missing: Arc<Mutex<Vec<Arc<config::Queue>>>>,
    place: u64,
}

/// The clients of all queues.
#[derive(Clone, Debug)]
pub struct Sender {
    /// By their URLs.
    queues: Arc<HashMap<String, Queue>>,
}

#[derive(Debug)]
struct Queue {
    client: Client,
    /// Where what does not fit goes, and the name of the bucket there.
    overflow: Option<(Arc<Objects>, String)>,
    /// Sends at once: a thousand zones that wait for a queue must not be a thousand connections when it is back.
    turns: Semaphore,
}

/// Why a snapshot cannot be put into a message.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// zstd would not.
    #[error("failed to encode zone {0}: {1}")]
    Encode(Name, std::io::Error),
    /// It does not fit.
    #[error("failed to send zone {zone}: its snapshot of {records} records takes {}", too_large(*octets))]
    TooLarge {
        /// The zone.
        zone: Name,
        /// Its records.
        records: usize,
        /// What the message would take.
        octets: usize,
    },
}

/// Why a queue did not accept a message. Every one of these is tried again: what is wrong may be put right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SendError(String);

/// The wait after the first failure; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The SDK may try twice for itself; the rest of the patience is ours, for a newer snapshot may have come meanwhile.
const SDK_ATTEMPTS: u32 = 2;
/// Sends at once, to each queue.
const SENDS: usize = 32;
/// The longest time for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest time for one attempt: 1 MiB over a slow line.
const ATTEMPT: Duration = Duration::from_secs(30);
/// What is in the bucket is what would be in the message: base64.
const CONTENT_TYPE: &str = "text/plain";

/// Puts a snapshot into a message, which fits unless one of its queues has a bucket for what does not: `overflows`.
pub fn pack(snapshot: Snapshot, reason: Reason, meta: Meta, overflows: bool) -> Result<Message, PackError> {
    let (zone, records) = (snapshot.zone().apex().clone(), snapshot.zone().record_count());
    let message = Message::of(snapshot, reason, meta).map_err(|error| PackError::Encode(zone.clone(), error))?;
    // The worker must be able to put it aside as it came, with a note on why.
    if !overflows && !message.fits() {
        return Err(PackError::TooLarge { zone, records, octets: message.octets() });
    }
    Ok(message)
}

impl Outgoing {
    /// A message for a zone of these queues, of which some are missing it.
    pub fn new(message: Message, queues: &Arc<[Arc<config::Queue>]>, missing: Vec<Arc<config::Queue>>) -> Self {
        Self {
            message: Arc::new(message),
            queues: Arc::clone(queues),
            missing: Arc::new(Mutex::new(missing)),
            place: 0,
        }
    }

    /// A message for a zone of these queues, none of which has it.
    pub fn to_all(message: Message, queues: &Arc<[Arc<config::Queue>]>) -> Self {
        Self::new(message, queues, queues.to_vec())
    }

    /// Gives it a place in the order of its zone: what is taken from the primaries later has a higher one. Without one it is the
    /// first.
    #[must_use]
    pub fn at(self, place: u64) -> Self {
        Self { place, ..self }
    }

    /// Its place in the order of its zone.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Takes over what must not be lost with a message that this one takes the place of: that it was to be compared in full,
    /// and that an operator allowed its zone to go back. What goes on from there goes back too.
    fn instead_of(mut self, other: &Self) -> Self {
        let rank = |reason: Reason| match reason {
            Reason::Notify | Reason::Refresh => 0,
            Reason::Initial | Reason::Audit => 1,
            Reason::Resend | Reason::Replay => 2,
        };
        let (mine, its) = (&self.message, &other.message);
        let reason = if rank(its.reason) > rank(mine.reason) { its.reason } else { mine.reason };
        let may_go_back = |message: &Message| message.meta.approved.contains(&Approval::Rollback);
        let approved = may_go_back(its) && !may_go_back(mine);
        if approved || reason != mine.reason {
            let message = Arc::make_mut(&mut self.message);
            message.reason = reason;
            message.meta.approved.extend(approved.then_some(Approval::Rollback));
        }
        self
    }

    /// Whether this queue is missing it.
    pub fn is_missing(&self, queue: &config::Queue) -> bool {
        self.missing().iter().any(|missing| missing.url == queue.url)
    }

    /// The queue has it. Says whether it was the last one that was missing it.
    pub fn accepted(&self, queue: &config::Queue) -> bool {
        let mut missing = self.missing();
        let before = missing.len();
        missing.retain(|missing| missing.url != queue.url);
        missing.len() < before && missing.is_empty()
    }

    /// All queues of the zone.
    pub fn queues(&self) -> &[Arc<config::Queue>] {
        &self.queues
    }

    /// What these queues are sent it as, each of them in a line of text: a zone that goes to another hosted zone than before is
    /// something that a queue has not had.
    pub fn targets(&self) -> BTreeSet<String> {
        let id = self.message.meta.hosted_zone_id.as_deref();
        self.queues.iter().map(|queue| target(queue, id)).collect()
    }

    /// The same news for a zone that has other queues by now, or another hosted zone: for those that are missing it, and
    /// those that are new.
    #[must_use]
    pub fn readdressed(&self, zone: &config::Zone) -> Self {
        let mut message = Arc::clone(&self.message);
        let moved = message.meta.hosted_zone_id != zone.hosted_zone_id;
        if moved {
            let message = Arc::make_mut(&mut message);
            message.meta.hosted_zone_id.clone_from(&zone.hosted_zone_id);
            if message.reason.trusts_serial() {
                message.reason = Reason::Initial;
            }
        }
        let had = |queue: &config::Queue| !moved && self.queues.iter().any(|old| old.url == queue.url);
        let mut missing = zone.queues.to_vec();
        missing.retain(|queue| self.is_missing(queue) || !had(queue));
        if missing.is_empty() {
            // The one that was missing it is gone. That all others have it is known once one of them says so.
            missing = zone.queues.to_vec();
        }
        let queues = Arc::clone(&zone.queues);
        Self { message, queues, missing: Arc::new(Mutex::new(missing)), place: self.place }
    }

    /// Whether this is for the queues and the hosted zone that the zone has now.
    pub fn is_for(&self, zone: &config::Zone) -> bool {
        let urls =
            |queues: &[Arc<config::Queue>]| queues.iter().map(|queue| queue.url.clone()).collect::<BTreeSet<_>>();
        self.message.meta.hosted_zone_id == zone.hosted_zone_id && urls(&self.queues) == urls(&zone.queues)
    }

    fn missing(&self) -> MutexGuard<'_, Vec<Arc<config::Queue>>> {
        // A list is whole whoever panicked.
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    /// One in which this waits.
    pub fn with(outgoing: Outgoing) -> Self {
        let mut outbox = Self::default();
        outbox.offer(outgoing);
        outbox
    }

    /// A newer snapshot: it takes the place of what waits. One that is not newer was overtaken on its way here.
    pub fn offer(&mut self, outgoing: Outgoing) {
        if self.newest >= Some(outgoing.place) {
            return;
        }
        self.newest = Some(outgoing.place);
        self.waiting = Some(match self.waiting.take() {
            Some(other) => outgoing.instead_of(&other),
            None => outgoing,
        });
    }

    /// When to call [`Outbox::take`]; `None` where nothing waits or a send is under way.
    pub fn next(&self) -> Option<Moment> {
        (!self.in_flight && self.waiting.is_some()).then_some(self.due)
    }

    /// What is to be sent now. [`Outbox::ended`] must follow.
    pub fn take(&mut self, now: Moment) -> Option<Outgoing> {
        let outgoing = self.waiting.take_if(|_| !self.in_flight && self.due <= now)?;
        self.in_flight = true;
        self.sent = Some(outgoing.clone());
        Some(outgoing)
    }

    /// The newest of what waits or is in flight.
    pub fn newest(&self) -> Option<&Outgoing> {
        self.waiting.as_ref().or(self.sent.as_ref())
    }

    /// Puts the same news, addressed anew, in the place of what waits; it goes out after what is in flight.
    pub fn readdress(&mut self, outgoing: Outgoing) {
        self.newest = self.newest.max(Some(outgoing.place));
        self.waiting = Some(outgoing);
    }

    /// Nothing waits any more, and what is in flight does not come back.
    pub fn forget(&mut self) {
        (self.waiting, self.sent) = (None, None);
    }

    /// The send has ended, and the queue has accepted the message or not.
    pub fn ended(&mut self, now: Moment, outgoing: Outgoing, accepted: bool, chance: u32) {
        self.in_flight = false;
        let is_forgotten = self.sent.take().is_none();
        if accepted {
            self.failures = 0;
            self.due = now;
            return;
        }
        let wait = (FIRST_WAIT * 2_u32.saturating_pow(self.failures.min(16))).min(LONGEST_WAIT);
        // Half of it is chance, so that zones that failed together are not tried together.
        self.due = now + wait / 2 + (wait / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        self.waiting = Some(match self.waiting.take() {
            // What came meanwhile is newer.
            Some(newer) if is_forgotten => newer,
            Some(newer) => newer.instead_of(&outgoing),
            None if is_forgotten => return,
            None => outgoing,
        });
    }
}

/// What a queue is sent a zone as: its URL and, where there is one, the hosted zone to bring up to it.
pub(crate) fn target(queue: &config::Queue, hosted_zone_id: Option<&str>) -> String {
    hosted_zone_id.map_or_else(|| queue.url.clone(), |id| format!("{} {id}", queue.url))
}

impl Sender {
    /// Makes the clients: credentials and endpoints as the AWS SDKs' environment and profile say.
    pub async fn new(queues: &[Arc<config::Queue>]) -> Self {
        let mut regions: HashMap<&str, (SdkConfig, Client)> = HashMap::new();
        let mut buckets: HashMap<&str, Arc<Objects>> = HashMap::new();
        let mut made = HashMap::with_capacity(queues.len());
        for queue in queues {
            let config::Queue { url, region, overflow_bucket, .. } = &**queue;
            let (config, client) = match regions.get(region.as_str()) {
                Some(known) => known.clone(),
                None => {
                    let config = aws(region).await;
                    let made = (config.clone(), Client::new(&config));
                    regions.insert(region, made.clone());
                    made
                }
            };
            let mut objects = || Arc::clone(buckets.entry(region).or_insert_with(|| Arc::new(Objects::new(&config))));
            let overflow = overflow_bucket.clone().map(|bucket| (objects(), bucket));
            made.insert(url.clone(), Queue { client, overflow, turns: Semaphore::new(SENDS) });
        }
        Self { queues: Arc::new(made) }
    }

    /// Sends a message to one queue, by its URL.
    pub async fn send(&self, url: &str, message: &Message) -> Result<(), SendError> {
        let queue = self.queues.get(url).ok_or_else(|| SendError(format!("there is no queue {url}")))?;
        let Queue { client, overflow, turns } = queue;
        let _turn = turns.acquire().await.map_err(|error| SendError(error.to_string()))?;
        let moved = if message.fits() { None } else { Some(overflow_of(message, overflow.as_ref()).await?) };
        let message = moved.as_ref().unwrap_or(message);
        let mut request = client
            .send_message()
            .queue_url(url)
            .message_body(message.body.as_text())
            .message_group_id(message.group_id())
            .message_deduplication_id(message.deduplication_id());
        for attribute in message.attributes() {
            let value = MessageAttributeValue::builder().data_type(attribute.data_type).string_value(attribute.value);
            let value = value.build().map_err(|error| SendError(error.to_string()))?;
            request = request.message_attributes(attribute.name, value);
        }
        let sent = request.send().await;
        sent.map(|_| ()).map_err(|error| match (error.code(), error.message()) {
            (Some(code), Some(words)) => SendError(format!("{code}: {words}")),
            (Some(code), None) => SendError(code.to_owned()),
            _ => SendError(chain(&error)),
        })
    }
}

/// Puts the message's body into the bucket, which comes before the message: what it points to is there when it arrives. Put
/// again with every message, it is as young as the newest that needs it, and so it outlives that.
async fn overflow_of(message: &Message, overflow: Option<&(Arc<Objects>, String)>) -> Result<Message, SendError> {
    let refused = || SendError(format!("its snapshot takes {}", too_large(message.octets())));
    let (objects, bucket) = overflow.ok_or_else(refused)?;
    let (moved, pointer, body) = message.moved_to(bucket).ok_or_else(refused)?;
    let put = objects.put(bucket, &pointer.key, Bytes::copy_from_slice(body.as_bytes()), CONTENT_TYPE).await;
    put.map_err(|failure| SendError(format!("failed to put its snapshot into the bucket {bucket}: {failure}")))?;
    Ok(moved)
}

/// What it takes, what there is, and what an operator does about it.
fn too_large(octets: usize) -> String {
    let room = MAX_OCTETS - QUARANTINE_OCTETS;
    format!(
        "{octets} octets, and an SQS message {room}; give the queue an overflow_bucket in the relay's configuration"
    )
}

/// What an AWS SDK is to know: credentials and endpoints as its environment and profile say.
pub(crate) async fn aws(region: &str) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(region.to_owned()))
        .retry_config(RetryConfig::standard().with_max_attempts(SDK_ATTEMPTS))
        .timeout_config(timeouts);
    loader.load().await
}

#[cfg(test)]
mod tests {
    use secondary53_zone::{Limits, Rtype, Serial, ZoneBuilder};

    use super::*;

    fn snapshot(serial: u8, noise: usize) -> Snapshot {
        let apex: Name = "example.com".parse().unwrap();
        let mut builder = ZoneBuilder::new(apex.clone(), Limits::default());
        let soa = [&[0, 0][..], &[0, 0, 0, serial], &[0; 16]].concat();
        builder.push(apex.by_ref(), Rtype::SOA, 60, &soa).unwrap();
        for _ in 0..noise {
            let rdata: Vec<u8> = (0..200).map(|_| rand::random()).collect();
            builder.push(apex.by_ref(), Rtype(65280), 60, &rdata).unwrap();
        }
        Snapshot::new(builder.build().unwrap().zone)
    }

    fn message(serial: u8) -> Message {
        pack(snapshot(serial, 0), Reason::Notify, Meta::default(), false).unwrap()
    }

    fn queues() -> Arc<[Arc<config::Queue>]> {
        let queue = |name: &str| {
            Arc::new(config::Queue {
                name: name.into(),
                url: name.into(),
                region: String::new(),
                overflow_bucket: None,
            })
        };
        [queue("a"), queue("b")].into()
    }

    /// One for this reason, at this place.
    fn because(reason: Reason, serial: u8, place: u64) -> Outgoing {
        let approved = if reason == Reason::Resend { vec![Approval::Rollback] } else { Vec::new() };
        let mut outgoing = outgoing(serial).at(place);
        let message = Arc::make_mut(&mut outgoing.message);
        (message.reason, message.meta.approved) = (reason, approved);
        outgoing
    }

    fn waiting(outbox: &Outbox) -> (Serial, Reason, &[Approval]) {
        let message = &outbox.waiting.as_ref().unwrap().message;
        (message.serial, message.reason, &message.meta.approved)
    }

    fn outgoing(serial: u8) -> Outgoing {
        Outgoing::to_all(message(serial), &queues())
    }

    fn failed() -> (Outbox, Vec<Duration>) {
        let mut outbox = Outbox::with(outgoing(1));
        let mut waits = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..9 {
            let outgoing = outbox.take(now).unwrap();
            assert_eq!(outbox.next(), None);
            outbox.ended(now, outgoing, false, u32::MAX);
            let next = outbox.next().unwrap();
            waits.push(next.saturating_sub(now));
            assert!(outbox.take(now).is_none());
            now = next;
        }
        (outbox, waits)
    }

    #[test]
    fn the_waits_double_up_to_the_longest() {
        let (_, waits) = failed();
        assert_eq!(waits.iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn only_the_newest_waits() {
        let (mut outbox, _) = failed();
        for serial in [2, 3, 2] {
            outbox.offer(outgoing(serial).at(serial.into()));
        }
        let now = outbox.next().unwrap();
        let sent = outbox.take(now).unwrap();
        assert_eq!(sent.message.serial, Serial(3));
        // What comes during a send goes next, and what failed does not come back.
        outbox.offer(outgoing(4).at(4));
        outbox.ended(now, sent, false, 0);
        let now = outbox.next().unwrap();
        let sent = outbox.take(now).unwrap();
        assert_eq!(sent.message.serial, Serial(4));
        outbox.ended(now, sent, true, 0);
        assert_eq!(outbox.next(), None);
    }

    #[test]
    fn what_was_taken_last_is_the_newest_whatever_its_serial() {
        let mut outbox = Outbox::default();
        outbox.offer(because(Reason::Notify, 7, 1));
        outbox.offer(because(Reason::Audit, 7, 3));
        assert_eq!(waiting(&outbox), (Serial(7), Reason::Audit, &[][..]));
        // Packed later, for it was the larger one, and taken before.
        outbox.offer(because(Reason::Notify, 6, 2));
        assert_eq!(waiting(&outbox), (Serial(7), Reason::Audit, &[][..]));
        outbox.offer(because(Reason::Resend, 4, 4));
        assert_eq!(waiting(&outbox), (Serial(4), Reason::Resend, &[Approval::Rollback][..]));
    }

    #[test]
    fn what_an_operator_allowed_is_not_lost_with_the_message() {
        let mut outbox = Outbox::default();
        outbox.offer(because(Reason::Resend, 4, 1));
        // Newer than what it goes back to, and the hosted zone may have 9.
        outbox.offer(because(Reason::Notify, 5, 2));
        assert_eq!(waiting(&outbox), (Serial(5), Reason::Resend, &[Approval::Rollback][..]));
        // Nor with one that was under way and failed.
        let sent = outbox.take(Duration::ZERO).unwrap();
        outbox.offer(because(Reason::Refresh, 6, 3));
        assert_eq!(waiting(&outbox), (Serial(6), Reason::Refresh, &[][..]));
        outbox.ended(Duration::ZERO, sent, false, 0);
        assert_eq!(waiting(&outbox), (Serial(6), Reason::Resend, &[Approval::Rollback][..]));
        // Once a queue has it, that is done.
        let sent = outbox.take(outbox.next().unwrap()).unwrap();
        outbox.offer(because(Reason::Refresh, 7, 4));
        outbox.ended(Duration::ZERO, sent, true, 0);
        assert_eq!(waiting(&outbox), (Serial(7), Reason::Refresh, &[][..]));
    }

    #[test]
    fn the_last_queue_to_accept_it_knows_that_it_is_the_last() {
        let to_one = outgoing(1);
        let to_other = to_one.clone();
        let [a, b] = &*queues() else { panic!() };
        assert!(!to_one.accepted(b) && to_one.is_missing(a) && !to_other.is_missing(b));
        // Twice is once.
        assert!(!to_one.accepted(b));
        assert!(to_other.accepted(a));
        assert!(!to_one.accepted(a));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_size() {
        let told = pack(snapshot(1, 4_000), Reason::Initial, Meta::default(), false).unwrap_err().to_string();
        assert!(told.starts_with("failed to send zone example.com.: its snapshot of 4001 records takes 1"), "{told}");
        assert!(told.ends_with("give the queue an overflow_bucket in the relay's configuration"), "{told}");
        assert!(!pack(snapshot(1, 4_000), Reason::Initial, Meta::default(), true).unwrap().fits());
    }

    #[test]
    fn what_is_sent_leaves_the_worker_room_to_put_it_aside() {
        // Random octets: 4 in base64 for every 3. From well below the limit to beyond it, in steps of less than the room.
        let mut refused = 0;
        for noise in (3_890..3_950).step_by(6) {
            match pack(snapshot(1, noise), Reason::Initial, Meta::default(), false) {
                Ok(message) => assert!(message.octets() <= MAX_OCTETS - QUARANTINE_OCTETS, "{}", message.octets()),
                Err(_) => refused += 1,
            }
        }
        assert!((1..10).contains(&refused), "the limit is not where it was sought");
    }
}
