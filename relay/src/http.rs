//! What is to be seen, over HTTP: `/` for a person, `/zones` for a program, `/metrics` for Prometheus, `/healthz` for whoever
//! watches over the process.
//!
//! Read-only: GET and HEAD, and nothing that was sent is ever acted on. Bounded: connections, the octets and the time of a
//! request. Each request asks the loop for a copy of what is to be seen ([`View`]); the text is made on a thread of its own.

mod metrics;
mod page;
mod select;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

pub use self::metrics::metrics;
pub use self::page::page;
pub(crate) use self::page::span;
pub use self::select::{Listing, Query, list};
use crate::view::View;

/// A question to the loop.
#[derive(Debug)]
pub struct Ask {
    /// Whether the zones are wanted too: there may be ten thousand.
    pub zones: bool,
    /// Where the answer goes.
    pub answer: oneshot::Sender<View>,
}

type Answer = Response<Full<Bytes>>;

/// Connections at once.
const CONNECTIONS: usize = 32;
/// Texts made at once: the larger ones take some milliseconds and megabytes.
const TEXTS: usize = 2;
/// The longest wait for a request.
const REQUEST: Duration = Duration::from_secs(10);
/// The longest life of a connection.
const LIFE: Duration = Duration::from_mins(1);
/// The longest wait for the loop. It answers at once, unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest head of a request, in octets; hyper takes no less.
const HEAD: usize = 8 << 10;
/// The pause after an error of the socket, lest it be an error each time.
const PAUSE: Duration = Duration::from_millis(100);

const PLAIN: &str = "text/plain; charset=utf-8";
/// The format of Prometheus, with its version.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The page brings its style along and needs nothing else: what stands in a zone's name or an error does not run.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Binds the address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, asks: mpsc::Sender<Ask>) {
    let (connections, texts) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(TEXTS)));
    let mut open = JoinSet::new();
    loop {
        // Before one is accepted: what is over the limit waits in the socket.
        let Ok(slot) = Arc::clone(&connections).acquire_owned().await else { return };
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "failed to accept a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        while open.try_join_next().is_some() {}
        let (asks, texts) = (asks.clone(), Arc::clone(&texts));
        open.spawn(async move {
            let _slot = slot;
            match timeout(LIFE, converse(stream, asks, texts)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%source, %error, "connection ended"),
                Err(_) => tracing::debug!(%source, "connection took too long"),
            }
        });
    }
}

async fn converse(stream: TcpStream, asks: mpsc::Sender<Ask>, texts: Arc<Semaphore>) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let (asks, texts) = (asks.clone(), Arc::clone(&texts));
        async move { Ok::<_, Infallible>(answer(&request, &asks, &texts).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer<B>(request: &Request<B>, asks: &mpsc::Sender<Ask>, texts: &Semaphore) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET or HEAD\n".to_owned());
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    // What is made of a view, and of which; a thread may be needed for it.
    let make: fn(&View, &Query) -> Answer = match request.uri().path() {
        "/healthz" => |view, _| health(view),
        "/metrics" => |view, _| text(StatusCode::OK, PROMETHEUS, metrics(view)),
        "/zones" => |view, query| json(view, query),
        "/" => |view, query| html(view, query),
        _ => return text(StatusCode::NOT_FOUND, PLAIN, "there are /, /zones, /metrics and /healthz\n".to_owned()),
    };
    let zones = request.uri().path() != "/healthz";
    // Held while the text is made, too; so are the copies few that are there at once.
    let Ok(_turn) = texts.acquire().await else { return stuck("stopping") };
    let (sender, receiver) = oneshot::channel();
    if asks.try_send(Ask { zones, answer: sender }).is_err() {
        return stuck("the relay is stopping, or asked too much");
    }
    let view = match timeout(PATIENCE, receiver).await {
        Ok(Ok(view)) => view,
        Ok(Err(_)) => return stuck("the relay is stopping"),
        Err(_) => return stuck("the relay's loop has given no answer for 5 s"),
    };
    let made = spawn_blocking(move || make(&view, &query)).await;
    made.unwrap_or_else(|error| text(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{error}\n")))
}

fn health(view: &View) -> Answer {
    match view.illness() {
        None => text(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, why + "\n"),
    }
}

fn json(view: &View, query: &Query) -> Answer {
    match serde_json::to_string(&list(view, query)) {
        Ok(json) => text(StatusCode::OK, "application/json", json + "\n"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{error}\n")),
    }
}

fn html(view: &View, query: &Query) -> Answer {
    let mut answer = text(StatusCode::OK, "text/html; charset=utf-8", page(view, query));
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

fn stuck(why: &str) -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n"))
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Answer {
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}
