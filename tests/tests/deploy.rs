//! What `make deploy` does, on a stand-in for AWS: `sam deploy` of the template as it is, a change that goes through what was
//! deployed, and `cargo lambda deploy` of the code alone. Slow, and needs `tests/setup --tools`: `make test-all` runs it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in its functions")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use secondary53_tests::primary::{Config as PrimaryConfig, Primary, ZoneFile};
use secondary53_tests::stack::chain::{Chain, Layout};
use secondary53_tests::stack::ministack::{AMBIENT, Ministack};
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_tests::strict::{self, ZoneSpec};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: make test-all"]
async fn the_template_deploys_and_a_change_goes_through() -> Result<(), StackError> {
    pass_over_missing(deploy_and_follow().await)
}

async fn deploy_and_follow() -> Result<(), StackError> {
    let (sam, lambda) = (programs::in_tools("sam")?, programs::in_tools("cargo-lambda")?);
    let dir = tempfile::tempdir().unwrap();
    let primary = Primary::start(PrimaryConfig::new().zone(zone(2026))).await.unwrap();
    let config = strict::Config { zones: vec![ZoneSpec::public(ZONE)], ..strict::Config::default() };
    let route53 = strict::Server::start(config).await.unwrap();
    let id = route53.zones().first().unwrap().id.clone();
    let listen = programs::free_address()?;
    let layout = Layout::anywhere(dir.path(), primary.address(), listen, ZONE)?;
    // The template says nothing of endpoints, and on AWS nobody needs to.
    let (here, there) = (format!("http://{}", layout.ministack), route53.endpoint());
    let endpoints = [("AWS_ENDPOINT_URL_ROUTE_53", there.as_str()), ("AWS_ENDPOINT_URL_SQS", here.as_str())];
    let ministack = Ministack::start_with(dir.path(), layout.ministack, &endpoints).await?;
    let operator = Operator { home: dir.path().to_owned(), endpoint: here.clone() };

    let zones = format!("HostedZoneIds={id}");
    let template = template_beside_its_code(dir.path());
    let arguments = ["deploy", "--template", &template, "--parameter-overrides", &zones, "RelayUser=true", "Workers=3"];
    let unattended = ["--stack-name", "secondary53", "--resolve-s3", "--capabilities", "CAPABILITY_IAM"];
    operator.run(&sam, &[&arguments[..], &unattended[..]].concat()).await?;
    let listed = ["list", "stack-outputs", "--stack-name", "secondary53", "--output", "json"];
    let outputs = outputs_of(&operator.run(&sam, &listed).await?);
    assert!(outputs.contains_key("RelayUserName") && !outputs.contains_key("RelayRoleArn"), "{outputs:?}");
    let queues = ministack.made_pair(&outputs["QueueUrl"], &outputs["DeadLetterQueueUrl"]).await?;

    let chain = Chain::before(layout, ministack, queues, route53).await?;
    chain.reaches(&id, 2026).await?;

    // The code alone: what else the template says of the function stays as it is.
    let before = chain.ministack.configuration(&outputs["WorkerName"]).await?;
    let bootstrap = programs::built("bootstrap")?;
    let function = outputs["WorkerName"].as_str();
    let code = ["lambda", "deploy", "--endpoint-url", &here, "--binary-path", bootstrap.to_str().unwrap(), function];
    operator.run(&lambda, &code).await?;
    let after = chain.ministack.configuration(&outputs["WorkerName"]).await?;
    assert_eq!(before["Environment"]["Variables"]["WORKERS"], "3");
    for key in ["Environment", "Timeout", "MemorySize", "Role", "Runtime", "Handler", "Architectures", "LoggingConfig"]
    {
        assert_eq!(before[key], after[key], "{key}");
    }
    primary.set_zone(zone(2027));
    primary.notify(listen).await.unwrap();
    chain.reaches(&id, 2027).await?;
    assert_eq!(chain.ministack.depth(&chain.queues.dead_letter).await?, 0);
    Ok(())
}

/// The template where its `CodeUri` leads to the program that cargo built for the tests.
fn template_beside_its_code(dir: &Path) -> String {
    let (template, code) = (dir.join("infra/template.yaml"), dir.join("target/lambda/bootstrap"));
    for folder in [template.parent().unwrap(), &code] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::copy(programs::workspace().join("infra/template.yaml"), &template).unwrap();
    std::fs::copy(programs::built("bootstrap").unwrap(), code.join("bootstrap")).unwrap();
    template.to_str().unwrap().to_owned()
}

fn outputs_of(json: &str) -> BTreeMap<String, String> {
    let listed: Vec<Value> = serde_json::from_str(json).expect("a list of outputs");
    let text = |output: &Value, key: &str| output[key].as_str().unwrap().to_owned();
    listed.iter().map(|output| (text(output, "OutputKey"), text(output, "OutputValue"))).collect()
}

/// Whoever types the commands: with credentials, a region, and nothing of the home of whoever runs the test.
struct Operator {
    home: PathBuf,
    endpoint: String,
}

impl Operator {
    /// cargo and rustup stay where they are.
    fn rust() -> Vec<(&'static str, PathBuf)> {
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let place =
            |variable, folder| (variable, std::env::var_os(variable).map_or_else(|| home.join(folder), PathBuf::from));
        vec![place("CARGO_HOME", ".cargo"), place("RUSTUP_HOME", ".rustup")]
    }

    async fn run(&self, program: &Path, arguments: &[&str]) -> Result<String, StackError> {
        let mut command = tokio::process::Command::new(program);
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy().to_ascii_uppercase();
            if name.starts_with("AWS_") || name.ends_with("_PROXY") {
                command.env_remove(variable);
            }
        }
        command
            .args(arguments)
            .current_dir(programs::workspace())
            .envs(AMBIENT)
            .envs(Self::rust())
            .env("AWS_DEFAULT_REGION", AMBIENT[0].1)
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("HOME", &self.home)
            .env("SAM_CLI_TELEMETRY", "0")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let action = format!("run {} {}", program.display(), arguments.join(" "));
        let output = command.output().await.map_err(StackError::io(action.clone()))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{action}\n{printed}");
        if output.status.success() {
            Ok(printed)
        } else {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(StackError::step(action, &format!("{}: {errors}{printed}", output.status)))
        }
    }
}

fn zone(serial: u32) -> ZoneFile {
    ZoneFile::parse(ZONE_TEXT).unwrap().with_serial(serial)
}

const ZONE: &str = "example.com";

const ZONE_TEXT: &str = r"$ORIGIN example.com.
$TTL 300
@    SOA   ns1 hostmaster 2026 3600 600 86400 60
@    NS    ns1
ns1  A     192.0.2.53
www  A     192.0.2.80
sub  NS    ns1.example.net.
";
