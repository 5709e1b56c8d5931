//! The few requests to AWS for which no SDK is linked: an SDK of a whole service would be larger than all that needs it here.
//!
//! - [`request`]: a request, signed with the credentials that the AWS SDKs find, and its answer, read within a limit.
//! - [`objects`]: S3: one object put, one object got.
//!
//! Credentials, regions and endpoints are those of an [`aws_types::SdkConfig`], so that the environment and the profile
//! mean here what they mean to every AWS tool.

pub mod objects;
pub mod request;

pub use objects::Objects;
pub use request::{Failure, Service, chain};
