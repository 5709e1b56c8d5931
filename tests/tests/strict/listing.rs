//! Listing: order, pages, and what is not plain data.

use aws_sdk_route53::types::{
    AliasTarget, CidrRoutingConfig, GeoLocation, ResourceRecordSetFailover, ResourceRecordSetRegion,
};

use crate::*;

/// An alias to create.
pub fn alias(name: &str) -> Change {
    let target = AliasTarget::builder()
        .hosted_zone_id("Z2FDTNDATAQYW2")
        .dns_name("D1.CloudFront.net")
        .evaluate_target_health(false)
        .build()
        .unwrap();
    let set = ResourceRecordSet::builder().name(name).r#type(RrType::A).alias_target(target).build().unwrap();
    change(ChangeAction::Create, set)
}

/// A page after another, as Route 53 wants it: name, type and identifier.
async fn pages(world: &World, size: Option<i32>) -> Vec<Vec<ResourceRecordSet>> {
    let mut pages = Vec::new();
    let (mut name, mut rtype, mut identifier) = (None, None, None);
    for _ in 0..100 {
        let page = world
            .client
            .list_resource_record_sets()
            .hosted_zone_id(format!("/hostedzone/{ZONE}"))
            .set_start_record_name(name)
            .set_start_record_type(rtype)
            .set_start_record_identifier(identifier)
            .set_max_items(size)
            .send()
            .await
            .unwrap();
        assert_eq!(page.max_items, size.unwrap_or(300).min(300));
        pages.push(page.resource_record_sets);
        if !page.is_truncated {
            assert_eq!(page.next_record_name, None);
            return pages;
        }
        (name, rtype, identifier) = (page.next_record_name, page.next_record_type, page.next_record_identifier);
        assert!(name.is_some() && rtype.is_some());
    }
    panic!("the listing does not end");
}

