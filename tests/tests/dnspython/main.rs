//! The worker's values against dnspython, which shares nothing with them: over generated RRsets of all types,
//!
//! - what we write for Route 53, its octal escapes turned to decimal, is the same octets to dnspython,
//! - what dnspython writes, its decimal escapes turned to octal, is the same octets to us,
//! - and what we write as a zone file is the same octets to dnspython.
//!
//! `SECONDARY53_SEED=number` repeats a run; the number is printed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its functions")]

use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use secondary53_lambda::value::{self, HELD};
use secondary53_tests::rdata;
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_zone::name::Name;
use secondary53_zone::presentation::Rdata;
use secondary53_zone::rrset::Rtype;

/// RRsets of each type: 17 times so many in all, 5,440.
const RRSETS: usize = 320;
/// Values in an RRset, at most.
const VALUES: usize = 3;

struct Generated {
    rtype: Rtype,
    owner: Name,
    values: Vec<Vec<u8>>,
}

#[test]
fn dnspython_reads_what_we_write() -> Result<(), StackError> {
    pass_over_missing(compare(rdata::held, |rtype, rdata, answer| {
        let text = value::to_text(rtype, rdata).map_err(|error| error.to_string())?;
        same(&answer["route53"], rdata).map_err(|why| format!("{text}: {why}"))?;
        same(&answer["zone_file"], rdata).map_err(|why| format!("{}: {why}", Rdata(rtype, rdata)))
    }))
}

/// dnspython refuses RDATA that breaks its RFC: a digest that is not as long as its type says, a tag of CAA with odd
/// characters, a service that is not consistent. Nothing is left out of the generator for that; what it refuses we must
/// not write either.
#[test]
fn we_read_what_dnspython_writes() -> Result<(), StackError> {
    let mut read = BTreeMap::new();
    let values = |rtype| prop_oneof![rdata::held(rtype), rdata::readable(rtype)].boxed();
    let compared = compare(values, |rtype, rdata, answer| {
        let Some(text) = answer["text"].as_str() else {
            let ours = value::to_text(rtype, rdata);
            return ours.map_or(Ok(()), |ours| Err(format!("{ours}: dnspython refuses it: {}", answer["text"])));
        };
        *read.entry(rtype).or_insert(0_usize) += 1;
        let again = value::from_text(rtype, &to_octal(text)).map_err(|error| format!("{text}: {error}"))?;
        if again != *value::as_held(rtype, rdata) {
            return Err(format!("{text}: read as {}", hex(&again)));
        }
        same(&answer["zone_file"], rdata).map_err(|why| format!("{}: {why}", Rdata(rtype, rdata)))
    });
    if compared.is_ok() {
        for rtype in HELD {
            assert!(read.get(&rtype).is_some_and(|read| *read > RRSETS / 2), "{rtype}: {read:?}");
        }
    }
    pass_over_missing(compared)
}

fn compare(
    values: impl Fn(Rtype) -> BoxedStrategy<Vec<u8>>,
    mut law: impl FnMut(Rtype, &[u8], &serde_json::Value) -> Result<(), String>,
) -> Result<(), StackError> {
    let python = programs::in_venv("python3")?;
    let seed = std::env::var("SECONDARY53_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("SECONDARY53_SEED={seed}");
    let rrsets = generate(seed, values);
    let answers = ask(&python, &rrsets);
    assert_eq!(answers.len(), rrsets.len());
    let mut broken = Vec::new();
    for (rrset, answer) in rrsets.iter().zip(&answers) {
        let mut check = |result: Result<(), String>, of: &[u8]| {
            broken.extend(result.err().map(|why| format!("{} {}: {why}", rrset.rtype, hex(of))));
        };
        check(same(&answer["owner"], rrset.owner.as_wire()), rrset.owner.as_wire());
        for (index, value) in rrset.values.iter().enumerate() {
            check(law(rrset.rtype, value, &answer["values"][index]), value);
        }
    }
    let shown: Vec<_> = broken.iter().take(20).map(String::as_str).collect();
    assert!(broken.is_empty(), "{} differ, with SECONDARY53_SEED={seed}:\n{}", broken.len(), shown.join("\n"));
    Ok(())
}

fn generate(seed: u64, values: impl Fn(Rtype) -> BoxedStrategy<Vec<u8>>) -> Vec<Generated> {
    let mut octets = [0; 32];
    octets[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &octets);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let apex = Name::parse("example.com").unwrap();
    let mut rrsets = Vec::new();
    for rtype in HELD {
        let rrset = (rdata::owner(&apex), vec(values(rtype), 1..=VALUES));
        for _ in 0..RRSETS {
            let (owner, values) = rrset.new_tree(&mut runner).unwrap().current();
            rrsets.push(Generated { rtype, owner, values });
        }
    }
    rrsets
}

/// One process for all of them.
fn ask(python: &Path, rrsets: &[Generated]) -> Vec<serde_json::Value> {
    let mut questions = tempfile::tempfile().unwrap();
    for rrset in rrsets {
        let values: Vec<_> = rrset.values.iter().map(|value| question(rrset.rtype, value)).collect();
        let owner = to_decimal(&value::name_text(rrset.owner.by_ref()));
        let line = serde_json::json!({ "type": rrset.rtype.to_string(), "owner": owner, "values": values });
        writeln!(questions, "{line}").unwrap();
    }
    questions.rewind().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dnspython/oracle.py");
    let output = Command::new(python).arg(script).stdin(questions).output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn question(rtype: Rtype, rdata: &[u8]) -> serde_json::Value {
    serde_json::json!({
        "wire": hex(rdata),
        "route53": value::to_text(rtype, rdata).map(|text| to_decimal(&text)).unwrap_or_default(),
        "zone_file": Rdata(rtype, rdata).to_string(),
    })
}

fn same(answer: &serde_json::Value, rdata: &[u8]) -> Result<(), String> {
    if answer.as_str() == Some(&hex(rdata)) { Ok(()) } else { Err(format!("dnspython: {answer}")) }
}

fn to_decimal(text: &str) -> String {
    escapes(text, 8, |octet| format!("\\{octet:03}"))
}

fn to_octal(text: &str) -> String {
    escapes(text, 10, |octet| format!("\\{octet:03o}"))
}

/// Writes every escape of three digits anew; `\"`, `\\` and their like stay.
fn escapes(text: &str, radix: u32, write: impl Fn(u32) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let digits = after.get(..3).and_then(|digits| u32::from_str_radix(digits, radix).ok());
        let length = if let Some(octet) = digits {
            out.push_str(&write(octet));
            3
        } else {
            out.push('\\');
            out.extend(after.chars().next());
            after.chars().next().map_or(0, char::len_utf8)
        };
        rest = &after[length..];
    }
    out + rest
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn escapes_are_turned_one_by_one() {
    assert_eq!(to_decimal(r#"a\052\\101 "\"\377""#), r#"a\042\\101 "\"\255""#);
    assert_eq!(to_octal(r"\255\\255\.\000"), r"\377\\255\.\000");
}
