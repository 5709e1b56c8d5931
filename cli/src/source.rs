//! Zones from their primaries, as the relay has them: its configuration and its transfer.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use secondary53_relay::config::{Config, ConfigError, Zone};
use secondary53_relay::daemon::Clock;
use secondary53_relay::primary::{FetchError, Limits, Look, Wanted, look};
use secondary53_relay::refresh::Takes;
use secondary53_relay::transfer::Transferred;

use crate::Failed;
use crate::args::Source;

/// What is transferred, and within which bounds.
#[derive(Debug)]
pub struct Zones {
    /// At least one.
    pub zones: Vec<Arc<Zone>>,
    limits: Limits,
}

impl Zones {
    /// Those of the configuration, or of the command line.
    pub fn of(source: &Source) -> Result<Self, Failed> {
        let Some(path) = &source.config else { return Self::of_arguments(source) };
        let config = Config::load(path).map_err(|error| Failed(error.to_string()))?;
        let limits = config.limits.transfer;
        if source.zones.is_empty() {
            let zones = config.zones;
            let path = path.display();
            return match zones.len() {
                0 => Err(Failed(format!("there is no [[zone]] in {path}: name zones, and their primary by --primary"))),
                _ => Ok(Self { zones, limits }),
            };
        }
        let find = |name| {
            config.zones.iter().find(|zone| &zone.name == name).cloned().ok_or_else(|| {
                let path = path.display();
                Failed(format!(
                    "{name} is not a [[zone]] of {path}: name its primary by --primary (members of catalogs and discovered zones \
                     are known to the relay only while it runs)"
                ))
            })
        };
        Ok(Self { zones: source.zones.iter().map(find).collect::<Result<_, _>>()?, limits })
    }

    /// The arguments as a configuration: so that the relay itself checks them, and reads keys and certificates.
    fn of_arguments(source: &Source) -> Result<Self, Failed> {
        // The name is only for messages, and the queue is for nobody.
        let path = Path::new("the command line");
        let text = text_of(source)?;
        let config = Config::parse(path, &text).map_err(|error| match error {
            ConfigError::Problems(problems) => {
                let all: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.key, problem.what)).collect();
                Failed(format!("failed to understand the command line: {}", all.join("; ")))
            }
            unreadable @ ConfigError::Unreadable { .. } => Failed(unreadable.to_string()),
        })?;
        Ok(Self { zones: config.zones, limits: config.limits.transfer })
    }

    /// Transfers a zone from the first of its primaries that gives it, whatever its serial.
    pub async fn transfer(&self, zone: &Zone) -> Result<Transferred, Failed> {
        let mut tried = Vec::new();
        let wanted =
            Wanted { zone: &zone.name, ours: None, takes: Takes::Newer, strip_dnssec: zone.strip_dnssec, stored: None };
        for primary in zone.primaries.iter() {
            match look(wanted, &primary.server, self.limits, Clock::start()).await {
                Ok(Look::Transferred(transferred)) => return Ok(*transferred),
                // Anything is newer than nothing.
                Ok(Look::NotNewer(_)) => {}
                Err(error) => tried.push((primary.server.address, error)),
            }
        }
        Err(Failed(FetchError { zone: zone.name.clone(), tried }.to_string()))
    }
}

fn text_of(source: &Source) -> Result<String, Failed> {
    let mut text =
        String::from("version = 1\n[queue.none]\nurl = \"https://sqs.us-east-1.amazonaws.com/0/none.fifo\"\n");
    // Writing to a String does not fail.
    let key = match &source.key {
        None => None,
        Some(key) => {
            let bad = || {
                Failed(format!("--key {key:?}: it is to be NAME:FILE, as in relay.example.:/etc/secondary53/relay.key"))
            };
            let (name, file) = key.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(bad)?;
            let (algorithm, file) = (quoted(&source.algorithm), quoted(file));
            _ = writeln!(text, "[key.{}]\nalgorithm = {algorithm}\nsecret_file = {file}", quoted(name));
            Some(name)
        }
    };
    for (index, address) in source.primaries.iter().enumerate() {
        _ = writeln!(text, "[primary.{}]\naddress = {}", index + 1, quoted(address));
        let mut say = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                _ = writeln!(text, "{name} = {}", quoted(value));
            }
        };
        say("key", key);
        say("tls_name", source.tls_name.as_deref());
        say("tls_ca_file", source.tls_ca_file.as_deref());
        say("tls_cert_file", source.tls_cert_file.as_deref());
        say("tls_key_file", source.tls_key_file.as_deref());
        _ = writeln!(text, "tls = {}", source.tls);
    }
    let primaries: Vec<_> = (1..=source.primaries.len()).map(|number| format!("\"{number}\"")).collect();
    for zone in &source.zones {
        _ = writeln!(text, "[[zone]]\nname = {}\nprimaries = [{}]", quoted(&zone.to_string()), primaries.join(", "));
        _ = writeln!(text, "strip_dnssec = {}", source.strip_dnssec);
        if let Some(id) = &source.hosted_zone_id {
            _ = writeln!(text, "hosted_zone_id = {}", quoted(id));
        }
    }
    Ok(text)
}

/// As TOML has it: JSON's strings are among its own.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn source(arguments: &[&str]) -> Source {
        let all = ["secondary53", "plan"].iter().chain(arguments);
        match Args::try_parse_from(all).unwrap().command {
            Command::Plan(source) => source,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_a_configuration() {
        let of = |arguments: &[&str]| Zones::of(&source(arguments)).unwrap();
        let zones = of(&["example.com", "a\\\"b.example", "--primary", "192.0.2.1", "--primary", "[2001:db8::1]:5353"]);
        assert_eq!(zones.zones.len(), 2);
        let addresses: Vec<_> = zones.zones[1].primaries.iter().map(|it| it.server.address.to_string()).collect();
        assert_eq!(addresses, ["192.0.2.1:53", "[2001:db8::1]:5353"]);
        let tls = of(&["example.com", "--primary", "192.0.2.1", "--tls", "--tls-name", "ns1.example"]);
        assert_eq!(tls.zones[0].primaries[0].server.address.to_string(), "192.0.2.1:853");
        assert!(tls.zones[0].primaries[0].server.tls.is_some());
    }

    #[test]
    fn what_is_wrong_with_it_is_said_by_its_key() {
        let error = |arguments: &[&str]| Zones::of(&source(arguments)).unwrap_err().0;
        let told = error(&["example.com", "--primary", "ns1.example.com"]);
        assert!(told.starts_with("failed to understand the command line: primary.1.address: "), "{told}");
        let told = error(&["example.com", "--primary", "192.0.2.1", "--key", "k:/nonexistent"]);
        assert!(told.contains("key.\"k\".secret_file: failed to read /nonexistent"), "{told}");
        let told = error(&["example.com", "--primary", "192.0.2.1", "--key", "/etc/relay.key"]);
        assert!(told.contains("it is to be NAME:FILE"), "{told}");
        let told = error(&["--config", "/nonexistent"]);
        assert!(told.contains("failed to read the configuration /nonexistent"), "{told}");
    }
}
