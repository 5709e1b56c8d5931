//! The file as it is written: every key there is, each with its place in the text. What it means is for
//! [`check`](super::check).

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// A key that may be there.
pub(super) type Key<T> = Option<Spanned<T>>;
/// A table of named tables.
pub(super) type Named<T> = BTreeMap<String, Spanned<T>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) version: Key<i64>,
    pub(super) listen: Option<Vec<Spanned<String>>>,
    pub(super) http: Key<String>,
    pub(super) resolvers: Option<Vec<Spanned<String>>>,
    pub(super) state_dir: Key<String>,
    pub(super) relay_id: Key<String>,
    #[serde(default)]
    pub(super) queue: Named<Queue>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) timers: Timers,
    #[serde(default)]
    pub(super) key: Named<TsigKey>,
    #[serde(default)]
    pub(super) primary: Named<Primary>,
    #[serde(default)]
    pub(super) zone: Vec<Spanned<Zone>>,
    #[serde(default)]
    pub(super) catalog: Vec<Spanned<Catalog>>,
    pub(super) discover: Key<Discover>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    pub(super) url: Key<String>,
    pub(super) region: Key<String>,
    pub(super) overflow_bucket: Key<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) transfers: Key<u64>,
    pub(super) transfers_per_primary: Key<u64>,
    pub(super) records_per_zone: Key<u64>,
    pub(super) transfer_idle: Key<String>,
    pub(super) transfer_total: Key<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Timers {
    pub(super) refresh_min: Key<String>,
    pub(super) refresh_max: Key<String>,
    pub(super) retry_min: Key<String>,
    pub(super) retry_max: Key<String>,
    pub(super) audit: Key<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TsigKey {
    pub(super) algorithm: Key<String>,
    pub(super) secret: Key<String>,
    pub(super) secret_file: Key<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Primary {
    pub(super) address: Key<String>,
    pub(super) key: Key<String>,
    #[serde(default)]
    pub(super) notify_from: Vec<Spanned<String>>,
    pub(super) tls: Key<bool>,
    pub(super) tls_name: Key<String>,
    pub(super) tls_ca_file: Key<String>,
    pub(super) tls_cert_file: Key<String>,
    pub(super) tls_key_file: Key<String>,
    pub(super) ixfr: Key<bool>,
}

/// Whose zones: what `[[zone]]`, `[[catalog]]` and `[discover]` have in common.
pub(super) type Names = Key<Vec<Spanned<String>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Zone {
    pub(super) name: Key<String>,
    pub(super) primaries: Names,
    pub(super) queues: Names,
    pub(super) hosted_zone_id: Key<String>,
    pub(super) strip_dnssec: Key<bool>,
    pub(super) confirm: Key<bool>,
    pub(super) confirm_servers: Names,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalog {
    pub(super) zone: Key<String>,
    pub(super) primaries: Names,
    pub(super) queues: Names,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Discover {
    pub(super) route53: Key<bool>,
    pub(super) primaries: Names,
    pub(super) queues: Names,
    pub(super) every: Key<String>,
    pub(super) include: Option<Vec<Spanned<String>>>,
    pub(super) exclude: Option<Vec<Spanned<String>>>,
}
