use proptest::prelude::*;

use super::*;

const START: Duration = Duration::from_hours(500_000);

fn after(milliseconds: u64) -> Duration {
    START + Duration::from_millis(milliseconds)
}

#[test]
fn a_share_has_its_part_of_the_burst_and_of_what_comes_back() {
    for (workers, burst, each) in [(1, 50, 100), (2, 25, 200), (50, 1, 5_000)] {
        let mut bucket = Bucket::new(REQUESTS, workers);
        for _ in 0..burst {
            assert_eq!(bucket.take(1, START), Ok(()));
        }
        assert_eq!(bucket.take(1, START), Err(Duration::from_millis(each)), "{workers} workers");
        assert_eq!(bucket.take(1, after(each - 1)), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(1, after(each)), Ok(()));
    }
}

#[test]
fn what_is_more_than_a_bucket_holds_waits_for_a_full_one_and_is_paid_for() {
    // Half of 1,500, and 50 a second.
    let mut bucket = Bucket::new(CHANGES, 2);
    assert_eq!(bucket.take(1_000, START), Ok(()));
    // It owes 250; the next of its kind needs all 750.
    assert_eq!(bucket.take(1_000, START), Err(Duration::from_secs(20)));
    assert_eq!(bucket.take(1, START), Err(Duration::from_millis(5_020)));
    assert_eq!(bucket.take(1_000, after(20_000)), Ok(()));
}

#[test]
fn one_that_was_frozen_is_full_and_no_more_than_full() {
    let mut bucket = Bucket::new(CHANGES, 2);
    assert_eq!(bucket.take(750, START), Ok(()));
    assert_eq!(bucket.take(750, after(3_600_000)), Ok(()));
    assert_eq!(bucket.take(1, after(3_600_000)), Err(Duration::from_millis(20)));
}

#[test]
fn a_clock_that_is_put_back_makes_nobody_wait() {
    let mut bucket = Bucket::new(REQUESTS, 2);
    assert_eq!(bucket.take(25, after(3_600_000)), Ok(()));
    assert_eq!(bucket.take(1, START), Err(Duration::from_millis(200)));
    assert_eq!(bucket.take(1, after(200)), Ok(()));
}

#[test]
fn waits_double_to_the_longest_and_half_of_them_is_chance() {
    let backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(10) };
    let waits = |chance| [0, 1, 2, 4, 5, 6, u32::MAX].map(|failures| backoff.wait(failures, chance).as_millis());
    assert_eq!(waits(u32::MAX), [500, 1_000, 2_000, 8_000, 10_000, 10_000, 10_000]);
    assert_eq!(waits(0), [250, 500, 1_000, 4_000, 5_000, 5_000, 5_000]);
}

#[test]
fn a_small_zone_goes_before_the_batch_of_a_large_one_and_does_not_starve_it() {
    let mut line = Line::new(Bucket::new(CHANGES, 2));
    let first = line.join("large", 750);
    assert_eq!(line.turn(first, START), Turn::Now);
    let large = line.join("large", 750);
    assert_eq!(line.turn(large, START), Turn::In(Duration::from_secs(15)));
    // A second later there are 50 tokens.
    let small = line.join("small", 40);
    assert_eq!(line.turn(large, after(1_000)), Turn::Behind);
    assert_eq!(line.turn(small, after(1_000)), Turn::Now);
    // The small one goes on and on, and the large one comes to its turn once as much was taken.
    let (mut now, mut taken) = (1_000, 40);
    loop {
        let small = line.join("small", 40);
        if line.turn(small, after(now)) == Turn::Behind {
            break;
        }
        while line.turn(small, after(now)) != Turn::Now {
            now += 100;
        }
        taken += 40;
        assert!(taken < 2_000, "the large zone starves");
    }
    assert!((700..=800).contains(&taken), "{taken} before the large one");
    assert_eq!(line.turn(large, after(now + 15_000)), Turn::Now);
}

#[test]
fn who_leaves_lets_the_next_one_go() {
    let mut line = Line::new(Bucket::new(REQUESTS, 2));
    let places = ["a", "b", "c"].map(|who| line.join(who, 1));
    assert_eq!(line.turn(places[1], START), Turn::Behind);
    line.leave(places[0]);
    assert_eq!(line.turn(places[1], START), Turn::Now);
    // Twice is once.
    line.leave(places[1]);
    assert_eq!(line.turn(places[1], START), Turn::Behind);
    assert_eq!(line.turn(places[2], START), Turn::Now);
}

proptest! {
    /// The account's bucket, kept in the plain way, admits all that its workers' shares let through.
    #[test]
    fn shares_together_stay_within_the_whole(
        workers in 1..8_u32,
        asked in proptest::collection::vec((0..8_usize, 1..180_u32, 0..3_000_u64), 1..100),
    ) {
        let mut shares = vec![Bucket::new(CHANGES, workers); workers as usize];
        // In thousandths of a token, of which 100 come back in a millisecond.
        let (mut tokens, mut at, mut now) = (1_500_000_u64, 0, 0);
        for (worker, cost, pause) in asked {
            now += pause;
            if shares[worker % workers as usize].take(cost, after(now)).is_ok() {
                tokens = (tokens + 100 * (now - at)).min(1_500_000);
                at = now;
                prop_assert!(u64::from(cost) * 1_000 <= tokens, "{cost} of {tokens} at {now}");
                tokens -= u64::from(cost) * 1_000;
            }
        }
    }

    /// The wait that is told is right to the nanosecond.
    #[test]
    fn the_wait_is_just_enough(workers in 1..8_u32, taken in 1..3_000_u32, cost in 1..3_000_u32, pause in 0..60_000_u64) {
        let mut bucket = Bucket::new(CHANGES, workers);
        prop_assert_eq!(bucket.take(taken, START), Ok(()));
        if let Err(wait) = bucket.clone().take(cost, after(pause)) {
            prop_assert!(bucket.clone().take(cost, (after(pause) + wait).saturating_sub(Duration::from_nanos(1))).is_err());
            prop_assert_eq!(bucket.take(cost, after(pause) + wait), Ok(()));
        }
    }

    /// Whoever waits gets a turn, and between two that always want more neither gets ahead by more than a request.
    #[test]
    fn two_that_always_want_more_share_evenly(one in 1..400_u32, other in 1..400_u32) {
        let mut line = Line::new(Bucket::new(CHANGES, 2));
        let costs = [one, other];
        let mut places = [line.join("0", one), line.join("1", other)];
        let mut taken = [0_u32; 2];
        let mut now = START;
        while taken[0].min(taken[1]) < 2_000 {
            for who in 0..2 {
                match line.turn(places[who], now) {
                    Turn::Now => {
                        taken[who] += costs[who];
                        places[who] = line.join(&who.to_string(), costs[who]);
                    }
                    Turn::In(wait) => now += wait,
                    Turn::Behind => {}
                }
            }
            prop_assert!(taken[0].abs_diff(taken[1]) <= one + other, "{:?}", taken);
        }
    }
}
