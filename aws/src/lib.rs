//! The HTTPS client under the AWS SDKs, and the few requests to AWS for which none is linked: an SDK of a whole service would be larger
//! than all that needs it here.
//!
//! - [`https`]: the client, HTTP/1.1 over rustls.
//! - [`request`]: a request, signed with the credentials that the AWS SDKs find, and its answer, read within a limit.
//! - [`objects`]: S3: one object put, one object got.
//!
//! Credentials, regions and endpoints are those of an [`aws_types::SdkConfig`], so that the environment and the profile
//! mean here what they mean to every AWS tool.

pub mod https;
pub mod objects;
pub mod request;

pub use https::Https;
pub use objects::Objects;
pub use request::{Failure, Service, chain};
