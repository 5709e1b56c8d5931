//! What can befall a request to AWS on its way, by microburst (PyPI): a proxy that knows AWS's protocols, so that its errors are
//! those that an SDK expects, and that can let a request through and lose the answer.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::process::Process;
use super::{StackError, programs};

/// Octets of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// A running proxy.
#[derive(Debug)]
pub struct Microburst {
    /// The process, for its log.
    pub process: Process,
    /// Where it answers in its upstream's place.
    pub endpoint: String,
}

impl Microburst {
    /// Starts it before `upstream`, letting everything through.
    ///
    /// # Errors
    /// [`StackError::Missing`] without `.local/venv`; it ends, or does not listen.
    pub async fn start(dir: &Path, name: &str, upstream: &str) -> Result<Self, StackError> {
        let address: SocketAddr = programs::free_address()?;
        let mut command = Command::new(programs::in_venv("microburst")?);
        command
            .args(["--host", &address.ip().to_string(), "--port", &address.port().to_string(), "--upstream", upstream])
            .current_dir(dir)
            .env("PYTHONUNBUFFERED", "1");
        let process = Process::start(name, &command, dir)?;
        process.listens(address).await?;
        Ok(Self { process, endpoint: format!("http://{address}") })
    }

    /// From now on it goes by these rules, and by no others.
    ///
    /// # Errors
    /// It does not take them.
    pub async fn rules(&self, rules: &Value) -> Result<(), StackError> {
        self.ask(Method::POST, "rules", rules.to_string()).await.map(drop)
    }

    /// How often a rule was applied, so far.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn fired(&self) -> Result<u64, StackError> {
        let stats = self.ask(Method::GET, "stats", String::new()).await?;
        let faulted = &stats["requests"]["faulted"];
        faulted.as_u64().ok_or_else(|| StackError::step("read microburst's statistics", &stats))
    }

    async fn ask(&self, method: Method, page: &str, body: String) -> Result<Value, StackError> {
        let action = || format!("ask microburst for {page}");
        let uri = format!("{}/_microburst/{page}", self.endpoint);
        let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body)).map_err(|error| StackError::step(action(), &error))?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let answer = client.request(request).await.map_err(|error| StackError::step(action(), &error))?;
        let status = answer.status();
        let bytes = to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await;
        let bytes = bytes.map_err(|error| StackError::step(action(), &error))?;
        if !status.is_success() {
            return Err(StackError::step(action(), &format_args!("{status}: {}", String::from_utf8_lossy(&bytes))));
        }
        serde_json::from_slice(&bytes).map_err(|error| StackError::step(action(), &error))
    }
}
