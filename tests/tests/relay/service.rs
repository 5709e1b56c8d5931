//! The relay under a service manager: what it tells it, and how it ends.

use std::path::Path;
use std::process::Stdio;

use secondary53_tests::primary::{Behaviour, Config, Forgery, Rcode};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixDatagram};
use tokio::time::timeout;

use crate::{PATIENCE, world, zone};

/// The other end of `sd_notify(3)`.
struct Manager {
    directory: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        Self { directory, socket }
    }

    fn path(&self) -> String {
        self.directory.path().join("notify").to_str().unwrap().to_owned()
    }

    /// What comes until a message has a line that begins so; that message is the last.
    async fn until(&self, part: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let mut buffer = vec![0; 4096];
        loop {
            let received = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
            let length = received.unwrap_or_else(|_| panic!("{part} is not in {messages:#?}")).unwrap();
            messages.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
            if messages.last().unwrap().lines().any(|line| line.starts_with(part)) {
                return messages;
            }
        }
    }
}

#[tokio::test]
async fn a_service_manager_is_told_how_it_goes() {
    let (primary, _sqs, place) = world(Config::new().zone(zone(1))).await;
    let manager = Manager::start();
    let relay = place.run_in(&[("NOTIFY_SOCKET", &manager.path()), ("WATCHDOG_USEC", "200000")]).await;
    let first = manager.until("READY=1").await;
    assert_eq!(first.len(), 1, "{first:#?}");
    assert!(first[0].contains("STATUS=1 zone: 1 starting\n") && first[0].contains("WATCHDOG=1\n"), "{first:#?}");
    TcpStream::connect(relay.address).await.unwrap();
    manager.until("STATUS=1 zone: 1 current").await;

    primary.set_behaviour(Behaviour::Forge(Forgery::Rcode(Rcode::SERVFAIL), 0));
    primary.set_zone(zone(2));
    primary.notify(relay.address).await.unwrap();
    let failing = manager.until("STATUS=1 zone: 1 failing; example.com.: ").await;
    assert!(failing.last().unwrap().contains("SERVFAIL"), "{failing:#?}");

    // Of a loop that has nothing else to do.
    for _ in 0..3 {
        manager.until("WATCHDOG=1").await;
    }
    relay.signal("HUP").await;
    let reloading = manager.until("RELOADING=1").await.pop().unwrap();
    let at: u64 = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap().parse().unwrap();
    let up = std::fs::read_to_string("/proc/uptime").unwrap();
    let up: f64 = up.split(' ').next().unwrap().parse().unwrap();
    assert!(at > 0 && u128::from(at) <= std::time::Duration::from_secs_f64(up + 1.0).as_micros(), "{at} of {up}");
    manager.until("READY=1").await;
    relay.terminate().await;
    let stopping = manager.until("STOPPING=1").await.pop().unwrap();
    assert!(stopping.contains("STATUS=stopping"), "{stopping}");
    assert!(relay.ended().await.success());
}

#[tokio::test]
async fn the_watchdog_of_another_process_is_not_fed() {
    let (_primary, _sqs, place) = world(Config::new().zone(zone(1))).await;
    let manager = Manager::start();
    let environment = [("NOTIFY_SOCKET", &*manager.path()), ("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")];
    let relay = place.run_in(&environment).await;
    let mut messages = manager.until("STATUS=1 zone: 1 current").await;
    relay.terminate().await;
    messages.extend(manager.until("STOPPING=1").await);
    assert!(messages.iter().all(|message| !message.contains("WATCHDOG")), "{messages:#?}");

    // And one that is this very process's is.
    let script = "WATCHDOG_PID=$$ exec \"$@\"";
    let mut service = place.wrapped(Path::new("sh"), &["-c", script, "service"], "run");
    service.env("NOTIFY_SOCKET", manager.path()).env("WATCHDOG_USEC", "1000").stderr(Stdio::null());
    let mut service = service.spawn().unwrap();
    manager.until("WATCHDOG=1").await;
    service.kill().await.unwrap();
}

#[tokio::test]
async fn told_to_stop_twice_it_waits_for_nothing() {
    let (_primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    sqs.set_held(true);
    for (count, signal) in [(1, "TERM"), (2, "INT")] {
        let relay = place.run().await;
        sqs.wait_for_arrived(count).await;
        relay.terminate().await;
        relay.logged(&["stopping"]).await;
        relay.signal(signal).await;
        relay.logged(&["sends were cut off", "sends=1"]).await;
        assert!(relay.ended().await.success());
        // It is not known to be accepted, so it will be sent again.
        assert!(!place.state().join("example.com.snapshot").exists());
    }
}
