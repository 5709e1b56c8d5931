//! `snapshot`: files of the relay and bodies of messages, as zone files that name servers read.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use secondary53_tests::primary::ZoneFile;
use secondary53_tests::stack::programs;
use secondary53_tests::zones::zone_of;
use secondary53_zone::message::Pointer;
use secondary53_zone::snapshot::Snapshot;

use super::{file, finished, secondary53, told};

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

    let (status, shown, _) =
        told(&finished(secondary53(&["snapshot", "show", path.to_str().unwrap()]), Vec::new()).await);
    assert_eq!(status, 0);
    // What is printed is the zone it was printed from, read by another parser.
    let read = zone_of(&ZoneFile::parse(&shown).unwrap()).unwrap();
    assert_eq!(&read, snapshot.zone());
    // A message's body, line breaks and all, from standard input.
    let body = base64::engine::general_purpose::STANDARD.encode(&octets) + "\n";
    let (status, digest, _) = told(&finished(secondary53(&["snapshot", "digest", "-"]), body.into_bytes()).await);
    assert_eq!((status, digest), (0, format!("{} 7 example.com.\n", snapshot.digest())));
    let (status, _, error) = told(&finished(secondary53(&["snapshot", "show", "-"]), b"hello".to_vec()).await);
    assert_eq!(
        (status, &error[..]),
        (1, "secondary53: failed to read -: not a snapshot: it does not begin with S53Z\n")
    );
    // A message that only points to it.
    let pointer = Pointer::new("the-bucket", &snapshot.digest());
    let (status, _, error) =
        told(&finished(secondary53(&["snapshot", "show", "-"]), format!("{pointer}\n").into()).await);
    let instead =
        format!("try aws s3 cp s3://the-bucket/snapshots/{} - | secondary53 snapshot show -", snapshot.digest());
    assert!(status == 1 && error.contains(&instead), "{error}");

    // What differs from another one.
    let other = dir.path().join("other");
    let changed = Snapshot::new(zone_of(&file(8, &records.replace("192.0.2.1\n", "192.0.2.2\n"))).unwrap());
    std::fs::write(&other, changed.encode().unwrap()).unwrap();
    let [path, other] = [&path, &other].map(|path| path.to_str().unwrap());
    let (status, diff, _) = told(&finished(secondary53(&["snapshot", "diff", path, other]), Vec::new()).await);
    let expected = "- example.com. 3600 IN SOA ns1.example.com. host.example.com. 7 3600 600 1209600 300\n\
         - w.example.com. 300 IN A 192.0.2.1\n\
         + example.com. 3600 IN SOA ns1.example.com. host.example.com. 8 3600 600 1209600 300\n\
         + w.example.com. 300 IN A 192.0.2.2\n\
         example.com.: serial 7 → 8; 2 records removed, 2 added\n";
    assert_eq!((status, &diff[..]), (2, expected));
    assert_eq!(told(&finished(secondary53(&["snapshot", "diff", path, path]), Vec::new()).await).0, 0);

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
