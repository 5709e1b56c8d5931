use proptest::prelude::*;
use secondary53_zone::rrset::Rtype;
use secondary53_zone::zone::Zone;

use super::Action::{Create, Delete, Upsert};
use super::*;
use crate::hosted::{HostedSoa, sort_hosted};
use crate::model::{apply, hosted_of, name, zone, zones};

fn batches(from: &Zone, to: &Zone) -> Batches {
    Batches::of(&Plan::new(&hosted_of(from), to).unwrap())
}

fn with_hosts(count: usize) -> Zone {
    let owners: Vec<String> = (0..count).map(|i| format!("h{i}")).collect();
    zone(&owners.iter().map(|owner| (owner.as_str(), Rtype::A, 300, "192.0.2.1")).collect::<Vec<_>>())
}

proptest! {
    /// Applied one after the other, as strictly as Route 53 does it, the batches make the one zone of the other; each
    /// is within the limits; and only the last one brings the serial.
    #[test]
    fn batches_make_one_zone_of_another(from in zones(), to in zones(), large in 0..3_usize) {
        let (from, to) = (crate::model::widened(&from, large), crate::model::widened(&to, large));
        let mut hosted = hosted_of(&from);
        let plan = Plan::new(&hosted, &to).unwrap();
        let all = Batches::of(&plan);
        let count = all.batches.len();
        for (index, batch) in all.batches.iter().enumerate() {
            prop_assert!(batch.cost.fits() && !batch.items.is_empty());
            prop_assert_eq!(batch.cost, cost_of(&batch.items));
            let soas: Vec<_> = batch.items.iter().filter(|item| item.rrset.rtype == Rtype::SOA).collect();
            let marks = usize::from(index == 0 && count > 1);
            let ends = usize::from(index + 1 == count && (plan.soa.is_some() || count > 1));
            prop_assert_eq!(soas.len(), marks + ends);
            hosted = apply(hosted, &batch.items);
            let soa = hosted.iter().find(|rrset| rrset.text.rtype == Rtype::SOA).unwrap();
            let is_marked = HostedSoa::read(&soa.text).unwrap().is_marked();
            prop_assert_eq!(is_marked, index + 1 < count);
        }
        sort_hosted(&mut hosted);
        prop_assert_eq!(hosted, hosted_of(&to));
    }
}

proptest! {
    /// Where the one zone fits and the other, everything between fits too: after each single change.
    #[test]
    fn what_fits_in_the_end_fits_all_along(from in zones(), to in zones(), spare in 0..3_usize) {
        let mut hosted = hosted_of(&from);
        let plan = Plan::new(&hosted, &to).unwrap();
        let quota = hosted.len().max(plan.size_after()) + spare;
        let all = Batches::within(&plan, quota - hosted.len());
        for batch in &all.batches {
            prop_assert!(batch.cost.fits() && !batch.items.is_empty());
            prop_assert_eq!(batch.cost, cost_of(&batch.items));
            for item in &batch.items {
                hosted = apply(hosted, std::slice::from_ref(item));
                prop_assert!(hosted.len() <= quota, "{} of {quota}", hosted.len());
            }
        }
        let last = all.batches.last().and_then(|batch| batch.items.last());
        let ends = plan.soa.is_some() || all.batches.len() > 1;
        prop_assert_eq!(last.is_some_and(|item| item.action == Action::Upsert), ends);
        sort_hosted(&mut hosted);
        prop_assert_eq!(hosted, hosted_of(&to));
    }
}

#[test]
fn nothing_to_do_is_no_request() {
    assert_eq!(batches(&with_hosts(3), &with_hosts(3)), Batches::default());
}

#[test]
fn elements_fill_a_request_to_the_last() {
    // The SOA differs in nothing here: 1,000 creations are one request, one more is another, and then it is marked and
    // marked no more.
    for (count, requests) in [(999, 1), (1000, 1), (1001, 2), (1996, 2), (1997, 3), (2996, 3), (2997, 4)] {
        let all = batches(&with_hosts(0), &with_hosts(count));
        assert_eq!(all.batches.len(), requests, "{count}");
    }
}

