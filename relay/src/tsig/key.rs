//! Keys, and the HMAC that they are for (RFC 8945 §6, RFC 2104).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secondary53_zone::Name;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::Compared;

/// Octets of the shortest secret that is taken: 128 bits. Less can be found by trying.
pub const SECRET_MIN: usize = 16;

/// How messages are signed. HMAC-MD5 is not here: RFC 8945 §6 forbids its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// hmac-sha1.
    Sha1,
    /// hmac-sha224.
    Sha224,
    /// hmac-sha256.
    Sha256,
    /// hmac-sha384.
    Sha384,
    /// hmac-sha512.
    Sha512,
}

/// A name and a secret that both sides have. The secret cannot be had back from it, and is never shown.
#[derive(Clone)]
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    /// The HMAC once it has taken the secret.
    begun: Running,
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too easily found.
    #[error(
        "the secret has {0} octets; less than {SECRET_MIN} are not safe. `tsig-keygen` or `keymgr -t` make a good one"
    )]
    TooShort(usize),
}

impl Algorithm {
    /// All, in the order of their strength.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// As a configuration names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "hmac-sha1",
            Self::Sha224 => "hmac-sha224",
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }

    /// As a message names it.
    pub(super) const fn wire(self) -> &'static [u8] {
        match self {
            Self::Sha1 => b"\x09hmac-sha1\0",
            Self::Sha224 => b"\x0bhmac-sha224\0",
            Self::Sha256 => b"\x0bhmac-sha256\0",
            Self::Sha384 => b"\x0bhmac-sha384\0",
            Self::Sha512 => b"\x0bhmac-sha512\0",
        }
    }

    /// Octets of a signature.
    pub const fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Key {
    /// A key of this name.
    pub fn new(name: Name, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let short = KeyError::TooShort(secret.len());
        if secret.len() < SECRET_MIN {
            return Err(short);
        }
        // HMAC takes a secret of any length.
        let begun = Running::new(algorithm, secret).ok_or(short)?;
        Ok(Self { name, algorithm, begun })
    }

    /// Its name.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn begin(&self) -> Running {
        self.begun.clone()
    }

    /// What follows a signature begins with it (RFC 8945 §4.3.1, §5.3.1).
    pub(super) fn after(&self, mac: &[u8]) -> Running {
        let mut running = self.begin();
        running.update(&u16::try_from(mac.len()).unwrap_or(u16::MAX).to_be_bytes());
        running.update(mac);
        running
    }
}

impl PartialEq for Key {
    /// The secrets are compared by what they make of nothing.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.algorithm == other.algorithm
            && self.begin().compare(&other.begin().finish()) == Compared::Same
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {} …)", self.name, self.algorithm.name())
    }
}

/// An HMAC on its way.
#[derive(Clone)]
pub(super) enum Running {
    Sha1(Hmac<Sha1>),
    Sha224(Hmac<Sha224>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Running {
    fn new(algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha1 => Hmac::new_from_slice(secret).map(Self::Sha1),
            Algorithm::Sha224 => Hmac::new_from_slice(secret).map(Self::Sha224),
            Algorithm::Sha256 => Hmac::new_from_slice(secret).map(Self::Sha256),
            Algorithm::Sha384 => Hmac::new_from_slice(secret).map(Self::Sha384),
            Algorithm::Sha512 => Hmac::new_from_slice(secret).map(Self::Sha512),
        }
        .ok()
    }

    pub(super) fn update(&mut self, octets: &[u8]) {
        match self {
            Self::Sha1(mac) => mac.update(octets),
            Self::Sha224(mac) => mac.update(octets),
            Self::Sha256(mac) => mac.update(octets),
            Self::Sha384(mac) => mac.update(octets),
            Self::Sha512(mac) => mac.update(octets),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha224(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha256(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha384(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha512(mac) => mac.finalize().into_bytes().to_vec(),
        }
    }

    /// In the same time for every signature of one length.
    pub(super) fn compare(self, given: &[u8]) -> Compared {
        let (verified, whole) = match self {
            Self::Sha1(mac) => (mac.verify_truncated_left(given), Algorithm::Sha1),
            Self::Sha224(mac) => (mac.verify_truncated_left(given), Algorithm::Sha224),
            Self::Sha256(mac) => (mac.verify_truncated_left(given), Algorithm::Sha256),
            Self::Sha384(mac) => (mac.verify_truncated_left(given), Algorithm::Sha384),
            Self::Sha512(mac) => (mac.verify_truncated_left(given), Algorithm::Sha512),
        };
        match verified {
            Ok(()) if given.len() == whole.octets() => Compared::Same,
            Ok(()) => Compared::SameAsFarAsItGoes,
            Err(_) => Compared::Different,
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running(…)")
    }
}
