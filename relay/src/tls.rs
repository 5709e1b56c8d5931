//! Transfers over TLS (RFC 9103): the certificate that a primary must show, and the handshake.
//!
//! TLS 1.3 alone, as RFC 9103 §7.1 demands; BIND 9.18 and NSD 4.6 have it. The ALPN token `dot` is offered (§7.1; BIND
//! closes a connection without it), and a server that chooses none is taken all the same: NSD 4.6 knows of no ALPN.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The port of XFR over TLS (RFC 9103 §7.1, RFC 7858 §3.1).
pub const PORT: u16 = 853;

/// Sessions that may be taken up again, of one primary.
const SESSIONS: usize = 4;

/// Whose certificates are trusted: those that these have signed.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// What a primary's certificate must show.
#[derive(Clone)]
pub struct Tls {
    name: ServerName<'static>,
    roots: Roots,
    config: Arc<ClientConfig>,
}

/// Why there are no roots. Each completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file cannot be read, or is not PEM.
    #[error("failed to read {path}: {0}", path = .1)]
    File(pem::Error, String),
    /// It can, and there is none in it.
    #[error("failed to find a certificate in {0}: it is to hold those of CAs, in PEM")]
    None(String),
    /// It is no certificate.
    #[error("failed to use a certificate in {0}: {1}")]
    Unusable(String, Error),
    /// The system has none, as in a container without ca-certificates.
    #[error("failed to find the system's roots: install ca-certificates, or give tls_ca_file{0}")]
    System(String),
}

/// Why there is no connection. Each completes "TLS failed: …".
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate is not one that is taken.
    #[error("the certificate of the primary {0}")]
    Certificate(String),
    /// It says so itself.
    #[error("the primary speaks no TLS 1.3, which RFC 9103 demands")]
    Version,
    /// What came is no TLS.
    #[error("what the primary speaks at this port is not TLS")]
    NotTls,
    /// It hung up, as BIND does where no version suits both.
    #[error("the primary closed the connection within the handshake: does it serve TLS 1.3 at this port?")]
    HungUp,
    /// Anything else.
    #[error("{0}")]
    Other(io::Error),
}

impl Roots {
    /// Those of a file, in PEM.
    pub fn of_file(path: &Path) -> Result<Self, RootsError> {
        let shown = || path.display().to_string();
        let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut roots = RootCertStore::empty();
        for certificate in certificates.map_err(|error| RootsError::File(error, shown()))? {
            roots.add(certificate).map_err(|error| RootsError::Unusable(shown(), error))?;
        }
        if roots.is_empty() { Err(RootsError::None(shown())) } else { Ok(Self(Arc::new(roots))) }
    }

    /// Those of the system, but for what among them does not read.
    pub fn of_system() -> Result<Self, RootsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(RootsError::System(why));
        }
        Ok(Self(Arc::new(roots)))
    }
}

impl Tls {
    /// A certificate for `name`, a host or an address, that one of `roots` has signed.
    pub fn new(name: &str, roots: Roots) -> Result<Self, InvalidDnsNameError> {
        let name = ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Fails for a provider without a cipher suite of TLS 1.3, and ring has three.
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let builder = builder.map_err(|_| InvalidDnsNameError)?;
        let mut config = builder.with_root_certificates(Arc::clone(&roots.0)).with_no_client_auth();
        config.alpn_protocols = vec![b"dot".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self { name, roots, config: Arc::new(config) })
    }

    /// Shakes hands.
    pub async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, TlsError> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), stream).await.map_err(understand)
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.roots.0.roots == other.roots.0.roots
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({} by {} roots)", self.name.to_str(), self.roots.0.len())
    }
}

/// rustls puts its errors into those of I/O.
fn understand(error: io::Error) -> TlsError {
    if error.kind() == io::ErrorKind::UnexpectedEof || error.kind() == io::ErrorKind::ConnectionReset {
        return TlsError::HungUp;
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(problem)) => TlsError::Certificate(certificate(problem)),
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_)) => TlsError::Version,
        Some(Error::InvalidMessage(_)) => TlsError::NotTls,
        _ => TlsError::Other(error),
    }
}

/// What is wrong with a certificate; it completes "the certificate of the primary …".
fn certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => {
            "is signed by no CA that is trusted here: name the file with the right one as tls_ca_file".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet: is the clock of this host right?".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() { "nobody".to_owned() } else { presented.join(", ") };
            format!("is not for {}, but for {names}: name the right one as tls_name", expected.to_str())
        }
        other => format!("is not taken: {other}"),
    }
}
