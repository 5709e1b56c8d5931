//! `plan` and `sync`, between our own primary and the strict hosted zone.

use secondary53_tests::primary::ZoneFile;

use super::{ID, World, file};

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_and_sync_does() {
    let world = World::start(file(7, "w A 192.0.2.1\nt TXT \"\\195\\169\"\nx TYPE65280 \\# 1 00")).await;
    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(status, 2);
    for line in [
        "+ w.example.com. 300 A 192.0.2.1",
        "+ t.example.com. 300 TXT \"\\303\\251\"",
        "! 1 record of type TYPE65280 left out: Route 53 has no such type",
        "example.com.: 2 to create, 0 to change, 0 to delete; never synced → serial 7; 1 request",
    ] {
        assert!(plan.lines().any(|shown| shown == line), "{line} is not in:\n{plan}");
    }
    assert_eq!(world.server.zone(ID).unwrap().serial, 1, "a plan changes nothing");

    let (status, said, _) = world.run(&["sync", "example.com", "--yes"]).await;
    assert_eq!((status, said.lines().last().unwrap()), (0, "Applied in 1 request: Route 53 has serial 7."));
    let view = world.server.zone(ID).unwrap();
    assert_eq!((view.serial, &view.rrset("w.example.com.", "A").unwrap().values[0][..]), (7, "192.0.2.1"));

    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(
        (status, plan.lines().last().unwrap()),
        (0, "example.com.: nothing to do, Route 53 has all of serial 7")
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
    assert!(plan.contains("! 1 of the 1 RRsets in the hosted zone would be deleted"), "{plan}");
    for flags in [&[][..], &["--accept-rollback"]] {
        let (status, plan, error) = sync(flags).await;
        assert_eq!((status, serial()), (1, 7));
        assert!(plan.contains("- w.example.com. 300 A 192.0.2.1"), "{plan}");
        assert!(error.contains("and never all: pass --allow-mass-deletion"), "{error}");
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
