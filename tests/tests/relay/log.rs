//! The log of a relay that nobody watches: JSON, and entries with fields in a real journal.

use std::process::Stdio;

use secondary53_tests::primary::Config;
use secondary53_tests::stack::{StackError, pass_over_missing, process, programs};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::{APEX, PATIENCE, world, zone};

/// A journal of its own, in namespaces of its own, and what is in it in the end. systemd-cat gives a program the stderr that
/// a service has, and the shell what systemd says of it.
const JOURNAL: &str = r#"
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
"$1" >/dev/null 2>&1 &
tries=0
until [ -S /run/systemd/journal/socket ] && [ -S /run/systemd/journal/stdout ]; do
    tries=$((tries + 1)); [ $tries -lt 1000 ] || exit 70
    sleep 0.01
done
shift
systemd-cat --identifier=stderr sh -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"' service "$@"
journalctl --sync
SYSTEMD_COLORS=0 exec journalctl --directory=/run/log/journal --output=json ZONE=example.com.
"#;

#[tokio::test]
async fn without_a_terminal_the_log_is_json() {
    let (_primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let mut relay = place.wrapped("env".as_ref(), &[], "run").stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(relay.stderr.take().unwrap()).lines();
    let sent = timeout(PATIENCE, async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if event["message"] == "sent" {
                return event;
            }
        }
    });
    let sent = sent.await.unwrap();
    assert_eq!((&sent["level"], &sent["zone"]), (&"INFO".into(), &format!("{APEX}.").into()));
    assert_eq!((&sent["serial"], &sent["records"]), (&"1".into(), &4.into()));
    assert!(sent["timestamp"].as_str().unwrap().ends_with('Z'), "{sent}");
    assert_eq!(sqs.accepted().len(), 1);
    relay.kill().await.unwrap();

    // A command that ends is for a person, be it by the mail of cron.
    let once = place.wrapped("env".as_ref(), &[], "once").output().await.unwrap();
    let log = String::from_utf8(once.stderr).unwrap();
    assert!(log.contains("INFO current zone=example.com."), "{log}");
}

#[tokio::test]
async fn a_service_writes_to_the_journal() -> Result<(), StackError> {
    pass_over_missing(keep_a_journal().await)
}

async fn keep_a_journal() -> Result<(), StackError> {
    let missing = |program: &str| StackError::Missing {
        program: program.to_owned(),
        remedy: "run tests/setup --debian, as a user who may make namespaces",
    };
    let journald = std::path::Path::new("/usr/lib/systemd/systemd-journald");
    if !journald.is_file() {
        return Err(missing("systemd-journald"));
    }
    programs::installed("systemd-cat")?;
    let (unshare, shell) = (programs::installed("unshare")?, programs::installed("sh")?);
    let apart = ["--map-root-user", "--mount", "--pid", "--fork", "--kill-child"];
    if process::run(&unshare, &[&apart[..], &["true"]].concat(), "").await.is_err() {
        return Err(missing("a namespace for a journal"));
    }

    let (_primary, sqs, place) = world(Config::new().zone(zone(1))).await;
    let (shell, journald) = (shell.to_string_lossy(), journald.to_string_lossy());
    let arguments = [&apart[..], &[&*shell, "-c", JOURNAL, "journal", &*journald]].concat();
    let output = timeout(PATIENCE, place.wrapped(&unshare, &arguments, "once").output()).await.unwrap().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let entries: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
        .collect();
    let sent = entries.iter().find(|entry| entry["MESSAGE"].as_str().is_some_and(|text| text.starts_with("sent ")));
    let sent = sent.unwrap_or_else(|| panic!("nothing was sent: {printed}"));
    for (field, value) in
        [("ZONE", "example.com."), ("SERIAL", "1"), ("RECORDS", "4"), ("QUEUE", "main"), ("PRIORITY", "6")]
    {
        assert_eq!(sent[field], value, "{field} of {sent}");
    }
    assert_eq!(sent["SYSLOG_IDENTIFIER"], "secondary53-relay");
    // It came as an entry, not as a line on stderr; and its text says all, for who reads nothing else.
    assert_eq!(sent["_TRANSPORT"], "journal");
    let text = sent["MESSAGE"].as_str().unwrap();
    assert!(["zone=example.com.", "serial=1", "records=4"].iter().all(|part| text.contains(part)), "{text}");
    assert_eq!(sqs.accepted().len(), 1);
    Ok(())
}
