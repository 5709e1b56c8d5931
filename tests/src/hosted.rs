//! Hosted zones as the worker reads them, without a server.

use secondary53_lambda::hosted::{HostedRrset, RrsetText};
use secondary53_lambda::value;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::zone::Zone;

/// One as Route 53 makes it.
pub fn fresh(zone: &Zone) -> Vec<HostedRrset> {
    let value = "ns-1.awsdns-01.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400".to_owned();
    let text = RrsetText { name: zone.apex().clone(), rtype: Rtype::SOA, ttl: 900, values: vec![value] };
    vec![HostedRrset { text, foreign: None }]
}

/// One that holds just this, but for what Route 53 cannot hold.
pub fn holding(zone: &Zone) -> Vec<HostedRrset> {
    let text = |rtype, rdata| value::to_text(rtype, rdata).ok();
    zone.rrsets()
        .map(|rrset| HostedRrset {
            text: RrsetText {
                name: rrset.owner().to_name(),
                rtype: rrset.rtype(),
                ttl: rrset.ttl(),
                values: rrset.rdata().filter_map(|rdata| text(rrset.rtype(), rdata)).collect(),
            },
            foreign: None,
        })
        .collect()
}
