//! What the service manager is told (`sd_notify(3)`): that the relay is ready, how its zones stand, that its loop turns, that it
//! reads its configuration anew, that it stops. Where there is no service manager, nothing is told and nothing is done for it.
//!
//! Only the loop calls [`Service::turn`], so a loop that is stuck is one that the watchdog hears nothing from.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::refresh::Moment;

/// The service manager, if there is one.
#[derive(Debug)]
pub struct Service {
    /// Whether anybody listens.
    listens: bool,
    /// Whether it knows that the relay is ready.
    ready: bool,
    watchdog: Option<Watchdog>,
    status: String,
    /// When the status may be made anew: no sooner, for it is made of all zones.
    status_at: Moment,
}

/// A watchdog that bites what it has not heard of for long.
#[derive(Debug)]
struct Watchdog {
    every: Duration,
    ping_at: Moment,
}

/// From one status to the next.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Characters of a status.
const STATUS_MAX: usize = 500;

impl Service {
    /// The one that the environment names: `NOTIFY_SOCKET`; `WATCHDOG_USEC`, where `WATCHDOG_PID` is this process or nobody.
    pub fn of_environment() -> Self {
        // Half of it, as sd_watchdog_enabled(3) advises.
        let every = sd_notify::watchdog_enabled().map(|most| most / 2).filter(|every| !every.is_zero());
        Self {
            listens: std::env::var_os("NOTIFY_SOCKET").is_some(),
            ready: false,
            watchdog: every.map(|every| Watchdog { every, ping_at: Moment::ZERO }),
            status: String::new(),
            status_at: Moment::ZERO,
        }
    }

    /// To be called each time the loop turns. Tells what is due, with `status` in a line, and says when to come back.
    ///
    /// The first turn, and the first after [`reloading`](Self::reloading), tells that the relay is ready.
    pub fn turn(&mut self, now: Moment, status: impl FnOnce() -> String) -> Option<Moment> {
        if !self.listens {
            return None;
        }
        let made;
        let mut told = Vec::new();
        // What has happened since the last one is told soon, not at once: the loop may turn thousands of times a second.
        let mut next = None;
        if now >= self.status_at {
            self.status_at = now + STATUS_EVERY;
            made = line(&status());
            if made != self.status {
                self.status.clone_from(&made);
                told.push(NotifyState::Status(&made));
            }
        } else {
            next = Some(self.status_at);
        }
        if !std::mem::replace(&mut self.ready, true) {
            told.insert(0, NotifyState::Ready);
        }
        if let Some(Watchdog { every, ping_at }) = &mut self.watchdog {
            if now >= *ping_at {
                *ping_at = now + *every;
                told.push(NotifyState::Watchdog);
            }
            next = Some(next.map_or(*ping_at, |next: Moment| next.min(*ping_at)));
        }
        tell(&told);
        next
    }

    /// The configuration is about to be read anew.
    pub fn reloading(&mut self) {
        if !self.listens {
            return;
        }
        self.ready = false;
        // By the clock that the service manager compares it with (`sd_notify(3)`, MONOTONIC_USEC=).
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "the time of a reload cannot be told to the service manager"),
        }
    }

    /// The loop has ended; `sends` are waited for.
    pub fn stopping(&self, sends: usize) {
        let status =
            if sends == 0 { "stopping".to_owned() } else { format!("stopping, once {sends} sends have ended") };
        if self.listens {
            tell(&[NotifyState::Stopping, NotifyState::Status(&status)]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if !states.is_empty()
        && let Err(error) = sd_notify::notify(states)
    {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// A line feed would end the status and begin something else.
fn line(text: &str) -> String {
    text.chars().take(STATUS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn service(watchdog: Option<Duration>) -> Service {
        let watchdog = watchdog.map(|every| Watchdog { every, ping_at: Moment::ZERO });
        Service { listens: true, ready: false, watchdog, status: String::new(), status_at: Moment::ZERO }
    }

    #[test]
    fn an_idle_loop_is_woken_for_the_watchdog_alone() {
        let mut service = service(None);
        assert_eq!(service.turn(SECOND, String::new), None);
        // Something has happened: it is told a second later, and then there is nothing to come back for.
        assert_eq!(service.turn(SECOND * 5 / 4, || panic!("too soon")), Some(SECOND * 2));
        assert_eq!(service.turn(SECOND * 2, || "1 zone".to_owned()), None);
        assert_eq!(service.status, "1 zone");

        let mut service = self::service(Some(SECOND * 10));
        assert_eq!(service.turn(SECOND, String::new), Some(SECOND * 11));
        assert_eq!(service.turn(SECOND * 3 / 2, String::new), Some(SECOND * 2));
        assert_eq!(service.turn(SECOND * 2, String::new), Some(SECOND * 11));
        assert_eq!(service.turn(SECOND * 12, String::new), Some(SECOND * 22));
    }

    #[test]
    fn nobody_is_told_nothing() {
        let mut service = Service { listens: false, ..service(Some(SECOND)) };
        assert_eq!(service.turn(SECOND, || panic!("nobody asks")), None);
        service.reloading();
    }

    #[test]
    fn a_status_is_a_line() {
        assert_eq!(line("a\nREADY=0\t"), "a READY=0 ");
        assert_eq!(line(&"é".repeat(1000)).chars().count(), STATUS_MAX);
    }
}
