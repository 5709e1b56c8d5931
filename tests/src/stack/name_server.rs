//! A real name server as the primary, changed by dynamic update (RFC 2136).

use std::net::SocketAddr;
use std::path::PathBuf;

use super::dig::{Dig, Printed};
use super::process::{self, Process};
use super::{StackError, programs};

/// A zone that a primary starts with.
#[derive(Clone, Debug)]
pub struct ZoneFile {
    /// `example.com`, without a dot at the end.
    pub zone: String,
    /// Its text.
    pub text: String,
}

/// What a primary wants of its secondary, and does itself.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// What transfers and NOTIFY are signed with.
    pub key: Option<TsigKey>,
    /// What transfers go through, and only through.
    pub tls: Option<ServerTls>,
}

/// A certificate, and where it is shown.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Where TLS is spoken.
    pub address: SocketAddr,
    /// The chain, in PEM.
    pub certificate: PathBuf,
    /// The private key, in PEM.
    pub key: PathBuf,
    /// `TLSv1.3`
    pub protocol: String,
    /// Where a certificate is demanded of who asks: the CAs that may have signed it, in PEM.
    pub clients: Option<PathBuf>,
}

/// A key of TSIG.
#[derive(Clone, Debug)]
pub struct TsigKey {
    /// `relay.example.`
    pub name: String,
    /// `hmac-sha256`
    pub algorithm: String,
    /// In base64.
    pub secret: String,
}

/// A running primary of one zone.
#[derive(Debug)]
pub struct NameServer {
    /// The daemon.
    pub process: Process,
    /// Where it answers, UDP and TCP.
    pub address: SocketAddr,
    zone: String,
    clients: Clients,
}

/// What we ask and change it with.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    dig: Dig,
    nsupdate: PathBuf,
}

impl Clients {
    pub(super) fn find() -> Result<Self, StackError> {
        Ok(Self { dig: Dig::find()?, nsupdate: programs::installed("nsupdate")? })
    }
}

impl NameServer {
    pub(super) fn new(process: Process, address: SocketAddr, zone: String, clients: Clients) -> Self {
        Self { process, address, zone, clients }
    }

    /// One transaction: all of `changes` or none. They are written as nsupdate reads them, with whole names:
    /// `add www.example.com. 300 A 192.0.2.1`.
    ///
    /// # Errors
    /// The primary refuses it; with the end of its log.
    pub async fn update(&self, changes: &[&str]) -> Result<(), StackError> {
        let (host, port, zone) = (self.address.ip(), self.address.port(), &self.zone);
        let mut script = format!("server {host} {port}\nzone {zone}\n");
        for change in changes {
            script.extend(["update ", change, "\n"]);
        }
        script.push_str("send\n");
        process::run(&self.clients.nsupdate, &[], &script).await.map(drop).map_err(|error| {
            StackError::step(format!("update {zone}"), &format!("{error}; {}", self.process.last_words()))
        })
    }

    /// The zone's serial.
    ///
    /// # Errors
    /// The primary gives no SOA.
    pub async fn serial(&self) -> Result<u32, StackError> {
        self.clients.dig.serial(self.address, &self.zone).await
    }

    /// The whole zone, as an independent reader of AXFR sees it.
    ///
    /// # Errors
    /// The transfer is refused.
    pub async fn transfer(&self) -> Result<Printed, StackError> {
        self.clients.dig.transfer(self.address, &self.zone).await
    }
}
