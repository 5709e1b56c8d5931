//! Route 53's REST-XML API over HTTP, and the pages under `/_strict/` that Route 53 does not have.

mod operations;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderName, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{net::TcpListener, sync::watch};
use tower::ServiceExt as _;

use super::{
    log::{Call, CallError, LoggedChange},
    server::Shared,
    xml::Element,
};

/// Octets of a request: a full batch with each character escaped fits several times.
const MAX_BODY: usize = 4 * 1024 * 1024;

type App = State<Arc<Shared>>;
type Params = Query<HashMap<String, String>>;

/// Serves until `stop` says so or its sender is gone.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let stopped = async move {
        // An error means that the server was dropped, which is a stop too.
        let _ = stop.wait_for(|stopping| *stopping).await;
    };
    let served = axum::serve(listener, router(shared)).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!(%error, "the API of the strict hosted zone ended");
    }
}

/// One request, without a connection.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Body>) -> Response<Body> {
    router(shared).oneshot(request).await.unwrap_or_else(|never| match never {})
}

fn router(shared: Arc<Shared>) -> Router {
    let rrset = get(list_rrsets).post(change_rrsets);
    Router::new()
        .route("/2013-04-01/hostedzone", get(list_zones).post(create_zone))
        .route("/2013-04-01/hostedzone/{id}", get(get_zone).delete(delete_zone))
        .route("/2013-04-01/hostedzone/{id}/rrset", rrset.clone())
        .route("/2013-04-01/hostedzone/{id}/rrset/", rrset)
        .route("/2013-04-01/hostedzonesbyname", get(list_zones_by_name))
        .route("/2013-04-01/hostedzonelimit/{id}/{limit}", get(get_zone_limit))
        .route("/2013-04-01/change/{id}", get(get_change))
        .route("/2013-04-01/healthcheck", get(list_health_checks))
        .route("/_strict/calls", get(calls))
        .route("/_strict/calls/reset", post(reset_calls))
        .route("/_strict/zones", get(zones))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

/// What an operation comes to.
type Outcome = Result<Answer, Refusal>;

/// A good answer.
struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: Element,
}

impl From<Element> for Answer {
    fn from(body: Element) -> Self {
        Self { status: StatusCode::OK, location: None, body }
    }
}

/// An error of the API.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    fn with_status(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn body(&self, request_id: &str) -> Element {
        Element::new("ErrorResponse")
            .with(
                Element::new("Error")
                    .with(Element::leaf("Type", "Sender"))
                    .with(Element::leaf("Code", self.code))
                    .with(Element::leaf("Message", &self.message)),
            )
            .with(Element::leaf("RequestId", request_id))
    }
}

/// Lets the rate limit speak first, then the operation; logs the call and writes the answer.
fn run(
    shared: &Shared,
    action: &'static str,
    zone: Option<&str>,
    operation: impl FnOnce(&Shared, Duration) -> Outcome,
) -> Response {
    let now = shared.config.clock.now();
    let outcome = admit(shared, action, now).and_then(|()| operation(shared, now));
    finish(shared, action, zone, now, Vec::new(), outcome)
}

fn admit(shared: &Shared, action: &'static str, now: Duration) -> Result<(), Refusal> {
    if shared.account().rates.admit_request(action, now) {
        return Ok(());
    }
    Err(throttled())
}

fn throttled() -> Refusal {
    Refusal::bad("Throttling", "Rate exceeded")
}

fn finish(
    shared: &Shared,
    action: &'static str,
    zone: Option<&str>,
    at: Duration,
    changes: Vec<LoggedChange>,
    outcome: Outcome,
) -> Response {
    let (status, error) = match &outcome {
        Ok(answer) => (answer.status, None),
        Err(refusal) => {
            (refusal.status, Some(CallError { code: refusal.code.to_owned(), message: refusal.message.clone() }))
        }
    };
    let number = shared.account().log.push(Call {
        number: 0,
        at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
        action,
        zone: zone.map(ToOwned::to_owned),
        status: status.as_u16(),
        error,
        changes,
    });
    let request_id = format!("strict-{number:08}");
    let (location, body) = match outcome {
        Ok(answer) => (answer.location, answer.body),
        Err(refusal) => (None, refusal.body(&request_id)),
    };
    let headers =
        [(header::CONTENT_TYPE, "text/xml".to_owned()), (HeaderName::from_static("x-amzn-requestid"), request_id)];
    let location = location.map(|location| [(header::LOCATION, location)]);
    match location {
        Some(location) => (status, headers, location, body.into_document()).into_response(),
        None => (status, headers, body.into_document()).into_response(),
    }
}

async fn list_rrsets(State(shared): App, Path(id): Path<String>, Query(params): Params) -> Response {
    run(&shared, "ListResourceRecordSets", Some(&id), |shared, _| operations::list_rrsets(shared, &id, &params))
}

async fn change_rrsets(State(shared): App, Path(id): Path<String>, body: Bytes) -> Response {
    // A task of its own: a client that hangs up does not undo a batch that Route 53 has begun to process.
    let task = tokio::spawn(async move { operations::change_rrsets(&shared, &id, &body).await });
    task.await.unwrap_or_else(|error| {
        let text = format!("the stand-in failed to process a batch: {error}");
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    })
}

async fn get_zone(State(shared): App, Path(id): Path<String>) -> Response {
    run(&shared, "GetHostedZone", Some(&id), |shared, _| operations::get_zone(shared, &id))
}

async fn get_zone_limit(State(shared): App, Path((id, limit)): Path<(String, String)>) -> Response {
    run(&shared, "GetHostedZoneLimit", Some(&id), |shared, _| operations::get_zone_limit(shared, &id, &limit))
}

async fn get_change(State(shared): App, Path(id): Path<String>) -> Response {
    run(&shared, "GetChange", None, |shared, now| operations::get_change(shared, &id, now))
}

async fn list_zones(State(shared): App, Query(params): Params) -> Response {
    run(&shared, "ListHostedZones", None, |shared, _| operations::list_zones(shared, &params))
}

async fn list_zones_by_name(State(shared): App, Query(params): Params) -> Response {
    run(&shared, "ListHostedZonesByName", None, |shared, _| operations::list_zones_by_name(shared, &params))
}

/// There are none; other tools ask.
async fn list_health_checks(State(shared): App) -> Response {
    run(&shared, "ListHealthChecks", None, |_, _| {
        let none = Element::new("HealthChecks");
        let answer = Element::new("ListHealthChecksResponse").with(none).with(Element::leaf("Marker", ""));
        Ok(answer.with(Element::leaf("IsTruncated", &false)).with(Element::leaf("MaxItems", &100)).into())
    })
}

async fn create_zone(State(shared): App, body: Bytes) -> Response {
    run(&shared, "CreateHostedZone", None, |shared, now| operations::create_zone(shared, &body, now))
}

async fn delete_zone(State(shared): App, Path(id): Path<String>) -> Response {
    run(&shared, "DeleteHostedZone", Some(&id), |shared, now| operations::delete_zone(shared, &id, now))
}

async fn unknown(State(shared): App) -> Response {
    run(&shared, "Unknown", None, |_, _| {
        let message = "The strict hosted zone does not know this operation";
        Err(Refusal::with_status(StatusCode::NOT_FOUND, "UnknownOperationException", message))
    })
}

async fn calls(State(shared): App) -> Response {
    let calls = shared.account().log.calls();
    json(&calls)
}

async fn zones(State(shared): App) -> Response {
    json(&shared.zones())
}

async fn reset_calls(State(shared): App) -> StatusCode {
    shared.account().log.reset();
    StatusCode::NO_CONTENT
}

fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
