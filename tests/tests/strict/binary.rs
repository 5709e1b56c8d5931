//! The program `strict-hosted-zone`: it says where it is, answers, and goes when told.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::*;

#[tokio::test]
async fn it_serves_and_stops_on_sigterm() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_strict-hosted-zone"))
        .args(["--zone", "example.com=Z1EXAMPLE", "--zone", "example.net", "--max-rrsets", "3"])
        .args(["--throttle-requests", "--throttle-changes", "--processing-ms", "1", "--propagation-ms", "1"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(program.stdout.take().unwrap());
    timeout(GENEROUS, stdout.read_line(&mut line)).await.unwrap().unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let names: Vec<_> = ready["zones"].as_array().unwrap().iter().map(|zone| zone["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"example.com.") && names.contains(&"example.net."));
    assert!(ready["dns"].as_str().unwrap().parse::<std::net::SocketAddr>().is_ok());

    let endpoint = ready["http"].as_str().unwrap();
    let client = client(endpoint);
    send(&client, ZONE, hosts(1)).await.unwrap();
    let quota = vec![create("more.example.com", "A", &["192.0.2.1"])];
    assert!(send(&client, ZONE, quota).await.unwrap_err().message.contains("MAX_RRSETS_BY_ZONE"));
    let calls: Value = serde_json::from_str(&pages::ask(endpoint, "GET", "/_strict/calls", "").await.body()).unwrap();
    assert_eq!(calls[0]["changes"][0]["effect"], "created");
    assert_eq!(calls[1]["error"]["code"], "InvalidChangeBatch");
    let zones: Value = serde_json::from_str(&pages::ask(endpoint, "GET", "/_strict/zones", "").await.body()).unwrap();
    let example = zones.as_array().unwrap().iter().find(|zone| zone["id"] == ZONE).unwrap();
    assert_eq!((&example["serial"], example["rrsets"].as_array().unwrap().len()), (&Value::from(1), 3));
    pages::ask(endpoint, "POST", "/_strict/calls/reset", "").await.body();
    assert_eq!(pages::ask(endpoint, "GET", "/_strict/calls", "").await.body(), "[]");

    let pid = program.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let status = timeout(GENEROUS, program.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn it_says_what_is_wrong_with_a_zone() {
    let program = Command::new(env!("CARGO_BIN_EXE_strict-hosted-zone")).args(["--zone", "a..b"]).output();
    let output = timeout(GENEROUS, program).await.unwrap().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("failed to create hosted zone a..b"), "{said}");
}
