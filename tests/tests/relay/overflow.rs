//! Snapshots beyond one message: into S3 first, then a pointer into the queue.

use std::net::SocketAddr;

use secondary53_tests::primary::{Config, Primary};
use secondary53_tests::stack::ministack::Ministack;
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_tests::zones::incompressible;
use secondary53_zone::message::Body;
use secondary53_zone::{Limits, Serial, Snapshot};
use tempfile::TempDir;

use super::process::Place;
use super::sqs::{Accepted, Sqs};
use super::{APEX, primary};

const BUCKET: &str = "overflow-bucket";
/// Records of a zone that does not fit a message.
const MANY: usize = 1_200;

#[tokio::test]
async fn what_does_not_fit_goes_into_the_bucket() -> Result<(), StackError> {
    pass_over_missing(put().await)
}

#[tokio::test]
async fn while_s3_cannot_be_reached_the_newest_waits() -> Result<(), StackError> {
    pass_over_missing(wait().await)
}

#[tokio::test]
async fn without_a_bucket_an_operator_is_told_of_it() {
    let (primary, sqs) = (primary(Config::new().zone(incompressible(1, MANY).unwrap())).await, Sqs::start().await);
    let place = place(&sqs, &primary, &[("main", None)]);
    let relay = place.run().await;
    relay
        .logged(&["failed to send zone example.com.", "give the queue an overflow_bucket in the relay's configuration"])
        .await;
    assert_eq!(sqs.accepted().len(), 0);
    // What fits is sent as before.
    primary.set_zone(incompressible(2, 10).unwrap());
    primary.notify(relay.address).await.unwrap();
    assert_eq!(sqs.wait_for(1).await[0].message.serial, Serial(2));
}

#[tokio::test]
async fn a_queue_without_a_bucket_holds_up_no_other() -> Result<(), StackError> {
    pass_over_missing(put_for_one_of_two().await)
}

async fn put() -> Result<(), StackError> {
    let (directory, address) = (TempDir::new().unwrap(), programs::free_address()?);
    let s3 = Ministack::start(directory.path(), address).await?;
    s3.bucket(BUCKET).await?;
    let (primary, sqs) = (primary(Config::new().zone(incompressible(1, MANY).unwrap())).await, Sqs::start().await);
    let place = place(&sqs, &primary, &[("main", Some(BUCKET))]).with_s3(address);
    let relay = place.run().await;
    let sent = sqs.wait_for(1).await.remove(0);
    assert_eq!(sent.group, "example.com.");
    let snapshot = fetched(&s3, &sent).await?;
    assert_eq!(snapshot.zone().record_count(), MANY + 3);
    relay.logged(&["sent", "serial=1", "queue=\"main\""]).await;
    assert!(relay.stop().await.success());
    // What is stored is the snapshot, not the pointer to it: the next run starts from it.
    let stored = std::fs::read(place.state().join("example.com.snapshot")).unwrap();
    assert_eq!(Snapshot::decode(&stored, Limits::default()).unwrap(), snapshot);
    let (good, log) = place.once().await;
    assert!(good && log.contains("current"), "{log}");
    assert_eq!(sqs.accepted().len(), 1);
    // Another relay, or one without its state, writes the same object.
    std::fs::remove_dir_all(place.state()).unwrap();
    assert!(place.once().await.0);
    let again = sqs.wait_for(2).await.remove(1);
    assert_eq!((again.deduplication, again.message.body), (sent.deduplication, sent.message.body));
    assert_eq!(s3.keys(BUCKET).await?, [format!("snapshots/{}", snapshot.digest())]);
    // What fits needs no bucket.
    primary.set_zone(incompressible(2, 10).unwrap());
    assert!(place.once().await.0);
    assert_eq!(sqs.wait_for(3).await[2].snapshot().zone().serial(), Serial(2));
    assert_eq!(s3.keys(BUCKET).await?.len(), 1);
    Ok(())
}

