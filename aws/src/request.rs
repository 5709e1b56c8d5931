//! A request to AWS: signed (Signature Version 4), sent, its answer read within a limit.
//!
//! The signing and the credentials are those of the AWS SDKs; what is left out is the model of a service.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::http::{Request as HttpRequest, Response as HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_xml::decode::{Document, try_data};
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};

use crate::https::{Connector, Https};

/// How often a request is sent before whoever asks must be patient instead.
const ATTEMPTS: u32 = 3;
/// The wait after the first failure; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest time for a request and its answer, beside what their octets may take.
const ATTEMPT: Duration = Duration::from_secs(30);
/// Octets that pass in a second over a slow line.
const SLOW: u64 = 64 << 10;
/// Octets of an answer that says what is wrong.
const MAX_COMPLAINT: usize = 64 << 10;
/// Credentials are fetched anew this long before they expire.
const CREDENTIALS_MARGIN: Duration = Duration::from_mins(5);

/// One of AWS's services, in one region.
#[derive(Debug)]
pub struct Service {
    connector: Connector,
    provider: Option<SharedCredentialsProvider>,
    credentials: Mutex<Option<Credentials>>,
    config: SdkConfig,
    kind: Kind,
    region: String,
    endpoint: Option<String>,
}

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// S3, in the region of the configuration.
    S3,
    /// Route 53, which has one region in each partition.
    Route53,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `PUT`.
    pub method: &'static str,
    /// The whole URL, with what must be escaped escaped.
    pub url: String,
    /// Headers, signed all of them; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// Why AWS did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It answered with an error.
    #[error("{code}: {message}")]
    Refused {
        /// The status of HTTP.
        status: u16,
        /// AWS's code; the status where the answer has none.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// There are no credentials.
    #[error("there are no AWS credentials: {0}")]
    Credentials(String),
    /// There was no answer, or it broke off.
    #[error("{0}")]
    NoAnswer(String),
    /// The answer is larger than what was allowed for it.
    #[error("the answer is larger than {0} octets")]
    TooLarge(usize),
    /// The request cannot be sent at all.
    #[error("the request cannot be made: {0}")]
    Request(String),
}

impl Failure {
    /// Whether the same request may succeed later, with nothing changed by anyone.
    pub fn is_transient(&self) -> bool {
        match self {
            // Codes of S3 and Route 53 with a status below 500 that are a matter of time ("Error responses", Amazon S3 API
            // Reference; "Common errors", Amazon Route 53 API Reference).
            Self::Refused { status, code, .. } => {
                let codes = ["Throttling", "ThrottlingException", "SlowDown", "RequestTimeout", "RequestTimeTooSkewed"];
                let expired = ["ExpiredToken", "ExpiredTokenException", "OperationAborted", "PriorRequestNotComplete"];
                *status >= 500 || *status == 429 || codes.iter().chain(&expired).any(|known| known == code)
            }
            Self::NoAnswer(_) | Self::Credentials(_) => true,
            Self::TooLarge(_) | Self::Request(_) => false,
        }
    }

    /// AWS's code, where it answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl Kind {
    /// As signatures have it.
    const fn signing_name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Route53 => "route53",
        }
    }

    /// As the SDKs call it, from which `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL_ROUTE_53` come.
    const fn service_id(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::Route53 => "Route 53",
        }
    }
}

