//! The HTTPS client beneath the AWS SDKs and beneath [`crate::request`]: HTTP/1.1 over rustls on ring, by the system's roots
//! (or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`).
//!
//! Connections and their pool are hyper's; here they are joined to the SDKs, which say how long they wait and want to know what an
//! error means. The client that the SDKs bring along (`aws-smithy-http-client`) cannot be had without HTTP/2, which no service needs
//! here: with it, the relay had 6,596,344 octets instead of 6,058,552. As with that one, no proxy is asked: `HTTPS_PROXY` means
//! nothing.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, Once, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, HttpConnector as Tcp, capture_connection};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

/// The longest time for a connection, from the name to the end of TLS's handshake, where whoever asks says nothing.
pub const CONNECT: Duration = Duration::from_secs(5);

/// The system's roots, read once: some hundred certificates.
static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // What among them does not read is no reason to trust none.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?found.errors, "the system trusts nobody, so AWS cannot be reached: install ca-certificates");
    }
    Arc::new(roots)
});

/// The client. Its clones share their connections.
#[derive(Clone, Debug)]
pub struct Https {
    tls: Arc<Tls>,
    /// By the longest time that a connection may take; SDKs have a few.
    pools: Arc<Mutex<HashMap<Duration, Pool>>>,
}

/// Of a client, what waits as long as it was told to.
#[derive(Debug)]
pub struct Connector {
    https: Https,
    connect: Duration,
    read: Option<Duration>,
}

/// Made for the first request. An error only for a provider of cryptography without a cipher suite, and ring has some.
type Tls = LazyLock<
    Result<Arc<ClientConfig>, rustls::Error>,
    Box<dyn FnOnce() -> Result<Arc<ClientConfig>, rustls::Error> + Send>,
>;

type Pool = Client<Connect, SdkBody>;
type BoxError = Box<dyn Error + Send + Sync>;

/// Connects within a time.
#[derive(Clone, Debug)]
struct Connect {
    https: HttpsConnector<Tcp>,
    limit: Duration,
}

/// Nobody answered in time.
#[derive(Debug, thiserror::Error)]
enum Late {
    #[error("there was no connection within {0:?}")]
    Connection(Duration),
    #[error("there was no answer within {0:?}")]
    Answer(Duration),
}

impl Https {
    /// One that has no connection yet. The system's roots are read on a thread of their own, beside whatever is done before the
    /// first request: that takes some ten milliseconds, in which a primary can be asked.
    pub fn new() -> Self {
        static BEGUN: Once = Once::new();
        BEGUN.call_once(|| {
            let begun = thread::Builder::new().name("roots".to_owned()).spawn(|| _ = LazyLock::force(&ROOTS));
            // Where there is no thread to be had, the first request reads them.
            drop(begun);
        });
        Self::trusting(|| Arc::clone(&ROOTS))
    }

    /// One that trusts these.
    pub fn with_roots(roots: Arc<RootCertStore>) -> Self {
        Self::trusting(|| roots)
    }

    fn trusting(roots: impl FnOnce() -> Arc<RootCertStore> + Send + 'static) -> Self {
        let tls = move || {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
            let mut config = builder.with_root_certificates(roots()).with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        };
        Self { tls: Arc::new(Tls::new(Box::new(tls))), pools: Arc::default() }
    }

    /// For an SDK.
    pub fn shared(self) -> SharedHttpClient {
        SharedHttpClient::new(self)
    }

    /// What waits for a connection so long, [`CONNECT`] if nothing is said, and from the request to the head of its answer so long.
    pub fn connector(&self, connect: Option<Duration>, read: Option<Duration>) -> Connector {
        Connector { https: self.clone(), connect: connect.unwrap_or(CONNECT), read }
    }

    fn pool(&self, limit: Duration) -> Result<Pool, rustls::Error> {
        let tls = Result::clone(&self.tls)?;
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(limit).or_insert_with(|| {
            let mut tcp = Tcp::new();
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            let connect = Connect { https: HttpsConnector::from((tcp, tls)), limit };
            // Without the timer, what is idle would be kept until it is looked for.
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connect)
        });
        Ok(pool.clone())
    }
}

impl Default for Https {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpClient for Https {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.connector(settings.connect_timeout(), settings.read_timeout()))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (pool, mut request) = match (self.https.pool(self.connect), request.try_into_http1x()) {
            (Ok(pool), Ok(request)) => (pool, request),
            (Err(error), _) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
            (_, Err(error)) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let captured = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            // So that a connection on which something went wrong is not used again.
            capture.set_connection_retriever(move || {
                captured.connection_metadata().as_ref()?;
                let captured = captured.clone();
                let poison = move || captured.connection_metadata().iter().for_each(Connected::poison);
                Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
            });
        }
        let read = self.read;
        HttpConnectorFuture::new(async move {
            let answer = pool.request(request);
            let answer = match read {
                None => answer.await,
                Some(read) => {
                    let late = |_| ConnectorError::timeout(Late::Answer(read).into());
                    timeout(read, answer).await.map_err(late)?
                }
            };
            let answer = answer.map_err(understand)?.map(SdkBody::from_body_1_x);
            Response::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl Service<Uri> for Connect {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (connection, limit) = (self.https.call(url), self.limit);
        Box::pin(async move { timeout(limit, connection).await.map_err(|_| Late::Connection(limit))? })
    }
}

/// What an error means to an SDK: whether time may help, so that it asks again, and whether the connection is still good.
fn understand(error: legacy::Error) -> ConnectorError {
    if source_of::<Late>(&error).is_some() {
        return ConnectorError::timeout(error.into());
    }
    if error.is_connect() || source_of::<io::Error>(&error).is_some() {
        return ConnectorError::io(error.into());
    }
    match source_of::<hyper::Error>(&error) {
        Some(hyper) if hyper.is_user() => ConnectorError::user(error.into()),
        Some(hyper) if hyper.is_timeout() => ConnectorError::timeout(error.into()),
        Some(hyper) if hyper.is_closed() || hyper.is_canceled() => ConnectorError::io(error.into()),
        // The service closed it just when it was used again. The request may have been read: whoever asked knows whether it may be
        // sent twice.
        Some(hyper) if hyper.is_incomplete_message() => {
            ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
        }
        _ => ConnectorError::other(error.into(), None),
    }
}

fn source_of<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests;
