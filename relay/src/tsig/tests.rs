use domain::base::{Message, MessageBuilder, Name as OtherName, Rtype as OtherType};
use domain::rdata::tsig::Time48;
use domain::tsig as other;
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;
const QUERY: &[u8] = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x06\0\x01";
const ANSWER: &[u8] = b"\x12\x34\x84\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x06\0\x01";
const LATER_ANSWER: &[u8] = b"\x12\x34\x84\0\0\0\0\0\0\0\0\0";
const NOTAUTH: &[u8] = b"\x12\x34\x80\x09\0\0\0\0\0\0\0\0";

fn secret() -> Vec<u8> {
    (0..32).collect()
}

fn key(algorithm: Algorithm) -> Arc<Key> {
    Arc::new(Key::new("Relay.Example.".parse().unwrap(), algorithm, &secret()).unwrap())
}

fn find(key: &Arc<Key>) -> impl FnOnce(&[u8], Algorithm) -> Option<Arc<Key>> {
    let key = Arc::clone(key);
    move |name, algorithm| (key.name().as_wire() == name && key.algorithm() == algorithm).then_some(key)
}

fn request(key: &Arc<Key>) -> (Exchange, Vec<u8>) {
    let mut message = QUERY.to_vec();
    (Exchange::request(key, &mut message, NOW), message)
}

/// A server that signs when it is told to.
struct Server {
    key: Arc<Key>,
    running: Running,
    first: bool,
}

impl Server {
    fn of(request: &[u8], key: &Arc<Key>) -> Self {
        let Signed { key, running } = open(request, find(key), NOW).unwrap().unwrap();
        Self { key, running, first: true }
    }

    fn signed(&mut self, answer: &[u8], now: u64) -> Vec<u8> {
        let mut message = answer.to_vec();
        let variables = Variables::now(now);
        self.running.update(answer);
        if std::mem::take(&mut self.first) {
            variables.digest(&self.key, &mut self.running);
        } else {
            variables.digest_timers(&mut self.running);
        }
        let mac = std::mem::replace(&mut self.running, self.key.begin()).finish();
        self.running = self.key.after(&mac);
        record::push(&mut message, self.key.name().as_wire(), self.key.algorithm().wire(), &variables, &mac);
        message
    }