impl Service {
    /// Credentials, region and endpoint as the configuration has them. The trusted certificates are read here: made once,
    /// it serves for long.
    pub fn new(config: &SdkConfig, kind: Kind) -> Self {
        let region = config.region().map_or("us-east-1", |region| region.as_ref());
        let region = if kind == Kind::Route53 { route53_region(region) } else { region };
        let key = ServiceConfigKey::builder().service_id(kind.service_id());
        let key = key.env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok();
        let of_service = key.and_then(|key| config.service_config()?.load_config(key));
        let endpoint = of_service.or_else(|| config.endpoint_url().map(ToOwned::to_owned));
        Self {
            connector: Https::new().connector(None, None),
            provider: config.credentials_provider(),
            credentials: Mutex::default(),
            kind,
            region: region.to_owned(),
            endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()),
            config: config.clone(),
        }
    }

    /// Where somebody said that the service is, without a slash at its end.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The region that signatures are for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether FIPS endpoints are asked for (`AWS_USE_FIPS_ENDPOINT`), and whether those of both IPv4 and IPv6 are
    /// (`AWS_USE_DUALSTACK_ENDPOINT`).
    pub fn variants(&self) -> (bool, bool) {
        (self.config.use_fips().unwrap_or_default(), self.config.use_dual_stack().unwrap_or_default())
    }

    /// Sends a request, and again where time may help, and reads the body of a good answer, which has at most `limit`
    /// octets.
    pub async fn send(&self, request: &Request, limit: usize) -> Result<Bytes, Failure> {
        let mut wait = FIRST_WAIT;
        for _ in 1..ATTEMPTS {
            match self.attempt(request, limit).await {
                Err(failure) if failure.is_transient() => {}
                ended => return ended,
            }
            sleep(wait).await;
            wait *= 2;
        }
        self.attempt(request, limit).await
    }

    async fn attempt(&self, request: &Request, limit: usize) -> Result<Bytes, Failure> {
        let time = self.config.time_source().unwrap_or_default().now();
        let credentials = self.credentials(time).await?;
        let signed = signed(request, self.kind, &self.region, credentials, time)?;
        let late = |_| Failure::NoAnswer("there was no answer in time".to_owned());
        let allowed = ATTEMPT + slowly(request.body.len() as u64);
        let answer = timeout(allowed, self.connector.call(signed)).await.map_err(late)?;
        let answer = answer.map_err(|error| Failure::NoAnswer(chain(&error)))?;
        let length = answer.headers().get("content-length").and_then(|length| length.parse::<u64>().ok());
        let is_good = answer.status().is_success();
        if is_good && length.is_some_and(|length| length > limit as u64) {
            return Err(Failure::TooLarge(limit));
        }
        let status = answer.status().as_u16();
        let limit = if is_good { limit } else { MAX_COMPLAINT };
        let body = timeout(ATTEMPT + slowly(length.unwrap_or(limit as u64)), read(answer, limit)).await;
        match body {
            Ok(Ok(body)) if is_good => Ok(body),
            // Not as it should be, and yet the status says enough.
            Ok(body) if !is_good => Err(complaint(status, &body.unwrap_or_default())),
            Ok(body) => body,
            Err(elapsed) => Err(late(elapsed)),
        }
    }

    /// Those that were had before, while they are good.
    async fn credentials(&self, now: SystemTime) -> Result<Credentials, Failure> {
        let is_good =
            |credentials: &Credentials| credentials.expiry().is_none_or(|expiry| expiry > now + CREDENTIALS_MARGIN);
        let kept = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(is_good) {
            return Ok(kept);
        }
        let provider = self.provider.as_ref();
        let provider = provider.ok_or_else(|| Failure::Credentials("no provider of them is configured".to_owned()))?;
        let fetched = provider.provide_credentials().await.map_err(|error| Failure::Credentials(chain(&error)))?;
        *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched.clone());
        Ok(fetched)
    }
}

/// Signs a request ("AWS Signature Version 4 for API requests", AWS IAM User Guide).
fn signed(
    request: &Request,
    kind: Kind,
    region: &str,
    credentials: Credentials,
    time: SystemTime,
) -> Result<HttpRequest, Failure> {
    let failed = |error: &dyn Error| Failure::Request(chain(error));
    let mut settings = SigningSettings::default();
    if kind == Kind::S3 {
        // S3 takes a path as it is, and wants the hash of the body said ("Authenticating Requests", Amazon S3 API Reference).
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(kind.signing_name())
        .time(time)
        .settings(settings)
        .build();
    let parameters = parameters.map_err(|error| failed(&error))?.into();
    let hash = SignableBody::Precomputed(hex(&Sha256::digest(&request.body)));
    let headers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let signable = SignableRequest::new(request.method, &request.url, headers, hash);
    let signable = signable.map_err(|error| failed(&error))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| failed(&error))?.into_parts();
    let mut built = http::Request::builder().method(request.method).uri(&request.url);
    for (name, value) in &request.headers {
        built = built.header(*name, value);
    }
    let built = built.header("user-agent", concat!("secondary53/", env!("CARGO_PKG_VERSION")));
    let mut built = built.body(SdkBody::from(request.body.clone())).map_err(|error| failed(&error))?;
    instructions.apply_to_request_http1x(&mut built);
    HttpRequest::try_from(built).map_err(|error| failed(&error))
}

async fn read(answer: HttpResponse, limit: usize) -> Result<Bytes, Failure> {
    let body = Limited::new(answer.into_body(), limit).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            Failure::TooLarge(limit)
        } else {
            Failure::NoAnswer(format!("the answer broke off: {}", chain(&*error)))
        }
    })
}

