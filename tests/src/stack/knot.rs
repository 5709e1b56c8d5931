//! Knot as the primary. It sends NOTIFY over TCP.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::name_server::{Clients, NameServer, Security, TsigKey, ZoneFile};
use super::process::{self, Process};
use super::{StackError, programs};

/// Starts `knotd` with one zone that may be updated and transferred from loopback, and tells `notify` of changes.
/// Everything that it writes is under `dir`.
///
/// # Errors
/// [`StackError::Missing`] where it is not installed; it does not come up.
pub async fn start(dir: &Path, zone: &ZoneFile, notify: SocketAddr) -> Result<NameServer, StackError> {
    start_with(dir, zone, notify, &Security::default()).await
}

/// The same, with keys; Knot 3.2 serves no TLS.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    security: &Security,
) -> Result<NameServer, StackError> {
    launch(dir, zone, notify, security, "", "").await
}

/// The same, with more settings of the zone, in the words of its configuration: `dnssec-signing: on`.
///
/// # Errors
/// As [`start`].
pub async fn start_set(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    settings: &str,
) -> Result<NameServer, StackError> {
    launch(dir, zone, notify, &Security::default(), settings, "").await
}

/// The same, with more zones, in the words of its configuration.
pub(super) async fn start_beside(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    zones: &str,
) -> Result<NameServer, StackError> {
    launch(dir, zone, notify, &Security::default(), "", zones).await
}

/// Puts other zones in the place of those, while it runs.
pub(super) async fn reconfigure(
    dir: &Path,
    server: &NameServer,
    zone: &ZoneFile,
    notify: SocketAddr,
    zones: &str,
) -> Result<(), StackError> {
    let text = config_text(dir, zone, server.address, notify, &Security::default(), "") + zones;
    let config = dir.join("knot.conf");
    std::fs::write(&config, text).map_err(StackError::io(format!("write {}", config.display())))?;
    process::run("kill".as_ref(), &["-HUP", &server.process.id()?.to_string()], "").await.map(drop)
}

async fn launch(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    security: &Security,
    settings: &str,
    zones: &str,
) -> Result<NameServer, StackError> {
    let (knotd, clients) = (programs::installed("knotd")?, Clients::find()?);
    let address = programs::free_address()?;

    // Without its journal's directory Knot serves the zone and refuses every update.
    let database = dir.join("db");
    std::fs::create_dir_all(&database).map_err(StackError::io(format!("make {}", database.display())))?;
    let file = dir.join("zone.db");
    std::fs::write(&file, &zone.text).map_err(StackError::io(format!("write {}", file.display())))?;
    let config = dir.join("knot.conf");
    let text = config_text(dir, zone, address, notify, security, settings) + zones;
    std::fs::write(&config, text).map_err(StackError::io(format!("write {}", config.display())))?;

    let mut command = Command::new(knotd);
    command.arg("-c").arg(&config);
    let process = Process::start("knotd", &command, dir)?;
    process.logged(&format!("[{}.] loaded", zone.zone)).await?;
    process.listens(address).await?;
    Ok(NameServer::new(process, address, zone.zone.clone(), clients))
}

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
    let settings: String = settings.lines().map(|setting| format!("    {setting}\n")).collect();
    let (key, its_key) = match &security.key {
        None => (String::new(), String::new()),
        Some(TsigKey { name, algorithm, secret }) => (
            format!("key:\n  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n"),
            format!("    key: {name}\n"),
        ),
    };
    format!(
        r#"server:
    rundir: "{dir}"
    listen: {ip}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{dir}/db"
{key}remote:
  - id: relay
    address: {notify_ip}@{notify_port}
{its_key}acl:
  - id: relay
    address: {ip}
{its_key}    action: transfer
  - id: loopback
    address: {ip}
    action: update
zone:
  - domain: {name}
    storage: "{dir}"
    file: zone.db
    notify: relay
    acl: [relay, loopback]
{settings}"#
    )
}
