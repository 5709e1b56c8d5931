//! What a zone file comes to as a snapshot: octets a record, and the milliseconds of each step.
//!
//! usage: snapshot ZONEFILE ORIGIN [RUNS]

use std::time::Instant;

use secondary53_tests::primary::ZoneFile;
use secondary53_tests::zones::zone_of;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Limits;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(origin)) = (arguments.next(), arguments.next()) else {
        return Err("usage: snapshot ZONEFILE ORIGIN [RUNS]".into());
    };
    let runs: usize = arguments.next().map_or(Ok(11), |runs| runs.parse())?;
    let zone = zone_of(&ZoneFile::read(file, Some(&origin))?)?;
    println!("{} records at serial {}", zone.record_count(), zone.serial());

    let digest = timed("digest", runs, || Ok(Snapshot::new(zone.clone())))?;
    let octets = timed("encode", runs, || digest.encode())?;
    let back = timed("decode", runs, || Snapshot::decode(&octets, Limits::default()).map_err(std::io::Error::other))?;
    if back != digest {
        return Err("the snapshot does not come back as it was".into());
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let each = octets.len() as f64 / zone.record_count() as f64;
    println!("snapshot {} octets, {each:.2} a record", octets.len());
    println!("digest {}", digest.digest());
    Ok(())
}

/// Runs it so often and prints the median.
fn timed<T>(what: &str, runs: usize, mut run: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..runs.max(1) {
        #[expect(clippy::disallowed_methods, reason = "this program is a stopwatch")]
        let began = Instant::now();
        last = Some(run()?);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!(
        "{what}: {:.2} ms (median of {}, max {:.2})",
        millis(times[times.len() / 2]),
        times.len(),
        millis(times[times.len() - 1])
    );
    last.ok_or_else(|| std::io::Error::other("not run"))
}

fn millis(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
