//! The directory of state is full, takes nothing, is gone, or holds what it should not: the relay goes on and says so.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_zone::{Limits, Serial, Snapshot};

use super::outage::{QUEUE, ZONES, change, config, have, name, primary_of_all, sent_all, serials};
use super::page::get;
use super::process::{Place, Relay};
use super::sqs::Sqs;

/// Zones that change while the disk is full.
const CHANGING: usize = 5;

#[tokio::test]
async fn a_full_disk_stops_nothing_and_leaves_no_half_of_a_snapshot() -> Result<(), StackError> {
    pass_over_missing(fill().await)
}

#[tokio::test]
async fn a_relay_starts_where_nothing_can_be_written() -> Result<(), StackError> {
    pass_over_missing(start_without_a_disk().await)
}

#[tokio::test]
async fn a_directory_that_is_removed_is_made_anew() {
    let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
    let place = Place::new(sqs.address, &config(&primary, QUEUE));
    let relay = place.run().await;
    sent_all(&relay, 1).await;
    fs::remove_dir_all(place.state()).unwrap();
    change(&primary, &relay, 0..CHANGING, 2).await;
    sqs.wait_until(|accepted| have(accepted, 0..CHANGING, 2)).await;
    relay.logged(&["was gone, and is made anew", place.state().to_str().unwrap()]).await;
    for number in 0..CHANGING {
        relay.logged(&["sent", &format!("zone={}.", name(number)), "serial=2"]).await;
    }
    // Of the others it knows what was sent without the disk.
    assert_eq!((sqs.accepted().len(), place.snapshots()), (ZONES + CHANGING, CHANGING));
    assert!(!relay.log().contains("not stored"), "{}", relay.log());
    assert!(relay.stop().await.success());
}

#[tokio::test]
async fn what_is_damaged_is_sent_anew_and_nothing_else() {
    let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
    let place = Place::new(sqs.address, &config(&primary, QUEUE));
    let relay = place.run().await;
    sent_all(&relay, 1).await;
    assert!(relay.stop().await.success());

    let file = |number, suffix| place.state().join(format!("{}.{suffix}", name(number)));
    let octets = fs::read(file(0, "snapshot")).unwrap();
    fs::write(file(0, "snapshot"), &octets[..octets.len() - 1]).unwrap();
    let mut octets = fs::read(file(1, "snapshot")).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 0x10;
    fs::write(file(1, "snapshot"), octets).unwrap();
    fs::copy(file(19, "snapshot"), file(2, "snapshot")).unwrap();
    fs::write(file(3, "queues"), b"\xff\xfe").unwrap();
    fs::write(file(4, "snapshot"), b"").unwrap();
    fs::remove_file(file(5, "snapshot")).unwrap();
    fs::create_dir_all(file(5, "snapshot").join("occupied")).unwrap();
    fs::remove_file(file(6, "queues")).unwrap();
    fs::create_dir_all(file(6, "queues").join("occupied")).unwrap();
    let damaged = 0..7;
    // What was left over by one that was killed.
    for number in damaged.end..ZONES {
        fs::write(file(number, "new"), b"half of").unwrap();
    }

    let relay = place.run().await;
    let accepted = sqs.wait_until(|accepted| accepted.len() == ZONES + damaged.len()).await;
    for number in damaged.clone() {
        relay.logged(&["the stored snapshot is left aside", &format!("zone={}.", name(number))]).await;
    }
    for number in damaged.end..ZONES {
        relay.logged(&["current", &format!("zone={}.", name(number))]).await;
    }
    let again = serials(&accepted[ZONES..]);
    assert_eq!(
        again.into_keys().collect::<Vec<_>>(),
        damaged.clone().map(|number| name(number) + ".").collect::<Vec<_>>()
    );
    // Where no file can be put in the place, that is told, and the zone is sent all the same.
    relay.logged(&["not stored", &format!("zone={}.", name(5))]).await;
    relay.logged(&["not stored", &format!("zone={}.", name(6))]).await;
    change(&primary, &relay, 0..ZONES, 2).await;
    sqs.wait_until(|accepted| have(accepted, 0..ZONES, 2)).await;
    assert!(relay.stop().await.success());
}

