//! What an operator asks for.

use secondary53_zone::Name;
use tracing::info;

use super::Daemon;
use crate::control::{Answer, Ask, Refused, Resend};
use crate::notify::ZoneKey;

impl Daemon {
    /// Has zones looked at, whatever their serials. Nobody waits for the answer any more if they are gone.
    pub(super) fn asked_for(&mut self, Ask { resend, answer }: Ask) {
        drop(answer.send(self.resend(resend)));
    }

    fn resend(&mut self, Resend { zones, all, accept_rollback }: Resend) -> Answer {
        let mut answer = Answer::default();
        let mut keys: Vec<ZoneKey> = if all { self.zones.keys().collect() } else { Vec::new() };
        for zone in zones {
            match zone.parse::<Name>() {
                Ok(name) => match self.zones.find(&name) {
                    Some(key) => keys.push(key),
                    None => answer.refused.push(Refused { zone, why: "it is not a zone of this relay".to_owned() }),
                },
                Err(error) => answer.refused.push(Refused { zone, why: error.to_string() }),
            }
        }
        let now = self.clock.moment();
        for key in keys {
            let Some(tracked) = self.zones.get_mut(key) else { continue };
            let look = tracked.refresh.resend(now, accept_rollback);
            info!(zone = %tracked.zone.name, accept_rollback, at_once = look.is_some(), "an operator asks");
            answer.asked.push(tracked.zone.name.to_string());
            if let Some(cause) = look {
                self.lines.push(key, &tracked.zone, cause, now);
            }
            self.zones.arm(key);
        }
        answer
    }
}
