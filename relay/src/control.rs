//! What an operator asks of the relay that runs: a Unix socket in its directory of state, which is for its own user and root.
//!
//! It is spoken to by HTTP, so that a script may do it too: `curl --unix-socket relay.sock -d '{"zones":["example.com"]}'
//! http://relay/resend`. Beside it lies a file that the relay holds locked for as long as it runs: two relays with one
//! directory would write each other's snapshots over, and one of them would be deaf.

use std::convert::Infallible;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::status;

/// Zones are to be transferred and sent whatever their serials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resend {
    /// The names of the zones.
    #[serde(default)]
    pub zones: Vec<String>,
    /// All zones instead.
    #[serde(default)]
    pub all: bool,
    /// Older serials are taken too: by the looks that are asked for here, and no others.
    #[serde(default)]
    pub accept_rollback: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The zones that are looked at now, or right after the look that is under way.
    pub asked: Vec<String>,
    /// The others.
    pub refused: Vec<Refused>,
}

/// A zone that is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its name, as it was given.
    pub zone: String,
    /// Why.
    pub why: String,
}

/// A question to the loop.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub resend: Resend,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// Why the relay cannot be asked, or cannot let itself be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The directory is another relay's.
    #[error(
        "failed to use state_dir {}: another relay runs with it. Stop that one, or give this one a state_dir of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// The system would not.
    #[error("failed to {doing} {}: {error}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Nobody listens.
    #[error("failed to ask the relay: none runs with state_dir {}, which the configuration names", .0.display())]
    NoRelay(PathBuf),
    /// It is not ours to ask.
    #[error("failed to ask the relay: {} is for its user and root alone", .0.display())]
    Forbidden(PathBuf),
    /// No answer, or none that reads.
    #[error("failed to ask the relay: {0}")]
    Ask(String),
}

impl ControlError {
    /// Whether the disk is full, or takes nothing: a relay goes on without.
    pub fn is_of_the_disk(&self) -> bool {
        use ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        matches!(self, Self::Io { error, .. } if matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem))
    }
}

/// The name of the socket in the directory of state.
const SOCKET: &str = "relay.sock";
/// The name of the file that is held locked.
const LOCK: &str = "relay.lock";
/// A directory where the socket is made, where nobody else can reach it.
const MAKING: &str = "relay.sock.new";
/// Connections at once.
const CONNECTIONS: usize = 4;
/// The longest life of a connection.
const LIFE: Duration = Duration::from_secs(30);
/// The longest request, in octets: ten thousand names of a hundred letters.
const REQUEST: usize = 1 << 20;
/// The pause after an error of the socket, lest it be an error each time.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes a directory of state for this process alone, until what it gives is dropped. Where nothing can be written, nothing is
/// to be had: two relays cannot write each other's snapshots over there.
pub fn lock(state_dir: &Path) -> Result<Option<File>, ControlError> {
    let path = state_dir.join(LOCK);
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = match file.map_err(failed("open", &path)) {
        Err(error) if error.is_of_the_disk() => return Ok(None),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(ControlError::InUse(state_dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
    }
}

/// Makes the socket, in the place of one that an earlier run has left. The directory must be locked.
pub fn bind(state_dir: &Path) -> Result<UnixListener, ControlError> {
    let (making, path) = (state_dir.join(MAKING), state_dir.join(SOCKET));
    let new = making.join(SOCKET);
    match fs::remove_dir_all(&making) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &making)(error)),
        _ => {}
    }
    // A socket is made with the mode that the umask leaves it. Nobody reaches it until it has its own.
    DirBuilder::new().mode(0o700).create(&making).map_err(failed("make the directory", &making))?;
    let listener = UnixListener::bind(&new).map_err(failed("make the socket", &new))?;
    fs::set_permissions(&new, Permissions::from_mode(0o600)).map_err(failed("protect", &new))?;
    fs::rename(&new, &path).map_err(failed("replace", &path))?;
    fs::remove_dir(&making).map_err(failed("remove", &making))?;
    Ok(listener)
}

/// Serves until it is dropped.
pub async fn serve(listener: UnixListener, asks: mpsc::Sender<Ask>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&connections).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "failed to accept a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        while open.try_join_next().is_some() {}
        let asks = asks.clone();
        open.spawn(async move {
            let _slot = slot;
            let service = service_fn(move |request| {
                let asks = asks.clone();
                async move { Ok::<_, Infallible>(answer(request, &asks).await) }
            });
            let served = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(error)) = timeout(LIFE, served).await {
                tracing::debug!(%error, "an operator's connection ended");
            }
        });
    }
}