async fn fill() -> Result<(), StackError> {
    let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
    let place = Place::new(sqs.address, &config(&primary, QUEUE));
    let (relay, state) = run_on(&place, "size=512k").await?;
    sent_all(&relay, 1).await;
    fill_up(&state.join("filler"));

    for serial in 2..4 {
        change(&primary, &relay, 0..CHANGING, serial).await;
        sqs.wait_until(|accepted| have(accepted, 0..CHANGING, serial)).await;
    }
    for number in 0..CHANGING {
        let zone = format!("zone={}.", name(number));
        relay.logged(&["not stored", &zone, "serial=3", "No space left on device"]).await;
    }
    let (_, page) = get(&relay, "/").await;
    assert!(page.contains("<b>The state directory</b> has taken nothing for"), "{page}");
    let (_, metrics) = get(&relay, "/metrics").await;
    assert!(metrics.contains("secondary53_relay_store_failures_total 10\n"), "{metrics}");

    // What another life of it would find: whole files, and no other.
    let found = copied(&state, &place.state());
    for number in 0..ZONES {
        let octets = fs::read(place.state().join(format!("{}.snapshot", name(number)))).unwrap();
        let snapshot = Snapshot::decode(&octets, Limits::default()).unwrap();
        assert_eq!(snapshot.zone().serial(), Serial(1));
    }
    assert!(found.iter().all(|name| !name.contains(".new")), "{found:?}");

    // There is room again.
    fs::remove_file(state.join("filler")).unwrap();
    change(&primary, &relay, [0], 4).await;
    relay.logged(&["sent", &format!("zone={}.", name(0)), "serial=4"]).await;
    let (_, page) = get(&relay, "/").await;
    assert!(!page.contains("The state directory"), "{page}");
    let octets = fs::read(state.join(format!("{}.snapshot", name(0)))).unwrap();
    assert_eq!(Snapshot::decode(&octets, Limits::default()).unwrap().zone().serial(), Serial(4));
    relay.kill().await;

    // It was killed while the disk was full: what was not stored is sent again, and nothing else.
    let before = sqs.accepted().len();
    let relay = place.run().await;
    let accepted = sqs.wait_until(|accepted| accepted.len() == before + CHANGING).await;
    for number in CHANGING..ZONES {
        relay.logged(&["current", &format!("zone={}.", name(number))]).await;
    }
    assert!(have(&accepted, 1..CHANGING, 3) && have(&accepted, [0], 4));
    assert_eq!(serials(&accepted[before..]).len(), CHANGING);
    assert!(relay.stop().await.success());
    Ok(())
}

async fn start_without_a_disk() -> Result<(), StackError> {
    // No room for a file, and a file system that is mounted so that none can be made.
    for (options, told) in [("size=1m,nr_inodes=1", "No space left on device"), ("ro", "Read-only file system")] {
        let (primary, sqs) = (primary_of_all().await, Sqs::start().await);
        let place = Place::new(sqs.address, &config(&primary, QUEUE));
        let (relay, _) = run_on(&place, options).await?;
        relay.logged(&["going on", told]).await;
        sqs.wait_until(|accepted| have(accepted, 0..ZONES, 1)).await;
        change(&primary, &relay, 0..ZONES, 2).await;
        let accepted = sqs.wait_until(|accepted| have(accepted, 0..ZONES, 2)).await;
        assert_eq!(accepted.len(), 2 * ZONES);
        relay.logged(&["not stored", told]).await;
        assert!(relay.stop().await.success());
    }
    Ok(())
}

/// A relay whose directory of state is a file system of its own, of these options; and that directory as it is seen from here.
async fn run_on(place: &Place, options: &str) -> Result<(Relay, PathBuf), StackError> {
    let unshare = programs::installed("unshare")?;
    let mount = format!("mount -t tmpfs -o {options} none \"$0\" && exec \"$@\"");
    let tried = tokio::process::Command::new(&unshare).args(["-rm", "sh", "-c", &mount, "/mnt", "true"]).output().await;
    if !tried.unwrap().status.success() {
        let remedy = "this host lets no one mount a tmpfs in a namespace of their own: allow that, or run as root";
        return Err(StackError::Missing { program: "a mount namespace".to_owned(), remedy });
    }
    fs::create_dir_all(place.state()).unwrap();
    let state = place.state();
    let relay = place.run_by(&unshare, &["-rm", "sh", "-c", &mount, state.to_str().unwrap()]).await;
    let within = PathBuf::from(format!("/proc/{}/root{}", relay.id(), state.display()));
    Ok((relay, within))
}

/// Until nothing more goes in.
fn fill_up(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
}

/// Copies the files of one directory to another; their names.
fn copied(from: &Path, to: &Path) -> Vec<String> {
    let files = fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    let copy = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        if name != "filler" {
            fs::copy(entry.path(), to.join(&name)).unwrap();
        }
        name
    };
    files.map(copy).collect()
}
