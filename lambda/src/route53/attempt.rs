//! One question to Route 53, asked until there is an answer, a refusal, or no time.

use std::time::Duration;

use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::{CHANGE, NOT_SENT, Route53Error};
use crate::turns::{OutOfTime, Turns};

/// Attempts that may be throttled. With the longest wait it is minutes: an invocation's time is over before.
const MAX_THROTTLED: u32 = 60;
/// Attempts that may go without an answer.
const MAX_UNANSWERED: u32 = 10;

/// What an attempt needs, and what is counted of it.
pub(super) struct Attempts<'a> {
    pub(super) operation: &'static str,
    pub(super) turns: &'a Turns,
    /// The hosted zone: on whose behalf it is asked.
    pub(super) id: &'a str,
    pub(super) stop_at: Option<Duration>,
    pub(super) calls: &'a mut u32,
    pub(super) throttles: &'a mut u32,
}

/// What an attempt came to that gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// Route 53 said to slow down, or that the zone is busy with another change.
    Throttled,
    /// There was no answer, or one that says no more than that there is none.
    Unanswered,
    /// To ask again would bring the same.
    Final,
}

impl Attempts<'_> {
    pub(super) async fn ask<T, E>(
        self,
        send: impl AsyncFn() -> Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, Route53Error>
    where
        SdkError<E, HttpResponse>: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let Self { operation, turns, id, stop_at, calls, throttles } = self;
        let out_of_time = |OutOfTime| Route53Error::OutOfTime { operation };
        let (mut throttled, mut unanswered) = (0, 0);
        loop {
            turns.request(operation, id, stop_at).await.map_err(out_of_time)?;
            *calls += 1;
            tracing::debug!(operation, hosted_zone = id, "asking");
            let error = match send().await {
                Ok(answer) => {
                    tracing::debug!(operation, hosted_zone = id, "answered");
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let (backoff, failures, most) = match Failure::of(&error) {
                Failure::Throttled => {
                    *throttles += 1;
                    (turns.pace().throttled, &mut throttled, MAX_THROTTLED)
                }
                Failure::Unanswered => (turns.pace().unanswered, &mut unanswered, MAX_UNANSWERED),
                Failure::Final => return Err(error_of(id, operation, &error)),
            };
            let wait = backoff.wait(*failures, fastrand::u32(..));
            *failures += 1;
            let (failures, milliseconds) = (*failures, wait.as_millis());
            if failures >= most {
                return Err(error_of(id, operation, &error));
            }
            let why = error.code().map_or_else(|| DisplayErrorContext(&error).to_string(), ToOwned::to_owned);
            tracing::debug!(operation, hosted_zone = id, failures, milliseconds, why, "to be asked again");
            turns.sleep(wait, stop_at).await.map_err(out_of_time)?;
        }
    }
}

impl Failure {
    /// By AWS's code, never by its words.
    fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        SdkError<E, HttpResponse>: ProvideErrorMetadata,
    {
        match error.code() {
            Some("Throttling" | "ThrottlingException" | "PriorRequestNotComplete") => return Self::Throttled,
            Some("RequestTimeout" | "RequestTimeoutException") => return Self::Unanswered,
            _ => {}
        }
        match error {
            // That of AWS or that of something on the way.
            SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
                let status = error.raw_response().map(|response| response.status().as_u16());
                let is_of_the_server = status.is_none_or(|status| status >= 500);
                let is_cut_short = matches!(error, SdkError::ResponseError(_));
                if is_of_the_server || is_cut_short { Self::Unanswered } else { Self::Final }
            }
            SdkError::TimeoutError(_) => Self::Unanswered,
            // Not what is wrong on this side: no credentials are none a second later.
            SdkError::DispatchFailure(failure)
                if failure.is_io() || failure.is_timeout() || failure.as_other().is_some() =>
            {
                Self::Unanswered
            }
            _ => Self::Final,
        }
    }
}

/// By AWS's code, never by its words.
fn error_of<E>(id: &str, operation: &'static str, error: &SdkError<E, HttpResponse>) -> Route53Error
where
    SdkError<E, HttpResponse>: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let message = || error.message().unwrap_or("(no message)").to_owned();
    if let SdkError::ConstructionFailure(_) = error {
        // The SDK will not even send it, today or tomorrow: an empty id.
        let message = DisplayErrorContext(error).to_string();
        return Route53Error::Refused { operation, code: NOT_SENT.to_owned(), message };
    }
    match error.code() {
        Some("InvalidChangeBatch") => Route53Error::InvalidChangeBatch(message()),
        Some(code @ ("AccessDenied" | "AccessDeniedException")) if operation == CHANGE => {
            Route53Error::Denied(format!("{code}: {}", message()))
        }
        Some("HostedZoneAlreadyExists") => Route53Error::AlreadyMade,
        Some("NoSuchHostedZone") => Route53Error::NoSuchHostedZone(id.to_owned()),
        Some(
            code @ ("AccessDenied"
            | "AccessDeniedException"
            | "InvalidInput"
            | "NotAuthorizedException"
            | "InvalidDomainName"
            | "ConflictingDomainExists"
            | "DelegationSetNotAvailable"
            | "DelegationSetNotReusable"
            | "NoSuchDelegationSet"
            | "TooManyHostedZones"),
        ) => Route53Error::Refused { operation, code: code.to_owned(), message: message() },
        Some(code) => Route53Error::Unavailable { operation, message: format!("{code}: {}", message()) },
        None => Route53Error::Unavailable { operation, message: DisplayErrorContext(error).to_string() },
    }
}
