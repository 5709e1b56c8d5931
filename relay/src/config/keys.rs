//! The keys of TSIG: what `[key."name."]` means, and which of them a primary has.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secondary53_zone::Name;
use toml::Spanned;

use super::check::Check;
use super::file::{Named, TsigKey};
use crate::tsig::{Algorithm, Key};

/// The keys by name; `None` where something is wrong with one, which was told.
pub(super) type Keys = Vec<(Name, Option<Arc<Key>>)>;

/// Octets of the longest file with a secret in it. The largest secret that makes sense has 172.
const SECRET_FILE_MAX: u64 = 4096;

impl Check {
    pub(super) fn keys(&mut self, given: Named<TsigKey>) -> Keys {
        let mut keys: BTreeMap<_, _> = BTreeMap::new();
        for (text, key) in given {
            let path = format!("key.{text:?}");
            match Name::parse(&text) {
                Err(error) => self.fault(&key, &path, format!("it is not a name: {error}")),
                Ok(name) if keys.contains_key(name.as_wire()) => {
                    self.fault(&key, &path, format!("the key {name} is there twice"));
                }
                Ok(name) => {
                    let made = self.tsig_key(&path, &name, &key);
                    keys.insert(name.as_wire().to_vec(), (name, made.map(Arc::new)));
                }
            }
        }
        keys.into_values().collect()
    }

    /// The key that a primary names.
    pub(super) fn key(&mut self, path: &str, given: &Spanned<String>, keys: &Keys) -> Option<Arc<Key>> {
        let wanted = Name::parse(given.get_ref()).ok();
        match keys.iter().find(|(name, _)| Some(name) == wanted.as_ref()) {
            Some((_, key)) => key.clone(),
            None => {
                let names: Vec<_> = keys.iter().map(|(name, _)| name.to_string()).collect();
                self.unknown(given, path, "key", names.iter());
                None
            }
        }
    }

    fn tsig_key(&mut self, path: &str, name: &Name, key: &Spanned<TsigKey>) -> Option<Key> {
        let TsigKey { algorithm, secret, secret_file } = key.get_ref();
        let names = || Algorithm::ALL.map(Algorithm::name).join(", ");
        let chosen = match algorithm {
            None => {
                self.fault(key, &format!("{path}.algorithm"), format!("it is missing: one of {}", names()));
                None
            }
            Some(given) => {
                let chosen = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == given.get_ref());
                if chosen.is_none() {
                    let what = format!("{:?} is none of {}", given.get_ref(), names());
                    self.fault(given, &format!("{path}.algorithm"), what);
                }
                chosen
            }
        };
        let (place, leaf, text) = match (secret, secret_file) {
            (Some(secret), None) => (secret, "secret", Ok(secret.get_ref().clone())),
            (None, Some(file)) => (file, "secret_file", read(file.get_ref())),
            _ => {
                self.fault(key, path, "it needs one of secret and secret_file");
                return None;
            }
        };
        // What is wrong is told without what was read.
        let made = text.and_then(|text| {
            let octets = BASE64
                .decode(text.trim())
                .map_err(|error| format!("the secret is not base64: {}", place_of(&error)))?;
            chosen
                .map(|algorithm| Key::new(name.clone(), algorithm, &octets).map_err(|error| error.to_string()))
                .transpose()
        });
        made.map_err(|what| self.fault(place, &format!("{path}.{leaf}"), what)).ok().flatten()
    }
}

fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(SECRET_FILE_MAX + 1).read_to_string(&mut text));
    match read {
        Err(error) => Err(format!("failed to read {path}: {error}")),
        Ok(octets) if octets as u64 > SECRET_FILE_MAX => Err(format!(
            "{path} has more than {SECRET_FILE_MAX} octets: it is to hold the secret in base64 and nothing else"
        )),
        Ok(_) => Ok(text),
    }
}

/// Where base64 ends to be so. The library's own words show the octet that stands there.
fn place_of(error: &base64::DecodeError) -> String {
    match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            format!("character {} cannot be there", at + 1)
        }
        base64::DecodeError::InvalidLength(length) => format!("it has {length} characters"),
        base64::DecodeError::InvalidPadding => "the = at its end are wrong".to_owned(),
    }
}
