//! BIND as the primary.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::name_server::{Clients, NameServer, Security, ServerTls, TsigKey, ZoneFile};
use super::process::Process;
use super::{StackError, programs};

/// Starts `named` with one zone that may be updated and transferred from loopback, and tells `notify` of changes.
/// Everything that it writes is under `dir`.
///
/// # Errors
/// [`StackError::Missing`] where it is not installed; it does not come up.
pub async fn start(dir: &Path, zone: &ZoneFile, notify: SocketAddr) -> Result<NameServer, StackError> {
    start_with(dir, zone, notify, &Security::default()).await
}

/// The same, with keys and certificates.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    security: &Security,
) -> Result<NameServer, StackError> {
    launch(dir, zone, notify, security, "").await
}

/// The same, with more settings of the zone, in the words of its configuration: `dnssec-policy default;`.
///
/// # Errors
/// As [`start`].
pub async fn start_set(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    settings: &str,
) -> Result<NameServer, StackError> {
    launch(dir, zone, notify, &Security::default(), settings).await
}

async fn launch(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    security: &Security,
    settings: &str,
) -> Result<NameServer, StackError> {
    let (named, clients) = (programs::installed("named")?, Clients::find()?);
    let address = programs::free_address()?;

    let file = dir.join("zone.db");
    std::fs::write(&file, &zone.text).map_err(StackError::io(format!("write {}", file.display())))?;
    let config = dir.join("named.conf");
    let text = config_text(dir, zone, address, notify, security, settings);
    std::fs::write(&config, text).map_err(StackError::io(format!("write {}", config.display())))?;

    let mut command = Command::new(named);
    // In the foreground, logging to stderr, with one thread: the zone is small.
    command.args(["-g", "-n", "1", "-c"]).arg(&config);
    let process = Process::start("named", &command, dir)?;
    process.logged("running").await?;
    process.logged(&format!("zone {}/IN: loaded", zone.zone)).await?;
    Ok(NameServer::new(process, address, zone.zone.clone(), clients))
}

/// notify-delay is 5 seconds by default: right for a busy server, and the longest wait of a test by far.
fn config_text(
    dir: &Path,
    zone: &ZoneFile,
    address: SocketAddr,
    notify: SocketAddr,
    security: &Security,
    settings: &str,
) -> String {
    let (dir, name) = (dir.display(), &zone.zone);
    let (ip, port) = (address.ip(), address.port());
    let (notify_ip, notify_port) = (notify.ip(), notify.port());
    let (key, transfer, notify_key) = match &security.key {
        None => (String::new(), ip.to_string(), String::new()),
        Some(TsigKey { name, algorithm, secret }) => (
            format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n"),
            format!("key \"{name}\""),
            format!(" key \"{name}\""),
        ),
    };
    let (tls, listen, over) = match &security.tls {
        None => Default::default(),
        Some(ServerTls { address, certificate, key, protocol, clients }) => (
            format!(
                "tls xot {{ cert-file \"{}\"; key-file \"{}\"; protocols {{ {protocol}; }};{} }};\n",
                certificate.display(),
                key.display(),
                clients.as_ref().map(|clients| format!(" ca-file \"{}\";", clients.display())).unwrap_or_default()
            ),
            format!("    listen-on port {} tls xot {{ {}; }};\n", address.port(), address.ip()),
            format!(" port {} transport tls", address.port()),
        ),
    };
    format!(
        r#"{key}{tls}options {{
    directory "{dir}";
    pid-file none;
    session-keyfile "{dir}/session.key";
    listen-on port {port} {{ {ip}; }};
{listen}    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    allow-transfer{over} {{ {transfer}; }};
    notify explicit;
    notify-delay 0;
}};
controls {{ }};
zone "{name}" {{
    type primary;
    file "zone.db";
    allow-update {{ {ip}; }};
    also-notify {{ {notify_ip} port {notify_port}{notify_key}; }};
    {settings}
}};
"#
    )
}
