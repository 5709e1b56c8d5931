//! Why a queue did not accept a message, and what an operator does about it.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use secondary53_aws::chain;

/// Why a queue did not accept a message. Every one of these is tried again: what is wrong may be put right.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{told}")]
pub struct SendError {
    told: String,
    of_message: bool,
}

impl SendError {
    /// It is this message that cannot be sent; another one may.
    pub(super) fn of_message(told: String) -> Self {
        Self { told, of_message: true }
    }

    /// No message could be sent.
    pub(super) fn of_queue(told: String) -> Self {
        Self { told, of_message: false }
    }

    /// What AWS said, or what has happened to the question.
    pub(super) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match (error.code(), error.raw_response()) {
            (Some(code), _) => Self::of_code(code, error.message()),
            // As of something in between that is not AWS.
            (None, Some(answer)) => Self::of_queue(format!("HTTP status {}: {}", answer.status(), chain(error))),
            (None, None) => Self::of_queue(chain(error)),
        }
    }

    /// What AWS said.
    pub(super) fn of_code(code: &str, words: Option<&str>) -> Self {
        let mut told = code.to_owned();
        if let Some(words) = words.filter(|words| !words.is_empty()) {
            told = format!("{told}: {words}");
        }
        if let Some(advice) = advice(code) {
            told = format!("{told} ({advice})");
        }
        Self { told, of_message: matches!(code, "InvalidMessageContents" | "InvalidParameterValue") }
    }

    /// Whether the next message would fare no better.
    pub fn is_of_queue(&self) -> bool {
        !self.of_message
    }
}

/// What is to be done about an error of SQS (Amazon SQS API Reference, Common Errors; a queue's own names for them too).
fn advice(code: &str) -> Option<&'static str> {
    let code = code.rsplit_once("SimpleQueueService.").map_or(code, |(_, code)| code);
    Some(match code {
        "InvalidClientTokenId" | "InvalidAccessKeyId" | "UnrecognizedClientException" => {
            "AWS does not know the relay's access key, or it is not active: give the relay one that is"
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => {
            "the relay's secret key is not that of its access key, or this host's clock is wrong"
        }
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the relay's credentials have expired: give it others; or this host's clock is wrong"
        }
        "AccessDenied" | "AccessDeniedException" | "NotAuthorized" | "OptInRequired" => {
            "allow the relay's credentials sqs:SendMessage on this queue"
        }
        "KmsAccessDenied" | "KMS.AccessDeniedException" => {
            "allow the relay's credentials kms:GenerateDataKey and kms:Decrypt with the queue's key"
        }
        "KmsDisabled" | "KmsNotFound" | "KmsInvalidState" | "KmsInvalidKeyUsage" | "KmsOptInRequired" => {
            "the queue's KMS key cannot be used: see to it, or give the queue another one"
        }
        "QueueDoesNotExist" | "NonExistentQueue" => {
            "compare url and region in the relay's configuration with those of the queue"
        }
        "RequestThrottled" | "ThrottlingException" | "Throttling" | "KmsThrottled" => {
            "nothing to do: it is sent again, later and later"
        }
        _ => return None,
    })
}
