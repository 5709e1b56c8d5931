//! The worker's start: milliseconds from its spawning to its first answer, and the most memory that it took.
//!
//! usage: `cold_start BOOTSTRAP [RUNS]`        target/worker/bootstrap; 20 runs where no number is given
//!
//! The part of Lambda's runtime API is played here, that of Route 53 by the strict hosted zone, both over the loopback: what
//! TLS takes beyond the loading of roots is not in the figures, nor what Lambda itself does before it starts the program.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use secondary53_lambda::value;
use secondary53_tests::hosted::holding;
use secondary53_tests::strict::{Config, Server, ZoneSpec};
use secondary53_tests::zones::{one_changed, reference};
use secondary53_zone::delta::Delta;
use secondary53_zone::message::{Message, Meta, Reason};
use secondary53_zone::rrset::Rtype;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::Zone;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Notify;

/// An invocation's time.
const INVOCATION_MS: u64 = 300_000;
const RUNS: usize = 20;
/// Near to what one message holds.
const LARGE: usize = 50_000;
/// Debian's; the template names Amazon Linux's.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Longer than a first sync takes at an account's rates.
const PATIENCE: Duration = Duration::from_secs(280);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The runtime API: one event, and then none.
#[derive(Default)]
struct Runtime {
    event: Mutex<Option<String>>,
    answer: Mutex<Option<(Instant, String)>>,
    answered: Notify,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments.next().ok_or("usage: cold_start BOOTSTRAP [RUNS]")?;
    let runs = arguments.next().map_or(Ok(RUNS), |runs| runs.parse())?;
    let empty = json!({ "Records": [] }).to_string();
    for (roots, what) in
        [(None, "an event without messages, roots as the system has them"), (Some(ROOTS), "an event without messages")]
    {
        let mut times = Vec::new();
        for _ in 0..runs {
            times.push(start(&bootstrap, &empty, None, roots).await?);
        }
        tell(what, &mut times);
    }

    let base = Snapshot::new(reference(10_000).map_err(|error| error.to_string())?);
    let next = one_changed(base.zone())?;
    let delta = Delta::between(&base, &next, usize::MAX);
    let next = Snapshot::new(next).with_delta(delta);
    let zones = vec![ZoneSpec::public("example.com")];
    let server = Server::start(Config { zones, max_rrsets: 20_000, ..Config::default() }).await?;
    let mut first = vec![start(&bootstrap, &event(&base, Reason::Initial)?, Some(&server), Some(ROOTS)).await?];
    tell("the first sync of 10,000 records", &mut first);
    let mut all = vec![start(&bootstrap, &event(&base, Reason::Audit)?, Some(&server), Some(ROOTS)).await?];
    tell("10,000 records compared in full", &mut all);
    let mut one = vec![start(&bootstrap, &event(&next, Reason::Notify)?, Some(&server), Some(ROOTS)).await?];
    tell("one of 10,000 records changed", &mut one);
    let large = reference(LARGE).map_err(|error| error.to_string())?;
    let zones = vec![ZoneSpec::public("example.com").with_id("Z1")];
    let server = Server::start(Config { zones, max_rrsets: 100_000, ..Config::default() }).await?;
    fill(&server, "Z1", &large)?;
    let event = event(&Snapshot::new(large), Reason::Audit)?;
    let mut large = vec![start(&bootstrap, &event, Some(&server), Some(ROOTS)).await?];
    tell("50,000 records compared in full, at Route 53's rates", &mut large);
    Ok(())
}

/// Gives a hosted zone what a zone holds, but for what is of the apex.
fn fill(server: &Server, id: &str, zone: &Zone) -> Result<(), Failure> {
    let hosted: Vec<_> = holding(zone)
        .into_iter()
        .map(|rrset| rrset.text)
        .filter(|text| text.name != *zone.apex() || !matches!(text.rtype, Rtype::SOA | Rtype::NS))
        .map(|text| (value::name_text(text.name.by_ref()), text.rtype.to_string(), text.ttl, text.values))
        .collect();
    let values: Vec<Vec<&str>> =
        hosted.iter().map(|(.., values)| values.iter().map(String::as_str).collect()).collect();
    let rrsets: Vec<_> = hosted
        .iter()
        .zip(&values)
        .map(|((name, rtype, ttl, _), values)| (name.as_str(), rtype.as_str(), *ttl, values.as_slice()))
        .collect();
    server.seed(id, &rrsets).map_err(Into::into)
}