#[tokio::test]
async fn a_page_holds_300() {
    for (count, expected) in [(299, vec![299]), (300, vec![300]), (301, vec![300, 1])] {
        let world = World::start().await;
        world.send(hosts(count - 2)).await.unwrap();
        for size in [None, Some(300), Some(1_000)] {
            let pages = pages(&world, size).await;
            assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_make_the_same_list() {
    let world = World::start().await;
    let mut changes = hosts(5);
    changes.extend([
        create("a.h1.example.com", "A", &["192.0.2.1"]),
        create("h1-x.example.com", "A", &["192.0.2.1"]),
        create("*.example.com", "TXT", &["\"x\""]),
        create("h1.example.com", "AAAA", &["::1"]),
    ]);
    for identifier in ["a", "b", "c"] {
        let mut routed = set("w.example.com", "A", 60, &["192.0.2.9"]);
        (routed.set_identifier, routed.weight) = (Some(identifier.to_owned()), Some(10));
        changes.push(change(ChangeAction::Create, routed));
    }
    world.send(changes).await.unwrap();
    let whole = pages(&world, None).await.concat();
    let named: Vec<_> = whole.iter().map(|set| format!("{} {}", set.name, set.r#type.as_str())).collect();
    assert_eq!(
        named,
        [
            "example.com. NS",
            "example.com. SOA",
            "\\052.example.com. TXT",
            "h0.example.com. A",
            "h1-x.example.com. A",
            "h1.example.com. A",
            "h1.example.com. AAAA",
            "a.h1.example.com. A",
            "h2.example.com. A",
            "h3.example.com. A",
            "h4.example.com. A",
            "w.example.com. A",
            "w.example.com. A",
            "w.example.com. A",
        ]
    );
    for size in 1..=14 {
        assert_eq!(pages(&world, Some(size)).await.concat(), whole);
    }
}

#[tokio::test]
async fn the_soa_is_read_in_one_call() {
    let world = World::start().await;
    let page = world
        .client
        .list_resource_record_sets()
        .hosted_zone_id(ZONE)
        .start_record_name("EXAMPLE.com")
        .start_record_type(RrType::Soa)
        .max_items(1)
        .send()
        .await
        .unwrap();
    assert_eq!(page.resource_record_sets.len(), 1);
    assert_eq!(page.resource_record_sets[0].r#type, RrType::Soa);
    let list = || world.client.list_resource_record_sets().hosted_zone_id(ZONE);
    for bad in [list().start_record_type(RrType::A), list().max_items(0), list().start_record_name("a..b")] {
        assert_eq!(bad.send().await.unwrap_err().code(), Some("InvalidInput"));
    }
    let without_type = list().start_record_name("a.example.com").start_record_identifier("x").send().await;
    assert_eq!(without_type.unwrap_err().code(), Some("InvalidInput"));
}

#[tokio::test]
async fn aliases_and_routed_rrsets_are_kept_and_listed() {
    let world = World::start().await;
    let routed = |name: &str, with: fn(&mut ResourceRecordSet)| {
        let mut set = set(&format!("{name}.example.com."), "A", 60, &["192.0.2.9"]);
        set.set_identifier = Some(format!("{name} & one"));
        with(&mut set);
        set
    };
    let mut sets = vec![
        routed("cidr", |set| {
            let config = CidrRoutingConfig::builder().collection_id("c-1").location_name("home").build().unwrap();
            set.cidr_routing_config = Some(config);
        }),
        routed("failover", |set| set.failover = Some(ResourceRecordSetFailover::Primary)),
        routed("geo", |set| {
            set.geo_location = Some(GeoLocation::builder().country_code("US").subdivision_code("CA").build());
        }),
        routed("latency", |set| set.region = Some(ResourceRecordSetRegion::EuWest1)),
        routed("multi", |set| set.multi_value_answer = Some(true)),
    ];
    let mut policy = set("policy.example.com.", "A", 0, &[]);
    (policy.ttl, policy.resource_records) = (None, None);
    policy.traffic_policy_instance_id = Some("11111111-2222-3333-4444-555555555555".to_owned());
    sets.push(policy);
    sets.push(routed("weight", |set| set.weight = Some(0)));
    let mut changes: Vec<_> = sets.iter().map(|set| change(ChangeAction::Create, set.clone())).collect();
    changes.push(alias("alias.example.com"));
    world.send(changes).await.unwrap();

    let mut listed = pages(&world, None).await.concat().split_off(2);
    let alias = listed.remove(0);
    assert_eq!((alias.ttl, alias.resource_records.clone()), (None, None));
    assert_eq!(alias.alias_target.unwrap().dns_name, "d1.cloudfront.net.");
    assert_eq!(listed, sets);
}

#[tokio::test]
async fn a_routed_rrset_and_a_plain_one_do_not_share_a_name_and_type() {
    let world = World::start().await;
    world.send(vec![create("www.example.com", "A", &["192.0.2.1"])]).await.unwrap();
    let mut weighted = set("www.example.com", "A", 60, &["192.0.2.9"]);
    (weighted.set_identifier, weighted.weight) = (Some("one".to_owned()), Some(1));
    let message = refused(world.send(vec![change(ChangeAction::Create, weighted.clone())]).await);
    assert!(message.contains("SetIdentifier one cannot be created"), "{message}");
    weighted.weight = None;
    let refusal = world.send(vec![change(ChangeAction::Create, weighted)]).await.unwrap_err();
    assert_eq!(refusal.code, "InvalidInput");
    assert!(refusal.message.contains("but found none in Change with [Action=CREATE, Name=www.example.com, Type=A"));
    let mut both = set("x.example.com", "A", 60, &["192.0.2.9"]);
    both.traffic_policy_instance_id = Some("x".to_owned());
    let refusal = world.send(vec![change(ChangeAction::Create, both)]).await.unwrap_err();
    assert!(refusal.message.contains("but found more than one"), "{refusal:?}");
}