    fn unsigned(&mut self, answer: &[u8]) -> Vec<u8> {
        self.running.update(answer);
        answer.to_vec()
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Made with dnspython 2.9: a request, its first answer, the fourth after two unsigned ones, and BADTIME from a server
/// whose clock is 1,000 s ahead.
const VECTORS: [(Algorithm, [&str; 4]); 5] = [
    (
        Algorithm::Sha1,
        [
            "e5722a6c13f7feedfdc53c03a2fe8a3d61d28271",
            "a28f45cbe4209036f03077e2964a932b486a9c98",
            "0b2d2f3af3b40fb78509ed9053616e5ecc5c6f4d",
            "72f6704db906ae1405496d354233e94a565e10e1",
        ],
    ),
    (
        Algorithm::Sha224,
        [
            "5bee31e5a9dd5839b5a9730638528741e92efc01ed3b2b0f3d8f5d9d",
            "7f33c96c071a79b3964cee7ced7799a62a87429f300cb5bcf1bc0ed2",
            "7a19945ee404e3f47550b2a88356875cbdcf0ac93ab000d839478255",
            "ecb1c03277e7e70a4a45161433aca0923795406eb125d20f62504ab4",
        ],
    ),
    (
        Algorithm::Sha256,
        [
            "4f33e50539c2920616d2ccbb87625ae4d5f98d5f51802f1a5764ab0bf50cd57f",
            "693243756b216f99ecf1549efc8db857c74a10b3b6e1f12377a3242a9b48290e",
            "8332f9ef629e69aa0adbb54d170d16e90a2c804abd942aadf54e18a12384f7aa",
            "23f07a46eff716c666ae0d6dc76e919d14478f86fdba59bef4048ec9624982c7",
        ],
    ),
    (
        Algorithm::Sha384,
        [
            "faa1ce0b57617a350a794ed4c47a1f28486c8463f09f3d25fbc9c4bc96440cf25e84d6de65676164d169a8a07007de0e",
            "726395e12aab78e5aa45f045936fdba3235ba33b9d533524c8c155b2321655c0e6400e5a7bb84ff822b5fdeaf4cd2995",
            "86ab221bfc490909b02b8137843186b9e8a99220431e76a153cfda28de150cd29b213d63d5f199aeaab4a6e4ce530e08",
            "a75f2801a459b7023d6fc30d05a71b9e944e26ab8ff60bdcddd3677f0feef409f66927ed6509c02fb77e2b1506b4933a",
        ],
    ),
    (
        Algorithm::Sha512,
        [
            "548a52795682df2ac2255d7dfa3ab362d5eb117c6a21b22bcf2630ef3d2d27e475d8b00425cb17a78428340c8aa1f976e6246f2a127773110b73a7837edf4065",
            "b8aca35a46050a4c9b7186aa437ac40412c96963cfcb32f263dcae77955d2b487b842385078a675946e383ff98598688f06b3545f7666be5ca38c065c296fbed",
            "e7ffb54bfdfd31c816b2ca55d75ef9cd163fc4447a46f853d34b21b65811dde0033780ab54082ce56efa1782b2d778c69f3d9e717367be4d25648ae962749227",
            "fafc49a7430734e243c88283e5dbdb2300475e72690ed781210b62ca1e0af660945b977f659253747a02f188dcef5594fc0b654caee73a8925296214cc8166dd",
        ],
    ),
];

#[test]
fn signatures_are_those_of_another_implementation() {
    for (algorithm, macs) in VECTORS {
        let key = key(algorithm);
        let [request_mac, first, fourth, bad_time] = macs.map(hex);
        let with = |message: &[u8], variables: &Variables, mac: &[u8]| {
            let mut message = message.to_vec();
            record::push(&mut message, key.name().as_wire(), algorithm.wire(), variables, mac);
            message
        };
        let now = Variables::now(NOW);
        let (mut exchange, message) = request(&key);
        assert_eq!(message, with(QUERY, &now, &request_mac));

        let mut answer = ANSWER.to_vec();
        open(&message, find(&key), NOW).unwrap().unwrap().seal(&mut answer, NOW);
        assert_eq!(answer, with(ANSWER, &now, &first));

        let late = open(&message, find(&key), NOW + 1000).unwrap_err();
        let mut told = NOTAUTH.to_vec();
        assert_eq!(late.seal(&mut told), Rejection::Time(key.name().clone(), -1000));
        let their_time = Variables { error: BADTIME, other: time48(NOW + 1000).to_vec(), ..now.clone() };
        assert_eq!(told, with(NOTAUTH, &their_time, &bad_time));
        assert_eq!(exchange.clone().answer(&mut told, NOW), Err(Fault::Clock(1000)));

        exchange.answer(&mut answer, NOW).unwrap();
        assert_eq!(answer, ANSWER);
        for _ in 0..2 {
            exchange.answer(&mut LATER_ANSWER.to_vec(), NOW).unwrap();
        }
        assert_eq!(exchange.end(), Err(Fault::EndsUnsigned));
        exchange.answer(&mut with(ANSWER, &now, &fourth), NOW).unwrap();
        exchange.end().unwrap();
    }
}

fn their_key(algorithm: other::Algorithm) -> other::Key {
    other::Key::new(algorithm, &secret(), "relay.example.".parse().unwrap(), None, None).unwrap()
}

const BOTH_HAVE: [(Algorithm, other::Algorithm); 4] = [
    (Algorithm::Sha1, other::Algorithm::Sha1),
    (Algorithm::Sha256, other::Algorithm::Sha256),
    (Algorithm::Sha384, other::Algorithm::Sha384),
    (Algorithm::Sha512, other::Algorithm::Sha512),
];

#[test]
fn a_sequence_of_another_implementation_is_verified() {
    for (ours, theirs) in BOTH_HAVE {
        let (mut exchange, message) = request(&key(ours));
        let mut message = Message::from_octets(message).unwrap();
        let now = Time48::from_u64(NOW);
        let server = other::ServerSequence::request(&their_key(theirs), &mut message, now);
        let mut server = server.unwrap().expect("it is signed");
        for _ in 0..3 {
            let mut builder = MessageBuilder::new_vec().additional();
            server.answer(&mut builder, now).unwrap();
            exchange.answer(&mut builder.finish(), NOW).unwrap();
        }
        exchange.end().unwrap();
    }
}

#[test]
fn another_implementation_verifies_our_answer() {
    for (ours, theirs) in BOTH_HAVE {
        let now = Time48::from_u64(NOW);
        let mut builder = MessageBuilder::new_vec().question();
        builder.push((OtherName::<Vec<u8>>::root(), OtherType::SOA)).unwrap();
        let mut builder = builder.additional();
        let client = other::ClientTransaction::request(their_key(theirs), &mut builder, now).unwrap();
        let message = builder.finish();
        let mut answer = ANSWER.to_vec();
        answer[..2].copy_from_slice(&message[..2]);
        open(&message, find(&key(ours)), NOW).unwrap().unwrap().seal(&mut answer, NOW);
        client.answer(&mut Message::from_octets(answer).unwrap(), now).unwrap();
    }
}

/// Each message with one bit flipped, but for the ID, which forwarders may change and the reader compares, and for the
/// case of the letters in the names of key and algorithm, which are the same names then.
fn flipped(message: &[u8], tsig: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
    let is_case = move |at: usize, bit: u8| at >= tsig && bit == 0x20 && message[at].is_ascii_alphabetic();
    let bits = (2..message.len()).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit)));
    bits.filter(move |(at, bit)| !is_case(*at, *bit)).map(|(at, bit)| {
        let mut message = message.to_vec();
        message[at] ^= bit;
        message
    })
}

