//! What the function's environment says.

use std::str::FromStr;

use secondary53_aws::objects::is_bucket;
use secondary53_zone::zone::Limits;

use crate::guard::Policy;
use crate::route53::Creation;

/// What a snapshot may take of the function's memory: one part in so many. It is held unfolded and as a zone, in a vector
/// that may have grown to twice what it needs, and beside it stand the hosted zone and the plan.
const SHARE_OF_MEMORY: usize = 8;

/// What a record takes of it, where all of a zone changes: 100 MiB were measured for 50,000 addresses.
const OCTETS_OF_A_RECORD: usize = 2_048;
/// What the function takes without a zone.
const OCTETS_OF_THE_REST: usize = 16 << 20;

/// The most invocations at once where nobody says otherwise: `MaximumConcurrency` in `infra/template.yaml`.
pub const WORKERS: u32 = 2;
/// Each has its part of the ten requests a second. With more than eight parts a zone of 100,000 RRsets, which takes 334 requests
/// to read, would not be read in an invocation, nor ever.
const WORKERS_RANGE: std::ops::RangeInclusive<u32> = 1..=8;

/// The function's settings. Everything else, AWS's endpoints and credentials among it, the SDK reads from the environment
/// by its own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `DLQ_URL`: where messages go that cannot be applied. Without it they stay in the queue until its redrive.
    pub dlq_url: Option<String>,
    /// `OVERFLOW_BUCKET`: the S3 buckets, with commas between them, that snapshots beyond one message are read from.
    pub overflow_buckets: Vec<String>,
    /// `QUEUE_URL`: the queue that messages come from, where its URL does not follow from its ARN.
    pub queue_url: Option<String>,
    /// What a snapshot may come to: the default, or less by `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` (in MiB, set by Lambda). One
    /// that is too large is put aside with words; without this it would end the process, and take all other zones of its
    /// event with it.
    pub limits: Limits,
    /// `WORKERS`: how many of these there may be at once, 1 to 8, and so which share of the account's rates is this
    /// one's.
    pub workers: u32,
    /// `MASS_DELETION_PERCENT` and `MASS_DELETION_MIN_RRSETS`: what may be deleted without an operator's word.
    pub policy: Policy,
    /// `CREATE_HOSTED_ZONES`: `true` where the hosted zone of a zone that has none is to be made; and
    /// `DELEGATION_SET_ID`, the reusable delegation set that it is made with.
    pub creation: Option<Creation>,
}

/// A variable does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function's environment variable {key} is {value:?}: {wanted}")]
pub struct SettingsError {
    key: &'static str,
    value: String,
    wanted: &'static str,
}

/// Reads the settings; `variable` gives a variable's value. One that is empty counts as not set: a template has no other
/// way to leave one out.
pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Settings, SettingsError> {
    let variable = &|key: &'static str| variable(key).filter(|value| !value.is_empty());
    let mut limits = Limits::default();
    let memory = read(variable, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "the function's memory in MiB", |_: &usize| true)?;
    if let Some(megabytes) = memory {
        let octets = megabytes.saturating_mul(1 << 20);
        limits.octets = limits.octets.min(octets / SHARE_OF_MEMORY);
        limits.records = limits.records.min(octets.saturating_sub(OCTETS_OF_THE_REST) / OCTETS_OF_A_RECORD);
    }
    let workers = {
        let wanted = "the event source's MaximumConcurrency, from 1 to 8: more do not make it faster, for the rates are the account's";
        read(variable, "WORKERS", wanted, |workers| WORKERS_RANGE.contains(workers))?.unwrap_or(WORKERS)
    };
    let buckets = variable("OVERFLOW_BUCKET").unwrap_or_default();
    let overflow_buckets: Vec<_> =
        buckets.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if !overflow_buckets.iter().all(|name| is_bucket(name)) {
        let wanted = "names of S3 buckets, with commas between them";
        return Err(SettingsError { key: "OVERFLOW_BUCKET", value: buckets, wanted });
    }
    let url = |key| {
        let is_fifo = |url: &String| url.strip_suffix(".fifo").is_some();
        read(variable, key, "the URL of a FIFO queue, which ends in .fifo", is_fifo)
    };
    let (dlq_url, queue_url) = (url("DLQ_URL")?, url("QUEUE_URL")?);
    let mut policy = Policy::default();
    let percent = read(variable, "MASS_DELETION_PERCENT", "a whole number from 0 to 100", |percent| *percent <= 100)?;
    policy.percent = percent.unwrap_or(policy.percent);
    let min_rrsets = read(variable, "MASS_DELETION_MIN_RRSETS", "a whole number of RRsets", |_| true)?;
    policy.min_rrsets = min_rrsets.unwrap_or(policy.min_rrsets);
    let creation = {
        let creates = read(variable, "CREATE_HOSTED_ZONES", "true or false", |_: &bool| true)?.unwrap_or(false);
        let wanted = "the id of a reusable delegation set, letters and digits";
        let is_id = |id: &String| id.bytes().all(|octet| octet.is_ascii_alphanumeric());
        let delegation_set_id = read(variable, "DELEGATION_SET_ID", wanted, is_id)?;
        creates.then_some(Creation { delegation_set_id })
    };
    Ok(Settings { dlq_url, overflow_buckets, queue_url, limits, workers, policy, creation })
}

