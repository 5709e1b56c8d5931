//! A zone file, served by Knot and transferred again and again: is every transfer complete, and how long does it take?
//!
//! usage: transfer ZONEFILE ORIGIN [RUNS]
//!
//! The digest of each is held against the one that dnspython computes from the file.

use std::collections::BTreeMap;
use std::time::Instant;

use secondary53_relay::daemon::Clock;
use secondary53_relay::primary::{self, Limits};
use secondary53_tests::stack::{knot, name_server, process, programs};
use secondary53_zone::name::Name;
use secondary53_zone::snapshot::Snapshot;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(origin)) = (arguments.next(), arguments.next()) else {
        return Err("usage: transfer ZONEFILE ORIGIN [RUNS]".into());
    };
    let runs: usize = arguments.next().map_or(Ok(20), |runs| runs.parse())?;

    let dir = tempfile::tempdir()?;
    let text = std::fs::read_to_string(&file)?;
    let zone = name_server::ZoneFile { zone: origin.trim_end_matches('.').to_owned(), text };
    let nobody = programs::free_address()?;
    let server = knot::start(dir.path(), &zone, nobody).await?;

    let script = programs::workspace().join("tests/zonemd.py");
    let arguments = [script.to_str().ok_or("a path that is not UTF-8")?, &file, &origin];
    let expected = process::run(&programs::in_venv("python")?, &arguments, "").await?;
    let expected = expected.trim();

    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut times = Vec::new();
    for _ in 0..runs {
        #[expect(clippy::disallowed_methods, reason = "this program is a stopwatch")]
        let began = Instant::now();
        let fetched =
            primary::fetch(&Name::parse(&origin)?, &[server.address.into()], Limits::default(), Clock::start()).await;
        times.push(began.elapsed());
        let outcome = match fetched {
            Err(error) => error.to_string(),
            Ok(fetched) => {
                let snapshot = Snapshot::new(fetched.transferred.zone);
                let same = if snapshot.digest().to_string() == expected {
                    "the digest is dnspython's"
                } else {
                    "ANOTHER DIGEST"
                };
                format!("{} records, {same}", snapshot.zone().record_count())
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    for (outcome, times) in outcomes {
        println!("{times} of {runs}: {outcome}");
    }
    times.sort_unstable();
    println!("transfer: median {} ms, max {} ms", times[runs / 2].as_millis(), times[runs - 1].as_millis());
    println!("digest {expected}");
    Ok(())
}
