//! Our relay as a process, from a config file as an operator writes one.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::ministack::{AMBIENT, Ministack, QueuePair, REGION};
use super::process::Process;
use super::{StackError, programs};

/// Starts `secondary53-relay` for `zones` of one primary, with its config and its state under `dir`.
///
/// # Errors
/// [`StackError::NotBuilt`]; it ends instead of listening.
pub async fn start(
    dir: &Path,
    listen: SocketAddr,
    primary: SocketAddr,
    zones: &[&str],
    ministack: &Ministack,
    queues: &QueuePair,
) -> Result<Process, StackError> {
    let state = dir.join("relay-state");
    std::fs::create_dir_all(&state).map_err(StackError::io(format!("make {}", state.display())))?;
    let config = dir.join("relay.toml");
    let text = config_text(listen, primary, zones, &state, &queues.main);
    std::fs::write(&config, text).map_err(StackError::io(format!("write {}", config.display())))?;

    let mut command = Command::new(programs::built("secondary53-relay")?);
    command.args(["run", "--config"]).arg(&config);
    command.envs(AMBIENT).env("AWS_ENDPOINT_URL_SQS", &ministack.endpoint);
    let process = Process::start("relay", &command, dir)?;
    // NOTIFY is heard over UDP and TCP at the same port; TCP is the one that can be seen.
    process.listens(listen).await?;
    Ok(process)
}

fn config_text(listen: SocketAddr, primary: SocketAddr, zones: &[&str], state: &Path, queue: &str) -> String {
    let mut text = format!(
        r#"version = 1
listen = ["{listen}"]
http = ""
state_dir = "{state}"

[queue.main]
url = "{queue}"
region = "{REGION}"

[primary.main]
address = "{primary}"
"#,
        state = state.display()
    );
    for zone in zones {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[[zone]]\nname = \"{zone}\"\nprimaries = [\"main\"]\n");
    }
    text
}