/// S3 has `Error` outermost, Route 53 has `ErrorResponse`; in both, the code and the message are the only ones.
fn complaint(status: u16, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    let mut document = Document::new(&text);
    let (mut code, mut message) = (None, None);
    while let Some(element) = document.next_start_element() {
        let place = match element.local() {
            "Code" => &mut code,
            "Message" => &mut message,
            _ => continue,
        };
        let Ok(text) = try_data(&mut document) else { break };
        *place = Some(text.into_owned());
    }
    let code = code.filter(|code| !code.is_empty()).unwrap_or_else(|| format!("HTTP status {status}"));
    Failure::Refused { status, code, message: message.unwrap_or_else(|| "(no message)".to_owned()) }
}

/// Where Route 53's one endpoint of a partition is signed for ("Amazon Route 53 endpoints and quotas", AWS General
/// Reference).
fn route53_region(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "cn-northwest-1"
    } else if region.starts_with("us-gov-") {
        "us-gov-west-1"
    } else {
        "us-east-1"
    }
}

fn slowly(octets: u64) -> Duration {
    Duration::from_secs(octets / SLOW)
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(2 * octets.len()), |hex, octet| hex + &format!("{octet:02x}"))
}

/// An error and its causes: the SDK's outermost says no more than "dispatch failure".
pub fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !told.ends_with(&words) {
            told = format!("{told}: {words}");
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2013-05-24T00:00:00Z.
    const THEN: Duration = Duration::from_hours(380_376);

    /// The example of "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference.
    #[test]
    fn a_request_is_signed_as_s3s_reference_has_it() {
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "the reference",
        );
        let request = Request {
            method: "GET",
            url: "https://examplebucket.s3.amazonaws.com/test.txt".to_owned(),
            headers: vec![("range", "bytes=0-9".to_owned())],
            body: Bytes::new(),
        };
        let signed = signed(&request, Kind::S3, "us-east-1", credentials, SystemTime::UNIX_EPOCH + THEN).unwrap();
        assert_eq!(
            signed.headers().get("authorization"),
            Some(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            )
        );
        assert_eq!(signed.headers().get("x-amz-date"), Some("20130524T000000Z"));
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(signed.headers().get("x-amz-content-sha256"), Some(nothing));
        assert_eq!((signed.method(), signed.uri()), ("GET", request.url.as_str()));
    }

    #[test]
    fn temporary_credentials_bring_their_token() {
        let credentials = Credentials::new("A", "S", Some("the token".to_owned()), None, "a test");
        let url = "https://route53.amazonaws.com/2013-04-01/hostedzone?maxitems=100".to_owned();
        let request = Request { method: "GET", url, headers: Vec::new(), body: Bytes::new() };
        let signed = signed(&request, Kind::Route53, "us-east-1", credentials, SystemTime::UNIX_EPOCH + THEN).unwrap();
        assert_eq!(signed.headers().get("x-amz-security-token"), Some("the token"));
        let authorization = signed.headers().get("authorization").unwrap();
        assert!(
            authorization
                .contains("/us-east-1/route53/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token,")
        );
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_both_services() {
        for body in [
            "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>a &amp; b</Message><RequestId>1</RequestId></Error>",
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>a &amp; b</Message></Error></ErrorResponse>",
        ] {
            let failure = complaint(403, body.as_bytes());
            assert_eq!(failure.to_string(), "AccessDenied: a & b");
            assert_eq!((failure.code(), failure.is_transient()), (Some("AccessDenied"), false));
        }
        for (body, code) in
            [("", "HTTP status 502"), ("<html>", "HTTP status 502"), ("<Error><Code>SlowDown", "SlowDown")]
        {
            let failure = complaint(502, body.as_bytes());
            assert_eq!((failure.code(), failure.is_transient()), (Some(code), true));
        }
        assert!(complaint(400, b"<E><Code>Throttling</Code></E>").is_transient());
        assert!(!complaint(404, b"<Error><Code>NoSuchKey</Code></Error>").is_transient());
    }

    #[test]
    fn a_partition_has_one_route_53() {
        let regions = ["eu-west-1", "us-gov-east-1", "cn-north-1"].map(route53_region);
        assert_eq!(regions, ["us-east-1", "us-gov-west-1", "cn-northwest-1"]);
    }
}
