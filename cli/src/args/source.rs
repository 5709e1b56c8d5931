//! The command line of what transfers zones.

use std::path::PathBuf;

use secondary53_zone::name::Name;

/// Zones, where they come from, and where they go.
#[derive(Clone, Debug, clap::Args)]
pub struct Source {
    /// The zones; with --config, all that it names by default.
    #[arg(value_name = "ZONE", required_unless_present = "config")]
    pub zones: Vec<Name>,
    /// The primary, ADDRESS or ADDRESS:PORT; of several, the first that gives the zone.
    #[arg(long = "primary", value_name = "ADDR", required_unless_present = "config")]
    pub primaries: Vec<String>,
    /// The hosted zone, where several share the name.
    #[arg(long, value_name = "ID", conflicts_with = "config")]
    pub hosted_zone_id: Option<String>,
    /// Take primaries, keys and hosted zones from the relay's configuration; it is only read.
    #[arg(long, value_name = "FILE", conflicts_with = "primaries")]
    pub config: Option<PathBuf>,
    /// The TSIG key to sign with: its name, and the file that holds its secret in base64.
    #[arg(long, value_name = "NAME:FILE", conflicts_with = "config", help_heading = "Primary")]
    pub key: Option<String>,
    /// The key's algorithm: hmac-sha256, -sha1, -sha224, -sha384, -sha512.
    #[arg(long, value_name = "NAME", default_value = "hmac-sha256", help_heading = "Primary")]
    pub algorithm: String,
    /// Transfer over TLS (RFC 9103), port 853 by default.
    #[arg(long, conflicts_with = "config", help_heading = "Primary")]
    pub tls: bool,
    /// The name that the primary's certificate must show; its address by default.
    #[arg(long, value_name = "NAME", requires = "tls", help_heading = "Primary")]
    pub tls_name: Option<String>,
    /// The CAs that may have signed it, in PEM; those of the system by default.
    #[arg(long, value_name = "FILE", requires = "tls", help_heading = "Primary")]
    pub tls_ca_file: Option<String>,
    /// The certificate to show to the primary, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key_file", help_heading = "Primary")]
    pub tls_cert_file: Option<String>,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert_file", help_heading = "Primary")]
    pub tls_key_file: Option<String>,
    /// Take a zone though it is signed, without what belongs to its signing; only where the parent has no DS.
    #[arg(long, conflicts_with = "config", help_heading = "Primary")]
    pub strip_dnssec: bool,
}
