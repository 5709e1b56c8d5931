//! `verify`: against the API, and against the name servers.

use serde_json::{Value, json};

use super::{ID, World, file};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_alike_and_what_differs_is_told_of_api_and_name_servers() {
    let long = format!("long TXT {}", format!("\"{}\" ", "x".repeat(250)).repeat(5));
    let records = format!(
        "w A 192.0.2.1\n*.wild AAAA 2001:db8::1\nsub NS ns1.sub\nns1.sub A 192.0.2.53\nsub DS 1 13 2 {}\nm MX 10 w\n\
         u TYPE65280 \\# 1 00\n{long}",
        "AB".repeat(32)
    );
    let world = World::start(file(7, &records)).await;
    let name_server = world.server.dns().to_string();
    let verify = async |more: &[&str]| {
        world.run(&[&["verify", "example.com", "--name-server", &name_server], more].concat()).await
    };
    let (status, told, _) = verify(&[]).await;
    assert_eq!(status, 2);
    assert!(told.contains("example.com.: 0 RRsets alike, 0 differ, 7 only at the primary, 0 only in Route 53; serial 7 at the primary, 1 in Route 53"), "{told}");
    assert!(told.contains(&format!("~ w.example.com. A at {name_server}: 300 192.0.2.1 → nothing")), "{told}");

    assert_eq!(world.run(&["sync", "example.com", "--yes"]).await.0, 0);
    let (status, told, error) = verify(&[]).await;
    assert_eq!(status, 0, "{told}{error}");
    assert!(
        told.contains(
            "example.com.: 7 RRsets alike, 0 differ, 0 only at the primary, 0 only in Route 53; serial 7 in both"
        ),
        "{told}"
    );
    // What is below a delegation is not theirs to answer for: the glue. A long answer comes over TCP.
    assert!(told.ends_with(&format!("{name_server}: serial 7, 6 RRsets asked for, 0 differ\n")), "{told}");

    world.server.seed(ID, &[("w.example.com.", "A", 60, &["192.0.2.9"])]).unwrap();
    assert!(world.server.remove(ID, "m.example.com.", "MX"));
    let (status, json, _) = verify(&["--json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (status, &json[0]["alike"], &json[0]["change"], &json[0]["create"]),
        (2, &json!(5), &json!(1), &json!(1))
    );
    let dns = &json[0]["dns"][0];
    assert_eq!((&dns["serial"], &dns["asked"]), (&json!(7), &json!(6)));
    assert_eq!(
        dns["differing"],
        json!([
            {"name": "m.example.com.", "type": "MX", "primary": {"ttl": 300, "values": ["10 w.example.com."]}, "answered": null},
            {"name": "w.example.com.", "type": "A", "primary": {"ttl": 300, "values": ["192.0.2.1"]},
             "answered": {"ttl": 60, "values": ["192.0.2.9"]}},
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_says_nothing_is_an_error() {
    let world = World::start(file(7, "w A 192.0.2.1")).await;
    assert_eq!(world.run(&["sync", "example.com", "--yes"]).await.0, 0);
    let (status, told, _) = world.run(&["verify", "example.com", "--name-server", "127.0.0.1:1"]).await;
    assert_eq!(status, 1);
    assert!(told.contains("127.0.0.1:1: "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_case_of_a_target_is_no_difference() {
    // The second two are one value in Route 53.
    let records = "a HTTPS 1 WWW.Example.COM. alpn=h2\nb SVCB 2 SVC.example.net.\nb SVCB 2 svc.EXAMPLE.net.";
    let world = World::start(file(7, records)).await;
    assert_eq!(world.run(&["sync", "example.com", "--yes"]).await.0, 0);
    let (status, told, error) =
        world.run(&["verify", "example.com", "--name-server", &world.server.dns().to_string()]).await;
    assert_eq!(status, 0, "{told}{error}");
    assert!(told.ends_with("serial 7, 2 RRsets asked for, 0 differ\n"), "{told}");
}
