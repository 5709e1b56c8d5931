//! Transfers over TLS (RFC 9103): the certificate that a primary must show, the one that it is shown, and the handshake.
//!
//! TLS 1.3 alone, as RFC 9103 §7.1 demands; BIND 9.18 and NSD 4.6 have it. The ALPN token `dot` is offered (§7.1; BIND
//! closes a connection without it), and a server that chooses none is taken all the same: NSD 4.6 knows of no ALPN.
//!
//! A primary may demand a certificate of the relay (mutual TLS, RFC 9103 §9.3.3). In TLS 1.3 it says what it thinks of it, or of
//! there being none, after the handshake (RFC 8446 §4.4.2.4), in the place of its first answer.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, pem};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::prompt::Prompt;

/// The port of XFR over TLS (RFC 9103 §7.1, RFC 7858 §3.1).
pub const PORT: u16 = 853;

/// Sessions that may be taken up again, of one primary.
const SESSIONS: usize = 4;

/// Whose certificates are trusted: those that these have signed.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// The certificate that primaries are shown, and its key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

/// What a primary's certificate must show, and what it is shown.
#[derive(Clone)]
pub struct Tls {
    name: ServerName<'static>,
    roots: Roots,
    identity: Option<Identity>,
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

/// Why there is no certificate to show. Each completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file of the certificate cannot be read, or is not PEM.
    #[error("failed to read {1}: {0}")]
    Certificate(pem::Error, String),
    /// It can, and there is none in it.
    #[error("failed to find a certificate in {0}: it is to hold the relay's, and those of the CAs between, in PEM")]
    NoCertificate(String),
    /// The file of the key cannot be read, or is not PEM.
    #[error("failed to read {1}: {0}")]
    Key(pem::Error, String),
    /// It can, and there is none in it.
    #[error("failed to find a private key in {0}: it is to hold one in PEM, not encrypted")]
    NoKey(String),
    /// The key is of no kind that is known, or not that of the certificate.
    #[error("failed to use the key in {key} with the certificate in {certificate}: {error}")]
    Unfit {
        /// Its file.
        certificate: String,
        /// Its file.
        key: String,
        /// What rustls says.
        error: Error,
    },
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
    /// It wants to see a certificate.
    #[error("the primary demands a certificate of the relay: name one as tls_cert_file and its key as tls_key_file")]
    Demanded,
    /// It has seen one.
    #[error("the primary does not take the certificate in tls_cert_file: it says {0:?}")]
    Refused(AlertDescription),
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

impl Identity {
    /// Those of two files, in PEM: the certificate with what leads from it to a CA, and its key.
    pub fn of_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let [certificate_shown, key_shown] = [certificate, key].map(|path| path.display().to_string());
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| IdentityError::Certificate(error, certificate_shown.clone()))?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate(certificate_shown));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
            pem::Error::NoItemsFound => IdentityError::NoKey(key_shown.clone()),
            error => IdentityError::Key(error, key_shown.clone()),
        })?;
        let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider());
        let unfit = |error| IdentityError::Unfit { certificate: certificate_shown, key: key_shown, error };
        Ok(Self(Arc::new(certified.map_err(unfit)?)))
    }
}

impl Tls {
    /// A certificate for `name`, a host or an address, that one of `roots` has signed. `identity` is what a primary that asks for
    /// it is shown.
    pub fn new(name: &str, roots: Roots, identity: Option<Identity>) -> Result<Self, InvalidDnsNameError> {
        let name = ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Fails for a provider without a cipher suite of TLS 1.3, and ring has three.
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let builder = builder.map_err(|_| InvalidDnsNameError)?;
        let builder = builder.with_root_certificates(Arc::clone(&roots.0));
        let mut config = match &identity {
            None => builder.with_no_client_auth(),
            Some(Identity(certified)) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(certified))))
            }
        };
        config.alpn_protocols = vec![b"dot".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self { name, roots, identity, config: Arc::new(config) })
    }

    /// Shakes hands.
    pub async fn connect(&self, stream: Prompt) -> Result<TlsStream<Prompt>, TlsError> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), stream).await.map_err(understand)
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        let shown = |tls: &Self| tls.identity.as_ref().map(|identity| identity.0.cert.clone());
        self.name == other.name && self.roots.0.roots == other.roots.0.roots && shown(self) == shown(other)
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({} by {} roots", self.name.to_str(), self.roots.0.len())?;
        f.write_str(if self.identity.is_some() { ", with a certificate)" } else { ")" })
    }
}

/// What a primary says of the relay's certificate in the place of an answer, if that is what this is.
pub fn of_our_certificate(error: &io::Error) -> Option<TlsError> {
    use AlertDescription as Alert;
    let Some(Error::AlertReceived(alert)) = error.get_ref()?.downcast_ref() else { return None };
    match alert {
        Alert::CertificateRequired => Some(TlsError::Demanded),
        Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError => Some(TlsError::Refused(*alert)),
        _ => None,
    }
}

/// rustls puts its errors into those of I/O.
fn understand(error: io::Error) -> TlsError {
    if error.kind() == io::ErrorKind::UnexpectedEof || error.kind() == io::ErrorKind::ConnectionReset {
        return TlsError::HungUp;
    }
    if let Some(told) = of_our_certificate(&error) {
        return told;
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
