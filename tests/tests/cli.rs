//! The operator's command, as a process, between our own primary and the strict hosted zone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use secondary53_tests::primary::{Config, Primary, ZoneFile};
use secondary53_tests::stack::{programs, wait};
use secondary53_tests::strict::{self, Server, ZoneSpec};
use secondary53_tests::zones::zone_of;
use secondary53_zone::message::Pointer;
use secondary53_zone::snapshot::Snapshot;

const ID: &str = "Z1EXAMPLE";
const ZONE: &str = "$TTL 300\n@ 3600 SOA ns1 host 7 3600 600 1209600 300\n@ NS ns1\n";

struct World {
    server: Server,
    primary: Primary,
}

fn file(serial: u32, records: &str) -> ZoneFile {
    ZoneFile::parse_in("example.com", &format!("{ZONE}{records}\n")).unwrap().with_serial(serial)
}

impl World {
    async fn start(zone: ZoneFile) -> Self {
        let zones = vec![ZoneSpec::public("example.com").with_id(ID)];
        let server = Server::start(strict::Config { zones, ..strict::Config::default() }).await.unwrap();
        let primary = Primary::start(Config::new().zone(zone)).await.unwrap();
        Self { server, primary }
    }

    /// Runs it against this world, `--primary` added.
    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(programs::built("secondary53").unwrap());
        command.args(arguments).arg("--primary").arg(self.primary.address().to_string());
        command.env("AWS_ENDPOINT_URL_ROUTE_53", self.server.endpoint());
        told(&finished(command, Vec::new()).await)
    }
}

async fn finished(mut command: Command, input: Vec<u8>) -> Output {
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env_remove("AWS_PROFILE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        child.wait_with_output().unwrap()
    });
    tokio::time::timeout(wait::GENEROUS, run).await.unwrap().unwrap()
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_and_sync_does() {
    let world = World::start(file(7, "w A 192.0.2.1\nt TXT \"\\195\\169\"\nx TYPE65280 \\# 1 00")).await;
    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(status, 2);
    for line in [
        "+ w.example.com. 300 A 192.0.2.1",
        "+ t.example.com. 300 TXT \"\\303\\251\"",
        "! 1 record of type TYPE65280 left out: Route 53 has no such type",
        "Zone example.com. at serial 7: 2 to create, 0 to change, 0 to delete, in 1 request.",
    ] {
        assert!(plan.lines().any(|shown| shown == line), "{line} is not in:\n{plan}");
    }
    assert_eq!(world.server.zone(ID).unwrap().serial, 1, "a plan changes nothing");

    let (status, said, _) = world.run(&["sync", "example.com", "--yes"]).await;
    assert_eq!((status, said.lines().last().unwrap()), (0, "Applied in 1 request: Route 53 has serial 7."));
    let view = world.server.zone(ID).unwrap();
    assert_eq!((view.serial, &view.rrset("w.example.com.", "A").unwrap().values[0][..]), (7, "192.0.2.1"));

    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!((status, plan.lines().last().unwrap()), (0, "Zone example.com. at serial 7: nothing to do."));
    // The same serial, other data: compared in full.
    world.primary.set_zone(file(7, "w A 192.0.2.2"));
    let (status, plan, _) = world.run(&["plan", "example.com"]).await;
    assert_eq!(status, 2);
    assert!(plan.contains("- w.example.com. 300 A 192.0.2.1\n+ w.example.com. 300 A 192.0.2.2\n"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_done_is_refused_in_one_line() {
    let world = World::start(file(7, "w A 192.0.2.1")).await;
    let (status, _, error) = world.run(&["sync", "example.com"]).await;
    assert_eq!(
        (status, &error[..]),
        (1, "secondary53: standard input is not a terminal: pass --yes to apply without being asked\n")
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

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_shown_as_a_zone_file_that_name_servers_read() {
    let records = "w A 192.0.2.1\n*.w AAAA 2001:db8::1\nt TXT \"a\\\"b\\\\c;\" \"\" \"\\195\\169\"\n\
         m MX 0 .\ns SRV 1 2 3 h\nc CAA 128 issue \"ca.example; x=1\"\nh HTTPS 1 . alpn=h2\n\
         o TYPE65280 \\# 2 0102\nn NAPTR 1 2 \"S\" \"SIP\" \"!^.*$!sip:a@b!\" .\nd\\.ot CNAME x\n0/25 NS ns1\nns1 A 192.0.2.53";
    let zone = file(7, records);
    let snapshot = Snapshot::new(zone_of(&zone).unwrap());
    let octets = snapshot.encode().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot");
    std::fs::write(&path, &octets).unwrap();

    let command = |arguments: &[&str]| {
        let mut command = Command::new(programs::built("secondary53").unwrap());
        command.args(arguments);
        command
    };
    let (status, shown, _) = told(&finished(command(&["snapshot", "show", path.to_str().unwrap()]), Vec::new()).await);
    assert_eq!(status, 0);
    // What is printed is the zone it was printed from, read by another parser.
    let read = zone_of(&ZoneFile::parse(&shown).unwrap()).unwrap();
    assert_eq!(&read, snapshot.zone());
    // A message's body, line breaks and all, from standard input.
    let body = base64::engine::general_purpose::STANDARD.encode(&octets) + "\n";
    let (status, digest, _) = told(&finished(command(&["snapshot", "digest", "-"]), body.into_bytes()).await);
    assert_eq!((status, digest), (0, format!("{} 7 example.com.\n", snapshot.digest())));
    let (status, _, error) = told(&finished(command(&["snapshot", "show", "-"]), b"hello".to_vec()).await);
    assert_eq!(
        (status, &error[..]),
        (1, "secondary53: failed to read -: not a snapshot: it does not begin with S53Z\n")
    );
    // A message that only points to it.
    let pointer = Pointer::new("the-bucket", &snapshot.digest());
    let (status, _, error) = told(&finished(command(&["snapshot", "show", "-"]), format!("{pointer}\n").into()).await);
    let instead =
        format!("try aws s3 cp s3://the-bucket/snapshots/{} - | secondary53 snapshot show -", snapshot.digest());
    assert!(status == 1 && error.contains(&instead), "{error}");

    let zone_file = dir.path().join("zone");
    std::fs::write(&zone_file, shown).unwrap();
    for (program, arguments) in
        [("named-checkzone", &["-k", "fail", "example.com"][..]), ("kzonecheck", &["-o", "example.com."])]
    {
        accepts(program, arguments, zone_file.clone()).await;
    }
}

async fn accepts(program: &str, arguments: &[&str], zone_file: PathBuf) {
    let found = programs::installed(program);
    if found.is_err() && std::env::var("CI").is_err() {
        eprintln!("PASSED OVER {program}: it is not installed");
        return;
    }
    let mut command = Command::new(found.unwrap());
    command.args(arguments).arg(zone_file);
    let (status, out, error) = told(&finished(command, Vec::new()).await);
    assert_eq!(status, 0, "{program}: {out}{error}");
}
