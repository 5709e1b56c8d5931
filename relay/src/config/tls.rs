//! What `tls`, `tls_name` and `tls_ca_file` of a primary mean.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;

use super::check::Check;
use super::file::Key;
use crate::tls::{Roots, RootsError, Tls};

/// The keys of one primary.
pub(super) struct Given {
    pub(super) tls: Key<bool>,
    pub(super) name: Key<String>,
    pub(super) ca_file: Key<String>,
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
        let Some(on) = given.tls.as_ref().filter(|tls| *tls.get_ref()) else {
            for (leaf, set) in [("tls_name", &name), ("tls_ca_file", &ca_file)] {
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
        let tls = Tls::new(&text, roots?);
        if tls.is_err() {
            let at = name.as_ref().map_or(on.span(), Spanned::span).start;
            self.fault_at(at, &path("tls_name"), format!("{text:?} is not the name of a host, nor an address"));
        }
        tls.ok().map(Arc::new)
    }

    fn told<T>(&mut self, place: &Spanned<T>, key: &str, roots: Result<Roots, RootsError>) -> Option<Roots> {
        roots.map_err(|error| self.fault(place, key, error)).ok()
    }
}
