//! The operations on hosted zones, and on changes.

use aws_sdk_route53::types::{HostedZoneConfig, HostedZoneLimitType, HostedZoneType, Vpc, VpcRegion};

use crate::*;

#[tokio::test]
async fn listing_by_name_starts_at_a_name_and_filters_nothing() {
    let world = World::with(|config| {
        config.zones.extend([
            ZoneSpec::public("example.com.mx").with_id("Z4"),
            ZoneSpec::public("a.example.com").with_id("Z3"),
            ZoneSpec { private: true, ..ZoneSpec::public("example.com").with_id("Z2") },
            ZoneSpec::public("example.biz").with_id("Z0"),
        ]);
    })
    .await;
    let list = || world.client.list_hosted_zones_by_name();
    let ids =
        |zones: &[aws_sdk_route53::types::HostedZone]| zones.iter().map(|zone| zone.id.clone()).collect::<Vec<_>>();

    let answer = list().dns_name("example.com").send().await.unwrap();
    let expected = ["/hostedzone/Z1EXAMPLE", "/hostedzone/Z2", "/hostedzone/Z3", "/hostedzone/Z4"];
    assert_eq!(ids(&answer.hosted_zones), expected);
    assert_eq!(answer.hosted_zones[0].name, "example.com.");
    let private = |zone: &aws_sdk_route53::types::HostedZone| zone.config.as_ref().unwrap().private_zone;
    assert_eq!(answer.hosted_zones.iter().map(private).collect::<Vec<_>>(), [false, true, false, false]);

    let answer = list().dns_name("example.con").send().await.unwrap();
    assert_eq!(ids(&answer.hosted_zones), ["/hostedzone/Z4"], "not the zone that was asked for");
    let answer = list().dns_name("example.com").max_items(1).send().await.unwrap();
    assert!(answer.is_truncated);
    assert_eq!(answer.next_dns_name.as_deref(), Some("example.com."));
    let next =
        list().dns_name("example.com.").hosted_zone_id(answer.next_hosted_zone_id.unwrap()).send().await.unwrap();
    assert_eq!(ids(&next.hosted_zones), expected[1..]);

    let all = world.client.list_hosted_zones().send().await.unwrap();
    assert_eq!(all.hosted_zones.len(), 5);
    let page = world.client.list_hosted_zones().max_items(3).send().await.unwrap();
    let rest = world.client.list_hosted_zones().set_marker(page.next_marker).send().await.unwrap();
    assert_eq!([page.hosted_zones, rest.hosted_zones].concat(), all.hosted_zones);
    let private = world.client.list_hosted_zones().hosted_zone_type(HostedZoneType::PrivateHostedZone).send().await;
    assert_eq!(ids(&private.unwrap().hosted_zones), ["/hostedzone/Z2"]);
}

#[tokio::test]
async fn a_zone_tells_its_name_servers_its_count_and_its_limit() {
    let world = World::with(|config| config.max_rrsets = 12_345).await;
    world.send(hosts(3)).await.unwrap();
    for id in [ZONE.to_owned(), format!("/hostedzone/{ZONE}")] {
        let answer = world.client.get_hosted_zone().id(&id).send().await.unwrap();
        assert_eq!(answer.hosted_zone.unwrap().resource_record_set_count, Some(5));
        let servers = answer.delegation_set.unwrap().name_servers;
        let stored = world.values("example.com.", "NS").unwrap();
        assert_eq!(servers.iter().map(|server| format!("{server}.")).collect::<Vec<_>>(), stored);
        let limit = world.client.get_hosted_zone_limit().hosted_zone_id(id);
        let answer = limit.clone().r#type(HostedZoneLimitType::MaxRrsetsByZone).send().await.unwrap();
        assert_eq!((answer.limit.unwrap().value, answer.count), (12_345, 5));
        let refused = limit.r#type(HostedZoneLimitType::MaxVpcsAssociatedByZone).send().await.unwrap_err();
        assert_eq!(refused.code(), Some("HostedZoneNotPrivate"));
    }
    let error = world.client.get_hosted_zone().id("ZNONE").send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
    assert_eq!(Refusal::of(&error).message, "No hosted zone found with ID: ZNONE");
    assert_eq!(send(&world.client, "ZNONE", hosts(1)).await.unwrap_err().code, "NoSuchHostedZone");
}

