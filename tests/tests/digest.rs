//! Our digest of a zone is the one that dnspython computes from the zone's file: what RFC 8976 says, and not just what we
//! think it says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use secondary53_tests::primary::ZoneFile;
use secondary53_tests::stack::{StackError, pass_over_missing, process, programs};
use secondary53_tests::zones::zone_of;

#[tokio::test]
async fn the_digest_is_dnspythons() {
    pass_over_missing(compare().await).unwrap();
}

async fn compare() -> Result<(), StackError> {
    let python = programs::in_venv("python")?;
    let script = programs::workspace().join("tests/zonemd.py");
    let dir = tempfile::tempdir().unwrap();
    // Out of order, in mixed case, one record twice, names that sort by octets and not by text.
    let zone = "$ORIGIN example.com.\n\
        z 300 IN A 192.0.2.1\n\
        @ 3600 IN SOA NS1 Host 4294967295 3600 600 1209600 300\n\
        @ 3600 IN NS NS1.Example.COM.\n\
        \\001.z 300 IN A 192.0.2.2\n\
        *.z 300 IN A 192.0.2.2\n\
        \\200.z 300 IN A 192.0.2.2\n\
        yljkjljk.a 300 IN TXT \"x\" \"\"\n\
        Z.a 300 IN MX 10 Mail\n\
        Z.a 300 IN MX 10 mail.example.com.\n\
        zABC.a.EXAMPLE.com. 300 IN AAAA 2001:db8::1\n\
        a 300 IN SRV 1 2 3 H\n\
        a 300 IN CAA 0 issue \"ca.example\"\n\
        h 300 IN HTTPS 1 Svc.Example.NET. alpn=h2\n\
        n 300 IN NAPTR 1 2 \"S\" \"SIP\" \"\" Repl\n\
        d 300 IN DNAME X\n\
        r 300 IN RP Mbox Txt\n\
        l 300 IN DS 1 13 2 0102030405060708091011121314151617181920212223242526272829303132\n\
        o 300 IN TYPE65280 \\# 3 AbCdEf\n";
    let file = dir.path().join("zone");
    std::fs::write(&file, zone).unwrap();
    let ours = zone_of(&ZoneFile::read(&file, None).unwrap()).unwrap();
    let theirs = process::run(&python, &[script.to_str().unwrap(), file.to_str().unwrap(), "example.com"], "").await?;
    assert_eq!(ours.digest().to_string(), theirs.trim());
    Ok(())
}
