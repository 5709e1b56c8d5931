use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::chain;

const PATIENCE: Duration = Duration::from_mins(1);
/// Not waited for but where nobody answers.
const SHORT: Duration = Duration::from_millis(200);
/// The largest message that SQS takes.
const LARGE: usize = 1 << 20;

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// Answers each request with its own body.
    Echo,
    /// The same, and says goodbye after it.
    EchoOnce,
    /// The same, and hangs up when it has read the next request of that connection: with a goodbye, or without.
    EchoThenHangUp { goodbye: bool },
    /// Reads requests.
    Silent,
    /// Takes connections, and shakes no hands.
    Dead,
    /// Speaks HTTP/2 alone.
    Modern,
}

struct Server {
    url: String,
    roots: Arc<RootCertStore>,
    /// Connections so far, and those of them that have ended.
    accepted: watch::Receiver<usize>,
    ended: watch::Receiver<usize>,
}

impl Server {
    /// With a certificate for `name`.
    async fn start(manner: Manner, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let (roots, config) = certified(name, &url, manner);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (accepting, accepted) = watch::channel(0);
        let (ending, ended) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.send_modify(|count| *count += 1);
                let (acceptor, ending) = (acceptor.clone(), ending.clone());
                tokio::spawn(async move {
                    if manner == Manner::Dead {
                        std::future::pending::<()>().await;
                    }
                    // A client that does not like the certificate hangs up.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, manner).await;
                    }
                    ending.send_modify(|count| *count += 1);
                });
            }
        });
        Self { url, roots: Arc::new(roots), accepted, ended }
    }

    async fn good(manner: Manner) -> Self {
        Self::start(manner, "127.0.0.1").await
    }

    fn client(&self) -> Https {
        Https::with_roots(Arc::clone(&self.roots))
    }

    fn connections(&self) -> usize {
        *self.accepted.borrow()
    }

    async fn wait_for_ended(&mut self, count: usize) {
        timeout(PATIENCE, self.ended.wait_for(|ended| *ended >= count)).await.unwrap().unwrap();
    }
}

/// A CA with a name of its own, and a server that it has certified.
fn certified(name: &str, authority_name: &str, manner: Manner) -> (RootCertStore, ServerConfig) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, authority_name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut roots = RootCertStore::empty();
    roots.add(authority.self_signed(&authority_key).unwrap().der().clone()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    // It would rather speak HTTP/2, as newer services do.
    config.alpn_protocols = vec![b"h2".to_vec()];
    if manner != Manner::Modern {
        config.alpn_protocols.push(b"http/1.1".to_vec());
    }
    (roots, config)
}