#[tokio::test]
async fn zones_are_created_once_and_deleted_when_bare() {
    let world = World::start().await;
    let create_zone = || world.client.create_hosted_zone().name("0/26.2.0.192.IN-ADDR.arpa").caller_reference("once");
    let commented = HostedZoneConfig::builder().comment("for <reverse>").build();
    let made = create_zone().hosted_zone_config(commented).send().await.unwrap();
    let zone = made.hosted_zone.unwrap();
    assert_eq!(zone.name, "0\\05726.2.0.192.in-addr.arpa.");
    assert_eq!(zone.config.unwrap().comment.as_deref(), Some("for <reverse>"));
    assert_eq!(made.delegation_set.unwrap().name_servers.len(), 4);
    assert!(made.location.contains(zone.id.trim_start_matches("/hostedzone/")));
    assert_eq!(create_zone().send().await.unwrap_err().code(), Some("HostedZoneAlreadyExists"));
    let name = "1.0/26.2.0.192.in-addr.arpa";
    send(&world.client, &zone.id, vec![create(name, "PTR", &["a.example.com."])]).await.unwrap();
    let drop_zone = || world.client.delete_hosted_zone().id(&zone.id).send();
    assert_eq!(drop_zone().await.unwrap_err().code(), Some("HostedZoneNotEmpty"));
    send(&world.client, &zone.id, vec![delete(name, "PTR", &["a.example.com."])]).await.unwrap();
    drop_zone().await.unwrap();
    assert_eq!(drop_zone().await.unwrap_err().code(), Some("NoSuchHostedZone"));

    for (name, taken) in [("*.example.org", false), ("a*.example.org", false), ("a.*.example.org", true), (".", false)]
    {
        let made = world.client.create_hosted_zone().name(name).caller_reference(name).send().await;
        assert_eq!(made.as_ref().err().and_then(ProvideErrorMetadata::code), (!taken).then_some("InvalidDomainName"));
    }

    let vpc = Vpc::builder().vpc_id("vpc-1").vpc_region(VpcRegion::EuWest1).build();
    let private = HostedZoneConfig::builder().private_zone(true).build();
    let made = world.client.create_hosted_zone().name("corp.example").caller_reference("p");
    let made = made.vpc(vpc).hosted_zone_config(private).send().await.unwrap();
    assert!(made.hosted_zone.unwrap().config.unwrap().private_zone);
}

#[tokio::test]
async fn a_change_is_pending_until_it_has_spread() {
    let world = World::with(|config| config.propagation = Duration::from_mins(1)).await;
    let info = world.send(hosts(1)).await.unwrap();
    assert!(info.id.starts_with("/change/C"));
    assert_eq!(info.submitted_at.secs(), 1_800_000_000);
    for (elapsed, status) in [(0, "PENDING"), (59, "PENDING"), (1, "INSYNC"), (60, "INSYNC")] {
        world.clock.advance(Duration::from_secs(elapsed));
        let told = world.client.get_change().id(&info.id).send().await.unwrap().change_info.unwrap();
        assert_eq!(told.status.as_str(), status);
        assert_eq!((told.id, told.submitted_at), (info.id.clone(), info.submitted_at));
    }
    world.server.forget_changes();
    let forgotten = world.client.get_change().id(&info.id).send().await.unwrap_err();
    assert_eq!(forgotten.code(), Some("NoSuchChange"));
    let none = world.client.get_change().id("C0").send().await.unwrap_err();
    assert_eq!(none.code(), Some("NoSuchChange"));
}

#[tokio::test]
async fn a_zone_is_seeded_past_the_limits_of_a_batch() {
    let world = World::start().await;
    let names: Vec<_> = (0..5_000).map(|at| format!("h{at}.example.com")).collect();
    let rrsets: Vec<(&str, &str, u32, &[&str])> =
        names.iter().map(|name| (name.as_str(), "A", 300, ["192.0.2.1"].as_slice())).collect();
    world.server.seed(ZONE, &rrsets).unwrap();
    assert_eq!(world.zone().rrsets.len(), 5_002);
    assert!(world.server.calls().is_empty());
    world.send(vec![delete("h4999.example.com", "A", &["192.0.2.1"])]).await.unwrap();
    let error = world.server.seed(ZONE, &[("www.example.com", "A", 300, &["x"])]).unwrap_err();
    assert!(error.to_string().starts_with("failed to seed hosted zone Z1EXAMPLE: Invalid Resource Record"), "{error}");
}
