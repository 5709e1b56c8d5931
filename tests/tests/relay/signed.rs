//! TSIG with real primaries: their NOTIFY, their SOA, their transfers; and with one that signs as it should not.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use domain::base::{Message, MessageBuilder, Name, Serial as Soa32, Ttl};
use domain::rdata::tsig::Time48;
use domain::rdata::{A, Soa};
use domain::tsig as other;
use secondary53_relay::daemon::Clock;
use secondary53_relay::primary::{Limits, Server, fetch};
use secondary53_relay::tsig::{self, Algorithm};
use secondary53_tests::stack::name_server::{NameServer, Security, TsigKey, ZoneFile};
use secondary53_tests::stack::{StackError, bind, knot, nsd, pass_over_missing, pdns, programs};
use secondary53_zone::Serial;
use secondary53_zone::message::Reason;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::process::Place;
use crate::sqs::Sqs;

const APEX: &str = "example.com";
const KEY: &str = "relay.example.";
/// 64 octets, as many as the longest of the algorithms gives.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
const OTHER_SECRET: &str = "AQECAwQFBgcICQoLDA0ODw==";
/// Enough for a transfer of some ten messages.
const HOSTS: usize = 10_000;

/// How the scripted primary signs a transfer of two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signing {
    Right,
    /// Not the first message.
    FirstUnsigned,
    /// Not the second, which is the last.
    LastUnsigned,
    /// Both, but by a clock that is an hour slow.
    Late,
    /// Both, and then an address is changed on the way.
    Altered,
    /// Both, and the second comes first.
    Swapped,
}

#[tokio::test]
async fn a_transfer_counts_only_if_all_of_it_is_signed() {
    let key = tsig::Key::new(KEY.parse().unwrap(), Algorithm::Sha256, &[7; 32]).unwrap();
    for (signing, told) in [
        (Signing::Right, None),
        (Signing::FirstUnsigned, Some("message 1 is not signed")),
        (Signing::LastUnsigned, Some("message 2 is the last one, and not signed")),
        (Signing::Late, Some("message 1 was signed at a time 36")),
        (Signing::Altered, Some("message 2 has a wrong signature")),
        (Signing::Swapped, Some("message 1 has a wrong signature")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { key: Some(Arc::new(key.clone())), ..listener.local_addr().unwrap().into() };
        let serving = tokio::spawn(serve(listener, signing));
        let fetched = fetch(&APEX.parse().unwrap(), &[server], Limits::default(), Clock::start()).await;
        match (told, fetched) {
            (None, Ok(fetched)) => assert_eq!(fetched.transferred.zone.record_count(), 2),
            (Some(told), Err(error)) => {
                let error = error.to_string();
                assert!(error.contains(told), "{signing:?}: {error}");
            }
            (_, other) => panic!("{signing:?}: {other:?}"),
        }
        serving.abort();
    }
}

/// Answers a SOA query and a transfer, signed by another implementation.
async fn serve(listener: TcpListener, signing: Signing) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let now = Clock::start().unix_ms() / 1000;
    let key =
        other::Key::new(other::Algorithm::Sha256, &[7; 32], "relay.example".parse().unwrap(), None, None).unwrap();
    for transfer in [false, true] {
        let mut query = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut query).await.unwrap();
        let mut query = Message::from_octets(query).unwrap();
        let sequence = other::ServerSequence::request(&key, &mut query, Time48::from_u64(now)).unwrap();
        let mut sequence = sequence.unwrap();
        let late = if transfer && signing == Signing::Late { 3600 } else { 0 };
        let mut answer = |address, signed| {
            let mut builder = MessageBuilder::new_vec();
            builder.header_mut().set_id(query.header().id());
            builder.header_mut().set_qr(true);
            builder.header_mut().set_aa(true);
            let mut builder = builder.answer();
            let apex: Name<Vec<u8>> = APEX.parse().unwrap();
            let host: Name<Vec<u8>> = "ns.example.com".parse().unwrap();
            let of = |seconds| Ttl::from_secs(seconds);
            let data = Soa::new(&host, &host, Soa32(1), of(3600), of(60), of(86400), of(60));
            if address {
                builder.push((&host, of(300), A::from_octets(192, 0, 2, 1))).unwrap();
            }
            builder.push((&apex, of(300), &data)).unwrap();
            let mut builder = builder.additional();
            if signed {
                sequence.answer(&mut builder, Time48::from_u64(now - late)).unwrap();
            }
            builder.finish()
        };
        let mut messages = if transfer {
            let first = answer(false, signing != Signing::FirstUnsigned);
            vec![first, answer(true, signing != Signing::LastUnsigned)]
        } else {
            vec![answer(false, true)]
        };
        if transfer && signing == Signing::Swapped {
            messages.swap(0, 1);
        }
        if transfer && signing == Signing::Altered {
            let address = messages[1].windows(4).position(|octets| octets == [192, 0, 2, 1]).unwrap();
            messages[1][address] = 10;
        }
        for message in messages {
            stream.write_u16(u16::try_from(message.len()).unwrap()).await.unwrap();
            stream.write_all(&message).await.unwrap();
        }
    }
    // The other side closes.
    let _ = stream.read_u16().await;
}