async fn answer(request: Request<Incoming>, asks: &mpsc::Sender<Ask>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/resend" {
        return text(StatusCode::NOT_FOUND, "there is /resend\n".to_owned());
    }
    if request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "POST\n".to_owned());
    }
    let body = match Limited::new(request.into_body(), REQUEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let resend = match serde_json::from_slice::<Resend>(&body) {
        Ok(resend) => resend,
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    if let Some(why) = resend.why_not() {
        return text(StatusCode::BAD_REQUEST, format!("{why}\n"));
    }
    let (sender, receiver) = oneshot::channel();
    if asks.send(Ask { resend, answer: sender }).await.is_err() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the relay is stopping\n".to_owned());
    }
    let Ok(answer) = receiver.await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the relay is stopping\n".to_owned());
    };
    match serde_json::to_string(&answer) {
        Ok(json) => text(StatusCode::OK, json + "\n"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer
}

impl Resend {
    /// Why nobody may ask for this.
    pub fn why_not(&self) -> Option<&'static str> {
        match self {
            Self { all: true, accept_rollback: true, .. } => {
                Some("a rollback is accepted zone by zone, by name: it must be looked at what each would go back to")
            }
            Self { all: true, zones, .. } if !zones.is_empty() => Some("either zones by name, or all"),
            Self { all: false, zones, .. } if zones.is_empty() => Some("no zone is named"),
            _ => None,
        }
    }
}

/// Asks the relay that runs with this directory of state.
pub async fn ask(state_dir: &Path, resend: &Resend) -> Result<Answer, ControlError> {
    let path = state_dir.join(SOCKET);
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| ControlError::Ask(error.to_string());
    let stream = UnixStream::connect(&path).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ControlError::NoRelay(state_dir.to_owned()),
        ErrorKind::PermissionDenied => ControlError::Forbidden(path.clone()),
        _ => ControlError::Io { doing: "connect to", path: path.clone(), error },
    })?;
    let body = serde_json::to_string(resend).map_err(|error| failed(error.into()))?;
    let request = format!("POST /resend HTTP/1.0\r\nHost: relay\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let exchanged = timeout(LIFE, status::exchange(stream, request.as_bytes())).await;
    let answer = exchanged.unwrap_or_else(|_| Err("no answer in 30 s".into())).map_err(failed)?;
    serde_json::from_slice(&answer).map_err(|error| failed(error.into()))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ControlError {
    move |error| ControlError::Io { doing, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop that has the zones of the first label `a`.
    fn start(state_dir: &Path) -> JoinSet<()> {
        let (asker, mut asks) = mpsc::channel::<Ask>(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(bind(state_dir).unwrap(), asker));
        tasks.spawn(async move {
            while let Some(Ask { resend, answer }) = asks.recv().await {
                let (asked, refused) = resend.zones.into_iter().partition(|zone| zone.starts_with('a'));
                let refused = Vec::into_iter(refused).map(|zone| Refused { zone, why: "no".into() });
                answer.send(Answer { asked, refused: refused.collect() }).unwrap();
            }
        });
        tasks
    }

    fn resend(zones: &[&str]) -> Resend {
        Resend { zones: zones.iter().map(ToString::to_string).collect(), ..Resend::default() }
    }

    #[tokio::test]
    async fn what_is_asked_is_answered() {
        let directory = tempfile::tempdir().unwrap();
        // What another run has left, whole or half made, is in nobody's way.
        drop(bind(directory.path()).unwrap());
        fs::create_dir(directory.path().join(MAKING)).unwrap();
        fs::write(directory.path().join(MAKING).join(SOCKET), "").unwrap();
        let _tasks = start(directory.path());
        let answer = ask(directory.path(), &resend(&["a.example", "b.example"])).await.unwrap();
        assert_eq!(answer.asked, ["a.example"]);
        assert_eq!(answer.refused, [Refused { zone: "b.example".into(), why: "no".into() }]);
        let mode = fs::metadata(directory.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_nobody_may_ask_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _tasks = start(directory.path());
        let all = Resend { all: true, ..Resend::default() };
        for (request, why) in [
            (Resend { accept_rollback: true, ..all.clone() }, "zone by zone"),
            (Resend { all: true, ..resend(&["a.example"]) }, "either"),
            (Resend::default(), "no zone"),
        ] {
            let told = ask(directory.path(), &request).await.unwrap_err().to_string();
            assert!(told.starts_with("failed to ask the relay: ") && told.contains(why), "{told}");
        }
        assert_eq!(ask(directory.path(), &all).await.unwrap(), Answer::default());
        let long = resend(&["a".repeat(REQUEST).as_str()]);
        assert!(ask(directory.path(), &long).await.unwrap_err().to_string().contains("length limit"));
    }

    #[tokio::test]
    async fn where_no_relay_runs_that_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let told = async || ask(directory.path(), &resend(&["a.example"])).await.unwrap_err().to_string();
        assert!(told().await.contains("none runs with state_dir"));
        // Nor does one where the socket is left.
        drop(bind(directory.path()).unwrap());
        assert!(told().await.contains("none runs with state_dir"));
    }

    #[test]
    fn a_directory_is_one_relays() {
        let directory = tempfile::tempdir().unwrap();
        let held = lock(directory.path()).unwrap();
        let told = lock(directory.path()).unwrap_err().to_string();
        assert!(told.contains("another relay runs with it"), "{told}");
        drop(held);
        lock(directory.path()).unwrap();
    }
}
