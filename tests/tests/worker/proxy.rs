//! A proxy before the API that loses requests and answers, as networks do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It gets its answer.
    Answered,
    /// It is carried out, and the connection is cut before the answer.
    AnswerLost,
    /// The connection is cut before it is carried out.
    RequestLost,
    /// IAM does not allow it.
    Denied,
}

/// Stops when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    _connections: JoinSet<()>,
}

/// Takes the first line of a request.
type Judge = Arc<Mutex<dyn FnMut(&str) -> Fate + Send>>;

impl Proxy {
    pub(crate) async fn start(upstream: &str, judge: impl FnMut(&str) -> Fate + Send + 'static) -> Self {
        let upstream: SocketAddr = upstream.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let judge: Judge = Arc::new(Mutex::new(judge));
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                open.spawn(connection(client, upstream, Arc::clone(&judge)));
            }
        });
        Self { address, _connections: connections }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Ends with the client's connection, or cuts it.
async fn connection(client: TcpStream, upstream: SocketAddr, judge: Judge) {
    let mut client = BufReader::new(client);
    while let Some(request) = message(&mut client).await {
        let line =
            String::from_utf8_lossy(request.split(|octet| *octet == b'\r').next().unwrap_or_default()).into_owned();
        let fate = judge.lock().unwrap()(&line);
        if fate == Fate::RequestLost {
            return;
        }
        if fate == Fate::Denied {
            if client.write_all(denied().as_bytes()).await.is_err() {
                return;
            }
            continue;
        }
        let mut server = BufReader::new(TcpStream::connect(upstream).await.unwrap());
        server.write_all(&request).await.unwrap();
        let answer = message(&mut server).await.unwrap();
        if fate == Fate::AnswerLost || client.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn denied() -> String {
    let error = "<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error>";
    let body = format!("<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>");
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// One HTTP message with a `Content-Length`, whole.
async fn message(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut length = 0;
    loop {
        let begun = octets.len();
        if stream.read_until(b'\n', &mut octets).await.ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&octets[begun..]).trim().to_ascii_lowercase();
        assert!(!line.starts_with("transfer-encoding:"), "only bodies of a stated length are read here");
        if let Some(stated) = line.strip_prefix("content-length:") {
            length = stated.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let body = octets.len();
    octets.resize(body + length, 0);
    stream.read_exact(&mut octets[body..]).await.ok()?;
    Some(octets)
}
