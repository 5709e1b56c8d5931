//! What the function's environment says.

use secondary53_aws::objects::is_bucket;
use secondary53_zone::zone::Limits;

/// What a snapshot may take of the function's memory: one part in so many. It is held unfolded and as a zone, in a vector
/// that may have grown to twice what it needs, and beside it stand the hosted zone and the plan.
const SHARE_OF_MEMORY: usize = 8;

/// The function's settings. Everything else, AWS's endpoints and credentials among it, the SDK reads from the environment
/// by its own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `DLQ_URL`: where messages go that cannot be applied. Without it they stay in the queue until its redrive.
    pub dlq_url: Option<String>,
    /// `OVERFLOW_BUCKET`: the S3 buckets, with commas between them, that snapshots beyond one message are read from.
    pub overflow_buckets: Vec<String>,
    /// What a snapshot may come to: the default, or less by `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` (in MiB, set by Lambda). One
    /// that is too large is put aside with words; without this it would end the process, and take all other zones of its
    /// event with it.
    pub limits: Limits,
}

/// A variable does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function's environment variable {key} is {value:?}: {wanted}")]
pub struct SettingsError {
    key: &'static str,
    value: String,
    wanted: &'static str,
}

/// Reads the settings; `variable` gives a variable's value.
pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Settings, SettingsError> {
    const DLQ_URL: &str = "DLQ_URL";
    const OVERFLOW_BUCKET: &str = "OVERFLOW_BUCKET";
    const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    let mut limits = Limits::default();
    if let Some(value) = variable(MEMORY) {
        let Ok(megabytes) = value.parse::<usize>() else {
            return Err(SettingsError { key: MEMORY, value, wanted: "the function's memory in MiB" });
        };
        limits.octets = limits.octets.min(megabytes.saturating_mul(1 << 20) / SHARE_OF_MEMORY);
    }
    let buckets = variable(OVERFLOW_BUCKET).unwrap_or_default();
    let overflow_buckets: Vec<_> =
        buckets.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if !overflow_buckets.iter().all(|name| is_bucket(name)) {
        return Err(SettingsError {
            key: OVERFLOW_BUCKET,
            value: buckets,
            wanted: "names of S3 buckets, with commas between them",
        });
    }
    let dlq_url = variable(DLQ_URL).filter(|url| !url.is_empty());
    match dlq_url {
        Some(value) if value.strip_suffix(".fifo").is_none() => {
            Err(SettingsError { key: DLQ_URL, value, wanted: "the URL of a FIFO queue, which ends in .fifo" })
        }
        dlq_url => Ok(Settings { dlq_url, overflow_buckets, limits }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_may_take_a_share_of_the_functions_memory() {
        let limits = |megabytes: &'static str| {
            from_environment(|key| (key == "AWS_LAMBDA_FUNCTION_MEMORY_SIZE").then(|| megabytes.to_owned()))
                .map(|settings| settings.limits.octets)
        };
        assert_eq!(limits("128"), Ok(16 << 20));
        assert_eq!(limits("10240"), Ok(Limits::default().octets));
        assert_eq!(from_environment(|_| None).unwrap().limits, Limits::default());
        assert!(limits("much").is_err());
    }

    #[test]
    fn buckets_are_several_or_none() {
        let read = |names: &str| {
            from_environment(|key| (key == "OVERFLOW_BUCKET").then(|| names.to_owned()))
                .map(|settings| settings.overflow_buckets)
        };
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(read("abc"), Ok(vec!["abc".to_owned()]));
        assert_eq!(read("abc, de.f-1,"), Ok(vec!["abc".to_owned(), "de.f-1".to_owned()]));
        assert!(read("abc,s3://def").is_err());
    }

    #[test]
    fn the_queue_must_be_fifo() {
        let read = |url: &str| from_environment(|key| (key == "DLQ_URL").then(|| url.to_owned()));
        assert_eq!(read("https://sqs/dlq.fifo").unwrap().dlq_url.as_deref(), Some("https://sqs/dlq.fifo"));
        assert_eq!(read("").unwrap().dlq_url, None);
        let error = read("https://sqs/dlq").unwrap_err().to_string();
        assert_eq!(
            error,
            "the function's environment variable DLQ_URL is \"https://sqs/dlq\": the URL of a FIFO queue, which ends in .fifo"
        );
    }
}
