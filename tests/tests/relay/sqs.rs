//! The part of SQS that the relay speaks to: `SendMessage` in the JSON protocol, and the ways to be out of order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use secondary53_zone::message::Message;
use secondary53_zone::{Limits, Snapshot};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// Queues on loopback that accept what they are told to. Dropping it ends it.
pub struct Sqs {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What a queue accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub queue: String,
    pub group: String,
    pub deduplication: String,
    pub message: Message,
}

struct Shared {
    accepted: watch::Sender<Vec<Accepted>>,
    refused: watch::Sender<usize>,
    /// Queues whose URL ends so are out of order.
    out_of_order: watch::Sender<Option<String>>,
    arrived: watch::Sender<usize>,
    /// Queues whose URL ends so do not answer.
    held: watch::Sender<Option<String>>,
}

impl Sqs {
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            accepted: watch::Sender::default(),
            refused: watch::Sender::default(),
            out_of_order: watch::Sender::default(),
            arrived: watch::Sender::default(),
            held: watch::Sender::default(),
        });
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/", post(answer)).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared, task }
    }

    /// Refuses what is for queues whose URL ends so, until told otherwise.
    pub fn set_out_of_order(&self, suffix: Option<&str>) {
        self.shared.out_of_order.send_replace(suffix.map(str::to_owned));
    }

    pub fn accepted(&self) -> Vec<Accepted> {
        self.shared.accepted.borrow().clone()
    }

    /// Waits until so many messages were accepted since the start.
    pub async fn wait_for(&self, count: usize) -> Vec<Accepted> {
        let mut accepted = self.shared.accepted.subscribe();
        let enough = accepted.wait_for(|accepted| accepted.len() >= count);
        let enough = timeout(PATIENCE, enough).await;
        enough.unwrap_or_else(|_| panic!("{count} messages, and not {}", self.accepted().len())).unwrap().clone()
    }

    /// Holds back every answer, until told otherwise.
    pub fn set_held(&self, held: bool) {
        self.hold(held.then_some(""));
    }

    /// Holds back the answers of queues whose URL ends so, until told otherwise.
    pub fn hold(&self, suffix: Option<&str>) {
        self.shared.held.send_replace(suffix.map(str::to_owned));
    }

    /// Waits until so many messages have arrived since the start, answered or not.
    pub async fn wait_for_arrived(&self, count: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        timeout(PATIENCE, arrived.wait_for(|arrived| *arrived >= count)).await.unwrap().unwrap();
    }

    /// Waits until so many messages were refused since the start.
    pub async fn wait_for_refused(&self, count: usize) {
        let mut refused = self.shared.refused.subscribe();
        timeout(PATIENCE, refused.wait_for(|refused| *refused >= count)).await.unwrap().unwrap();
    }
}

impl Drop for Sqs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Accepted {
    pub fn snapshot(&self) -> Snapshot {
        self.message.snapshot(Limits::default()).unwrap()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    assert_eq!(headers["x-amz-target"], "AmazonSQS.SendMessage");
    let request: Value = serde_json::from_str(&body).unwrap();
    shared.arrived.send_modify(|arrived| *arrived += 1);
    let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
    let queue = text("QueueUrl");
    let answers = |held: &Option<String>| held.as_ref().is_none_or(|suffix| !queue.ends_with(suffix));
    shared.held.subscribe().wait_for(answers).await.unwrap();
    if shared.out_of_order.borrow().as_ref().is_some_and(|suffix| queue.ends_with(suffix)) {
        shared.refused.send_modify(|refused| *refused += 1);
        let error =
            json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "The specified queue does not exist."});
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    }
    let attributes = request["MessageAttributes"].as_object().unwrap();
    for (name, attribute) in attributes {
        assert_eq!(attribute["DataType"], if name == "ExtendedPayloadSize" { "Number" } else { "String" }, "{name}");
    }
    let message =
        Message::from_parts(text("MessageBody"), |name| attributes.get(name)?["StringValue"].as_str()).unwrap();
    let accepted =
        Accepted { queue, group: text("MessageGroupId"), deduplication: text("MessageDeduplicationId"), message };
    shared.accepted.send_modify(|all| all.push(accepted));
    let number = shared.accepted.borrow().len();
    let answer = json!({"MessageId": number.to_string(), "MD5OfMessageBody": "", "SequenceNumber": number.to_string()});
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response()
}