fn tell(what: &str, runs: &mut [(Duration, u64)]) {
    runs.sort_unstable();
    let milliseconds = |run: &(Duration, u64)| run.0.as_secs_f64() * 1_000.0;
    let (median, longest) = (milliseconds(&runs[runs.len() / 2]), milliseconds(&runs[runs.len() - 1]));
    let memory = runs.iter().map(|(_, memory)| *memory).max().unwrap_or_default();
    println!("{what}: median {median:.1} ms, longest {longest:.1} ms, at most {memory} KiB");
}

fn event(snapshot: &Snapshot, reason: Reason) -> Result<String, Failure> {
    let message = Message::new(snapshot, reason, Meta { relay: "cold start".into(), ..Meta::default() })?;
    let attributes: serde_json::Map<_, _> = message
        .attributes()
        .into_iter()
        .map(|it| (it.name.to_owned(), json!({ "stringValue": it.value, "dataType": it.data_type })))
        .collect();
    let record = json!({
        "messageId": "1", "receiptHandle": "1", "body": message.body.as_text(), "messageAttributes": attributes,
        "attributes": { "MessageGroupId": message.group_id(), "ApproximateReceiveCount": "1" },
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:cold-start.fifo",
    });
    Ok(json!({ "Records": [record] }).to_string())
}

/// From the start to the answer, and the most memory in KiB.
async fn start(
    bootstrap: &str,
    event: &str,
    route53: Option<&Server>,
    roots: Option<&str>,
) -> Result<(Duration, u64), Failure> {
    let runtime = Arc::new(Runtime::default());
    *runtime.event.lock().map_err(|error| error.to_string())? = Some(event.to_owned());
    let address = serve(Arc::clone(&runtime)).await?;
    let nowhere = "http://127.0.0.1:9".to_owned();
    let answered = runtime.answered.notified();
    let begun = clock();
    let mut worker = Command::new(bootstrap)
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address.to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "worker"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL_ROUTE_53", &route53.map_or(nowhere, Server::endpoint)),
            ("WORKERS", "1"),
            ("RUST_LOG", "error"),
        ])
        .envs(roots.map(|roots| ("SSL_CERT_FILE", roots)))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    tokio::time::timeout(PATIENCE, answered).await?;
    let answer = runtime.answer.lock().map_err(|error| error.to_string())?.take();
    let (at, answer) = answer.ok_or("no answer")?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id().unwrap_or_default()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    worker.kill().await?;
    if answer != r#"{"batchItemFailures":[]}"# {
        return Err(answer.into());
    }
    Ok((at.saturating_duration_since(begun), peak.unwrap_or_default()))
}

async fn serve(runtime: Arc<Runtime>) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .layer(DefaultBodyLimit::disable())
        .with_state(runtime);
    // Else an answer in two parts waits 40 ms for an acknowledgement, and that would be the figure.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response<Body> {
    let event = runtime.event.lock().ok().and_then(|mut event| event.take());
    let Some(event) = event else {
        // A worker that was frozen.
        return std::future::pending().await;
    };
    let deadline = unix_ms() + INVOCATION_MS;
    Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        .header("Lambda-Runtime-Deadline-Ms", deadline)
        .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:worker")
        .body(Body::from(event))
        .unwrap_or_default()
}

async fn response(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    if let Ok(mut answer) = runtime.answer.lock() {
        *answer = Some((clock(), body));
    }
    runtime.answered.notify_one();
    StatusCode::ACCEPTED
}

#[expect(clippy::disallowed_methods, reason = "what is measured is time")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "Lambda's part is played here")]
fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
