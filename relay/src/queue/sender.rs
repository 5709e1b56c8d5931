//! The clients of the queues.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata as _};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use bytes::Bytes;
use secondary53_aws::{Https, Objects};
use secondary53_zone::message::{Attribute, Message};
use tokio::sync::Semaphore;

use super::gate::SENDS;
use super::refusal::SendError;
use super::too_large;
use crate::config;

/// The clients of all queues.
#[derive(Clone, Debug)]
pub struct Sender {
    /// By their URLs.
    queues: Arc<HashMap<String, Queue>>,
}

#[derive(Debug)]
struct Queue {
    client: Client,
    /// Where what does not fit goes, and the name of the bucket there.
    overflow: Option<(Arc<Objects>, String)>,
    /// Sends at once, for who has no line: a thousand zones must not be a thousand connections.
    turns: Semaphore,
}

/// The SDK may try twice for itself; the rest of the patience is ours, for a newer snapshot may have come meanwhile.
const SDK_ATTEMPTS: u32 = 2;
/// The longest time for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest time for one attempt: 1 MiB over a slow line.
const ATTEMPT: Duration = Duration::from_secs(30);
/// What is in the bucket is what would be in the message: base64.
const CONTENT_TYPE: &str = "text/plain";
/// A batch is no larger than the largest message. Where that is less than ours, its messages may fit one by one.
const BATCH_TOO_LARGE: [&str; 2] = ["BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"];

impl Sender {
    /// Makes the clients: credentials and endpoints as the AWS SDKs' environment and profile say.
    pub async fn new(queues: &[Arc<config::Queue>]) -> Self {
        let mut regions: HashMap<&str, (SdkConfig, Client)> = HashMap::new();
        let mut buckets: HashMap<&str, Arc<Objects>> = HashMap::new();
        let mut made = HashMap::with_capacity(queues.len());
        for queue in queues {
            let config::Queue { url, region, overflow_bucket, .. } = &**queue;
            let (config, client) = match regions.get(region.as_str()) {
                Some(known) => known.clone(),
                None => {
                    let config = aws(region).await;
                    let made = (config.clone(), Client::new(&config));
                    regions.insert(region, made.clone());
                    made
                }
            };
            let mut objects = || Arc::clone(buckets.entry(region).or_insert_with(|| Arc::new(Objects::new(&config))));
            let overflow = overflow_bucket.clone().map(|bucket| (objects(), bucket));
            made.insert(url.clone(), Queue { client, overflow, turns: Semaphore::new(SENDS) });
        }
        Self { queues: Arc::new(made) }
    }

    /// Sends messages to one queue, by its URL, and says of each what came of it. Several go in one request, which has to have
    /// room for them.
    pub async fn send(&self, url: &str, messages: &[Arc<Message>]) -> Vec<Result<(), SendError>> {
        let Some(queue) = self.queues.get(url) else {
            return failed(messages, &SendError::of_queue(format!("there is no queue {url}")));
        };
        let _turn = match queue.turns.acquire().await {
            Ok(turn) => turn,
            Err(error) => return failed(messages, &SendError::of_queue(error.to_string())),
        };
        if messages.len() > 1
            && let Some(sent) = queue.send_batch(url, messages).await
        {
            return sent;
        }
        let mut sent = Vec::with_capacity(messages.len());
        for message in messages {
            sent.push(queue.send(url, message).await);
        }
        sent
    }
}

impl Queue {
    async fn send(&self, url: &str, message: &Message) -> Result<(), SendError> {
        let moved = if message.fits() { None } else { Some(overflow_of(message, self.overflow.as_ref()).await?) };
        let message = moved.as_ref().unwrap_or(message);
        let request = self
            .client
            .send_message()
            .queue_url(url)
            .message_body(message.body.as_text())
            .message_group_id(message.group_id())
            .message_deduplication_id(message.deduplication_id())
            .set_message_attributes(Some(
                attributes(message).map_err(|error| SendError::of_message(error.to_string()))?,
            ));
        request.send().await.map(|_| ()).map_err(|error| SendError::of(&error))
    }

    /// Sends them in one request; `None` where they are to go one by one instead.
    async fn send_batch(&self, url: &str, messages: &[Arc<Message>]) -> Option<Vec<Result<(), SendError>>> {
        let mut request = self.client.send_message_batch().queue_url(url);
        for (index, message) in messages.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(message.body.as_text())
                .message_group_id(message.group_id())
                .message_deduplication_id(message.deduplication_id())
                .set_message_attributes(Some(attributes(message).ok()?));
            request = request.entries(entry.build().ok()?);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.code().is_some_and(|code| BATCH_TOO_LARGE.contains(&code)) => return None,
            Err(error) => return Some(failed(messages, &SendError::of(&error))),
        };
        let mut sent = failed(messages, &SendError::of_queue("SQS does not say what became of it".to_owned()));
        let place = |id: &str| id.parse::<usize>().ok();
        for accepted in &answer.successful {
            if let Some(one) = place(&accepted.id).and_then(|index| sent.get_mut(index)) {
                *one = Ok(());
            }
        }
        for refused in &answer.failed {
            if let Some(one) = place(&refused.id).and_then(|index| sent.get_mut(index)) {
                *one = Err(SendError::of_code(&refused.code, refused.message.as_deref()));
            }
        }
        Some(sent)
    }
}

fn failed(messages: &[Arc<Message>], error: &SendError) -> Vec<Result<(), SendError>> {
    messages.iter().map(|_| Err(error.clone())).collect()
}

fn attributes(message: &Message) -> Result<HashMap<String, MessageAttributeValue>, BuildError> {
    let value = |attribute: Attribute| {
        let value = MessageAttributeValue::builder().data_type(attribute.data_type).string_value(attribute.value);
        Ok((attribute.name.to_owned(), value.build()?))
    };
    message.attributes().into_iter().map(value).collect()
}

/// Puts the message's body into the bucket, which comes before the message: what it points to is there when it arrives. Put
/// again with every message, it is as young as the newest that needs it, and so it outlives that.
async fn overflow_of(message: &Message, overflow: Option<&(Arc<Objects>, String)>) -> Result<Message, SendError> {
    let refused = || SendError::of_message(format!("its snapshot takes {}", too_large(message.octets())));
    let (objects, bucket) = overflow.ok_or_else(refused)?;
    let (moved, pointer, body) = message.moved_to(bucket).ok_or_else(refused)?;
    let put = objects.put(bucket, &pointer.key, Bytes::copy_from_slice(body.as_bytes()), CONTENT_TYPE).await;
    put.map_err(|failure| {
        SendError::of_message(format!("failed to put its snapshot into the bucket {bucket}: {failure}"))
    })?;
    Ok(moved)
}

/// What an AWS SDK is to know: credentials and endpoints as its environment and profile say.
pub(crate) async fn aws(region: &str) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Https::new().shared())
        .region(Region::new(region.to_owned()))
        .retry_config(RetryConfig::standard().with_max_attempts(SDK_ATTEMPTS))
        .timeout_config(timeouts);
    loader.load().await
}
