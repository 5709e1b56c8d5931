//! Outboxes, a post and a queue that is out of order, on a clock that jumps from event to event.

use std::sync::Weak;

use super::*;
use crate::queue::gate::{BATCH, SENDS};

/// What a queue answers, and after how long, to so many messages.
type Queue<'a> = dyn FnMut(Moment, &[(usize, u32)]) -> (Said, Duration) + 'a;

struct World {
    now: Moment,
    outboxes: Vec<Outbox>,
    post: Post<usize>,
    /// The newest serial of each zone.
    newest: Vec<u32>,
    under_way: Vec<Send>,
    requests: Vec<Moment>,
    /// When which serial of which zone was accepted.
    accepted: Vec<(Moment, usize, u32)>,
    template: Arc<Message>,
    /// Every message that there was.
    messages: Vec<Weak<Message>>,
    seed: u64,
}

struct Send {
    begun: Moment,
    ends: Moment,
    batch: Vec<(usize, Outgoing)>,
    said: Said,
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    fn new(zones: usize) -> Self {
        Self {
            now: Moment::ZERO,
            outboxes: (0..zones).map(|_| Outbox::default()).collect(),
            post: Post::default(),
            newest: vec![0; zones],
            under_way: Vec::new(),
            requests: Vec::new(),
            accepted: Vec::new(),
            template: Arc::new(message(1)),
            messages: Vec::new(),
            seed: 1,
        }
    }

