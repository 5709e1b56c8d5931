//! Catalog zones of real name servers: members come and go while they run.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use secondary53_tests::stack::producer::{self, CATALOG, Producer};
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use tempfile::TempDir;

use super::process::Place;
use super::sqs::Sqs;

#[tokio::test]
async fn members_come_and_go_at_bind() -> Result<(), StackError> {
    pass_over_missing(follow(async |dir, zones, notify| producer::bind(dir, zones, notify).await).await)
}

#[tokio::test]
async fn members_come_and_go_at_knot() -> Result<(), StackError> {
    pass_over_missing(follow(async |dir, zones, notify| producer::knot(dir, zones, notify).await).await)
}

#[tokio::test]
async fn members_come_and_go_at_powerdns() -> Result<(), StackError> {
    pass_over_missing(follow(async |dir, zones, notify| producer::pdns(dir, zones, notify).await).await)
}

async fn follow(
    start: impl AsyncFn(&Path, &[&str], SocketAddr) -> Result<Producer, StackError>,
) -> Result<(), StackError> {
    let (dir, sqs, listen) = (TempDir::new().unwrap(), Sqs::start().await, programs::free_address()?);
    let mut producer = start(dir.path(), &["a.example", "b.example", "c.example"], listen).await?;
    producer.set_members(&["a.example"]).await?;
    let text = format!(
        "[timers]\nretry_min = \"1s\"\n[queue.main]\nurl = \"http://127.0.0.1/0/main.fifo\"\nregion = \"eu-west-1\"\n\
         [primary.main]\naddress = \"{}\"\n[[catalog]]\nzone = \"{CATALOG}\"\n",
        producer.address()
    );
    let place = Place::at(listen, sqs.address, &text);
    let relay = place.run().await;
    relay.logged(&["sent", "zone=a.example.", "serial=1"]).await;

    producer.set_members(&["a.example", "b.example"]).await?;
    relay.logged(&["added", "zone=b.example.", CATALOG]).await;
    relay.logged(&["sent", "zone=b.example.", "serial=1"]).await;

    producer.set_members(&["b.example"]).await?;
    relay.logged(&["removed", "zone=a.example."]).await;
    // And back.
    producer.set_members(&["a.example", "b.example"]).await?;
    relay.logged(&["taken over", "members=2"]).await;
    producer.set_members(&[]).await?;
    relay.logged(&["removed", "zone=b.example."]).await;
    relay.logged(&["taken over", "members=0"]).await;

    let sent: BTreeSet<_> = sqs.accepted().iter().map(|accepted| accepted.message.zone.to_string()).collect();
    assert_eq!(sent.iter().map(String::as_str).collect::<Vec<_>>(), ["a.example.", "b.example."]);
    assert!(!relay.log().contains("not taken over"), "{}", relay.log());
    assert!(relay.stop().await.success());
    Ok(())
}
