//! NSD as the primary. It knows of no dynamic updates: a change is a new zone file and a signal.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::name_server::{Clients, NameServer, Security, ServerTls, TsigKey, ZoneFile};
use super::process::{self, Process};
use super::{StackError, programs};

/// Starts `nsd` with one zone, its file `zone.db` in `dir`, that may be transferred from loopback, and tells `notify` of
/// changes. It keeps the differences between the texts that it was given. Everything that it writes is under `dir`.
///
/// # Errors
/// [`StackError::Missing`] where it is not installed; it does not come up.
pub async fn start_with(
    dir: &Path,
    zone: &ZoneFile,
    notify: SocketAddr,
    security: &Security,
) -> Result<NameServer, StackError> {
    let (nsd, clients) = (programs::installed("nsd")?, Clients::find()?);
    let address = programs::free_address()?;

    let file = dir.join("zone.db");
    std::fs::write(&file, &zone.text).map_err(StackError::io(format!("write {}", file.display())))?;
    let config = dir.join("nsd.conf");
    let text = config_text(dir, zone, address, notify, security);
    std::fs::write(&config, text).map_err(StackError::io(format!("write {}", config.display())))?;

    let mut command = Command::new(nsd);
    // In the foreground, logging to stderr.
    command.args(["-d", "-c"]).arg(&config);
    let process = Process::start("nsd", &command, dir)?;
    process.listens(security.tls.as_ref().map_or(address, |tls| tls.address)).await?;
    Ok(NameServer::new(process, address, zone.zone.clone(), clients))
}

/// Puts another text in the place of the zone's, and has the server of `dir` read it.
///
/// # Errors
/// The file cannot be written; the server is gone.
pub async fn reload(dir: &Path, zone: &ZoneFile) -> Result<(), StackError> {
    let (file, id) = (dir.join("zone.db"), dir.join("nsd.pid"));
    std::fs::write(&file, &zone.text).map_err(StackError::io(format!("write {}", file.display())))?;
    let id = std::fs::read_to_string(&id).map_err(StackError::io(format!("read {}", id.display())))?;
    process::run("kill".as_ref(), &["-HUP", id.trim()], "").await.map(drop)
}

fn config_text(dir: &Path, zone: &ZoneFile, address: SocketAddr, notify: SocketAddr, security: &Security) -> String {
    let (dir, name) = (dir.display(), &zone.zone);
    let (ip, port) = (address.ip(), address.port());
    let (notify_ip, notify_port) = (notify.ip(), notify.port());
    let (key, its_key) = match &security.key {
        None => (String::new(), "NOKEY"),
        Some(TsigKey { name, algorithm, secret }) => {
            (format!("key:\n  name: \"{name}\"\n  algorithm: {algorithm}\n  secret: \"{secret}\"\n"), name.as_str())
        }
    };
    let tls = security.tls.as_ref().map_or_else(String::new, |ServerTls { address, certificate, key, .. }| {
        let (port, certificate, key) = (address.port(), certificate.display(), key.display());
        format!("  ip-address: {ip}@{port}\n  tls-port: {port}\n  tls-service-pem: \"{certificate}\"\n  tls-service-key: \"{key}\"\n")
    });
    format!(
        r#"server:
  ip-address: {ip}@{port}
{tls}  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd.state"
  xfrdir: "{dir}"
  zonelistfile: "{dir}/zone.list"
remote-control:
  control-enable: no
{key}zone:
  name: {name}
  zonefile: zone.db
  notify: {notify_ip}@{notify_port} {its_key}
  provide-xfr: {ip} {its_key}
  store-ixfr: yes
  create-ixfr: yes
"#
    )
}
