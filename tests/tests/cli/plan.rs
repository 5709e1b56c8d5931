//! `plan` and `sync`, between our own primary and the strict hosted zone.

use aws_sdk_route53::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_route53::types::{AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecordSet, RrType};
use secondary53_aws::Https;
use secondary53_tests::primary::{Config, Primary, ZoneFile};
use secondary53_tests::strict::{self, Server, ZoneSpec};
use serde_json::{Value, json};

use super::{ID, World, file, finished, secondary53, told};

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_and_sync_does() {
    let world = World::start(file(7, "w A 192.0.2.1\nt TXT \"\\195\\169\"\nx TYPE65280 \\# 1 00")).await;
    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(status, 2);
    for line in [
        "+ w.example.com. 300 A 192.0.2.1",
        "+ t.example.com. 300 TXT \"\\303\\251\"",
        "! 1 record of type TYPE65280 left out: Route 53 has no such type",
        "example.com.: 2 to create, 0 to change, 0 to delete; never synced → serial 7; 1 request (2 API calls so far)",
    ] {
        assert!(plan.lines().any(|shown| shown == line), "{line} is not in:\n{plan}");
    }
    assert_eq!(world.server.zone(ID).unwrap().serial, 1, "a plan changes nothing");

    let (status, said, _) = world.run(&["sync", "example.com", "--yes"]).await;
    assert_eq!(
        (status, said.lines().last().unwrap()),
        (
            0,
            "example.com.: 2 to create, 0 to change, 0 to delete; never synced → serial 7; 1 request (2 API calls so far)"
        )
    );
    let view = world.server.zone(ID).unwrap();
    assert_eq!((view.serial, &view.rrset("w.example.com.", "A").unwrap().values[0][..]), (7, "192.0.2.1"));

    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(
        (status, plan.lines().last().unwrap()),
        (0, "example.com.: nothing to do, Route 53 has all of serial 7 (2 API calls)")
    );
    // The same serial, other data: compared in full.
    world.primary.set_zone(file(7, "w A 192.0.2.2"));
    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(status, 2);
    assert!(plan.contains("~ w.example.com. 300 A 192.0.2.1 → 192.0.2.2\n"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_done_is_refused_in_one_line() {
    let world = World::start(file(7, "w A 192.0.2.1")).await;
    let (status, _, error) = world.run(&["sync", "example.com"]).await;
    assert_eq!(
        (status, &error[..]),
        (1, "secondary53: standard input is not a terminal: pass --yes to go on without being asked\n")
    );
    let (status, _, _) = world.run(&["sync", "example.com", "--yes"]).await;
    assert_eq!(status, 0);
    world.primary.set_zone(file(6, "w A 192.0.2.2"));
    let (status, _, error) = world.run(&["sync", "example.com", "--yes"]).await;
    assert_eq!(status, 1);
    assert!(
        error.contains("zone example.com. is at serial 7 in Route 53, and the primary's serial 6 is not newer"),
        "{error}"
    );
    assert_eq!(world.server.zone(ID).unwrap().serial, 7);

    let (status, _, error) = world.run(&["plan", "example.org"]).await;
    assert_eq!(status, 1);
    assert!(error.starts_with("secondary53: failed to transfer example.org. from 127.0.0.1:"), "{error}");
    let (status, _, error) = world.run(&["plan", "a..b"]).await;
    assert_eq!(status, 2, "clap's status for a bad command line");
    assert!(error.contains("a label is empty"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_is_said_and_passed_only_by_its_flag() {
    let world = World::start(file(7, "w A 192.0.2.1")).await;
    let sync = async |flags: &[&str]| world.run(&[&["sync", "example.com", "--yes"], flags].concat()).await;
    let serial = || world.server.zone(ID).unwrap().serial;
    assert_eq!(sync(&[]).await.0, 0);
    world.primary.set_zone(file(8, ""));
    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(status, 2);
    assert!(plan.contains("HELD: 1 of the 1 RRsets in the hosted zone would be deleted"), "{plan}");
    for flags in [&[][..], &["--accept-rollback"]] {
        let (status, plan, error) = sync(flags).await;
        assert_eq!((status, serial()), (1, 7));
        assert!(plan.contains("- w.example.com. 300 A 192.0.2.1"), "{plan}");
        assert!(error.contains("and never all: pass --allow-mass-deletion where it is meant"), "{error}");
    }
    assert_eq!((sync(&["--allow-mass-deletion"]).await.0, serial()), (0, 8));

    world.primary.set_zone(file(6, "w A 192.0.2.2"));
    let (status, _, error) = sync(&["--allow-mass-deletion"]).await;
    assert_eq!((status, serial()), (1, 8));
    assert!(error.contains("pass --accept-rollback"), "{error}");
    assert_eq!((sync(&["--accept-rollback"]).await.0, serial()), (0, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_route_53_does_not_have_is_said_with_the_command_that_makes_it() {
    let text = "$TTL 300\n@ 3600 SOA ns1 host 7 3600 600 1209600 300\n@ NS ns1\n";
    let world = World::start(ZoneFile::parse_in("example.net", text).unwrap()).await;
    let (status, _, error) = world.run(&["plan", "example.net"]).await;
    assert_eq!(status, 1);
    assert!(error.contains("aws route53 create-hosted-zone --name example.net."), "{error}");
}

/// What somebody else made in the hosted zone: an alias, which no transfer brings.
async fn alias(world: &World, name: &str) {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::for_tests())
        .endpoint_url(world.server.endpoint())
        .http_client(Https::new().shared())
        .build();
    let target = AliasTarget::builder().hosted_zone_id("Z2ALIAS").dns_name("lb.example.net.");
    let target = target.evaluate_target_health(false).build().unwrap();
    let alias = ResourceRecordSet::builder().name(name).r#type(RrType::A).alias_target(target);
    let change = Change::builder().action(ChangeAction::Create).resource_record_set(alias.build().unwrap());
    let batch = ChangeBatch::builder().changes(change.build().unwrap()).build().unwrap();
    let client = aws_sdk_route53::Client::from_conf(config);
    client.change_resource_record_sets().hosted_zone_id(ID).change_batch(batch).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_all_that_there_is_to_know() {
    let before = "same A 192.0.2.1\nttl 300 A 192.0.2.1\nvalues MX 10 a\nvalues MX 20 b\none A 192.0.2.1\ngone TXT \"x\"\n\
                  gone A 192.0.2.1\nswap A 192.0.2.1\nd1 A 192.0.2.1\nd2 A 192.0.2.1\nd3 A 192.0.2.1\nd4 A 192.0.2.1";
    let world = World::start(file(7, before)).await;
    assert_eq!(world.run(&["sync", "example.com", "--yes"]).await.0, 0);
    alias(&world, "alias.example.com").await;
    alias(&world, "taken.example.com").await;
    let long = format!("long TXT {}", format!("\"{}\" ", "x".repeat(250)).repeat(17));
    let after = format!(
        "same A 192.0.2.1\nttl 600 A 192.0.2.1\nvalues MX 10 a\nvalues MX 5 c\none A 192.0.2.2\nswap CNAME one\nnew A 192.0.2.3\n\
         new A 192.0.2.4\n*.wild AAAA 2001:db8::1\ntaken A 192.0.2.1\nl TYPE29 \\# 16 00121613800000008000000080989680\nu TYPE65280 \\# 1 00\n{long}"
    );
    world.primary.set_zone(file(8, &after));
    let (status, plan, error) = world.run(&["plan", "example.com"]).await;
    assert_eq!((status, &error[..]), (2, ""));
    insta::assert_snapshot!("plan", plan);
    let (status, json, _) = world.run(&["plan", "example.com", "--json"]).await;
    assert_eq!(status, 2);
    insta::assert_snapshot!("plan_json", json);
    let (_, summary, _) = world.run(&["plan", "example.com", "--quiet"]).await;
    assert_eq!(summary.lines().next(), plan.lines().rev().nth(1));
    assert_eq!(world.run(&["sync", "example.com", "--yes", "--allow-mass-deletion"]).await.0, 0);
    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(status, 0);
    insta::assert_snapshot!("plan_done", plan);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_zones_are_planned_and_one_that_fails_keeps_none_from_it() {
    let zones = ["example.com", "example.net"].map(ZoneSpec::public);
    let server = Server::start(strict::Config { zones: zones.into(), ..strict::Config::default() }).await.unwrap();
    let text = "$TTL 300\n@ SOA ns1 host 7 3600 600 1209600 300\n@ NS ns1\n";
    let other = ZoneFile::parse_in("example.net", text).unwrap();
    let primary = Primary::start(Config::new().zone(file(7, "w A 192.0.2.1")).zone(other)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("relay.toml");
    let text = format!(
        "version = 1\n[queue.main]\nurl = \"https://sqs.eu-west-1.amazonaws.com/1/q.fifo\"\n[primary.main]\naddress = \"{}\"\n\
         [[zone]]\nname = \"example.com\"\n[[zone]]\nname = \"example.net\"\n[[zone]]\nname = \"example.org\"\n",
        primary.address()
    );
    std::fs::write(&config, text).unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = secondary53(arguments);
        command.arg("--config").arg(&config).env("AWS_ENDPOINT_URL_ROUTE_53", server.endpoint());
        told(&finished(command, Vec::new()).await)
    };
    let (status, plan, error) = run(&["plan"]).await;
    assert_eq!(status, 1);
    assert!(error.starts_with("secondary53: failed to transfer example.org. from 127.0.0.1:"), "{error}");
    assert!(plan.contains("example.com.: 1 to create") && plan.contains("example.net.: 0 to create"), "{plan}");
    let (status, json, _) = run(&["sync", "--yes", "--json", "example.com", "example.net"]).await;
    assert_eq!(status, 0);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json[0]["outcome"], &json[1]["outcome"], &json[1]["applied"]),
        (&json!("applied"), &json!("applied"), &json!(1))
    );
    assert_eq!(run(&["plan", "example.net", "example.com"]).await.0, 0);
    let (status, _, error) = run(&["plan", "example.edu"]).await;
    assert!(status == 1 && error.contains("example.edu. is not a [[zone]] of"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_hosted_zone_is_said_before_it_is_tried() {
    let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
    let server =
        Server::start(strict::Config { zones, max_rrsets: 10_050, ..strict::Config::default() }).await.unwrap();
    let records: String = (0..10_060).map(|number| format!("n{number} A 192.0.2.1\n")).collect();
    let primary = Primary::start(Config::new().zone(file(7, &records))).await.unwrap();
    let world = World { server, primary };
    let (status, plan, _) = world.run(&["plan", "example.com", "--quiet"]).await;
    assert_eq!(status, 2);
    assert!(plan.contains("HELD: the hosted zone would have 10062 RRsets, and its quota is 10050"), "{plan}");
    let (status, _, error) = world.run(&["sync", "example.com", "--yes", "--quiet"]).await;
    assert!(status == 1 && error.contains("its quota is 10050"), "{error}");
    assert!(world.server.calls().iter().all(|call| call.action != "ChangeResourceRecordSets"));
}
