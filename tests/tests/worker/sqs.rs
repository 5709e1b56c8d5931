//! As much of SQS as a worker needs to say when messages come again.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use axum::extract::State;
use axum::{Router, http::header, routing::post};
use secondary53_aws::Https;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Stops when dropped.
pub(crate) struct Sqs {
    endpoint: String,
    asked: Asked,
    _server: JoinSet<()>,
}

type Asked = Arc<Mutex<Vec<Value>>>;

impl Sqs {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Asked::default();
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&asked));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, asked, _server: server }
    }

    pub(crate) fn client(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::for_tests())
            .endpoint_url(&self.endpoint)
            .http_client(Https::new().shared())
            .build();
        aws_sdk_sqs::Client::from_conf(config)
    }

    /// What was asked since the last time: the queue's URL, and of each message its receipt and in how many seconds it is
    /// to come again.
    pub(crate) fn asked(&self) -> Vec<(String, Vec<(String, u64)>)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let entry = |entry: &Value| (text(&entry["ReceiptHandle"]), entry["VisibilityTimeout"].as_u64().unwrap());
        asked
            .iter()
            .map(|asked| (text(&asked["QueueUrl"]), asked["Entries"].as_array().unwrap().iter().map(entry).collect()))
            .collect()
    }
}

async fn answer(State(asked): State<Asked>, body: String) -> ([(header::HeaderName, &'static str); 1], String) {
    let request: Value = serde_json::from_str(&body).unwrap();
    let done = |entry: &Value| json!({ "Id": entry["Id"] });
    let done: Vec<_> = request["Entries"].as_array().unwrap().iter().map(done).collect();
    asked.lock().unwrap().push(request);
    ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], json!({ "Successful": done, "Failed": [] }).to_string())
}
