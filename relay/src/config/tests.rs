mod security;

use super::*;

const MINIMAL: &str = r#"
[queue.main]
url = "https://sqs.eu-west-1.amazonaws.com/123456789012/secondary53.fifo"
[primary.main]
address = "192.0.2.1:53"
[[zone]]
name = "Example.COM"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("relay.toml"), text)
}

fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Err(ConfigError::Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

/// The example with one line put in the place of another.
fn problems_with(line: &str, instead: &str) -> Vec<String> {
    assert!(MINIMAL.contains(line), "{line}");
    problems(&MINIMAL.replace(line, instead))
}

#[test]
fn the_least_that_must_be_said() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(
        config.zones,
        [Arc::new(Zone {
            name: "example.com".parse().unwrap(),
            primaries: config.primaries.clone().into(),
            queues: config.queues.clone().into(),
            hosted_zone_id: None,
            strip_dnssec: false,
            confirm: Confirm::Found
        })]
    );
    assert_eq!(config.queues[0].region, "eu-west-1");
    assert_eq!(config.primaries[0].source.nets, ["192.0.2.1/32".parse().unwrap()]);
    assert_eq!(config.http, Some("127.0.0.1:9153".parse().unwrap()));
    assert_eq!(config.listen, ["0.0.0.0:53".parse().unwrap(), "[::]:53".parse().unwrap()]);
}

#[test]
fn the_example_file_says_the_defaults() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/relay.example.toml")).unwrap();
    let (example, minimal) = (parse(&text).unwrap(), parse(MINIMAL).unwrap());
    assert_eq!(format!("{example:?}"), format!("{minimal:?}"));
}

/// What the example has as a comment is a key nonetheless: with the marks gone it is understood.
#[test]
fn what_the_example_marks_is_known() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/relay.example.toml")).unwrap();
    let is_setting = |line: &str| line.starts_with("# [") || line.contains(" = ");
    let everything: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|_| is_setting(line)).unwrap_or(line).to_owned() + "\n")
        .collect();
    let told = problems(&everything).join("\n");
    // Nothing but files that are nowhere.
    assert!(told.lines().all(|line| line.contains("failed to read")), "{told}");
}

#[test]
fn a_catalog_goes_to_no_queue_and_its_members_do() {
    let with = |catalogs: &str| MINIMAL.replace("[[zone]]", &format!("{catalogs}\n[[zone]]"));
    let config = parse(&with("[[catalog]]\nzone = \"Catalog.example\"")).unwrap();
    let [catalog] = &*config.catalogs else { panic!() };
    assert_eq!((catalog.zone.name.to_string(), catalog.zone.queues.len()), ("catalog.example.".to_owned(), 0));
    let member = catalog.member("example.net".parse().unwrap());
    assert_eq!((member.primaries, member.queues), (config.primaries.into(), config.queues.into()));
    assert_eq!((member.hosted_zone_id, member.strip_dnssec, member.confirm), (None, false, Confirm::Found));

    assert!(problems(&with("[[catalog]]"))[0].contains("catalog.zone: it is missing"));
    let twice = "[[catalog]]\nzone = \"c.example\"\n[[catalog]]\nzone = \"C.example\"";
    assert!(problems(&with(twice))[0].contains("catalog c.example. is there twice"));
    assert!(problems(&with("[[catalog]]\nzone = \"example.com\""))[0].contains("example.com. is there as a zone too"));
    // It is enough.
    let alone = MINIMAL.replace("[[zone]]\nname", "[[catalog]]\nzone");
    assert!(parse(&alone).unwrap().zones.is_empty());
}