/// As while a key is changed for another, or where each view of a server has its own.
#[tokio::test]
async fn two_primaries_of_one_address_are_asked_each_with_its_key() -> Result<(), StackError> {
    pass_over_missing(ask_with_each_key().await)
}

async fn ask_with_each_key() -> Result<(), StackError> {
    let (dir, sqs, listen) = (TempDir::new().unwrap(), Sqs::start().await, programs::free_address()?);
    let server = bind::start_with(dir.path(), &zone(), listen, &with_key(Some(Algorithm::Sha256))).await?;
    let primary = |name: &str, key: &str, secret: &str| {
        let algorithm = Algorithm::Sha256.name();
        format!(
            "[key.\"{key}\"]\nalgorithm = \"{algorithm}\"\nsecret = \"{secret}\"\n\
             [primary.{name}]\naddress = \"{}\"\nkey = \"{key}\"\n",
            server.address
        )
    };
    let text = format!(
        "[queue.main]\nurl = \"http://127.0.0.1/0/main.fifo\"\nregion = \"eu-west-1\"\n{}{}\
         [[zone]]\nname = \"{APEX}\"\nprimaries = [\"old\", \"new\"]\nconfirm = false\n",
        primary("old", "old.example.", OTHER_SECRET),
        primary("new", KEY, SECRET),
    );
    let place = Place::at(listen, sqs.address, &text);
    let relay = place.run().await;
    relay.logged(&["look failed", BADKEY]).await;
    relay.logged(&["sent", "serial=1"]).await;
    // Its NOTIFY comes with the key that it has.
    update(&server, dir.path()).await?;
    relay.logged(&["sent", "serial=2", "reason=notify"]).await;
    assert!(relay.stop().await.success());
    Ok(())
}

const BADSIG: &str = "message 1 says BADSIG: the primary has another secret";
const BADKEY: &str = "message 1 says BADKEY: the primary does not know the key";
/// NSD verifies by the algorithm that it is asked with, and finds that its list has another.
const REFUSED: &str = "message 1 says REFUSED (does its access list allow this host the transfer?)";
/// PowerDNS says no more, whatever is wrong.
const UNSIGNED: &str = "message 1 is not signed, and says NOTAUTH";
const TOLD: [&str; 3] = [BADSIG, BADKEY, BADKEY];

type Started = Result<NameServer, StackError>;

#[tokio::test]
async fn a_key_is_spoken_with_bind() -> Result<(), StackError> {
    let start = async |dir: &Path, zone: &ZoneFile, notify, security: &Security| {
        bind::start_with(dir, zone, notify, security).await
    };
    pass_over_missing(speak(start, update, true, TOLD).await)
}

#[tokio::test]
async fn a_key_is_spoken_with_knot() -> Result<(), StackError> {
    let start = async |dir: &Path, zone: &ZoneFile, notify, security: &Security| {
        knot::start_with(dir, zone, notify, security).await
    };
    pass_over_missing(speak(start, update, true, TOLD).await)
}

#[tokio::test]
async fn a_key_is_spoken_with_nsd() -> Result<(), StackError> {
    let start = async |dir: &Path, zone: &ZoneFile, notify, security: &Security| {
        nsd::start_with(dir, zone, notify, security).await
    };
    let change = async |_: &NameServer, dir: &Path| {
        let text = zone().text.replace("host 1 3600", "host 2 3600") + "new 60 A 192.0.2.9\n";
        nsd::reload(dir, &ZoneFile { text, ..zone() }).await
    };
    pass_over_missing(speak(start, change, true, [BADSIG, REFUSED, BADKEY]).await)
}

/// PowerDNS answers the question for differences with the whole zone.
#[tokio::test]
async fn a_key_is_spoken_with_powerdns() -> Result<(), StackError> {
    let start = async |dir: &Path, zone: &ZoneFile, notify, security: &Security| {
        pdns::start_with(dir, zone, notify, security).await
    };
    pass_over_missing(speak(start, update, false, [UNSIGNED; 3]).await)
}

/// One more address, by a dynamic update.
async fn update(server: &NameServer, _: &Path) -> Result<(), StackError> {
    server.update(&["add new.example.com. 60 A 192.0.2.9"]).await
}

fn zone() -> ZoneFile {
    let mut text = format!("$ORIGIN {APEX}.\n$TTL 300\n@ SOA ns host 1 3600 1 86400 60\n@ NS ns\nns A 192.0.2.1\n");
    for host in 0..HOSTS {
        writeln!(text, "host{host} A 10.0.{}.{}", host / 250, host % 250).unwrap();
    }
    ZoneFile { zone: APEX.to_owned(), text }
}