async fn serve(mut stream: TlsStream<TcpStream>, manner: Manner) {
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    for number in 1.. {
        let Some(body) = read(&mut stream).await else { return };
        match manner {
            Manner::Silent => std::future::pending().await,
            Manner::EchoThenHangUp { goodbye } if number > 1 => {
                if goodbye {
                    stream.shutdown().await.unwrap();
                }
                return;
            }
            _ => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
        if manner == Manner::EchoOnce {
            // Ended is a connection when its other end is gone too.
            stream.shutdown().await.unwrap();
        }
    }
}

/// The body of a request; nothing where no more comes.
async fn read(stream: &mut TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        if let Some(head) = read.windows(4).position(|octets| octets == b"\r\n\r\n") {
            let text = std::str::from_utf8(&read[..head]).unwrap().to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if read.len() >= head + 4 + length {
                return Some(read.split_off(head + 4));
            }
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

/// Asks, and gives back the answer's body.
async fn ask(connector: &Connector, url: &str, body: &[u8]) -> Result<Vec<u8>, ConnectorError> {
    let request = http::Request::builder().method("POST").uri(url).body(SdkBody::from(body)).unwrap();
    let answer = connector.call(HttpRequest::try_from(request).unwrap());
    let answer = timeout(PATIENCE, answer).await.unwrap()?;
    assert_eq!(answer.status().as_u16(), 200);
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
    Ok(body.to_bytes().to_vec())
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let server = Server::good(Manner::Echo).await;
    let client = server.client();
    let large: Vec<u8> = (0..LARGE).map(|index| u8::try_from(index % 251).unwrap()).collect();
    for body in [b"one".to_vec(), Vec::new(), large] {
        // As an SDK, which wants a connector for each request.
        let connector = client.clone().connector(None, Some(PATIENCE));
        assert!(ask(&connector, &server.url, &body).await.unwrap() == body);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn who_is_not_trusted_gets_no_request() {
    let (server, other) = (Server::good(Manner::Echo).await, Server::good(Manner::Echo).await);
    let misnamed = Server::start(Manner::Echo, "sqs.example").await;
    for (roots, server, why) in [
        (&other.roots, &server, "invalid peer certificate: UnknownIssuer"),
        (&Arc::new(RootCertStore::empty()), &server, "invalid peer certificate: UnknownIssuer"),
        (&misnamed.roots, &misnamed, "certificate not valid for name \"127.0.0.1\""),
    ] {
        let client = Https::with_roots(Arc::clone(roots));
        let error = ask(&client.connector(None, None), &server.url, b"").await.unwrap_err();
        assert!(error.is_io() && chain(&error).contains(why), "{error:?}");
    }
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let server = Server::good(Manner::Modern).await;
    let error = ask(&server.client().connector(None, None), &server.url, b"").await.unwrap_err();
    assert!(error.is_io() && chain(&error).contains("NoApplicationProtocol"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = Server::good(Manner::Dead).await;
    let error = ask(&server.client().connector(Some(SHORT), None), &server.url, b"").await.unwrap_err();
    assert!(error.is_timeout() && chain(&error).contains("no connection within 200ms"), "{error:?}");

    let server = Server::good(Manner::Silent).await;
    let error = ask(&server.client().connector(None, Some(SHORT)), &server.url, b"").await.unwrap_err();
    assert!(error.is_timeout() && chain(&error).contains("no answer within 200ms"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_matter_of_time() {
    for scheme in ["http", "https"] {
        let client = Https::with_roots(Arc::new(RootCertStore::empty()));
        let error = ask(&client.connector(None, None), &format!("{scheme}://127.0.0.1:1/"), b"").await.unwrap_err();
        assert!(error.is_io() && chain(&error).contains("Connection refused"), "{error:?}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_was_idle_is_not_used_again() {
    let mut server = Server::good(Manner::EchoOnce).await;
    let connector = server.client().connector(None, None);
    for number in 1..=3 {
        assert_eq!(ask(&connector, &server.url, b"one").await.unwrap(), b"one");
        server.wait_for_ended(number).await;
        assert_eq!(server.connections(), number);
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_under_a_request_is_a_matter_of_time() {
    for goodbye in [true, false] {
        let server = Server::good(Manner::EchoThenHangUp { goodbye }).await;
        let connector = server.client().connector(None, None);
        assert_eq!(ask(&connector, &server.url, b"one").await.unwrap(), b"one");
        let error = ask(&connector, &server.url, b"two").await.unwrap_err();
        assert_eq!((server.connections(), error.is_io()), (1, !goodbye), "{error:?}");
        assert_eq!(error.as_other(), goodbye.then_some(ErrorKind::TransientError), "{error:?}");
        // The next one is over another.
        assert_eq!(ask(&connector, &server.url, b"two").await.unwrap(), b"two");
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn a_request_that_is_none_is_the_fault_of_whoever_asks() {
    let connector = Https::with_roots(Arc::new(RootCertStore::empty())).connector(None, None);
    let error = ask(&connector, "gopher://127.0.0.1/", b"").await.unwrap_err();
    assert!(chain(&error).contains("unsupported scheme gopher"), "{error:?}");
}
