//! Queues and a bucket that take everything at once and keep only what it was: what benchmarks of the relay send to, so that
//! they measure the relay.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{post, put};
use secondary53_zone::{Name, Serial};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StackError;
use super::usage::now;

/// The most octets of one object.
const OBJECT: usize = 1 << 30;

/// Dropped, it ends.
#[derive(Debug)]
pub struct Sink {
    /// For `AWS_ENDPOINT_URL_SQS` and `AWS_ENDPOINT_URL_S3`, behind `http://`.
    pub address: SocketAddr,
    accepted: watch::Sender<Vec<Accepted>>,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// A message that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The zone.
    pub zone: Name,
    /// Its serial.
    pub serial: Serial,
    /// Octets of its body.
    pub octets: usize,
    /// When it came.
    pub at: Instant,
}

impl Sink {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// There is none.
    pub async fn start() -> Result<Self, StackError> {
        let failed = StackError::io("listen for messages");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(StackError::io("listen for messages"))?;
        let (accepted, requests) = (watch::Sender::<Vec<Accepted>>::default(), Arc::<AtomicUsize>::default());
        let app = Router::new()
            .route("/", post(message))
            .route("/{*object}", put(object))
            .layer(DefaultBodyLimit::max(OBJECT))
            .with_state((Arc::new(accepted.clone()), Arc::clone(&requests)));
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, accepted, requests, task })
    }

    /// Requests with messages so far; several messages may be in one.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// What came so far, and what comes.
    pub fn accepted(&self) -> watch::Receiver<Vec<Accepted>> {
        self.accepted.subscribe()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One message, or several in a request.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sent {
    #[serde(rename_all = "PascalCase")]
    Several {
        entries: Vec<One>,
    },
    One(One),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct One {
    #[serde(default)]
    id: String,
    message_body: String,
    message_attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    zone: Attribute,
    serial: Attribute,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    string_value: String,
}

type Noted = (Arc<watch::Sender<Vec<Accepted>>>, Arc<AtomicUsize>);

async fn message(State((accepted, requests)): State<Noted>, body: Bytes) -> Response {
    let at = now();
    requests.fetch_add(1, Ordering::Relaxed);
    let (entries, is_batch) = match serde_json::from_slice(&body) {
        Ok(Sent::Several { entries }) => (entries, true),
        Ok(Sent::One(one)) => (vec![one], false),
        Err(_) => return axum::http::StatusCode::BAD_REQUEST.into_response(),
    };
    let read = |One { message_body, message_attributes: Attributes { zone, serial }, .. }: &One| {
        let (zone, serial) = (zone.string_value.parse().ok()?, serial.string_value.parse().ok()?);
        Some(Accepted { zone, serial, octets: message_body.len(), at })
    };
    let Some(read) = entries.iter().map(read).collect::<Option<Vec<_>>>() else {
        return axum::http::StatusCode::BAD_REQUEST.into_response();
    };
    accepted.send_modify(|all| all.extend(read));
    let one = |id: &str| json!({"Id": id, "MessageId": "1", "MD5OfMessageBody": "", "SequenceNumber": "1"});
    let mut answers: Vec<_> = entries.iter().map(|entry| one(&entry.id)).collect();
    let answer = if is_batch { json!({"Successful": answers, "Failed": []}) } else { answers.remove(0) };
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response()
}

async fn object(_: Bytes) -> Response {
    [("etag", "\"0\"")].into_response()
}
