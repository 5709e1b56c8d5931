//! Whether what was sent is live: the part of the loop that asks and is answered.

use std::net::SocketAddr;
use std::sync::Arc;

use secondary53_zone::Serial;
use tracing::{info, warn};

use super::{Daemon, Done, Tracked};
use crate::config;
use crate::confirm::{Outcome, Sent};
use crate::live::{self, Asked};
use crate::refresh::Moment;
use crate::resolve::{self, ResolveError};
use crate::view::Time;

impl Daemon {
    /// Asks the name servers of the hosted zone, if it is time.
    pub(super) fn confirm(&mut self, zone: usize, now: Moment) {
        let Some(serial) = self.zones[zone].confirm.take(now) else { return };
        let (config, turns) = (Arc::clone(&self.config), Arc::clone(&self.confirms));
        let known = match &config.zones[zone].confirm {
            config::Confirm::Servers(servers) => Some(Arc::clone(servers)),
            config::Confirm::Found | config::Confirm::Off => self.zones[zone].servers.clone(),
        };
        self.looks.spawn(async move {
            let name = &config.zones[zone].name;
            let servers = match known {
                Some(servers) => Ok(servers),
                None => {
                    let _turn = turns.resolves.acquire().await;
                    resolve::name_servers(name, &config.resolvers).await.map(Arc::from)
                }
            };
            let asked = match servers {
                Ok(servers) => {
                    let _turn = turns.asks.acquire().await;
                    Ok((live::ask(name, &servers).await, servers))
                }
                Err(error) => Err(error),
            };
            Done::Asked { zone, serial, asked }
        });
    }

    /// They have answered, or not.
    pub(super) fn asked(
        &mut self,
        zone: usize,
        serial: Serial,
        asked: Result<(Asked, Arc<[SocketAddr]>), ResolveError>,
    ) {
        let moment = self.clock.moment();
        let name = &self.config.zones[zone].name;
        match asked {
            Ok((asked, servers)) => {
                self.zones[zone].servers = Some(servers);
                let outcome = self.zones[zone].confirm.answered(moment, serial, asked.oldest());
                self.outcome(zone, moment, outcome, &asked);
            }
            Err(error) => {
                info!(zone = %name, %serial, %error, "not known whether it is live");
                self.zones[zone].forget(serial);
            }
        }
        self.arm(zone);
    }

    fn outcome(&mut self, zone: usize, moment: Moment, outcome: Outcome, asked: &Asked) {
        let now = self.clock.time();
        let config::Zone { name, confirm, .. } = &self.config.zones[zone];
        let tracked = &mut self.zones[zone];
        let theirs = asked.oldest();
        if let Some(theirs) = theirs {
            tracked.seen.live(theirs, now, matches!(outcome, Outcome::Live(_)));
        }
        match outcome {
            Outcome::Live(Sent { at, notified_ms, .. }) => {
                let took = notified_ms.map(|notified_ms| now.since(Time(notified_ms)));
                self.counts.live_seconds.extend(took);
                let (took, sent) = (took.map(|took| took.as_millis()), moment.saturating_sub(at).as_millis());
                let serial = theirs.map(|theirs| theirs.0);
                info!(zone = %name, serial, milliseconds = took, since_sent = sent, "live");
                tracked.servers = None;
            }
            // That nothing comes through a wall is no news of the zone, unless somebody said whom to ask.
            Outcome::Late(sent) | Outcome::GivenUp(sent) if theirs.is_none() && *confirm == config::Confirm::Found => {
                let error = asked.why_not(sent.serial, moment.saturating_sub(sent.at));
                info!(zone = %name, serial = %sent.serial, error, "not known whether it is live");
                tracked.forget(sent.serial);
            }
            Outcome::Late(sent) | Outcome::GivenUp(sent) => {
                let error = asked.why_not(sent.serial, moment.saturating_sub(sent.at));
                if tracked.seen.not_live(error.clone()) {
                    warn!(zone = %name, serial = %sent.serial, error, "not live");
                }
            }
            Outcome::NotYet | Outcome::Overtaken => {}
        }
    }
}

impl Tracked {
    /// Whether this serial is live cannot be known.
    fn forget(&mut self, serial: Serial) {
        self.confirm.forget(serial);
        self.servers = None;
        self.seen.unknowable(serial);
    }
}
