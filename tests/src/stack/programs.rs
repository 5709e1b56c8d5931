//! Where the executables are, and which ports are free for them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use super::StackError;

/// A binary of this workspace, beside the running one: `target/debug/NAME`.
///
/// # Errors
/// [`StackError::NotBuilt`]: cargo builds the binaries of other packages only when asked to.
pub fn built(name: &str) -> Result<PathBuf, StackError> {
    let running = std::env::current_exe().map_err(StackError::io("find the running executable"))?;
    let beside = running.parent().unwrap_or(Path::new("."));
    // A test runs from target/debug/deps, an example from target/debug/examples.
    let within = beside.ends_with("deps") || beside.ends_with("examples");
    let profile = if within { beside.parent().unwrap_or(beside) } else { beside };
    let path = profile.join(name);
    if path.is_file() { Ok(path) } else { Err(StackError::NotBuilt(path)) }
}

/// A name server or one of its clients, from `PATH` or from where Debian keeps daemons.
///
/// # Errors
/// [`StackError::Missing`].
pub fn installed(program: &str) -> Result<PathBuf, StackError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| StackError::Missing {
            program: program.to_owned(),
            remedy: "run tests/setup --debian, or install it by other means",
        })
}

/// A program of `.local/venv`.
///
/// # Errors
/// [`StackError::Missing`].
pub fn in_venv(program: &str) -> Result<PathBuf, StackError> {
    in_environment(".local/venv", program, "run tests/setup")
}

/// A program of `.local/tools`: what deploys and packs.
///
/// # Errors
/// [`StackError::Missing`].
pub fn in_tools(program: &str) -> Result<PathBuf, StackError> {
    in_environment(".local/tools", program, "run tests/setup --tools")
}

fn in_environment(environment: &str, program: &str, remedy: &'static str) -> Result<PathBuf, StackError> {
    let path = workspace().join(environment).join("bin").join(program);
    if path.is_file() { Ok(path) } else { Err(StackError::Missing { program: program.to_owned(), remedy }) }
}

/// The root of the source tree.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// A loopback address whose port is free, for UDP and TCP, and was given to nobody else in this process.
///
/// # Errors
/// All that were tried are taken.
pub fn free_address() -> Result<SocketAddr, StackError> {
    static GIVEN: LazyLock<Mutex<BTreeSet<u16>>> = LazyLock::new(Mutex::default);
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    (0..1000)
        // Below the range from which Linux takes the ports of outgoing connections.
        .map(|_| rand::random_range(20_000..32_000))
        .find(|port| !given.contains(port) && is_free(*port))
        .map(|port| {
            given.insert(port);
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        })
        .ok_or_else(|| StackError::step("find a free port on 127.0.0.1", &"1,000 of 20000–31999 are taken"))
}

/// `preferred` where that is free, else any: a demo's ports are for people to remember.
///
/// # Errors
/// As [`free_address`].
pub fn free_address_or(preferred: u16) -> Result<SocketAddr, StackError> {
    if is_free(preferred) { Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, preferred))) } else { free_address() }
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}
