//! House rules, as tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file that is longer holds something that is not its own.
const MAX_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Sources below the workspace's members, relative to its root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["zone", "aws", "relay", "lambda", "cli", "tests"].iter().map(|member| root().join(member)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "looked in the wrong place: {} files", found.len());
    found
}

fn none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn files_are_short_enough_to_be_read() {
    let long = sources().into_iter().filter(|(_, text)| text.lines().count() > MAX_LINES);
    let long: Vec<_> = long.map(|(name, text)| format!("{name}: {}", text.lines().count())).collect();
    none(&long, "files over 600 lines: split them by what they are responsible for");
}

#[test]
fn no_file_is_named_for_what_it_is_not() {
    let vague = ["util", "utils", "helper", "helpers", "common", "misc", "manager"];
    let named: Vec<_> = sources()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.split(['/', '.', '_', '-']).any(|part| vague.contains(&part)))
        .collect();
    none(&named, "names that say nothing");
}

#[test]
fn the_fields_words_are_used() {
    // RFC 8499 and its successor 9499 §7: primary and secondary. Written apart here, so that this file passes.
    let retired = [concat!("mas", "ter"), concat!("sla", "ve")];
    let mut used = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let words: BTreeSet<String> =
                line.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(ToOwned::to_owned).collect();
            if retired.iter().any(|word| words.contains(*word)) {
                used.push(format!("{name}:{}", number + 1));
            }
        }
    }
    none(&used, "words that RFC 9499 has retired");
}

#[test]
fn pure_modules_do_no_io_and_read_no_clock() {
    let pure = |name: &str| {
        name.starts_with("zone/src/")
            || [
                "relay/src/catalog",
                "relay/src/refresh",
                "relay/src/reach",
                "relay/src/queue/gate",
                "relay/src/queue/outbox",
                "relay/src/queue/post",
                "relay/src/transfer",
                "relay/src/notify",
                "relay/src/wire",
                "relay/src/tsig",
                "relay/src/confirm",
                "relay/src/view",
                "relay/src/http/",
            ]
            .iter()
            .any(|module| name.starts_with(module))
            || ["plan", "batch", "value", "guard", "pace"]
                .iter()
                .any(|module| name.starts_with(&format!("lambda/src/{module}")))
    };
    let io =
        ["tokio::", "std::fs", "std::net::Tcp", "std::net::Udp", "aws_sdk_", "aws_config", "SystemTime", "Instant"];
    let mut seen = 0;
    let mut broken = Vec::new();
    for (name, text) in sources().into_iter().filter(|(name, _)| pure(name)) {
        seen += 1;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if let Some(what) = io.iter().find(|what| line.contains(*what)) {
                broken.push(format!("{name}:{}: {what}", number + 1));
            }
        }
    }
    assert!(seen > 15, "looked in the wrong place: {seen} files");
    none(&broken, "I/O or a clock in a module that is pure");
}

#[test]
fn relay_and_worker_know_only_the_zone() {
    let manifest = |member: &str| std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
    let uses = |member: &str, other: &str| manifest(member).contains(&format!("secondary53-{other}.workspace"));
    assert!(uses("relay", "zone") && uses("lambda", "zone"));
    assert!(!uses("relay", "lambda") && !uses("lambda", "relay"));
    assert!(["aws", "relay", "lambda", "tests"].iter().all(|other| !uses("zone", other)));
    assert!(["zone", "relay", "lambda", "tests"].iter().all(|other| !uses("aws", other)));
}

#[test]
fn no_test_waits_by_the_clock() {
    let mut waits = Vec::new();
    // Where a simulation has paused the clock, a sleep takes no time: it says what the world does meanwhile.
    let is_test = |name: &str| {
        (name.contains("/tests/") || name.contains("tests.rs")) && !name.starts_with("tests/tests/simulation/")
    };
    for (name, text) in sources().into_iter().filter(|(name, _)| is_test(name)) {
        for (number, line) in text.lines().enumerate() {
            if name != "tests/tests/tidy.rs" && (line.contains("thread::sleep") || line.contains("time::sleep(")) {
                waits.push(format!("{name}:{}", number + 1));
            }
        }
    }
    none(&waits, "sleeping in a test: wait for the event");
}

#[test]
fn a_configuration_that_the_documents_show_whole_is_one() {
    for name in ["README.md", "docs/from-dnsnotify2route53.md"] {
        let document = std::fs::read_to_string(root().join(name)).unwrap();
        let (_, rest) = document.split_once("```toml\n").unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        let config = secondary53_relay::config::Config::parse(Path::new(name), text).unwrap();
        assert_eq!(config.zones.len(), 1);
    }
}