fn read<T: FromStr>(
    variable: impl Fn(&'static str) -> Option<String>,
    key: &'static str,
    wanted: &'static str,
    fits: impl Fn(&T) -> bool,
) -> Result<Option<T>, SettingsError> {
    let Some(value) = variable(key) else { return Ok(None) };
    // A sign would read as a number, and mean nothing.
    match value.parse() {
        Ok(read) if fits(&read) && !value.starts_with('+') => Ok(Some(read)),
        _ => Err(SettingsError { key, value, wanted }),
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
        let records = |megabytes: &'static str| {
            from_environment(|key| (key == "AWS_LAMBDA_FUNCTION_MEMORY_SIZE").then(|| megabytes.to_owned()))
                .map(|settings| settings.limits.records)
        };
        assert_eq!((records("128"), records("256")), (Ok(57_344), Ok(122_880)));
        assert_eq!((records("8"), records("10240")), (Ok(0), Ok(Limits::default().records)));
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
    fn how_many_workers_there_are_is_a_number_within_awss_range() {
        let workers = |text: &'static str| from_environment(|key| (key == "WORKERS").then(|| text.to_owned()));
        assert_eq!(workers("1").unwrap().workers, 1);
        assert_eq!(workers("8").unwrap().workers, 8);
        assert_eq!(from_environment(|_| None).unwrap().workers, WORKERS);
        for bad in ["0", "9", "+2", "2.0", " 2", "two", "4294967298"] {
            let error = workers(bad).unwrap_err().to_string();
            assert!(error.contains("the event source's MaximumConcurrency, from 1 to 8"), "{error}");
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

    #[test]
    fn what_may_be_deleted_is_read_strictly() {
        let read = |key: &'static str, value: &'static str| {
            from_environment(move |asked| (asked == key).then(|| value.to_owned())).map(|settings| settings.policy)
        };
        let default = Policy::default();
        assert_eq!(read("MASS_DELETION_PERCENT", "0"), Ok(Policy { percent: 0, ..default }));
        assert_eq!(read("MASS_DELETION_PERCENT", "100"), Ok(Policy { percent: 100, ..default }));
        assert_eq!(read("MASS_DELETION_MIN_RRSETS", "1000"), Ok(Policy { min_rrsets: 1000, ..default }));
        assert_eq!(read("MASS_DELETION_PERCENT", ""), Ok(default));
        for bad in ["101", "-1", "30%", " 30", "3.5", "thirty"] {
            let error = read("MASS_DELETION_PERCENT", bad).unwrap_err().to_string();
            assert!(
                error.ends_with(&format!("MASS_DELETION_PERCENT is {bad:?}: a whole number from 0 to 100")),
                "{error}"
            );
        }
        assert!(read("MASS_DELETION_MIN_RRSETS", "ten").is_err());
    }

    #[test]
    fn hosted_zones_are_made_only_where_that_is_said() {
        let read = |creates: &'static str, set: &'static str| {
            let value = move |key: &str| match key {
                "CREATE_HOSTED_ZONES" => Some(creates.to_owned()),
                "DELEGATION_SET_ID" => Some(set.to_owned()),
                _ => None,
            };
            from_environment(value).map(|settings| settings.creation)
        };
        assert_eq!(from_environment(|_| None).unwrap().creation, None);
        assert_eq!(read("false", "N1"), Ok(None));
        assert_eq!(read("true", ""), Ok(Some(Creation::default())));
        assert_eq!(read("true", "N1"), Ok(Some(Creation { delegation_set_id: Some("N1".to_owned()) })));
        assert!(read("yes", "").is_err() && read("true", "/delegationset/N1").is_err());
    }
}
