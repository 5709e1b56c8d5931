//! What the function's environment says.

use secondary53_zone::zone::Limits;

/// What a snapshot may take of the function's memory: one part in so many. It is held unfolded and as a zone, in a vector
/// that may have grown to twice what it needs, and beside it stand the hosted zone and the plan.
const SHARE_OF_MEMORY: usize = 8;

/// The most invocations at once where nobody says otherwise: `MaximumConcurrency` in `infra/template.yaml`.
pub const WORKERS: u32 = 2;
/// The range of an event source's `MaximumConcurrency`, and the 1 of reserved concurrency.
const WORKERS_RANGE: std::ops::RangeInclusive<u32> = 1..=1_000;

/// The function's settings. Everything else, AWS's endpoints and credentials among it, the SDK reads from the environment
/// by its own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `DLQ_URL`: where messages go that cannot be applied. Without it they stay in the queue until its redrive.
    pub dlq_url: Option<String>,
    /// `QUEUE_URL`: the queue that messages come from, where its URL does not follow from its ARN.
    pub queue_url: Option<String>,
    /// What a snapshot may come to: the default, or less by `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` (in MiB, set by Lambda). One
    /// that is too large is put aside with words; without this it would end the process, and take all other zones of its
    /// event with it.
    pub limits: Limits,
    /// `WORKERS`: how many of these there may be at once, 1 to 1,000, and so which share of the account's rates is this
    /// one's.
    pub workers: u32,
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
    const WORKERS_KEY: &str = "WORKERS";
    const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    let mut limits = Limits::default();
    if let Some(value) = variable(MEMORY) {
        let Ok(megabytes) = value.parse::<usize>() else {
            return Err(SettingsError { key: MEMORY, value, wanted: "the function's memory in MiB" });
        };
        limits.octets = limits.octets.min(megabytes.saturating_mul(1 << 20) / SHARE_OF_MEMORY);
    }
    let mut workers = WORKERS;
    if let Some(value) = variable(WORKERS_KEY) {
        // A sign would read, and mean nothing.
        let number = value.parse().ok().filter(|_| value.bytes().all(|octet| octet.is_ascii_digit()));
        let Some(number) = number.filter(|number| WORKERS_RANGE.contains(number)) else {
            let wanted = "the event source's MaximumConcurrency, from 1 to 1000";
            return Err(SettingsError { key: WORKERS_KEY, value, wanted });
        };
        workers = number;
    }
    let url = |key| match variable(key).filter(|url| !url.is_empty()) {
        Some(value) if value.strip_suffix(".fifo").is_none() => {
            Err(SettingsError { key, value, wanted: "the URL of a FIFO queue, which ends in .fifo" })
        }
        url => Ok(url),
    };
    Ok(Settings { dlq_url: url("DLQ_URL")?, queue_url: url("QUEUE_URL")?, limits, workers })
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
    fn how_many_workers_there_are_is_a_number_within_awss_range() {
        let workers = |text: &'static str| from_environment(|key| (key == "WORKERS").then(|| text.to_owned()));
        assert_eq!(workers("1").unwrap().workers, 1);
        assert_eq!(workers("1000").unwrap().workers, 1_000);
        assert_eq!(from_environment(|_| None).unwrap().workers, WORKERS);
        for bad in ["", "0", "1001", "+2", "2.0", " 2", "two", "4294967298"] {
            let error = workers(bad).unwrap_err().to_string();
            assert!(error.ends_with("the event source's MaximumConcurrency, from 1 to 1000"), "{error}");
        }
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