#[test]
fn the_hosted_zones_of_an_account() {
    let zone = "[[zone]]\nname = \"Example.COM\"";
    let with = |discover: &str| MINIMAL.replace(zone, &format!("[discover]\n{discover}"));
    let discover = parse(&with("route53 = true")).unwrap().discover.unwrap();
    assert_eq!((discover.every, discover.primaries.len(), discover.queues.len()), (Duration::from_hours(1), 1, 1));
    let name = |text: &str| -> Name { text.parse().unwrap() };
    assert!(discover.filter.wants(&name("example.com")));
    let text = "route53 = true\nevery = \"5m\"\ninclude = [\"*.example\"]\nexclude = [\"not.*\"]";
    let discover = parse(&with(text)).unwrap().discover.unwrap();
    let wants = ["a.example", "not.example", "example.com"].map(|text| discover.filter.wants(&name(text)));
    assert_eq!((discover.every, wants), (Duration::from_mins(5), [true, false, false]));
    let zone = discover.zone(name("a.example"), "Z1".to_owned());
    assert_eq!((zone.hosted_zone_id.as_deref(), zone.confirm), (Some("Z1"), Confirm::Found));

    assert!(problems(&with("route53 = false"))[0].contains("there is none: name at least one"));
    assert!(
        problems(&with("route53 = true\ninclude = [\"\"]"))[0].contains("discover.include: \"\": a pattern is empty")
    );
    assert!(problems(&with("route53 = true\nevery = \"1s\""))[0].contains("discover.every: \"1s\" is not within"));
    // With several primaries it must be said which, once it is on.
    let two = |switch: &str| with(switch).replace("[discover]", "[primary.b]\naddress = \"192.0.2.2\"\n[discover]");
    assert!(problems(&two("route53 = true"))[0].contains("discover.primaries: it is missing"));
}

#[test]
fn what_is_live_is_asked_of_these_name_servers() {
    let zone = |more: &str| MINIMAL.replace("[[zone]]", &format!("[[zone]]\n{more}"));
    let servers = "confirm_servers = [\"192.0.2.7:53\", \"[2001:db8::7]:53\"]";
    let confirm = |text: &str| parse(&zone(text)).unwrap().zones[0].confirm.clone();
    let both = Confirm::Servers(["192.0.2.7:53".parse().unwrap(), "[2001:db8::7]:53".parse().unwrap()].into());
    assert_eq!(confirm(servers), both);
    assert_eq!(confirm(&format!("{servers}\nconfirm = true")), both);
    assert_eq!(confirm(&format!("{servers}\nconfirm = false")), Confirm::Off);
    assert_eq!(confirm("confirm_servers = []"), Confirm::Found);
    assert!(problems(&zone("confirm_servers = [\"ns-1.awsdns-1.com:53\"]"))[0].contains("no host names"));
}

#[test]
fn the_status_page_has_an_address_or_none() {
    let http = |given: &str| parse(&format!("http = \"{given}\"{MINIMAL}")).map(|config| config.http);
    assert_eq!(http("").unwrap(), None);
    assert_eq!(http("[::1]:80").unwrap(), Some("[::1]:80".parse().unwrap()));
    assert!(http("localhost:80").unwrap_err().to_string().contains(": http: \"localhost:80\" is not an address"));
}

#[test]
fn a_problem_names_file_line_and_key() {
    let only = |problems: Vec<String>| <[String; 1]>::try_from(problems).unwrap()[0].clone();
    assert_eq!(
        only(problems_with("address = \"192.0.2.1:53\"", "address = \"ns.example:53\"")),
        "relay.toml:5: primary.main.address: \"ns.example:53\" is not an address and a port, as in 192.0.2.1:53 or \
         [2001:db8::1]:53 (no host names)"
    );
    assert_eq!(
        only(problems_with("name = \"Example.COM\"", "name = \"Example.COM\"\nprimaries = [\"other\"]")),
        "relay.toml:8: zone.primaries: there is no primary \"other\"; there is: main"
    );
    assert_eq!(
        only(problems_with("name = \"Example.COM\"", "name = \"Example.COM\"\n[[zone]]\nname = \"example.com.\"")),
        "relay.toml:8: zone.name: zone example.com. is there twice"
    );
    let unknown = only(problems_with("[primary.main]", "[primary.main]\nadress = \"192.0.2.1:53\""));
    assert!(unknown.starts_with("relay.toml:5: adress: unknown field `adress`, expected one of"), "{unknown}");
    let broken = only(problems_with("[[zone]]", "[[zone"));
    assert!(broken.starts_with("relay.toml:6: "), "{broken}");
    let wrong_type = only(problems_with("[[zone]]", "[limits]\ntransfers = \"ten\"\n[[zone]]"));
    assert!(wrong_type.starts_with("relay.toml:7: transfers: invalid type: string \"ten\""), "{wrong_type}");
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let told = problems("version = 2\nlisten = [\"53\"]\n[limits]\ntransfers = 0\n[timers]\nretry_min = \"30\"\n");
    let keys: Vec<_> = told.iter().map(|problem| problem.split(':').nth(2).unwrap().trim().to_owned()).collect();
    assert_eq!(keys[keys.len() - 3..], ["listen", "limits.transfers", "timers.retry_min"]);
    for missing in ["queue", "primary", "zone", "version"] {
        assert!(keys.iter().any(|key| key == missing), "{missing}: {told:?}");
    }
}

