//! Lambda and its event source, played for several workers at once: the runtime API that a `bootstrap` asks, over a queue that
//! hands out as SQS does, and what of SQS a worker asks for. ministack works on one batch at a time; here each worker has one.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path as Segment, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use secondary53_zone::message::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::StackError;
use super::wait::unix_ms;
use crate::fifo::{self, Queue, Stored};

/// As the template has it.
const INVOCATION: Duration = Duration::from_mins(5);
/// Until a worker that found the queue empty looks again.
const PAUSE: Duration = Duration::from_millis(20);
const MAIN: &str = "main.fifo";

/// Dropped, it ends.
#[derive(Debug)]
pub struct Lambda {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    random: Mutex<StdRng>,
    /// Batches that a worker has, by the request's id.
    flights: Mutex<HashMap<String, Vec<Stored>>>,
    counter: Mutex<u64>,
}

impl Lambda {
    /// Starts it on a free port, the queue empty.
    ///
    /// # Errors
    /// There is none.
    pub async fn start() -> Result<Self, StackError> {
        let failed = || StackError::io("listen as Lambda");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            random: Mutex::new(StdRng::seed_from_u64(0)),
            flights: Mutex::default(),
            counter: Mutex::default(),
        });
        let app = Router::new()
            .route("/", post(sqs))
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        // Else an answer in two parts waits 40 ms for an acknowledgement.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, shared, task })
    }

    /// Starts one of so many workers, which lives as long as what is given back.
    ///
    /// # Errors
    /// There is no such program.
    pub fn worker(&self, bootstrap: &Path, workers: u32, route53: &str) -> Result<Child, StackError> {
        let endpoint = format!("http://{}", self.address);
        Command::new(bootstrap)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
                ("AWS_LAMBDA_FUNCTION_NAME", "worker".to_owned()),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "g".to_owned()),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "s".to_owned()),
                ("AWS_REGION", "eu-west-1".to_owned()),
                ("AWS_ACCESS_KEY_ID", "test".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
                ("AWS_ENDPOINT_URL_ROUTE_53", route53.to_owned()),
                ("AWS_ENDPOINT_URL_SQS", endpoint.clone()),
                ("QUEUE_URL", format!("{endpoint}/{MAIN}")),
                ("DLQ_URL", format!("{endpoint}/dlq.fifo")),
                ("WORKERS", workers.to_string()),
                ("RUST_LOG", "error".to_owned()),
            ])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(StackError::io(format!("start {}", bootstrap.display())))
    }

    /// Puts a message into the queue.
    pub fn send(&self, message: &Message) {
        self.shared.queue().send(&fifo::request(MAIN, message), now());
    }

    /// Whether all is done that was sent, and nothing was put aside; an error where something was.
    ///
    /// # Errors
    /// Something is in the dead-letter queue.
    pub fn is_done(&self) -> Result<bool, StackError> {
        let queue = self.shared.queue();
        match queue.dead.first() {
            Some(dead) => Err(StackError::step("bring all through", &format!("{:?}", dead.quarantine()))),
            None => Ok(queue.is_empty()),
        }
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        held(&self.queue)
    }
}

/// No step is left half done by a panic.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> Duration {
    Duration::from_millis(unix_ms())
}

async fn next(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let batch = loop {
        let batch = shared.queue().receive(&mut held(&shared.random), now());
        if !batch.is_empty() {
            break batch;
        }
        tokio::time::sleep(PAUSE).await;
    };
    let records: Vec<Value> = batch.iter().map(Stored::record).collect();
    let id = {
        let mut counter = held(&shared.counter);
        *counter += 1;
        counter.to_string()
    };
    held(&shared.flights).insert(id.clone(), batch);
    let deadline = (now() + INVOCATION).as_millis();
    Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:worker")
        .body(Body::from(json!({ "Records": records }).to_string()))
        .unwrap_or_default()
}

async fn response(State(shared): State<Arc<Shared>>, Segment(id): Segment<String>, body: Bytes) -> StatusCode {
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let failed: Vec<&str> = answer["batchItemFailures"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|failure| failure["itemIdentifier"].as_str())
        .collect();
    let batch = held(&shared.flights).remove(&id).unwrap_or_default();
    for message in batch.iter().filter(|message| !failed.contains(&message.id.as_str())) {
        shared.queue().delete(&message.id);
    }
    StatusCode::ACCEPTED
}

async fn sqs(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let action = target.rsplit('.').next().unwrap_or_default();
    let request = serde_json::from_slice(&body).unwrap_or_default();
    let answer = shared.queue().answer(action, &request, now());
    let status = if answer.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let body = answer.unwrap_or_else(|| json!({"__type": "InvalidAction", "message": target}));
    (status, [("content-type", "application/x-amz-json-1.0")], body.to_string()).into_response()
}
