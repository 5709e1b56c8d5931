//! Our relay as a process, from a config file as an operator writes one.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::chain::{BUCKET, Layout};
use super::ministack::{AMBIENT, Ministack, QueuePair, REGION};
use super::process::Process;
use super::{StackError, programs};

/// Starts `secondary53-relay`. Its state survives it, under the layout's directory.
///
/// # Errors
/// [`StackError::NotBuilt`]; it ends instead of listening.
pub async fn start(layout: &Layout, ministack: &Ministack, queues: &QueuePair) -> Result<Process, StackError> {
    let state = layout.dir.join("relay-state");
    std::fs::create_dir_all(&state).map_err(StackError::io(format!("make {}", state.display())))?;
    let config = layout.dir.join("relay.toml");
    let text = config_text(layout, &state, &queues.main);
    std::fs::write(&config, text).map_err(StackError::io(format!("write {}", config.display())))?;

    let mut command = Command::new(programs::built("secondary53-relay")?);
    command.args(["run", "--log-format", "text", "--config"]).arg(&config);
    command
        .envs(AMBIENT)
        .env("AWS_ENDPOINT_URL_SQS", layout.detours.sqs.as_ref().unwrap_or(&ministack.endpoint))
        .env("AWS_ENDPOINT_URL_S3", &ministack.endpoint)
        .envs(&layout.detours.relay);
    let process = Process::start("relay", &command, &layout.dir)?;
    // NOTIFY is heard over UDP and TCP at the same port; TCP is the one that can be seen.
    process.listens(layout.listen).await?;
    Ok(process)
}

fn config_text(layout: &Layout, state: &Path, queue: &str) -> String {
    let mut text = format!(
        r#"version = 1
listen = ["{listen}"]
http = ""
resolvers = ["127.0.0.1:1"]
state_dir = "{state}"

[queue.main]
url = "{queue}"
region = "{REGION}"
overflow_bucket = "{BUCKET}"

[primary.main]
address = "{primary}"
"#,
        listen = layout.listen,
        state = state.display(),
        primary = layout.primary,
    );
    for zone in &layout.zones {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[[zone]]\nname = \"{zone}\"\nprimaries = [\"main\"]\n");
    }
    text
}