#[test]
fn no_bit_can_be_flipped() {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm);
        let (exchange, message) = request(&key);
        for bad in flipped(&message, QUERY.len()) {
            assert!(!matches!(open(&bad, find(&key), NOW), Ok(Some(_))), "{bad:02x?}");
        }
        let mut server = Server::of(&message, &key);
        let first = server.signed(ANSWER, NOW);
        for mut bad in flipped(&first, ANSWER.len()) {
            assert!(exchange.clone().answer(&mut bad, NOW).is_err(), "{bad:02x?}");
        }
        let mut exchange = exchange;
        exchange.answer(&mut first.clone(), NOW).unwrap();
        let second = server.unsigned(ANSWER);
        let third = server.signed(LATER_ANSWER, NOW);
        // Of an unsigned one, the next signed one tells; so here the ID counts too.
        for at in 0..second.len() {
            let mut exchange = exchange.clone();
            let (mut bad, mut third) = (second.clone(), third.clone());
            bad[at] ^= 1;
            let told = exchange.answer(&mut bad, NOW).and_then(|()| exchange.answer(&mut third, NOW));
            assert!(told.is_err(), "{bad:02x?}");
        }
        exchange.answer(&mut second.clone(), NOW).unwrap();
        for mut bad in flipped(&third, LATER_ANSWER.len()) {
            let mut exchange = exchange.clone();
            let told = exchange.answer(&mut bad, NOW).and_then(|()| exchange.end());
            assert!(told.is_err(), "{bad:02x?}");
        }
        exchange.answer(&mut third.clone(), NOW).unwrap();
    }
}

#[test]
fn the_order_of_answers_is_signed() {
    let key = key(Algorithm::Sha256);
    let (mut exchange, message) = request(&key);
    let mut server = Server::of(&message, &key);
    let [first, second, third] = [(); 3].map(|()| server.signed(ANSWER, NOW));
    assert_eq!(exchange.clone().answer(&mut second.clone(), NOW), Err(Fault::Mismatch));
    exchange.answer(&mut first.clone(), NOW).unwrap();
    assert_eq!(exchange.clone().answer(&mut first.clone(), NOW), Err(Fault::Mismatch));
    assert_eq!(exchange.answer(&mut third.clone(), NOW), Err(Fault::Mismatch));
}

