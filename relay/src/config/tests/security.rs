//! Keys, and TLS.

use super::*;
use crate::tsig::{Algorithm, Key};

/// A key and what it says; it is the key of the primary.
fn with_key(text: &str) -> String {
    MINIMAL.replace("[[zone]]", &format!("key = \"Relay.Example\"\n[key.\"relay.example.\"]\n{text}\n[[zone]]"))
}

const SECRET: &str = "AAECAwQFBgcICQoLDA0ODw==";

#[test]
fn a_key_is_read_from_the_configuration_or_a_file_and_shown_to_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.key");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let expected = Key::new("relay.example".parse().unwrap(), Algorithm::Sha384, &(0..16).collect::<Vec<_>>()).unwrap();
    for secret in [format!("secret = \"{SECRET}\""), format!("secret_file = \"{}\"", path.display())] {
        let config = parse(&with_key(&format!("algorithm = \"hmac-sha384\"\n{secret}"))).unwrap();
        assert_eq!(config.primaries[0].server.key.as_deref(), Some(&expected));
        let shown = format!("{config:?}");
        assert!(shown.contains("Key(relay.example. hmac-sha384 …)") && !shown.contains("AAEC"), "{shown}");
    }
    for algorithm in Algorithm::ALL {
        let text = format!("algorithm = \"{}\"\nsecret = \"{SECRET}\"", algorithm.name());
        assert_eq!(parse(&with_key(&text)).unwrap().primaries[0].server.key.as_ref().unwrap().algorithm(), algorithm);
    }
    assert_eq!(parse(&MINIMAL.replace("[[zone]]", "key = \"\"\n[[zone]]")).unwrap().primaries[0].server.key, None);
}

#[test]
fn what_is_wrong_with_a_key_is_told_by_line_and_without_the_secret() {
    let algorithm = "algorithm = \"hmac-sha256\"";
    for (text, line, told) in [
        (
            format!("{algorithm}\nsecret = \"%ECRET\""),
            9,
            "key.\"relay.example.\".secret: the secret is not base64: character 1 cannot be there",
        ),
        (
            format!("{algorithm}\nsecret = \"U0VDUkVU\""),
            9,
            "key.\"relay.example.\".secret: the secret has 6 octets; less than 16",
        ),
        (format!("{algorithm}\nsecret = \"\""), 9, "the secret has 0 octets"),
        (
            format!("{algorithm}\nsecret_file = \"/nowhere/relay.key\""),
            9,
            "key.\"relay.example.\".secret_file: failed to read /nowhere/relay.key: No such file",
        ),
        (format!("{algorithm}\nsecret_file = \"/dev/zero\""), 9, "/dev/zero has more than 4096 octets"),
        (algorithm.to_owned(), 7, "key.\"relay.example.\": it needs one of secret and secret_file"),
        (
            format!("secret = \"{SECRET}\""),
            7,
            "key.\"relay.example.\".algorithm: it is missing: one of hmac-sha1, hmac-sha224",
        ),
        (
            format!("algorithm = \"hmac-md5\"\nsecret = \"{SECRET}\""),
            8,
            "key.\"relay.example.\".algorithm: \"hmac-md5\" is none of hmac-sha1",
        ),
    ] {
        let problems = problems(&with_key(&text));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("relay.toml:{line}: ")) && problems[0].contains(told), "{problems:?}");
        assert!(!problems[0].contains("ECRET") && !problems[0].contains("U0VD"), "{problems:?}");
    }
    let other = problems(
        &with_key(&format!("{algorithm}\nsecret = \"{SECRET}\"")).replace("Relay.Example", "relay.example.com"),
    );
    assert_eq!(
        other,
        ["relay.toml:6: primary.main.key: there is no key \"relay.example.com\"; there is: relay.example."]
    );
    let twice = with_key(&format!(
        "{algorithm}\nsecret = \"{SECRET}\"\n[key.\"RELAY.example\"]\n{algorithm}\nsecret = \"{SECRET}\""
    ));
    assert!(problems(&twice)[0].contains("the key relay.example. is there twice"));
}

