//! A zone file that is edited while it is served.

use secondary53_tests::primary::{Config, Primary, Record, WatchEvent, ZoneFileError};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::wire::{PATIENCE, axfr, in_transfer, name, records};

#[tokio::test]
async fn a_saved_file_is_served_and_notified() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("example.com.zone");
    let write = |serial: u32, address: &str| {
        std::fs::write(&path, format!("@ 60 SOA ns host {serial} 2 3 4 5\nwww 60 A {address}\n")).unwrap();
    };
    let secondary = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = secondary.local_addr().unwrap();
    let primary = Primary::start(Config::new()).await.unwrap();
    write(5, "192.0.2.1");
    let (watch, mut events) = primary.watch(&path, Some("example.com."), vec![target]).unwrap();
    let apex = name("example.com.");
    assert_eq!(primary.zone(&apex).unwrap().serial(), 5);

    // Content without serial: the served serial goes up, the file stays as it is.
    write(5, "192.0.2.22");
    let event = next(&mut events).await;
    assert!(matches!(event, WatchEvent::Served { serial: 6, raised_from: Some(5), records: 2 }), "{event:?}");
    assert!(std::fs::read_to_string(&path).unwrap().contains(" 5 2 3"), "the file is its editor's");
    assert_eq!(answer_notify(&secondary).await, Some(6));
    let event = next(&mut events).await;
    assert!(matches!(event, WatchEvent::Notified { answer: Ok(_), .. }), "{event:?}");
    let served = records(&axfr(&primary, "example.com.").await.messages);
    assert_eq!(served, in_transfer(&primary.zone(&apex).unwrap()));
    assert_eq!(served[1].rdata, &[192, 0, 2, 22][..]);

    // A comment, and a serial that is still behind.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("; a comment\n{text}")).unwrap();
    let event = next(&mut events).await;
    assert!(matches!(event, WatchEvent::Unchanged), "{event:?}");

    // A mistake: told with its line, and the old zone stays.
    std::fs::write(&path, format!("{text}mail 60 MX ten mail\n")).unwrap();
    let event = next(&mut events).await;
    assert!(matches!(&event, WatchEvent::Refused(ZoneFileError::Line { line: 3, .. })), "{event:?}");
    assert_eq!(primary.zone(&apex).unwrap().serial(), 6);

    // A serial of the editor's own wins, and an editor that saves by rename is seen.
    let new = directory.path().join("new");
    std::fs::write(&new, "@ 60 SOA ns host 2026112301 2 3 4 5\n").unwrap();
    std::fs::rename(&new, &path).unwrap();
    let event = next(&mut events).await;
    assert!(matches!(event, WatchEvent::Served { serial: 2_026_112_301, raised_from: None, records: 1 }), "{event:?}");
    assert_eq!(answer_notify(&secondary).await, Some(2_026_112_301));

    // Another zone is not this one.
    let event = next(&mut events).await;
    assert!(matches!(event, WatchEvent::Notified { answer: Ok(_), .. }), "{event:?}");
    std::fs::write(&path, "example.org. 60 SOA ns host 2026112302 2 3 4 5\n").unwrap();
    let event = next(&mut events).await;
    assert!(matches!(event, WatchEvent::Renamed { .. }), "{event:?}");
    drop(watch);
}

#[tokio::test]
async fn an_included_file_is_watched_too() {
    let directory = tempfile::tempdir().unwrap();
    let (path, hosts) = (directory.path().join("zone"), directory.path().join("hosts"));
    std::fs::write(&path, "$ORIGIN example.com.\n@ 60 SOA ns host 1 2 3 4 5\n$INCLUDE hosts sub.example.com.\n")
        .unwrap();
    std::fs::write(&hosts, "www 60 A 192.0.2.1\n").unwrap();
    let primary = Primary::start(Config::new()).await.unwrap();
    let (_watch, mut events) = primary.watch(&path, None, Vec::new()).unwrap();
    let served = primary.zone(&name("example.com.")).unwrap();
    assert_eq!(served.records()[0].owner, name("www.sub.example.com."));
    std::fs::write(&hosts, "www 60 A 192.0.2.1\nmail 60 A 192.0.2.2\n").unwrap();
    let event = next(&mut events).await;
    assert!(matches!(event, WatchEvent::Served { serial: 2, records: 3, .. }), "{event:?}");
}

async fn next(events: &mut Receiver<WatchEvent>) -> WatchEvent {
    timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
}

/// Answers one NOTIFY and returns the serial it hinted at.
async fn answer_notify(secondary: &UdpSocket) -> Option<u32> {
    let mut octets = [0; 512];
    let (length, peer) = timeout(PATIENCE, secondary.recv_from(&mut octets)).await.unwrap().unwrap();
    let serial = records(&[octets[..length].to_vec()]).first().and_then(Record::serial);
    octets[2] |= 0x80;
    secondary.send_to(&octets[..length], peer).await.unwrap();
    serial
}
