//! The unit that systemd runs the relay by, judged by systemd itself.

use secondary53_tests::stack::{StackError, pass_over_missing, process, programs};
use tempfile::TempDir;

const UNIT: &str = "secondary53-relay.service";
/// Tenths, as `systemd-analyze security` counts exposure; 10 in all is a service without any bounds.
const EXPOSURE_MAX: &str = "15";

#[tokio::test]
async fn the_unit_is_sound_and_bounded() -> Result<(), StackError> {
    pass_over_missing(judge().await)
}

async fn judge() -> Result<(), StackError> {
    let (analyze, sysusers) = (programs::installed("systemd-analyze")?, programs::installed("systemd-sysusers")?);
    let infra = programs::workspace().join("infra/relay");
    let text = std::fs::read_to_string(infra.join(UNIT)).unwrap();
    // What it starts must be there for `verify`, and is not installed here.
    let program = programs::built("secondary53-relay")?;
    let installed = "ExecStart=/usr/bin/secondary53-relay run --config /etc/secondary53/relay.toml\n";
    assert!(text.contains(installed), "{text}");
    let directory = TempDir::new().unwrap();
    let unit = directory.path().join(UNIT);
    std::fs::write(&unit, text.replace("/usr/bin/secondary53-relay", program.to_str().unwrap())).unwrap();
    let unit = unit.to_str().unwrap();

    let security = ["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE_MAX, unit];
    process::run(&analyze, &security, "").await?;
    // Where something is wrong it may say so and succeed.
    let verify = tokio::process::Command::new(&analyze).args(["verify", "--man=no", unit]).output().await.unwrap();
    let said = String::from_utf8(verify.stderr).unwrap();
    let about_it: Vec<_> = said.lines().filter(|line| line.contains("secondary53")).collect();
    assert!(verify.status.success() && about_it.is_empty(), "{said}");

    std::fs::create_dir(directory.path().join("etc")).unwrap();
    let users = infra.join("secondary53.sysusers");
    let root = format!("--root={}", directory.path().display());
    process::run(&sysusers, &[&root, users.to_str().unwrap()], "").await?;
    let made = std::fs::read_to_string(directory.path().join("etc/passwd")).unwrap();
    assert!(made.contains("secondary53:") && made.contains("/var/lib/secondary53:"), "{made}");
    assert!(text.contains("User=secondary53\n") && text.contains("StateDirectory=secondary53\n"));
    Ok(())
}