#[test]
fn tls_has_roots_a_name_and_a_port() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, include_str!("ca.pem")).unwrap();
    let with = |address: &str, text: &str| {
        let text = text.replace("CA", &format!("tls_ca_file = \"{}\"", ca.display()));
        MINIMAL.replace("address = \"192.0.2.1:53\"", &format!("address = \"{address}\"\n{text}"))
    };
    let server = |address, text| parse(&with(address, text)).unwrap().primaries[0].server.clone();
    for (address, text, expected, shown) in [
        ("192.0.2.1", "tls = true\nCA", "192.0.2.1:853", "Tls(192.0.2.1 by 1 roots)"),
        ("2001:db8::1", "tls = true\nCA", "[2001:db8::1]:853", "Tls(2001:db8::1 by 1 roots)"),
        ("192.0.2.1:53", "tls = true\ntls_name = \"Ns.Example.\"\nCA", "192.0.2.1:53", "Tls(Ns.Example by 1 roots)"),
    ] {
        let server = server(address, text);
        assert_eq!(server.address, expected.parse().unwrap());
        assert_eq!(format!("{:?}", server.tls.unwrap()), shown);
    }
    let plain = server("192.0.2.1", "");
    assert_eq!((plain.address, plain.tls), ("192.0.2.1:53".parse().unwrap(), None));
    assert_eq!(server("192.0.2.1", "tls = true\nCA"), server("192.0.2.1", "tls = true\nCA"));

    for (text, told) in [
        ("CA", "relay.toml:6: primary.main.tls_ca_file: it means nothing without tls = true"),
        ("tls_name = \"a.example\"", "relay.toml:6: primary.main.tls_name: it means nothing without tls = true"),
        (
            "tls = true\nCA\ntls_name = \"no host\"",
            "relay.toml:8: primary.main.tls_name: \"no host\" is not the name of a host",
        ),
        (
            "tls = true\ntls_ca_file = \"/nowhere.pem\"",
            "relay.toml:7: primary.main.tls_ca_file: failed to read /nowhere.pem",
        ),
        (
            "tls = true\ntls_ca_file = \"/dev/null\"",
            "relay.toml:7: primary.main.tls_ca_file: failed to find a certificate in /dev/null",
        ),
    ] {
        let problems = problems(&with("192.0.2.1:53", text));
        assert!(problems.len() == 1 && problems[0].starts_with(told), "{told}\n{problems:?}");
    }
}

#[test]
fn a_certificate_for_the_primary_has_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write("ca.pem", include_str!("ca.pem"));
    let [ours, other] = [(); 2].map(|()| rcgen::generate_simple_self_signed(["relay.example".to_owned()]).unwrap());
    write("relay.pem", &ours.cert.pem());
    write("relay.key", &ours.signing_key.serialize_pem());
    // As good as any, but of another certificate.
    write("other.key", &other.signing_key.serialize_pem());
    write("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let with = |keys: &[(&str, &str)]| {
        let keys = keys.iter().map(|(key, name)| format!("{key} = \"{}\"\n", path(name).display()));
        let keys: String = keys.collect();
        MINIMAL
            .replace("[[zone]]", &format!("tls = true\ntls_ca_file = \"{}\"\n{keys}[[zone]]", path("ca.pem").display()))
    };
    let (cert, key) = ("tls_cert_file", "tls_key_file");
    let config = parse(&with(&[(cert, "relay.pem"), (key, "relay.key")])).unwrap();
    let shown = format!("{:?}", config.primaries[0].server.tls.as_ref().unwrap());
    assert_eq!(shown, "Tls(192.0.2.1 by 1 roots, with a certificate)");
    let without = parse(&with(&[])).unwrap();
    assert_ne!(config.primaries, without.primaries);
    assert_eq!(parse(&with(&[(cert, "relay.pem"), (key, "relay.key")])).unwrap().primaries, config.primaries);

    for (keys, told) in [
        (&[(cert, "relay.pem")][..], "8: primary.main.tls_cert_file: it needs its key beside it, as tls_key_file"),
        (&[(key, "relay.key")], "8: primary.main.tls_key_file: it needs its certificate beside it, as tls_cert_file"),
        (
            &[(cert, "none.pem"), (key, "relay.key")],
            "8: primary.main.tls_cert_file: failed to read /none.pem: I/O error: No such file",
        ),
        (
            &[(cert, "relay.key"), (key, "relay.key")],
            "8: primary.main.tls_cert_file: failed to find a certificate in /relay.key",
        ),
        (
            &[(cert, "relay.pem"), (key, "none.key")],
            "9: primary.main.tls_key_file: failed to read /none.key: I/O error: No such file",
        ),
        (
            &[(cert, "relay.pem"), (key, "relay.pem")],
            "9: primary.main.tls_key_file: failed to find a private key in /relay.pem",
        ),
        (
            &[(cert, "relay.pem"), (key, "locked.key")],
            "9: primary.main.tls_key_file: failed to find a private key in /locked.key: it is to hold one in PEM, not encrypted",
        ),
        (
            &[(cert, "relay.pem"), (key, "other.key")],
            "9: primary.main.tls_key_file: failed to use the key in /other.key with the certificate in /relay.pem: ",
        ),
    ] {
        let problems = problems(&with(keys));
        let told_here = problems[0].replace(directory.path().to_str().unwrap(), "");
        assert!(problems.len() == 1 && told_here.starts_with(&format!("relay.toml:{told}")), "{told}\n{problems:?}");
    }
    let off = MINIMAL.replace("[[zone]]", "tls_cert_file = \"a\"\ntls_key_file = \"b\"\n[[zone]]");
    assert!(problems(&off).iter().all(|problem| problem.contains("it means nothing without tls = true")));
}
