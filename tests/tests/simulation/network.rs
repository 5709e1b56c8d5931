//! Between the worker and AWS: the SDK's requests reach the strict hosted zone and the queue without a socket, and what can
//! befall a request on its way does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;

use super::world::Shared;

/// How often each fault befalls a request, of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub throttled: u32,
    pub failed: u32,
    pub lost_before: u32,
    pub lost_after: u32,
    pub slow: u32,
    /// How often somebody edits a hosted zone, by request.
    pub edited: u32,
}

/// The longest that a slow answer takes.
const SLOW: u64 = 90_000;
const OCTETS: usize = 8 << 20;

#[derive(Clone)]
struct Wire(Arc<Shared>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

/// The SDK's way to the world.
pub fn client(shared: &Arc<Shared>) -> SharedHttpClient {
    let wire = SharedHttpConnector::new(Wire(Arc::clone(shared)));
    http_client_fn(move |_, _| wire.clone())
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let shared = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move { carry(&shared, request).await })
    }
}

async fn carry(shared: &Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().unwrap();
    let is_sqs = request.headers().contains_key("x-amz-target");
    let (fate, delay) = shared.fate(is_sqs);
    if fate == Fate::LostBefore {
        return Err(cut());
    }
    let slow = if fate == Fate::Slow { shared.random(|random| random.random_range(0..SLOW)) } else { delay };
    tokio::time::sleep(Duration::from_millis(slow)).await;
    let (parts, body) = request.into_parts();
    let octets = body.bytes().unwrap_or_default().to_vec();
    let answer = match fate {
        Fate::Throttled => refused(is_sqs, StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded"),
        Fate::Failed => refused(is_sqs, StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", ""),
        _ if is_sqs => sqs(shared, parts.headers["x-amz-target"].to_str().unwrap(), &octets),
        _ => {
            // POST /2013-04-01/hostedzone/ID/rrset/
            let changes =
                (parts.method == Method::POST).then(|| parts.uri.path().split('/').nth(3).unwrap().to_owned());
            let mut request = Request::builder().method(parts.method).uri(parts.uri);
            request.headers_mut().unwrap().extend(parts.headers);
            // A task of its own: what has reached Route 53 is carried out, though the worker dies meanwhile.
            let (there, request) = (Arc::clone(shared), request.body(Body::from(octets)).unwrap());
            let answer = tokio::spawn(async move {
                let answer = there.route53.call(request).await;
                if let Some(id) = changes.filter(|_| answer.status().is_success()) {
                    there.changed(&id);
                }
                answer
            });
            answer.await.unwrap()
        }
    };
    shared.note(&format!("{fate:?} {} {}", if is_sqs { "sqs" } else { "route53" }, answer.status()));
    if fate == Fate::LostAfter {
        return Err(cut());
    }
    let (parts, body) = answer.into_parts();
    let octets = to_bytes(body, OCTETS).await.unwrap();
    Ok(HttpResponse::try_from(Response::from_parts(parts, SdkBody::from(octets.to_vec()))).unwrap())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    Throttled,
    Failed,
    LostBefore,
    LostAfter,
    Slow,
}

impl Faults {
    /// What befalls the next request.
    pub fn fate(&self, random: &mut StdRng) -> Fate {
        let Self { throttled, failed, lost_before, lost_after, slow, .. } = *self;
        let mut drawn = random.random_range(0..1_000);
        for (share, fate) in [
            (throttled, Fate::Throttled),
            (failed, Fate::Failed),
            (lost_before, Fate::LostBefore),
            (lost_after, Fate::LostAfter),
            (slow, Fate::Slow),
        ] {
            if drawn < share {
                return fate;
            }
            drawn -= share;
        }
        Fate::Answered
    }
}

fn sqs(shared: &Shared, target: &str, body: &[u8]) -> Response<Body> {
    let request = serde_json::from_slice(body).unwrap();
    let action = target.rsplit('.').next().unwrap();
    let Some(answer) = shared.queue.lock().unwrap().answer(action, &request, shared.now()) else {
        return refused(true, StatusCode::BAD_REQUEST, "InvalidAction", target);
    };
    Response::builder()
        .header("content-type", "application/x-amz-json-1.0")
        .body(Body::from(answer.to_string()))
        .unwrap()
}

fn refused(is_sqs: bool, status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let (kind, body) = if is_sqs {
        ("application/x-amz-json-1.0", json!({"__type": code, "message": message}).to_string())
    } else {
        let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
        ("text/xml", format!("<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>"))
    };
    Response::builder().status(status).header("content-type", kind).body(Body::from(body)).unwrap()
}

fn cut() -> ConnectorError {
    ConnectorError::io("the connection was cut".into())
}