#[test]
fn times_have_units_and_bounds() {
    for (setting, told) in [
        ("[timers]\nrefresh_min = \"60\"", "timers.refresh_min: \"60\" is not a time with its unit"),
        ("[timers]\nrefresh_min = \"0s\"", "timers.refresh_min: \"0s\" is not within 1s and"),
        ("[timers]\nrefresh_max = \"59s\"", "timers.refresh_max: 59s is less than timers.refresh_min, 1m"),
        ("[timers]\nretry_min = \"2h\"", "timers.retry_max: 1h is less than timers.retry_min, 2h"),
        ("[timers]\naudit = \"9ms\"", "timers.audit: it is shorter than 1s, and not \"0s\""),
        ("[limits]\ntransfer_idle = \"20m\"", "limits.transfer_total: 10m is less than limits.transfer_idle, 20m"),
        ("[limits]\nrecords_per_zone = 0", "limits.records_per_zone: 0 is not within 1 and"),
    ] {
        let problems = problems_with("[[zone]]", &format!("{setting}\n[[zone]]"));
        assert!(problems[0].contains(told), "{problems:?}");
        assert!(problems[0].starts_with("relay.toml:7: "), "{problems:?}");
    }
}

#[test]
fn audits_are_daily_unless_they_are_turned_off() {
    let audit = |given: &str| parse(&MINIMAL.replace("[[zone]]", &format!("{given}\n[[zone]]"))).unwrap().timers.audit;
    assert_eq!(audit(""), Some(Duration::from_hours(24)));
    assert_eq!(audit("[timers]\naudit = \"12h\""), Some(Duration::from_hours(12)));
    assert_eq!(audit("[timers]\naudit = \"0s\""), None);
}

#[test]
fn queues_are_fifo_and_have_a_region() {
    let url = "url = \"https://sqs.eu-west-1.amazonaws.com/123456789012/secondary53.fifo\"";
    let with = |given: &str| MINIMAL.replace(url, given);
    assert!(problems(&with("url = \"https://sqs.eu-west-1.amazonaws.com/1/plain\""))[0].contains(".fifo"));
    assert!(problems(&with("url = \"secondary53.fifo\""))[0].contains("is not the URL of a queue"));
    assert!(problems(&with(""))[0].contains("queue.main.url: it is missing"));
    assert!(problems(&with("url = \"http://127.0.0.1:4566/000000000000/a.fifo\""))[0].contains("queue.main.region"));
    for (url, region) in [
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/a.fifo", "cn-north-1"),
        ("https://sqs-fips.us-gov-east-1.amazonaws.com/1/a.fifo", "us-gov-east-1"),
        ("https://vpce-0-1.sqs.ap-southeast-2.vpce.amazonaws.com/1/a.fifo", "ap-southeast-2"),
        ("https://eu-west-1.queue.amazonaws.com/1/a.fifo", "eu-west-1"),
    ] {
        assert_eq!(parse(&with(&format!("url = \"{url}\""))).unwrap().queues[0].region, region);
    }
    let local = parse(&with("url = \"http://127.0.0.1:4566/0/a.fifo\"\nregion = \"us-east-1\"")).unwrap();
    assert_eq!(local.queues[0].region, "us-east-1");
}

#[test]
fn an_overflow_bucket_is_one_that_s3_may_have() {
    let bucket = |name: &str| MINIMAL.replace("[queue.main]", &format!("[queue.main]\noverflow_bucket = \"{name}\""));
    let given = |name: &str| parse(&bucket(name)).unwrap().queues.remove(0).overflow_bucket.clone();
    assert_eq!(given(""), None);
    for name in ["abc", "zones.example-1", &"a".repeat(63)] {
        assert_eq!(given(name).as_deref(), Some(name));
    }
    for name in ["ab", "Bucket", "a_b", "-ab", "ab.", "a..b", "a/b", "arn:aws:s3:::bucket", "bücher", &"a".repeat(64)]
    {
        let told = problems(&bucket(name));
        assert!(told.len() == 1 && told[0].starts_with("relay.toml:3: queue.main.overflow_bucket: "), "{told:?}");
    }
    let overflows = |text: &str| parse(text).unwrap().zones[0].overflows();
    assert!(overflows(&bucket("abc")) && !overflows(MINIMAL));
}