#[test]
fn characters_fill_a_request_to_the_last() {
    // Ten values of 3,200 characters are 32,000.
    let strings = format!("\"{}\"", "x".repeat(255));
    let value = |last: usize| format!("{} \"{}\"", [strings.as_str(); 12].join(" "), "x".repeat(last));
    let exact = value(3200 - 12 * 258 - 2);
    assert_eq!(exact.len(), 3200);
    let longer = value(3200 - 12 * 258 - 1);
    let owners: Vec<String> = (0..10).map(|i| format!("t{i}")).collect();
    let texts = |last: &str| {
        let records: Vec<_> = owners
            .iter()
            .enumerate()
            .map(|(index, owner)| {
                (owner.as_str(), Rtype::TXT, 300, if index == 9 { last.to_owned() } else { exact.clone() })
            })
            .collect();
        zone(
            &records
                .iter()
                .map(|(owner, rtype, ttl, value)| (*owner, *rtype, *ttl, value.as_str()))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(batches(&with_hosts(0), &texts(&exact)).batches.len(), 1);
    assert_eq!(batches(&with_hosts(0), &texts(&longer)).batches.len(), 2);
}

#[test]
fn the_soa_counts_twice_and_has_a_request_of_its_own_where_there_is_no_room() {
    let next_serial = |zone: &Zone| crate::model::with_serial(zone, 8);
    for (count, requests) in [(998, 1), (999, 2), (1000, 2), (1996, 2), (1997, 3)] {
        let all = batches(&with_hosts(0), &next_serial(&with_hosts(count)));
        assert_eq!(all.batches.len(), requests, "{count}");
        let last = all.batches.last().unwrap().items.last().unwrap();
        assert_eq!((last.action, last.rrset.rtype), (Action::Upsert, Rtype::SOA));
    }
}

#[test]
fn names_that_come_are_first_and_names_that_go_last() {
    let from = zone(&[("gone", Rtype::A, 300, "192.0.2.1"), ("kept", Rtype::A, 300, "192.0.2.1")]);
    let to = zone(&[("kept", Rtype::A, 60, "192.0.2.1"), ("new", Rtype::A, 300, "192.0.2.1")]);
    let all = batches(&from, &to);
    let order: Vec<_> = all.batches[0].items.iter().map(|item| (item.action, item.rrset.name.to_string())).collect();
    assert_eq!(
        order,
        [
            (Action::Create, "new.example.com.".into()),
            (Action::Delete, "kept.example.com.".into()),
            (Action::Create, "kept.example.com.".into()),
            (Action::Delete, "gone.example.com.".into()),
        ]
    );
}

#[test]
fn a_cname_takes_a_names_place_in_one_request() {
    let from = zone(&[("w", Rtype::A, 300, "192.0.2.1"), ("w", Rtype::TXT, 300, "\"x\"")]);
    let to = zone(&[("w", Rtype::CNAME, 300, "x.")]);
    let actions =
        |all: &Batches| all.batches[0].items.iter().map(|item| (item.action, item.rrset.rtype)).collect::<Vec<_>>();
    assert_eq!(actions(&batches(&from, &to)), [(Delete, Rtype::A), (Delete, Rtype::TXT), (Create, Rtype::CNAME)]);
    assert_eq!(actions(&batches(&to, &from)), [(Delete, Rtype::CNAME), (Create, Rtype::A), (Create, Rtype::TXT)]);
}

#[test]
fn of_a_name_too_large_for_one_request_each_rrset_that_fits_stays_whole() {
    // Six values of 3,000 characters are 18,000, and in both zones together too many.
    let text = |mark: &str| -> Vec<String> {
        (0..6).map(|i| [format!("\"{mark}{i}{}\"", "x".repeat(246)).as_str(); 12].join(" ")).collect()
    };
    let of = |mark: &str, address: &str| {
        let texts = text(mark);
        let texts = texts.iter().map(|value| ("big", Rtype::TXT, 300, value.as_str()));
        zone(&texts.chain([("big", Rtype::A, 300, address)]).collect::<Vec<_>>())
    };
    let all = batches(&of("old", "192.0.2.1"), &of("new", "192.0.2.2"));
    assert_eq!(all.not_atomic, [name("big.example.com")]);
    let actions = all
        .batches
        .iter()
        .map(|batch| batch.items.iter().map(|item| (item.action, item.rrset.rtype)).collect::<Vec<_>>())
        .collect::<Vec<_>>();
    assert_eq!(
        actions,
        [
            vec![(Upsert, Rtype::SOA), (Delete, Rtype::A), (Create, Rtype::A), (Delete, Rtype::TXT)],
            vec![(Create, Rtype::TXT)],
            vec![(Upsert, Rtype::SOA)],
        ]
    );
    let old = all.batches[0].items.iter().find(|item| item.rrset.rtype == Rtype::TXT).map(|item| item.rrset.clone());
    assert_eq!(all.batches.iter().map(|batch| batch.instead.clone()).collect::<Vec<_>>(), [None, old, None]);
}

#[test]
fn what_is_too_large_for_both_is_replaced_in_one_request_where_the_new_fits_twice() {
    let of = |mark: &str, strings: usize| {
        let text = [format!("\"{mark}{}\"", "x".repeat(247)).as_str(); 12].join(" ");
        let texts: Vec<String> = (0..strings).map(|number| text.replacen('x', &number.to_string(), 1)).collect();
        zone(&texts.iter().map(|text| ("big", Rtype::TXT, 300, text.as_str())).collect::<Vec<_>>())
    };
    // A value has about 3,000 characters: ten and five do not fit together, five fit twice, six do not.
    for (new, actions) in [(5, vec![vec![Upsert]]), (6, vec![vec![Upsert, Delete], vec![Create], vec![Upsert]])] {
        let all = batches(&of("old", 10), &of("new", new));
        let asked = |batch: &Batch| batch.items.iter().map(|item| item.action).collect::<Vec<_>>();
        assert_eq!(all.batches.iter().map(asked).collect::<Vec<_>>(), actions, "{new}");
        assert_eq!(all.not_atomic.len(), usize::from(new == 6));
    }
}

#[test]
fn what_will_not_be_complete_is_marked_though_it_is_one_request() {
    let plan = Plan::new(&hosted_of(&with_hosts(1)), &crate::model::with_serial(&with_hosts(2), 8)).unwrap();
    let mark = plan.mark.clone().map(|mark| Mark { done: None, ..mark });
    let all = Batches::of(&Plan { soa: None, mark, ..plan.clone() });
    let actions: Vec<_> = all.batches[0].items.iter().map(|item| (item.action, item.rrset.rtype)).collect();
    assert_eq!((all.batches.len(), actions), (1, vec![(Upsert, Rtype::SOA), (Create, Rtype::A)]));
    // What is marked already is not marked again, and what was never synced need not be.
    let of = |soa: &HostedSoa| {
        let mut hosted = hosted_of(&with_hosts(1));
        hosted.iter_mut().find(|rrset| rrset.text.rtype == Rtype::SOA).unwrap().text =
            soa.to_text(&name("example.com"));
        Plan::new(&hosted, &with_hosts(2)).unwrap()
    };
    let soa = |text: &str| HostedSoa { soa: crate::model::with_soa(text).soa().clone(), ttl: 900 };
    assert_eq!(of(&soa("ns. host. 7 1 1 1 1").marked()).mark, None);
    assert_eq!(of(&soa("ns. host. 1 7200 900 1209600 86400")).mark, None);
    assert!(of(&soa("ns. host. 7 1 1 1 1")).mark.is_some());
}

#[test]
fn a_name_too_large_for_one_request_is_cut_by_rrset_and_said() {
    let text = |mark: &str| -> Vec<String> {
        (0..9).map(|i| [format!("\"{mark}{i}{}\"", "x".repeat(250)).as_str(); 12].join(" ")).collect()
    };
    let (old, new) = (text("old"), text("new"));
    let from = zone(&old.iter().map(|value| ("big", Rtype::TXT, 300, value.as_str())).collect::<Vec<_>>());
    let to = zone(&new.iter().map(|value| ("big", Rtype::TXT, 300, value.as_str())).collect::<Vec<_>>());
    let all = batches(&from, &to);
    assert_eq!(all.not_atomic, [name("big.example.com")]);
    let actions: Vec<_> = all.batches.iter().flat_map(|batch| &batch.items).map(|item| item.action).collect();
    assert_eq!(actions, [Upsert, Delete, Create, Upsert]);
}
