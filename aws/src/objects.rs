//! S3, as far as it is needed: an object is put, an object is got.

use aws_types::SdkConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::request::{Failure, Kind, Request, Service};

/// Octets of the answer to a PUT, which has no body.
const MAX_EMPTY: usize = 64 << 10;

/// The objects of one region's buckets.
#[derive(Debug)]
pub struct Objects {
    service: Service,
}

impl Objects {
    /// As [`Service::new`].
    pub fn new(config: &SdkConfig) -> Self {
        Self { service: Service::new(config, Kind::S3) }
    }

    /// Puts an object (`PutObject`), in the place of one of that key. S3 holds the octets against their SHA-256, and keeps
    /// that with the object.
    ///
    /// The bucket's name is as [`is_bucket`] wants it; the key is of letters, digits, `-`, `_`, `.` and `/`, so that neither
    /// needs an escape.
    pub async fn put(&self, bucket: &str, key: &str, body: Bytes, content_type: &str) -> Result<(), Failure> {
        let checksum = BASE64.encode(Sha256::digest(&body));
        let headers = vec![("content-type", content_type.to_owned()), ("x-amz-checksum-sha256", checksum)];
        let request = Request { method: "PUT", url: self.url(bucket, key), headers, body };
        self.service.send(&request, MAX_EMPTY).await.map(drop)
    }

    /// Gets an object (`GetObject`) of at most `limit` octets: of a larger one nothing is read, or no more than these.
    pub async fn get(&self, bucket: &str, key: &str, limit: usize) -> Result<Bytes, Failure> {
        let request = Request { method: "GET", url: self.url(bucket, key), headers: Vec::new(), body: Bytes::new() };
        self.service.send(&request, limit).await
    }

    /// The bucket is in the host ("Virtual hosting of buckets", Amazon S3 User Guide), unless a dot in its name would make a
    /// host that no certificate is for, or somebody said where S3 is: what stands in for it has one host.
    fn url(&self, bucket: &str, key: &str) -> String {
        if let Some(endpoint) = self.service.endpoint() {
            return format!("{endpoint}/{bucket}/{key}");
        }
        let host = host(self.service.region(), self.service.variants());
        if bucket.contains('.') {
            return format!("https://{host}/{bucket}/{key}");
        }
        format!("https://{bucket}.{host}/{key}")
    }
}

/// Whether a bucket may have this name ("General purpose bucket naming rules", Amazon S3 User Guide).
pub fn is_bucket(name: &str) -> bool {
    let of_letters = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().next_back()];
    (3..=63).contains(&name.len())
        && name.bytes().all(|octet| of_letters(octet) || matches!(octet, b'-' | b'.'))
        && ends.into_iter().flatten().all(of_letters)
        && !name.contains("..")
}

/// "Amazon Simple Storage Service endpoints and quotas", AWS General Reference.
fn host(region: &str, (fips, dual_stack): (bool, bool)) -> String {
    let s3 = if fips { "s3-fips" } else { "s3" };
    let dual_stack = if dual_stack { ".dualstack" } else { "" };
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("{s3}{dual_stack}.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use aws_types::region::Region;

    use super::*;

    #[test]
    fn the_bucket_is_in_the_host_where_a_certificate_is_for_it() {
        let objects = |region: &'static str, endpoint: Option<&str>| {
            let mut config = SdkConfig::builder().region(Region::from_static(region));
            config.set_endpoint_url(endpoint.map(ToOwned::to_owned));
            Objects::new(&config.build())
        };
        let aws = objects("eu-west-1", None);
        assert_eq!(aws.url("bucket", "snapshots/ab"), "https://bucket.s3.eu-west-1.amazonaws.com/snapshots/ab");
        assert_eq!(aws.url("a.bucket", "k"), "https://s3.eu-west-1.amazonaws.com/a.bucket/k");
        let china = objects("cn-north-1", None);
        assert_eq!(china.url("bucket", "k"), "https://bucket.s3.cn-north-1.amazonaws.com.cn/k");
        let near = objects("eu-west-1", Some("http://127.0.0.1:4566/"));
        assert_eq!(near.url("bucket", "k"), "http://127.0.0.1:4566/bucket/k");
        assert_eq!(host("us-east-1", (true, true)), "s3-fips.dualstack.us-east-1.amazonaws.com");
    }
}