#[test]
fn ninety_nine_may_be_unsigned_and_neither_the_first_nor_the_last() {
    let key = key(Algorithm::Sha512);
    let (mut exchange, message) = request(&key);
    assert_eq!(exchange.clone().answer(&mut ANSWER.to_vec(), NOW), Err(Fault::Unsigned(0)));
    assert_eq!(exchange.clone().answer(&mut NOTAUTH.to_vec(), NOW), Err(Fault::Unsigned(9)));
    let mut server = Server::of(&message, &key);
    exchange.answer(&mut server.signed(ANSWER, NOW), NOW).unwrap();
    for _ in 0..2 {
        for _ in 0..UNSIGNED_MAX {
            exchange.answer(&mut server.unsigned(ANSWER), NOW).unwrap();
            assert_eq!(exchange.end(), Err(Fault::EndsUnsigned));
        }
        assert_eq!(exchange.clone().answer(&mut ANSWER.to_vec(), NOW), Err(Fault::TooManyUnsigned));
        exchange.answer(&mut server.signed(ANSWER, NOW), NOW).unwrap();
        exchange.end().unwrap();
    }
}

#[test]
fn clocks_may_differ_by_the_fudge() {
    let key = key(Algorithm::Sha224);
    let (exchange, message) = request(&key);
    let fudge = u64::from(FUDGE);
    for now in [NOW - fudge, NOW + fudge] {
        assert!(open(&message, find(&key), now).unwrap().is_some());
    }
    let why = |now| open(&message, find(&key), now).unwrap_err().why().clone();
    assert_eq!(why(NOW - fudge - 1), Rejection::Time(key.name().clone(), 301));
    assert_eq!(why(NOW + fudge + 1), Rejection::Time(key.name().clone(), -301));
    let told = |theirs| exchange.clone().answer(&mut Server::of(&message, &key).signed(ANSWER, theirs), NOW);
    assert_eq!([told(NOW - fudge), told(NOW + fudge)], [Ok(()), Ok(())]);
    assert_eq!(told(NOW - fudge - 1), Err(Fault::Time(-301)));
    assert_eq!(told(NOW + fudge + 1), Err(Fault::Time(301)));
}

#[test]
fn a_transfer_may_last_for_hours() {
    let key = key(Algorithm::Sha256);
    let (mut exchange, message) = request(&key);
    let mut server = Server::of(&message, &key);
    for minute in 0..240 {
        let now = NOW + minute * 60;
        exchange.answer(&mut server.signed(ANSWER, now), now).unwrap();
    }
    // What was sent an hour ago is nothing that was sent now.
    let stale = server.signed(ANSWER, NOW + 240 * 60);
    assert_eq!(exchange.answer(&mut stale.clone(), NOW + 300 * 60), Err(Fault::Time(-3600)));
}

#[test]
fn another_key_is_none() {
    let ours = key(Algorithm::Sha256);
    let make =
        |name: &str, algorithm, secret: &[u8]| Arc::new(Key::new(name.parse().unwrap(), algorithm, secret).unwrap());
    let other_name = make("other.example", Algorithm::Sha256, &secret());
    let other_algorithm = key(Algorithm::Sha512);
    let other_secret = make("relay.example", Algorithm::Sha256, &[7; 32]);
    assert!(ours != other_name && ours != other_algorithm && ours != other_secret && ours == key(Algorithm::Sha256));

    for theirs in [&other_name, &other_algorithm] {
        let (exchange, message) = request(theirs);
        let rejected = open(&message, find(&ours), NOW).unwrap_err();
        assert!(matches!(rejected.why(), Rejection::Key(_)), "{rejected:?}");
        let mut answer = NOTAUTH.to_vec();
        rejected.seal(&mut answer);
        assert_eq!(exchange.clone().answer(&mut answer, NOW), Err(Fault::Told(BADKEY)));
        let mut answer = Server::of(&message, theirs).signed(ANSWER, NOW);
        let (mut ours, _) = request(&ours);
        assert!(matches!(ours.answer(&mut answer, NOW), Err(Fault::OtherKey(_))));
    }
    let (exchange, message) = request(&other_secret);
    let rejected = open(&message, find(&ours), NOW).unwrap_err();
    assert_eq!(rejected.why(), &Rejection::Signature(ours.name().clone()));
    let mut answer = NOTAUTH.to_vec();
    rejected.seal(&mut answer);
    let told = exchange.clone().answer(&mut answer, NOW).unwrap_err();
    assert_eq!(told, Fault::Told(BADSIG));
    assert_eq!(told.to_string(), "says BADSIG: the primary has another secret for the key");
    let mut answer = Server::of(&message, &other_secret).signed(ANSWER, NOW);
    assert_eq!(request(&ours).0.answer(&mut answer, NOW), Err(Fault::Mismatch));
}

