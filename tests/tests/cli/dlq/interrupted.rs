//! Nothing is lost, whenever it ends.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use secondary53_tests::stack::wait::{GENEROUS, until};

use super::*;

/// Enough that a command is in the midst of them when it is noticed.
const ZONES: usize = 300;

/// Whom to signal.
fn start(desk: &Desk, arguments: &[&str]) -> Child {
    let mut command = desk.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

async fn fill(desk: &Desk) -> Result<(), StackError> {
    for number in 0..ZONES {
        desk.put(&message(&other_zone(&format!("z{number}.example"), 1), Meta::default()), HELD).await?;
    }
    Ok(())
}

async fn reaches(desk: &Desk, messages: u32) -> Result<(), StackError> {
    let event = format!("{messages} messages in the queue");
    until(GENEROUS, &event, async || {
        let depth = desk.ministack.depth(&desk.queues.main).await?;
        Ok((depth >= messages).then_some(()))
    })
    .await
}

fn zones(messages: &[SqsMessage]) -> Vec<String> {
    let mut zones: Vec<String> = messages.iter().map(|message| text(message, "zone").unwrap().to_owned()).collect();
    zones.sort();
    zones
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_loses_nothing_and_doubles_nothing() -> Result<(), StackError> {
    pass_over_missing(killed().await)
}

async fn killed() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    fill(&desk).await?;
    for sent in [1, 40, 90] {
        let mut child = start(&desk, &["replay", "--all", "--hold", "2"]);
        reaches(&desk, sent).await.unwrap();
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        let (main, dead) = desk.depths().await;
        assert!(main + dead >= u32::try_from(ZONES).unwrap(), "{main} sent, {dead} kept");
        // What it had received comes back by itself.
        until(GENEROUS, "all visible again", async || {
            let listed = desk.json(&["list", "--hold", "2"]).await;
            Ok((listed["unseen"] == 0).then_some(()))
        })
        .await?;
    }
    let (status, _, error) = desk.run(&["replay", "--all"]).await;
    assert_eq!(status, 0, "{error}");
    let sent = zones(&desk.taken(&desk.queues.main).await);
    let all: BTreeSet<String> = (0..ZONES).map(|number| format!("z{number}.example.")).collect();
    assert_eq!(sent, all.into_iter().collect::<Vec<_>>(), "each once");
    assert_eq!(desk.depths().await, (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_shows_again_what_it_looked_at() -> Result<(), StackError> {
    pass_over_missing(stopped().await)
}

async fn stopped() -> Result<(), StackError> {
    let desk = Desk::start().await?;
    fill(&desk).await?;
    for (arguments, status) in [(&["replay", "--all"][..], 130), (&["drop", "--all", "--yes"], 130)] {
        let (_, before) = desk.depths().await;
        let mut child = start(&desk, arguments);
        until(GENEROUS, "the first of them done", async || Ok((desk.depths().await.1 < before).then_some(())))
            .await
            .unwrap();
        signal(&child, Signal::INT);
        assert_eq!(child.wait().unwrap().code(), Some(status));
        let (_, dead) = desk.depths().await;
        // How many depends on who is faster, drop or who counts.
        assert!(dead < before, "{dead} of {before} left");
        let listed = desk.json(&["list"]).await;
        assert_eq!((listed["messages"].as_array().unwrap().len(), &listed["unseen"]), (dead as usize, &json!(0)));
    }
    Ok(())
}
