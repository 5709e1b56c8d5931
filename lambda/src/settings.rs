//! What the function's environment says.

/// The function's settings. Everything else, AWS's endpoints and credentials among it, the SDK reads from the environment
/// by its own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `DLQ_URL`: where messages go that cannot be applied. Without it they stay in the queue until its redrive.
    pub dlq_url: Option<String>,
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
    let dlq_url = variable(DLQ_URL).filter(|url| !url.is_empty());
    match dlq_url {
        Some(value) if value.strip_suffix(".fifo").is_none() => {
            Err(SettingsError { key: DLQ_URL, value, wanted: "the URL of a FIFO queue, which ends in .fifo" })
        }
        dlq_url => Ok(Settings { dlq_url }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
