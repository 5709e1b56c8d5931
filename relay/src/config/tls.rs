//! What `tls`, `tls_name`, `tls_ca_file`, `tls_cert_file` and `tls_key_file` of a primary mean.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;

use super::check::Check;
use super::file::Key;
use crate::tls::{Identity, IdentityError, Roots, RootsError, Tls};

/// The keys of one primary.
pub(super) struct Given {
    pub(super) tls: Key<bool>,
    pub(super) name: Key<String>,
    pub(super) ca_file: Key<String>,
    pub(super) cert_file: Key<String>,
    pub(super) key_file: Key<String>,
}

impl Given {
    pub(super) fn is_on(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| *tls.get_ref())
    }
}

impl Check {
    /// TLS to `address`, where it is on; `None` where it is off, or where a fault was told. `system` is the system's roots,
    /// once they were asked for.
    pub(super) fn tls(
        &mut self,
        path: impl Fn(&str) -> String,
        given: &Given,
        address: SocketAddr,
        system: &mut Option<Roots>,
    ) -> Option<Arc<Tls>> {
        let some = |text: &Key<String>| text.clone().filter(|text| !text.get_ref().is_empty());
        let (name, ca_file) = (some(&given.name), some(&given.ca_file));
        let (cert_file, key_file) = (some(&given.cert_file), some(&given.key_file));
        let Some(on) = given.tls.as_ref().filter(|tls| *tls.get_ref()) else {
            for (leaf, set) in [
                ("tls_name", &name),
                ("tls_ca_file", &ca_file),
                ("tls_cert_file", &cert_file),
                ("tls_key_file", &key_file),
            ] {
                if let Some(set) = set {
                    self.fault(set, &path(leaf), "it means nothing without tls = true");
                }
            }
            return None;
        };
        let roots = match (&ca_file, &system) {
            (Some(file), _) => self.told(file, &path("tls_ca_file"), Roots::of_file(Path::new(file.get_ref()))),
            (None, Some(roots)) => Some(roots.clone()),
            (None, None) => {
                *system = self.told(on, &path("tls"), Roots::of_system());
                system.clone()
            }
        };
        let text = name.as_ref().map_or_else(|| address.ip().to_string(), |name| name.get_ref().clone());
        let identity = match (&cert_file, &key_file) {
            (None, None) => None,
            (Some(cert_file), Some(key_file)) => Some(self.identity(&path, cert_file, key_file)?),
            (Some(cert_file), None) => {
                self.fault(cert_file, &path("tls_cert_file"), "it needs its key beside it, as tls_key_file");
                None
            }
            (None, Some(key_file)) => {
                self.fault(key_file, &path("tls_key_file"), "it needs its certificate beside it, as tls_cert_file");
                None
            }
        };
        let tls = Tls::new(&text, roots?, identity);
        if tls.is_err() {
            let at = name.as_ref().map_or(on.span(), Spanned::span).start;
            self.fault_at(at, &path("tls_name"), format!("{text:?} is not the name of a host, nor an address"));
        }
        tls.ok().map(Arc::new)
    }

    fn identity(
        &mut self,
        path: &impl Fn(&str) -> String,
        cert_file: &Spanned<String>,
        key_file: &Spanned<String>,
    ) -> Option<Identity> {
        let identity = Identity::of_files(Path::new(cert_file.get_ref()), Path::new(key_file.get_ref()));
        let fault = |error| match error {
            IdentityError::Certificate(..) | IdentityError::NoCertificate(_) => {
                self.fault(cert_file, &path("tls_cert_file"), error);
            }
            IdentityError::Key(..) | IdentityError::NoKey(_) | IdentityError::Unfit { .. } => {
                self.fault(key_file, &path("tls_key_file"), error);
            }
        };
        identity.map_err(fault).ok()
    }

    fn told<T>(&mut self, place: &Spanned<T>, key: &str, roots: Result<Roots, RootsError>) -> Option<Roots> {
        roots.map_err(|error| self.fault(place, key, error)).ok()
    }
}