async fn wait() -> Result<(), StackError> {
    let (directory, address) = (TempDir::new().unwrap(), programs::free_address()?);
    let (primary, sqs) = (primary(Config::new().zone(incompressible(1, MANY).unwrap())).await, Sqs::start().await);
    let place = place(&sqs, &primary, &[("main", Some(BUCKET))]).with_s3(address);
    let relay = place.run().await;
    relay.logged(&["not sent", "serial=1", "failed to put its snapshot into the bucket overflow-bucket: "]).await;
    primary.set_zone(incompressible(2, MANY).unwrap());
    primary.notify(relay.address).await.unwrap();
    relay.logged(&["transferred", "serial=2"]).await;
    assert_eq!((sqs.accepted().len(), place.snapshots()), (0, 0));

    let s3 = Ministack::start(directory.path(), address).await?;
    s3.bucket(BUCKET).await?;
    let mut all = sqs.wait_for(1).await;
    // What was being sent just when the bucket came may arrive too; what waited is the newest.
    if all[0].message.serial == Serial(1) {
        all = sqs.wait_for(2).await;
    }
    let (count, sent) = (all.len(), all.pop().unwrap());
    assert_eq!(sent.message.serial, Serial(2));
    fetched(&s3, &sent).await?;
    relay.logged(&["sent", "serial=2"]).await;
    assert_eq!((sqs.accepted().len(), s3.keys(BUCKET).await?.len()), (count, count));
    Ok(())
}

async fn put_for_one_of_two() -> Result<(), StackError> {
    let (directory, address) = (TempDir::new().unwrap(), programs::free_address()?);
    let s3 = Ministack::start(directory.path(), address).await?;
    s3.bucket(BUCKET).await?;
    let (primary, sqs) = (primary(Config::new().zone(incompressible(1, MANY).unwrap())).await, Sqs::start().await);
    let place = place(&sqs, &primary, &[("a", Some(BUCKET)), ("b", None)]).with_s3(address);
    let relay = place.run().await;
    relay.logged(&["not sent", "queue=\"b\"", "give the queue an overflow_bucket"]).await;
    relay.logged(&["sent", "queue=\"a\""]).await;
    let sent = sqs.accepted();
    assert!(sent.len() == 1 && sent[0].queue.ends_with("/a.fifo"), "{sent:?}");
    // Not stored, so that a restart with a bucket sends it to both.
    assert_eq!(place.snapshots(), 0);
    Ok(())
}

/// What a worker would make of a message.
async fn fetched(s3: &Ministack, sent: &Accepted) -> Result<Snapshot, StackError> {
    let Body::Pointer { pointer, octets } = &sent.message.body else { panic!("{:?}", sent.message.body) };
    assert_eq!((pointer.bucket.as_str(), &pointer.key), (BUCKET, &format!("snapshots/{}", sent.message.digest)));
    let body = String::from_utf8(s3.object(BUCKET, &pointer.key).await?).unwrap();
    assert_eq!(body.len(), *octets);
    Ok(sent.message.with_body(body).snapshot(Limits::default()).unwrap())
}

/// Names of queues, and their buckets.
fn place(sqs: &Sqs, primary: &Primary, queues: &[(&str, Option<&str>)]) -> Place {
    let queue = |&(name, bucket): &(&str, Option<&str>)| {
        let bucket = bucket.unwrap_or_default();
        format!(
            "[queue.{name}]\nurl = \"http://127.0.0.1/0/{name}.fifo\"\nregion = \"eu-west-1\"\noverflow_bucket = \"{bucket}\"\n"
        )
    };
    let names: Vec<_> = queues.iter().map(|(name, _)| name).collect();
    let address: SocketAddr = primary.address();
    let rest = format!("[primary.main]\naddress = \"{address}\"\n[[zone]]\nname = \"{APEX}\"\nqueues = {names:?}\n");
    Place::new(sqs.address, &(queues.iter().map(queue).collect::<String>() + &rest))
}