#[test]
fn with_several_to_choose_from_a_zone_says_which() {
    let second = "[primary.second]\naddress = \"[2001:db8::1]:53\"\nnotify_from = [\"192.0.2.0/28\", \"2001:db8::2\"]";
    let told = problems_with("[[zone]]", &format!("{second}\n[[zone]]"));
    assert!(told[0].contains("zone.primaries: it is missing, and there is more than one: main, second"), "{told:?}");
    let text = MINIMAL.replace("[[zone]]", &format!("{second}\n[[zone]]\nprimaries = [\"second\", \"main\"]"));
    let config = parse(&text).unwrap();
    let names: Vec<_> = config.zones[0].primaries.iter().map(|primary| primary.name.as_str()).collect();
    assert_eq!(names, ["second", "main"]);
    assert_eq!(config.primaries[1].source.nets.len(), 3);
}

#[test]
fn a_hosted_zone_id_comes_with_and_without_its_prefix() {
    let id = |id: &str| MINIMAL.replace("[[zone]]", &format!("[[zone]]\nhosted_zone_id = \"{id}\""));
    for given in ["Z0123ABC", "/hostedzone/Z0123ABC"] {
        assert_eq!(parse(&id(given)).unwrap().zones[0].hosted_zone_id.as_deref(), Some("Z0123ABC"));
    }
    assert_eq!(parse(&id("")).unwrap().zones[0].hosted_zone_id, None);
    assert!(problems(&id("example.com"))[0].contains("zone.hosted_zone_id"));
}

#[test]
fn ipv4_in_ipv6_is_the_ipv4_source_that_it_means() {
    // As a firewall or a dual-stack server's log may show it. Sources are compared as IPv4, so these would never match.
    let given = "address = \"[::ffff:192.0.2.1]:53\"\nnotify_from = [\"::ffff:192.0.2.9\", \"::ffff:198.51.100.0/120\", \"2001:db8::/32\"]";
    let config = parse(&MINIMAL.replace("address = \"192.0.2.1:53\"", given)).unwrap();
    let expected = ["192.0.2.1/32", "192.0.2.9/32", "198.51.100.0/24", "2001:db8::/32"];
    assert_eq!(config.primaries[0].source.nets, expected.map(|net| net.parse().unwrap()));
}

#[test]
fn an_address_that_is_no_host_is_no_primary() {
    for address in ["192.0.2.1:0", "0.0.0.0:53", "[::]:53", "224.0.0.1:53", "[ff02::1]:53", "255.255.255.255:53"] {
        let told = problems_with("192.0.2.1:53", address);
        assert!(told.len() == 1 && told[0].starts_with("relay.toml:5: primary.main.address: "), "{told:?}");
    }
}

#[test]
fn what_is_there_twice_and_must_not_be_is_told() {
    let told = problems(&format!("listen = [\"127.0.0.1:53\", \"127.0.0.1:53\"]{MINIMAL}"));
    assert_eq!(told, ["relay.toml:1: listen: \"127.0.0.1:53\" is there twice"]);

    // One hosted zone has one name: two zones would undo one another's records in it.
    let id = "name = \"Example.COM\"\nhosted_zone_id = \"Z1\"";
    let both = format!("{id}\n[[zone]]\nname = \"example.net\"\nhosted_zone_id = \"/hostedzone/Z1\"");
    let told = problems_with("name = \"Example.COM\"", &both);
    assert_eq!(told, ["relay.toml:11: zone.hosted_zone_id: \"Z1\" is that of zone example.com. already"]);

    let url = "\"https://sqs.eu-west-1.amazonaws.com/123456789012/secondary53.fifo\"";
    let again = format!("[queue.again]\nurl = {url}\n[queue.main]");
    let told = problems(&MINIMAL.replace("[queue.main]", &again).replace("[[zone]]", "[[zone]]\nqueues = [\"main\"]"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("queue.main.url: ") && told[0].ends_with("is that of queue.again already"), "{told:?}");
}

#[test]
fn a_name_is_written_as_dns_has_it() {
    let told = problems_with("Example.COM", "bücher.example");
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("relay.toml:7: zone.name: ") && told[0].contains("xn--"), "{told:?}");
}