fn with_key(algorithm: Option<Algorithm>) -> Security {
    let key = |algorithm: Algorithm| TsigKey {
        name: KEY.to_owned(),
        algorithm: algorithm.name().to_owned(),
        secret: SECRET.to_owned(),
    };
    Security { key: algorithm.map(key), tls: None }
}

/// What the relay is told: its only primary, and the keys.
fn text(primary: SocketAddr, key: Option<(&str, Algorithm, &str)>) -> String {
    let (its, keys) = key.map_or_else(Default::default, |(name, algorithm, secret)| {
        let keys = format!("[key.\"{name}\"]\nalgorithm = \"{}\"\nsecret = \"{secret}\"\n", algorithm.name());
        (format!("key = \"{name}\"\n"), keys)
    });
    let queue = "url = \"http://127.0.0.1/000000000000/main.fifo\"\nregion = \"eu-west-1\"";
    let timers = "[timers]\nretry_min = \"1s\"";
    format!(
        "[queue.main]\n{queue}\n{timers}\n{keys}[primary.main]\naddress = \"{primary}\"\n{its}[[zone]]\nname = \"{APEX}\"\nconfirm = false\n"
    )
}

/// Without a key, and with one of each algorithm. `change` adds an address; `incremental` says that it comes as a difference.
async fn speak(
    start: impl AsyncFn(&Path, &ZoneFile, SocketAddr, &Security) -> Started,
    change: impl AsyncFn(&NameServer, &Path) -> Result<(), StackError>,
    incremental: bool,
    told: [&str; 3],
) -> Result<(), StackError> {
    for algorithm in [None].into_iter().chain(Algorithm::ALL.map(Some)) {
        let (dir, sqs, listen) = (TempDir::new().unwrap(), Sqs::start().await, programs::free_address()?);
        let server = start(dir.path(), &zone(), listen, &with_key(algorithm)).await?;
        let key = algorithm.map(|algorithm| (KEY, algorithm, SECRET));
        let place = Place::at(listen, sqs.address, &text(server.address, key));
        let relay = place.run().await;
        let first = sqs.wait_for(1).await.remove(0);
        assert_eq!((first.message.serial, first.snapshot().zone().record_count()), (Serial(1), HOSTS + 3));
        // Stored by then, so that what follows comes as a difference, signed as all else.
        relay.logged(&["sent", "serial=1"]).await;
        change(&server, dir.path()).await?;
        let second = sqs.wait_for(2).await.remove(1);
        assert_eq!((second.message.serial, second.message.reason), (Serial(2), Reason::Notify));
        assert_eq!(second.snapshot().zone().record_count(), HOSTS + 4);
        let log = relay.log();
        assert!(!log.contains("refused") && !log.contains("failed"), "{log}");
        assert_eq!(log.contains("serial=2 since=1"), incremental, "{log}");
        let last_words = server.process.log_text().to_ascii_lowercase();
        assert!(!last_words.contains("tsig") || !last_words.contains("fail"), "{last_words}");
        assert!(relay.stop().await.success());
    }
    refuse(start, change, told).await
}

/// What is not signed as it must be is refused by the side that sees it, and both say why: of another secret, another
/// algorithm and another name, `told` is what is told.
async fn refuse(
    start: impl AsyncFn(&Path, &ZoneFile, SocketAddr, &Security) -> Started,
    change: impl AsyncFn(&NameServer, &Path) -> Result<(), StackError>,
    told: [&str; 3],
) -> Result<(), StackError> {
    let (dir, sqs, listen) = (TempDir::new().unwrap(), Sqs::start().await, programs::free_address()?);
    let server = start(dir.path(), &zone(), listen, &with_key(Some(Algorithm::Sha256))).await?;
    let place = Place::at(listen, sqs.address, &text(server.address, None));
    for (key, told) in [
        (None, "transfer refused: message 1 says "),
        (Some(("relay.example.", Algorithm::Sha256, OTHER_SECRET)), told[0]),
        (Some(("relay.example.", Algorithm::Sha512, SECRET)), told[1]),
        (Some(("other.example.", Algorithm::Sha256, SECRET)), told[2]),
    ] {
        place.reconfigure(&text(server.address, key));
        let (good, log) = place.once().await;
        assert!(!good && log.contains(told), "{told}\n{log}");
        assert!(!log.contains("AQEC") && !log.contains("AAEC"), "{log}");
    }
    // The last of them runs; the primary's NOTIFY comes with the key that it does not know.
    let relay = place.run().await;
    change(&server, dir.path()).await?;
    let why = "it is signed with the key relay.example. (hmac-sha256), which is not the key of a primary at its source";
    relay.logged(&["NOTIFY refused", why]).await;
    assert!(relay.stop().await.success());
    assert!(sqs.accepted().is_empty());
    Ok(())
}
