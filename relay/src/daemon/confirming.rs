//! Whether what was sent is live: the part of the loop that asks and is answered.

use std::net::SocketAddr;
use std::sync::Arc;

use secondary53_zone::Serial;
use tracing::{info, warn};

use super::{Daemon, Done, Tracked};
use crate::config;
use crate::confirm::{Outcome, Sent};
use crate::live::{self, Asked};
use crate::notify::ZoneKey;
use crate::refresh::Moment;
use crate::resolve::{self, ResolveError};
use crate::view::{Counts, Time};

impl Daemon {
    /// Asks the name servers of the hosted zone, if it is time.
    pub(super) fn confirm(&mut self, key: ZoneKey, now: Moment) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        let Some(serial) = tracked.confirm.take(now) else { return };
        let known = match &tracked.zone.confirm {
            config::Confirm::Servers(servers) => Some(Arc::clone(servers)),
            config::Confirm::Found | config::Confirm::Off => tracked.servers.clone(),
        };
        let (config, zone) = (Arc::clone(&self.config), Arc::clone(&tracked.zone));
        let turns = Arc::clone(&self.confirms);
        self.looks.spawn(async move {
            let servers = match known {
                Some(servers) => Ok(servers),
                None => {
                    let _turn = turns.resolves.acquire().await;
                    resolve::name_servers(&zone.name, &config.resolvers).await.map(Arc::from)
                }
            };
            let asked = match servers {
                Ok(servers) => {
                    let _turn = turns.asks.acquire().await;
                    Ok((live::ask(&zone.name, &servers).await, servers))
                }
                Err(error) => Err(error),
            };
            Done::Asked { zone: key, serial, asked }
        });
    }

    /// They have answered, or not.
    pub(super) fn asked(
        &mut self,
        key: ZoneKey,
        serial: Serial,
        asked: Result<(Asked, Arc<[SocketAddr]>), ResolveError>,
    ) {
        let Some(tracked) = self.zones.get_mut(key) else { return };
        match asked {
            Ok((asked, servers)) => {
                tracked.servers = Some(servers);
                let (moment, now) = (self.clock.moment(), self.clock.time());
                let outcome = tracked.confirm.answered(moment, serial, asked.oldest());
                tracked.outcome(moment, now, outcome, &asked, &mut self.counts);
            }
            Err(error) => {
                info!(zone = %tracked.zone.name, %serial, %error, "not known whether it is live");
                tracked.forget(serial);
            }
        }
        self.zones.arm(key);
    }
}

impl Tracked {
    fn outcome(&mut self, moment: Moment, now: Time, outcome: Outcome, asked: &Asked, counts: &mut Counts) {
        let zone = Arc::clone(&self.zone);
        let config::Zone { name, confirm, .. } = &*zone;
        let theirs = asked.oldest();
        if let Some(theirs) = theirs {
            self.seen.live(theirs, now, matches!(outcome, Outcome::Live(_)));
        }
        match outcome {
            Outcome::Live(Sent { at, notified_ms, .. }) => {
                let took = notified_ms.map(|notified_ms| now.since(Time(notified_ms)));
                counts.live_seconds.extend(took);
                let (took, sent) = (took.map(|took| took.as_millis()), moment.saturating_sub(at).as_millis());
                let serial = theirs.map(|theirs| theirs.0);
                info!(zone = %name, serial, milliseconds = took, since_sent = sent, "live");
                self.servers = None;
            }
            // That nothing comes through a wall is no news of the zone, unless somebody said whom to ask.
            Outcome::Late(sent) | Outcome::GivenUp(sent) if theirs.is_none() && *confirm == config::Confirm::Found => {
                let error = asked.why_not(sent.serial, moment.saturating_sub(sent.at));
                info!(zone = %name, serial = %sent.serial, error, "not known whether it is live");
                self.forget(sent.serial);
            }
            Outcome::Late(sent) | Outcome::GivenUp(sent) => {
                let error = asked.why_not(sent.serial, moment.saturating_sub(sent.at));
                if self.seen.not_live(error.clone()) {
                    warn!(zone = %name, serial = %sent.serial, error, "not live");
                }
            }
            Outcome::NotYet | Outcome::Overtaken => {}
        }
    }

    /// Whether this serial is live cannot be known.
    fn forget(&mut self, serial: Serial) {
        self.confirm.forget(serial);
        self.servers = None;
        self.seen.unknowable(serial);
    }
}
