//! What syncing costs in calls of Route 53's API: the reference zone for the first time, and with one record changed.
//!
//! usage: calls [RECORDS…]        100, 1,000 and 10,000 where none are given
//!
//! None of the figures depends on the machine.

use std::collections::BTreeMap;

use aws_sdk_route53::Client;
use aws_sdk_route53::config::{BehaviorVersion, Credentials, Region};
use secondary53_lambda::guard::Terms;
use secondary53_lambda::refusals::Refusals;
use secondary53_lambda::route53::Route53;
use secondary53_lambda::sync::sync;
use secondary53_tests::strict::{Config, Server, ZoneSpec};
use secondary53_tests::zones::reference;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::snapshot::Snapshot;
use secondary53_zone::zone::{Limits, Zone, ZoneBuilder};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![100, 1_000, 10_000];
    }
    for records in sizes {
        let zones = vec![ZoneSpec::public("example.com")];
        let server = Server::start(Config { zones, max_rrsets: 200_000, ..Config::default() }).await?;
        let route53 = Route53::new(client(&server.endpoint()));
        let first = reference(records)?;
        // The zone's id is looked up once and then known.
        route53.find(first.apex(), None).await?;
        let steps = [
            ("first sync", first.clone(), false),
            ("one record changed", one_changed(&first)?, true),
            ("nothing changed", one_changed(&first)?, true),
        ];
        for (what, zone, trusts_serial) in steps {
            server.reset_calls();
            let mut hosted = route53.find(zone.apex(), None).await?;
            let terms = Terms { trusts_serial, ..Terms::default() };
            sync(&mut hosted, &Snapshot::new(zone), terms, &Refusals::default()).await?;
            let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
            for call in server.calls() {
                *calls.entry(call.action).or_default() += 1;
            }
            println!("{records} records, {what}: {} calls {calls:?}", server.calls().len());
        }
    }
    Ok(())
}

/// One address is another, and the serial the next.
fn one_changed(zone: &Zone) -> Result<Zone, Box<dyn std::error::Error>> {
    /// The five numbers that end a SOA's RDATA.
    const NUMBERS: usize = 20;
    let mut builder = ZoneBuilder::new(zone.apex().clone(), Limits::default());
    let mut changed = false;
    for rrset in zone.rrsets() {
        for rdata in rrset.rdata() {
            let mut rdata = rdata.to_vec();
            if rrset.rtype() == Rtype::SOA {
                let at = rdata.len() - NUMBERS;
                rdata[at..at + 4].copy_from_slice(&zone.serial().next().0.to_be_bytes());
            } else if rrset.rtype() == Rtype::A && !changed {
                rdata.copy_from_slice(&[198, 51, 100, 1]);
                changed = true;
            }
            builder.push(rrset.owner(), rrset.rtype(), rrset.ttl(), &rdata)?;
        }
    }
    Ok(builder.build()?.zone)
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "calls"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}