#[test]
fn a_signature_is_whole() {
    let key = key(Algorithm::Sha256);
    let (exchange, message) = request(&key);
    let found = record::find(&message).unwrap().unwrap();
    let with = |mac: &[u8]| {
        let mut message = QUERY.to_vec();
        record::push(&mut message, &found.owner, &found.algorithm, &found.variables, mac);
        open(&message, find(&key), NOW).unwrap_err()
    };
    // RFC 8945 §5.2.2.1: what is shorter than the half is no signature.
    for length in [0, 1, 15] {
        assert_eq!(with(&found.mac[..length]).why(), &Rejection::Misfit(Misfit::Field));
    }
    assert_eq!(with(&[&found.mac[..], &[0]].concat()).why(), &Rejection::Misfit(Misfit::Field));
    assert!(matches!(with(&[0; 16]).why(), Rejection::Signature(_)));
    let rejected = with(&found.mac[..16]);
    assert!(matches!(rejected.why(), Rejection::Truncated(_)), "{rejected:?}");

    let mut signed = Server::of(&message, &key).signed(ANSWER, NOW);
    let found = record::find(&signed).unwrap().unwrap();
    found.strip(&mut signed);
    for (length, fault) in [(0, Fault::Unsigned(0)), (16, Fault::Truncated)] {
        let mut answer = signed.clone();
        record::push(&mut answer, &found.owner, &found.algorithm, &found.variables, &found.mac[..length]);
        assert_eq!(exchange.clone().answer(&mut answer, NOW), Err(fault));
    }
}

#[test]
fn a_tsig_stands_at_the_end_and_nowhere_else() {
    let key = key(Algorithm::Sha256);
    let (_, message) = request(&key);
    let why = |message: &[u8]| open(message, find(&key), NOW).unwrap_err().why().clone();
    let mut twice = message.clone();
    Exchange::request(&key, &mut twice, NOW);
    assert_eq!(why(&twice), Rejection::Misfit(Misfit::Place));
    let mut followed = message.clone();
    followed[11] += 1;
    followed.extend(b"\0\0\x29\x10\0\0\0\0\0\0\0");
    assert_eq!(why(&followed), Rejection::Misfit(Misfit::Place));
    let mut as_answer = message.clone();
    (as_answer[7], as_answer[11]) = (1, 0);
    assert_eq!(why(&as_answer), Rejection::Misfit(Misfit::Place));
    let more = [&message[..], b"\0"].concat();
    assert!(matches!(why(&more), Rejection::Misfit(Misfit::Wire(_))));
    assert!(open(QUERY, find(&key), NOW).unwrap().is_none());
}

#[test]
fn a_secret_is_long_enough_and_never_shown() {
    let name = || "relay.example".parse().unwrap();
    assert_eq!(Key::new(name(), Algorithm::Sha1, &[0; 15]).unwrap_err(), KeyError::TooShort(15));
    assert!(Key::new(name(), Algorithm::Sha1, &[0; 16]).is_ok());
    let key = key(Algorithm::Sha256);
    assert_eq!(format!("{key:?}"), "Key(relay.example. hmac-sha256 …)");
    let (exchange, _) = request(&key);
    assert!(format!("{exchange:?}").contains("Running(…)"));
}

proptest! {
    #[test]
    fn arbitrary_octets_are_not_signed(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let key = key(Algorithm::Sha256);
        prop_assert!(!matches!(open(&octets, find(&key), NOW), Ok(Some(_))));
        let (mut exchange, _) = request(&key);
        prop_assert!(exchange.answer(&mut octets.clone(), NOW).is_err());
    }

    #[test]
    fn a_tsig_with_an_octet_changed_does_no_harm(at in 0..100_usize, octet in any::<u8>(), cut in 0..20_usize) {
        let key = key(Algorithm::Sha256);
        let (mut exchange, message) = request(&key);
        let mut answer = Server::of(&message, &key).signed(ANSWER, NOW);
        let at = at % answer.len();
        answer[at] = octet;
        answer.truncate(answer.len() - cut);
        if let Err(rejected) = open(&answer, find(&key), NOW) {
            rejected.seal(&mut NOTAUTH.to_vec());
        }
        let _ = exchange.answer(&mut answer, NOW);
    }
}
