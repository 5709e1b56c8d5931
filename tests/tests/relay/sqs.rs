//! The part of SQS that the relay speaks to: `SendMessage` and `SendMessageBatch` in the JSON protocol, and the ways to be out
//! of order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
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
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// Queues on loopback that accept what they are told to. Dropping it ends it.
pub struct Sqs {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    ending: Arc<Notify>,
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

/// What a request is refused with: the status, and the code that stands in the body, if any does.
pub type Refusal = (u16, Option<&'static str>);

type Judge = Box<dyn Fn(&str) -> Option<Refusal> + Send>;

struct Shared {
    requests: watch::Sender<usize>,
    /// Says with what a request is refused, by the access key that it is signed with.
    judge: Mutex<Judge>,
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
            requests: watch::Sender::default(),
            judge: Mutex::new(Box::new(|_| None)),
            accepted: watch::Sender::default(),
            refused: watch::Sender::default(),
            out_of_order: watch::Sender::default(),
            arrived: watch::Sender::default(),
            held: watch::Sender::default(),
        });
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/", post(answer)).with_state(Arc::clone(&shared));
        let ending = Arc::new(Notify::new());
        let end = Arc::clone(&ending);
        let serve = axum::serve(listener, app).with_graceful_shutdown(async move { end.notified().await });
        let task = tokio::spawn(async move { serve.await.unwrap() });
        Self { address, shared, ending, task }
    }

    /// It is there no more: nobody listens at its address, and connections that are open are closed. What it has accepted.
    pub async fn stop(mut self) -> Vec<Accepted> {
        self.ending.notify_one();
        timeout(PATIENCE, &mut self.task).await.unwrap().unwrap();
        self.accepted()
    }

    /// From now on requests that are signed with these access keys are refused.
    pub fn refuse(&self, judge: impl Fn(&str) -> Option<Refusal> + Send + 'static) {
        *self.shared.judge.lock().unwrap() = Box::new(judge);
    }

    /// Requests since the start.
    pub fn requests(&self) -> usize {
        *self.shared.requests.borrow()
    }

    /// Waits for so many requests since the start.
    pub async fn wait_for_requests(&self, count: usize) {
        let mut requests = self.shared.requests.subscribe();
        timeout(PATIENCE, requests.wait_for(|requests| *requests >= count)).await.unwrap().unwrap();
    }

    /// Waits until what was accepted since the start is so.
    pub async fn wait_until(&self, is_so: impl Fn(&[Accepted]) -> bool) -> Vec<Accepted> {
        let mut accepted = self.shared.accepted.subscribe();
        let waited = timeout(PATIENCE, accepted.wait_for(|accepted| is_so(accepted))).await;
        let so_far = || self.accepted().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        waited.unwrap_or_else(|_| panic!("this was accepted: {}", so_far())).unwrap().clone()
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

    /// Messages that have arrived since the start, answered or not.
    pub fn arrived(&self) -> usize {
        *self.shared.arrived.borrow()
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

impl std::fmt::Display for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.message.zone, self.message.serial)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap();
    let entries = match headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.SendMessage" => std::slice::from_ref(&request),
        "AmazonSQS.SendMessageBatch" => request["Entries"].as_array().unwrap(),
        other => panic!("{other}"),
    };
    assert!((1..=10).contains(&entries.len()));
    let is_batch = request["Entries"].is_array();
    shared.arrived.send_modify(|arrived| *arrived += entries.len());
    shared.requests.send_modify(|requests| *requests += 1);
    // Credential=ACCESS_KEY/20260101/eu-west-1/sqs/aws4_request
    let credential = headers["authorization"].to_str().unwrap().split_once("Credential=").unwrap().1;
    let access_key = credential.split_once('/').unwrap().0;
    let refused = (shared.judge.lock().unwrap())(access_key);
    if let Some((status, code)) = refused {
        shared.refused.send_modify(|refused| *refused += entries.len());
        let status = StatusCode::from_u16(status).unwrap();
        let Some(code) = code else { return status.into_response() };
        let error = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "These are the words of AWS."});
        return (status, error.to_string()).into_response();
    }
    let queue = request["QueueUrl"].as_str().unwrap().to_owned();
    let answers = |held: &Option<String>| held.as_ref().is_none_or(|suffix| !queue.ends_with(suffix));
    shared.held.subscribe().wait_for(answers).await.unwrap();
    if shared.out_of_order.borrow().as_ref().is_some_and(|suffix| queue.ends_with(suffix)) {
        shared.refused.send_modify(|refused| *refused += entries.len());
        let error =
            json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "The specified queue does not exist."});
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    }
    let successful: Vec<_> = entries.iter().map(|entry| accept(&shared, &queue, entry)).collect();
    let answer =
        if is_batch { json!({"Successful": successful, "Failed": []}) } else { successful.into_iter().next().unwrap() };
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response()
}

/// Takes one message; what is said of it.
fn accept(shared: &Shared, queue: &str, entry: &Value) -> Value {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let attributes = entry["MessageAttributes"].as_object().unwrap();
    for (name, attribute) in attributes {
        assert_eq!(attribute["DataType"], if name == "ExtendedPayloadSize" { "Number" } else { "String" }, "{name}");
    }
    let message =
        Message::from_parts(text("MessageBody"), |name| attributes.get(name)?["StringValue"].as_str()).unwrap();
    let (group, deduplication) = (text("MessageGroupId"), text("MessageDeduplicationId"));
    shared.accepted.send_modify(|all| all.push(Accepted { queue: queue.to_owned(), group, deduplication, message }));
    let number = shared.accepted.borrow().len().to_string();
    json!({"Id": entry["Id"], "MessageId": number, "MD5OfMessageBody": "", "SequenceNumber": number})
}
