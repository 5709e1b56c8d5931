//! A dead-letter queue on loopback: the part of SQS that the worker speaks to, `SendMessage` in the JSON protocol.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use secondary53_aws::Https;
use secondary53_lambda::quarantine::Quarantine;
use secondary53_zone::message::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::World;

/// Ends when dropped.
pub(crate) struct DeadLetters {
    url: String,
    endpoint: String,
    taken: Taken,
    task: JoinHandle<()>,
}

type Taken = Arc<Mutex<Vec<DeadLetter>>>;

/// What was put aside.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetter {
    /// The attribute `quarantine`.
    pub(crate) note: Value,
    /// The message as it came; none where it was none of ours.
    pub(crate) message: Option<Message>,
    pub(crate) group: String,
}

impl DeadLetters {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let taken = Taken::default();
        let app = Router::new().route("/", post(take)).with_state(Arc::clone(&taken));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url: format!("{endpoint}/000000000000/dead.fifo"), endpoint, taken, task }
    }

    pub(crate) fn quarantine(&self) -> Quarantine {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .endpoint_url(&self.endpoint)
            .http_client(Https::new().shared())
            .build();
        Quarantine::new(aws_sdk_sqs::Client::from_conf(config), Some(self.url.clone()))
    }

    /// What came since the last time, oldest first.
    pub(crate) fn take(&self) -> Vec<DeadLetter> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

/// A world whose worker has a dead-letter queue.
pub(crate) async fn world() -> (World, DeadLetters) {
    let mut world = World::start().await;
    let dead = DeadLetters::start().await;
    world.worker.quarantine = dead.quarantine();
    (world, dead)
}

/// The one message that was put aside.
pub(crate) fn one(dead: &DeadLetters) -> DeadLetter {
    let mut letters = dead.take();
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.remove(0)
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(taken): State<Taken>, headers: HeaderMap, body: String) -> Response {
    assert_eq!(headers["x-amz-target"], "AmazonSQS.SendMessage");
    let request: Value = serde_json::from_str(&body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let attribute = |name: &str| request["MessageAttributes"][name]["StringValue"].as_str();
    let letter = DeadLetter {
        note: serde_json::from_str(attribute("quarantine").unwrap()).unwrap(),
        message: Message::from_parts(text(&request["MessageBody"]), attribute).ok(),
        group: text(&request["MessageGroupId"]),
    };
    taken.lock().unwrap().push(letter);
    let answer = json!({"MessageId": "1", "MD5OfMessageBody": "", "SequenceNumber": "1"});
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response()
}
