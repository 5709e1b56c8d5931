//! SQS, S3 and Lambda by ministack (PyPI): FIFO queues with redrive, buckets, and our `bootstrap` as a
//! process under a Lambda runtime API, behind an event source mapping with partial batch responses.
//!
//! Where it differs from AWS: one batch at a time per mapping, whatever the groups; an `itemIdentifier` that the batch
//! does not hold counts as success; the size limit looks at the body alone and nobody counts attributes.
//! The log of the function is in ministack's own, batch by batch.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::{Cursor, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use secondary53_aws::Https;
use serde::Deserialize;
use serde_json::{Value, json};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::process::Process;
use super::wait::{GENEROUS, until};
use super::{StackError, programs};

/// Whose queues and functions these are, for every process that talks to the stand-ins.
pub const AMBIENT: [(&str, &str); 4] = [
    ("AWS_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// The same, for a client in this process.
pub(super) fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "the stack")
}

/// Any will do.
pub const REGION: &str = "eu-west-1";

/// A running ministack; its queues and functions are gone with it.
#[derive(Debug)]
pub struct Ministack {
    /// The process, for its log, which holds that of the function.
    pub process: Process,
    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL_SQS`.
    pub endpoint: String,
    /// A client of its SQS.
    pub sqs: aws_sdk_sqs::Client,
}

/// A FIFO queue and where its messages go that nobody could handle.
#[derive(Clone, Debug)]
pub struct QueuePair {
    /// URL of the queue that the relay sends to.
    pub main: String,
    /// URL of its dead-letter queue.
    pub dead_letter: String,
    arn: String,
}

/// What the worker wrote on a message that it put aside.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Quarantined {
    /// `undecodable`, `no_hosted_zone`, …
    pub outcome: String,
    /// For a person.
    pub reason: String,
}

impl Quarantined {
    /// None where the message carries no such note: redrive moved it.
    pub fn of(message: &Message) -> Option<Self> {
        let note = message.message_attributes()?.get("quarantine")?.string_value()?;
        serde_json::from_str(note).ok()
    }
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome, self.reason)
    }
}

/// How often a message is tried before it is moved to the dead-letter queue, as in the shipped template.
const MAX_RECEIVE_COUNT: u32 = 100;

impl Ministack {
    /// Starts it there, its log and its files under `dir`.
    ///
    /// # Errors
    /// [`StackError::Missing`] without `.local/venv`; it ends, or does not answer.
    pub async fn start(dir: &Path, address: SocketAddr) -> Result<Self, StackError> {
        Self::start_with(dir, address, &[]).await
    }

    /// The same, with variables that every function gets beside its own.
    ///
    /// # Errors
    /// As [`Ministack::start`].
    pub async fn start_with(dir: &Path, address: SocketAddr, environment: &[(&str, &str)]) -> Result<Self, StackError> {
        let mut command = Command::new(programs::in_venv("ministack")?);
        command
            .current_dir(dir)
            .env("BIND_HOST", address.ip().to_string())
            .env("GATEWAY_PORT", address.port().to_string())
            .env("SERVICES", "sqs,s3,lambda,sts,iam,logs,cloudformation,monitoring")
            .env("MINISTACK_REGION", REGION)
            // It unpacks functions there, by port: two runs must not meet.
            .env("TMPDIR", dir)
            .env("PYTHONUNBUFFERED", "1")
            .envs(environment.iter().copied());
        let process = Process::start("ministack", &command, dir)?;
        process.listens(address).await?;

        let endpoint = format!("http://{address}");
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials())
            .http_client(Https::new().shared())
            .build();
        Ok(Self { process, endpoint, sqs: aws_sdk_sqs::Client::from_conf(config) })
    }

    /// Makes `NAME.fifo` and `NAME-dlq.fifo`. A message whose handling failed comes again after `visibility`.
    ///
    /// # Errors
    /// SQS refuses.
    pub async fn queue_pair(&self, name: &str, visibility: Duration) -> Result<QueuePair, StackError> {
        self.queue_pair_of(name, visibility, MAX_RECEIVE_COUNT).await
    }

    /// The same, where a message is moved after so many receives.
    ///
    /// # Errors
    /// SQS refuses.
    pub async fn queue_pair_of(
        &self,
        name: &str,
        visibility: Duration,
        max_receives: u32,
    ) -> Result<QueuePair, StackError> {
        let dead_letter = self.queue(&format!("{name}-dlq.fifo"), &[]).await?;
        let redrive = json!({
            "deadLetterTargetArn": self.queue_arn(&dead_letter).await?,
            "maxReceiveCount": max_receives,
        });
        let attributes = [
            (QueueAttributeName::RedrivePolicy, redrive.to_string()),
            (QueueAttributeName::VisibilityTimeout, visibility.as_secs().to_string()),
            (QueueAttributeName::DeduplicationScope, "messageGroup".to_owned()),
            (QueueAttributeName::FifoThroughputLimit, "perMessageGroupId".to_owned()),
        ];
        let main = self.queue(&format!("{name}.fifo"), &attributes).await?;
        let arn = self.queue_arn(&main).await?;
        Ok(QueuePair { main, dead_letter, arn })
    }

    /// Two queues that a template made.
    ///
    /// # Errors
    /// One of them is not there.
    pub async fn made_pair(&self, main: &str, dead_letter: &str) -> Result<QueuePair, StackError> {
        let arn = self.queue_arn(main).await?;
        self.queue_arn(dead_letter).await?;
        Ok(QueuePair { main: main.to_owned(), dead_letter: dead_letter.to_owned(), arn })
    }

    /// Deploys `bootstrap` as the function `name` and maps `queues` to it.
    ///
    /// # Errors
    /// The file cannot be read, or Lambda refuses.
    pub async fn worker(
        &self,
        name: &str,
        bootstrap: &Path,
        environment: &BTreeMap<&str, String>,
        queues: &QueuePair,
    ) -> Result<(), StackError> {
        self.worker_for(WORKER_TIMEOUT, name, bootstrap, environment, queues).await
    }

    /// The same, where an invocation may take so long.
    ///
    /// # Errors
    /// As [`Ministack::worker`].
    pub async fn worker_for(
        &self,
        timeout: Duration,
        name: &str,
        bootstrap: &Path,
        environment: &BTreeMap<&str, String>,
        queues: &QueuePair,
    ) -> Result<(), StackError> {
        let package = deployment_package(bootstrap).await?;
        let function = json!({
            "FunctionName": name,
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": "arn:aws:iam::000000000000:role/worker",
            "Timeout": timeout.as_secs(),
            "Environment": { "Variables": environment },
            "Code": { "ZipFile": BASE64_STANDARD.encode(package) },
        });
        self.lambda(Method::POST, "/2015-03-31/functions", Some(&function)).await?;
        until(GENEROUS, &format!("the function {name} active"), async || {
            let answer = self.lambda(Method::GET, &format!("/2015-03-31/functions/{name}"), None).await?;
            Ok((answer["Configuration"]["State"] == "Active").then_some(()))
        })
        .await?;

        let mapping = json!({
            "FunctionName": name,
            "EventSourceArn": queues.arn,
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        self.lambda(Method::POST, "/2015-03-31/event-source-mappings", Some(&mapping)).await?;
        Ok(())
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// S3 refuses.
    pub async fn bucket(&self, name: &str) -> Result<(), StackError> {
        let body = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        self.ask("s3", Method::PUT, &format!("/{name}"), "application/xml", body.into()).await.map(drop)
    }

    /// Puts an object as anybody with the permission could.
    ///
    /// # Errors
    /// S3 refuses.
    pub async fn put_object(&self, bucket: &str, key: &str, octets: &[u8]) -> Result<(), StackError> {
        let path = format!("/{bucket}/{key}");
        self.ask("s3", Method::PUT, &path, "application/octet-stream", octets.to_vec()).await.map(drop)
    }

    /// An object's octets.
    ///
    /// # Errors
    /// S3 refuses: there is no such object.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>, StackError> {
        self.ask("s3", Method::GET, &format!("/{bucket}/{key}"), "", Vec::new()).await
    }

    /// The keys of a bucket's objects, of the first thousand.
    ///
    /// # Errors
    /// S3 refuses.
    pub async fn keys(&self, bucket: &str) -> Result<Vec<String>, StackError> {
        let listed = self.ask("s3", Method::GET, &format!("/{bucket}?list-type=2"), "", Vec::new()).await?;
        let listed = String::from_utf8_lossy(&listed);
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        Ok(keys.map(|(key, _)| key.to_owned()).collect())
    }

    /// A function's configuration, as `GetFunctionConfiguration` gives it.
    ///
    /// # Errors
    /// There is no such function.
    pub async fn configuration(&self, name: &str) -> Result<Value, StackError> {
        self.lambda(Method::GET, &format!("/2015-03-31/functions/{name}/configuration"), None).await
    }

    /// Sends a message as anybody with the permission could: the body and the attributes need not make sense.
    ///
    /// # Errors
    /// SQS refuses.
    pub async fn send(&self, queue: &str, group: &str, body: &str, text: &[(&str, &str)]) -> Result<(), StackError> {
        let mut send = self.sqs.send_message().queue_url(queue).message_body(body).message_group_id(group);
        for (name, value) in text {
            let value = MessageAttributeValue::builder().data_type("String").string_value(*value).build();
            send = send.message_attributes(*name, value.map_err(refused("write a message attribute"))?);
        }
        let once = format!("{:032x}", rand::random::<u128>());
        send.message_deduplication_id(once).send().await.map(drop).map_err(refused("send a message"))
    }

    /// Waits for a message and takes it off the queue.
    ///
    /// # Errors
    /// None comes for long, with the end of the function's log; SQS refuses.
    pub async fn take(&self, queue: &str) -> Result<Message, StackError> {
        let event = format!("a message in {queue}");
        let taken = until(GENEROUS, &event, async || {
            let answer = self
                .sqs
                .receive_message()
                .queue_url(queue)
                .message_attribute_names("All")
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .wait_time_seconds(1)
                .send()
                .await
                .map_err(refused("receive a message"))?;
            Ok(answer.messages.unwrap_or_default().pop())
        });
        let message = taken.await.map_err(|error| match error {
            StackError::Waited { event, limit, .. } => {
                StackError::Waited { event, limit, detail: format!("; {}", self.process.last_words()) }
            }
            other => other,
        })?;
        let receipt = message.receipt_handle().unwrap_or_default();
        self.sqs
            .delete_message()
            .queue_url(queue)
            .receipt_handle(receipt)
            .send()
            .await
            .map_err(refused("delete a message"))?;
        Ok(message)
    }

    /// How many messages are in the queue, waiting or in flight.
    ///
    /// # Errors
    /// SQS refuses.
    pub async fn depth(&self, queue: &str) -> Result<u32, StackError> {
        let wanted = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let mut total = 0;
        for name in wanted {
            let count = self.queue_attribute(queue, name).await?;
            total += count.parse::<u32>().map_err(refused("count the messages of a queue"))?;
        }
        Ok(total)
    }

    async fn queue(&self, name: &str, attributes: &[(QueueAttributeName, String)]) -> Result<String, StackError> {
        let action = || format!("create the queue {name}");
        let mut create =
            self.sqs.create_queue().queue_name(name).attributes(QueueAttributeName::FifoQueue, "true".to_owned());
        for (attribute, value) in attributes {
            create = create.attributes(attribute.clone(), value);
        }
        let answer = create.send().await.map_err(|error| StackError::step(action(), &DisplayErrorContext(&error)))?;
        answer.queue_url.ok_or_else(|| StackError::step(action(), &"the answer has no URL"))
    }

    async fn queue_arn(&self, url: &str) -> Result<String, StackError> {
        self.queue_attribute(url, QueueAttributeName::QueueArn).await
    }

    async fn queue_attribute(&self, url: &str, name: QueueAttributeName) -> Result<String, StackError> {
        let action = || format!("read {name} of {url}");
        let answer = self.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
        let answer = answer.map_err(|error| StackError::step(action(), &DisplayErrorContext(&error)))?;
        answer
            .attributes
            .and_then(|mut attributes| attributes.remove(&name))
            .ok_or_else(|| StackError::step(action(), &"the answer does not hold it"))
    }

    async fn lambda(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, StackError> {
        let sent = body.map(|json| json.to_string().into_bytes()).unwrap_or_default();
        let bytes = self.ask("lambda", method.clone(), path, "application/json", sent).await?;
        serde_json::from_slice(&bytes).map_err(|error| StackError::step(format!("{method} {path}"), &error))
    }

    /// A few calls do not earn the minutes that aws-sdk-lambda and aws-sdk-s3 take to compile.
    async fn ask(
        &self,
        service: &str,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, StackError> {
        let action = || format!("{method} {path}");
        let failed = |reason: &dyn Display| StackError::step(action(), reason);
        let request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.endpoint))
            .header(header::CONTENT_TYPE, content_type)
            // ministack finds service, account and region in the scope and leaves the signature alone.
            .header(
                header::AUTHORIZATION,
                format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"),
            )
            .body(Body::from(body))
            .map_err(|error| failed(&error))?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let answer = client.request(request).await.map_err(|error| failed(&error))?;
        let status = answer.status();
        let bytes = to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await.map_err(|error| failed(&error))?;
        if status.is_success() {
            Ok(bytes.into())
        } else {
            Err(failed(&format_args!("{status}: {}", String::from_utf8_lossy(&bytes))))
        }
    }
}

/// Octets of an answer: the largest object of a test fits.
const MAX_ANSWER: usize = 16 << 20;

/// As long as the shipped template gives it.
pub(super) const WORKER_TIMEOUT: Duration = Duration::from_mins(5);

/// Stored, not compressed: the loopback is faster than an unoptimised deflate.
async fn deployment_package(bootstrap: &Path) -> Result<Vec<u8>, StackError> {
    let program = tokio::fs::read(bootstrap).await.map_err(StackError::io(format!("read {}", bootstrap.display())))?;
    let mut archive = ZipWriter::new(Cursor::new(Vec::with_capacity(program.len() + 1024)));
    archive
        .start_file("bootstrap", SimpleFileOptions::default().unix_permissions(0o755))
        .map_err(refused("write the deployment package"))?;
    archive.write_all(&program).map_err(StackError::io("write the deployment package"))?;
    Ok(archive.finish().map_err(refused("write the deployment package"))?.into_inner())
}

fn refused<E: std::error::Error>(action: &'static str) -> impl FnOnce(E) -> StackError {
    move |error| StackError::step(action, &DisplayErrorContext(&error))
}