    /// Reproducible, and of all sizes (Numerical Recipes, a linear congruential generator).
    fn chance(&mut self) -> u32 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.seed >> 32).unwrap()
    }

    /// The zone has changed, and was transferred.
    fn change(&mut self, zone: usize) {
        self.newest[zone] += 1;
        let serial = Serial(self.newest[zone]);
        let outgoing = Outgoing::to_all(Message { serial, ..(*self.template).clone() }, &queues()).at(serial.0.into());
        self.messages.push(Arc::downgrade(&outgoing.message));
        self.outboxes[zone].offer(outgoing);
    }

    /// The messages that there are.
    fn alive(&mut self) -> usize {
        self.messages.retain(|message| message.strong_count() > 0);
        self.messages.len()
    }

    /// Until nothing is left to do, or then.
    fn run(&mut self, until: Moment, queue: &mut Queue<'_>) {
        for _ in 0..1_000_000 {
            self.turn(queue);
            let dues = self.outboxes.iter().filter_map(Outbox::next);
            let next = dues.chain(self.post.next()).chain(self.under_way.iter().map(|send| send.ends)).min();
            match next.filter(|next| *next <= until) {
                Some(next) => self.now = self.now.max(next),
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("it turns and turns");
    }

    fn turn(&mut self, queue: &mut Queue<'_>) {
        let (ended, under_way) = self.under_way.drain(..).partition(|send| send.ends <= self.now);
        self.under_way = under_way;
        for Send { begun, batch, said, .. } in ended {
            let chance = self.chance();
            self.post.ended(begun, self.now, said, chance);
            for (zone, outgoing) in batch {
                let chance = self.chance();
                if said == Said::Takes {
                    self.accepted.push((self.now, zone, outgoing.message.serial.0));
                }
                self.outboxes[zone].ended(self.now, outgoing, said == Said::Takes, chance);
            }
        }
        for zone in 0..self.outboxes.len() {
            if self.outboxes[zone].line_up(self.now) {
                self.post.line_up(zone);
            }
        }
        loop {
            let batch = self.post.take(self.now, |zone, room| self.outboxes[zone].take(room));
            if batch.is_empty() {
                break;
            }
            // Whatever goes out is the newest when it does.
            let what: Vec<_> = batch.iter().map(|(zone, outgoing)| (*zone, outgoing.message.serial.0)).collect();
            assert!(what.iter().all(|(zone, serial)| *serial == self.newest[*zone]), "{what:?}");
            let (said, takes) = queue(self.now, &what);
            self.requests.push(self.now);
            self.under_way.push(Send { begun: self.now, ends: self.now + takes, batch, said });
        }
        assert!(self.under_way.len() <= SENDS);
    }

    fn requests_within(&self, from: Moment, to: Moment) -> usize {
        self.requests.iter().filter(|at| (from..to).contains(*at)).count()
    }
}

/// A hundred zones that change and twenty that do not, and a queue that is away for an hour: refused at once, or timed out.
#[test]
fn after_an_hour_the_newest_of_each_zone_goes_out_and_nothing_else() {
    const CHANGING: usize = 100;
    const ZONES: usize = 120;
    const AWAY: Moment = secs(60);
    const BACK: Moment = secs(60 + 3_600);
    for takes in [Duration::from_millis(1), secs(30)] {
        let mut queue = move |now: Moment, _: &[(usize, u32)]| {
            if (AWAY..BACK).contains(&now) { (Said::Fails, takes) } else { (Said::Takes, Duration::from_millis(20)) }
        };
        let mut world = World::new(ZONES);
        (0..ZONES).for_each(|zone| world.change(zone));
        world.run(AWAY, &mut queue);
        assert_eq!(world.accepted.len(), ZONES);
        // Each second of the hour another three zones change.
        for second in 0..3_600 {
            for change in 0..3 {
                world.change((second * 3 + change) * 7 % CHANGING);
            }
            world.run(AWAY + secs(second as u64 + 1), &mut queue);
            assert!(world.alive() <= CHANGING + 1, "{} messages are kept", world.alive());
        }
        assert_eq!(world.accepted.len(), ZONES);
        // One tries at a time: after 1, 2, 4 … 60 s, half of each chance. With what was begun before anything was known.
        let tried = world.requests_within(AWAY, BACK);
        assert!((30..=6 + 3_600 / 30 + SENDS).contains(&tried), "{tried} requests");

        world.run(BACK + secs(3_600), &mut queue);
        let after = &world.accepted[ZONES..];
        assert_eq!(after.len(), CHANGING, "each once");
        for zone in 0..CHANGING {
            let (at, _, serial) = after.iter().find(|(_, its, _)| *its == zone).unwrap();
            assert_eq!(*serial, world.newest[zone]);
            // A message that was sent just before may still be waited for.
            assert!(*at <= BACK + LONGEST_WAIT + takes + secs(1), "zone {zone} at {at:?}");
        }
        assert_eq!(world.alive(), 0);
        // The one that tried, and the others ten at a time.
        let requests = world.requests_within(BACK, Moment::MAX);
        assert!(requests <= 2 + CHANGING.div_ceil(BATCH) + SENDS, "{requests} requests");
    }
}

/// A queue that takes two requests a second, and throttles all others.
#[test]
fn what_is_throttled_arrives_and_asks_no_oftener_than_it_must() {
    const ZONES: usize = 1_000;
    let (mut tokens, mut filled, mut refused) = (2.0, Moment::ZERO, 0);
    let mut queue = |now: Moment, _: &[(usize, u32)]| {
        tokens = (tokens + 2.0 * now.saturating_sub(filled).as_secs_f64()).min(2.0);
        filled = now;
        if tokens < 1.0 {
            refused += 1;
            return (Said::Fails, Duration::from_millis(10));
        }
        tokens -= 1.0;
        (Said::Takes, Duration::from_millis(10))
    };
    let mut world = World::new(ZONES);
    (0..ZONES).for_each(|zone| world.change(zone));
    world.run(secs(3_600), &mut queue);
    assert_eq!(world.accepted.len(), ZONES);
    let (last, accepted) = (world.accepted.last().unwrap().0, world.requests.len() - refused);
    assert!(last < secs(300), "{last:?}");
    // What is under way when the first is refused, each time that the queue has been tried.
    assert!(refused <= accepted * SENDS && accepted < ZONES, "{refused} refused, {accepted} accepted");
}

/// One zone's message always fails, as if the queue were at fault: it is too slow a line for it, say.
#[test]
fn a_message_that_never_arrives_does_not_keep_the_others() {
    const ZONES: usize = 50;
    let mut queue = |_: Moment, what: &[(usize, u32)]| {
        if what.iter().any(|(zone, _)| *zone == 0) { (Said::Fails, secs(60)) } else { (Said::Takes, secs(1)) }
    };
    let mut world = World::new(ZONES);
    for round in 0..60 {
        (0..ZONES).for_each(|zone| world.change(zone));
        world.run(secs(120 * (round + 1)), &mut queue);
    }
    for zone in 1..ZONES {
        let its: Vec<_> = world.accepted.iter().filter(|(_, its, _)| *its == zone).collect();
        assert_eq!(its.last().unwrap().2, world.newest[zone]);
        // Those that were beside it in its request waited for its end.
        assert!(its.len() >= 50, "{} of 60 of zone {zone}", its.len());
    }
    assert!(world.accepted.iter().all(|(_, zone, _)| *zone != 0));
}
