//! `sync` beside somebody else who is at work, and beside somebody who has had enough.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use rustix::process::{Pid, Signal, kill_process};
use secondary53_tests::primary::{Config, Primary};
use secondary53_tests::stack::wait::{GENEROUS, until};
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_tests::strict::{self, Server, ZoneSpec};
use serde_json::Value;

use super::{ID, World, file, finished, secondary53, told};

/// The hosted zone behind a door: `before` is called with the URI of each request.
async fn behind(server: Arc<Server>, before: impl Fn(&str) + Clone + Send + Sync + 'static) -> String {
    let door = Router::new().fallback(move |request: Request<Body>| {
        let (server, before) = (Arc::clone(&server), before.clone());
        async move {
            before(&request.uri().to_string());
            server.call(request).await
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, door).await });
    format!("http://{address}")
}

/// What a worker does: RRsets, and the serial.
fn bring_to(server: &Server, serial: u32, rrsets: &[(&str, &str, u32, &[&str])]) {
    let view = server.zone(ID).unwrap();
    let soa = &view.rrset("example.com.", "SOA").unwrap().values[0];
    let number = serial.to_string();
    let soa: Vec<&str> =
        soa.split(' ').enumerate().map(|(field, text)| if field == 2 { &number } else { text }).collect();
    server.seed(ID, rrsets).unwrap();
    server.seed(ID, &[("example.com.", "SOA", 900, &[&soa.join(" ")])]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_does_before_it_is_applied_is_compared_anew() {
    let World { server, primary } = World::start(file(7, "w A 192.0.2.1\nz A 192.0.2.26")).await;
    let (server, primary) = (Arc::new(server), Arc::new(primary));
    let sync = async |endpoint: &str| {
        let mut command = secondary53(&["sync", "example.com", "--yes", "--primary", &primary.address().to_string()]);
        command.env("AWS_ENDPOINT_URL_ROUTE_53", endpoint);
        told(&finished(command, Vec::new()).await)
    };
    assert_eq!(sync(&server.endpoint()).await.0, 0);
    primary.set_zone(file(8, "w A 192.0.2.1"));
    // Once all is read, and before the first change, the primary has it back and the worker has been there.
    let (seen, there, theirs) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&server), Arc::clone(&primary));
    let door = behind(Arc::clone(&server), move |uri| {
        if uri.contains("type=SOA") && seen.fetch_add(1, Ordering::Relaxed) == 0 {
            theirs.set_zone(file(9, "w A 192.0.2.1\ny A 192.0.2.25\nz A 192.0.2.26"));
            bring_to(&there, 9, &[("y.example.com.", "A", 300, &["192.0.2.25"])]);
        }
    });
    let (status, _, error) = sync(&door.await).await;
    let view = server.zone(ID).unwrap();
    assert!(view.rrset("z.example.com.", "A").is_some(), "{error}");
    assert_eq!((status, view.serial), (0, 9), "{error}");
    assert!(error.contains("changed meanwhile") && error.contains("serial 7 → 9"), "{error}");

    // Whoever goes on for ever is not waited for.
    primary.set_zone(file(1_000, "w A 192.0.2.2"));
    let there = Arc::clone(&server);
    let door = behind(Arc::clone(&server), move |uri| {
        if uri.contains("type=SOA") {
            bring_to(&there, there.serial(ID).unwrap() + 1, &[]);
        }
    });
    let (status, _, error) = sync(&door.await).await;
    assert!(status == 1 && error.contains("keeps changing the hosted zone of example.com."), "{status}: {error}");
    assert_eq!(server.zone(ID).unwrap().rrset("w.example.com.", "A").unwrap().values[0], "192.0.2.1");
}

/// A command on a terminal of its own, as a person has it.
struct OnTerminal {
    child: std::process::Child,
    shown: Arc<Mutex<String>>,
}

impl OnTerminal {
    fn start(command: &Command) -> Result<Self, StackError> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
        let mut terminal = Command::new(programs::installed("script")?);
        terminal.args(["-qfec", &line.join(" "), "/dev/null"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => terminal.env(name, value),
                None => terminal.env_remove(name),
            };
        }
        let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (shown, mut out) = (Arc::new(Mutex::new(String::new())), child.stdout.take().unwrap());
        let there = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut octets = [0; 4_096];
            while let Ok(count @ 1..) = out.read(&mut octets) {
                there.lock().unwrap().push_str(&String::from_utf8_lossy(&octets[..count]));
            }
        });
        Ok(Self { child, shown })
    }

    async fn is_asked(&self, times: usize) -> Result<(), StackError> {
        let asked = || self.shown.lock().unwrap().matches("Only 'yes' is taken").count();
        until(GENEROUS, "a question", async || Ok((asked() >= times).then_some(()))).await
    }

    fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    async fn ends(mut self) -> (i32, String) {
        let code = tokio::task::spawn_blocking(move || self.child.wait().unwrap().code().unwrap()).await.unwrap();
        let shown = self.shown.lock().unwrap().clone();
        (code, shown)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_thinks_for_long_is_asked_again() -> Result<(), StackError> {
    pass_over_missing(asked_again().await)
}

async fn asked_again() -> Result<(), StackError> {
    let world = World::start(file(7, "w A 192.0.2.1\nz A 192.0.2.26")).await;
    assert_eq!(world.run(&["sync", "example.com", "--yes"]).await.0, 0);
    world.primary.set_zone(file(8, "w A 192.0.2.1"));
    let mut command = secondary53(&["sync", "example.com", "--primary", &world.primary.address().to_string()]);
    command.env("AWS_ENDPOINT_URL_ROUTE_53", world.server.endpoint());
    let mut terminal = OnTerminal::start(&command)?;
    terminal.is_asked(1).await?;
    bring_to(&world.server, 9, &[("y.example.com.", "A", 300, &["192.0.2.25"])]);
    world.primary.set_zone(file(10, "w A 192.0.2.1\nx A 192.0.2.24\ny A 192.0.2.25\nz A 192.0.2.26"));
    terminal.types("yes\n");
    terminal.is_asked(2).await?;
    assert_eq!(world.server.serial(ID), Some(9), "nothing is done before the answer");
    terminal.types("yes\n");
    let (status, shown) = terminal.ends().await;
    let view = world.server.zone(ID).unwrap();
    assert_eq!((status, view.serial), (0, 10), "{shown}");
    assert!(view.rrset("z.example.com.", "A").is_some() && view.rrset("x.example.com.", "A").is_some(), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_no_longer_is_told_that_it_is_applied() {
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let config = strict::Config { zones, propagation: Duration::from_hours(1), ..strict::Config::default() };
    let server = Server::start(config).await.unwrap();
    let primary = Primary::start(Config::new().zone(file(7, "w A 192.0.2.1"))).await.unwrap();
    let mut command = secondary53(&["sync", "example.com", "--yes", "--wait", "--json"]);
    command.arg("--primary").arg(primary.address().to_string()).env("AWS_ENDPOINT_URL_ROUTE_53", server.endpoint());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let looks = || server.calls().iter().filter(|call| call.action == "GetChange").count();
    until(GENEROUS, "a look at the change", async || Ok((looks() > 0).then_some(()))).await.unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let (status, json, error) = told(&output);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((status, &json[0]["outcome"]), (130, &Value::from("applied")), "{json}: {error}");
    assert!(error.contains("Stopped waiting: it is applied"), "{error}");
}
