//! What Route 53 has already, where whoever asks may know: so that nobody replays what would be dropped, or would undo
//! something newer. Without that permission it is not known, and the worker holds the serials against each other anyway.

use std::collections::HashMap;
use std::time::Duration;

use secondary53_lambda::handler;
use secondary53_lambda::route53::Route53;
use secondary53_zone::message::Message;
use secondary53_zone::name::Name;
use secondary53_zone::serial::Serial;

/// Hosted zones that are asked for one command: each takes two of the ten requests a second.
const ZONES: usize = 20;
/// The longest that is waited for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// The serials of hosted zones, each asked for once.
#[derive(Debug)]
pub struct Applied {
    route53: Route53,
    known: HashMap<(Name, Option<String>), Option<Serial>>,
}

impl Applied {
    /// Nothing is known yet.
    pub fn new(route53: Route53) -> Self {
        Self { route53, known: HashMap::new() }
    }

    /// The serial that a message's hosted zone stands at, where that is known and is not Route 53's own.
    pub async fn serial(&mut self, message: &Message) -> Option<Serial> {
        let key = (message.zone.clone(), message.meta.hosted_zone_id.clone());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if self.known.len() >= ZONES {
            return None;
        }
        let (zone, id) = &key;
        let ask = async {
            let stop_at = Some(handler::clock() + PATIENCE);
            let mut hosted = self.route53.find_by(zone, id.as_deref(), stop_at).await?;
            hosted.soa().await
        };
        let serial = match ask.await {
            Ok(soa) => (!soa.is_route_53s_own()).then_some(soa.soa.serial),
            Err(error) => {
                tracing::debug!(%zone, %error, "what Route 53 has is not known");
                None
            }
        };
        self.known.insert(key, serial);
        serial
    }
}
