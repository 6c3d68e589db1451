//! What to try by hand while everything is left running.

use std::fmt::Write;

use super::webhook::{TLS_ROOT, review_file};
use super::world::signing;
use super::{Told, search};
use crate::exit::Failure;
use crate::ui::shell::quote;

/// File with the variables of the release workflow's job, from the demo's directory.
const RELEASE_JOB: &str = "release-job.env";

impl Told {
    /// Lines for a shell, each with what it is for.
    pub(super) fn by_hand(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let Self { world, signers, instance, webhook } = self;
        let mut variables = String::new();
        for (name, value) in signers.release.job.environment() {
            let _ = writeln!(variables, "export {name}={}", quote(&value));
        }
        world.write(RELEASE_JOB, variables.as_bytes())?;

        let identity = signers.release.workflow.certificate_identity();
        let (signed, unsigned) = (world.image("signed")?, world.image("unsigned")?);
        let home = quote(&world.program.home().to_string_lossy());
        let directory = quote(&world.directory.to_string_lossy());
        let explained = world.verification(&["--explain"], &signed, &identity);
        let refused = world.verification(&[], &unsigned, &identity);
        let ask = format!(
            "curl -sSw '\\n' --cacert {TLS_ROOT} -H 'content-type: application/json' \\\n    \
             -d @{} {webhook}validate",
            review_file("unsigned")
        );
        let checkpoint = format!("curl -sS {instance}v1/checkpoint");
        Ok(vec![
            ("", format!("cd {directory}\nPATH={home}:$PATH")),
            (
                "every check of the verification, with what was wanted and found",
                explained.to_string(),
            ),
            ("an image that nobody has signed: exit code 10", refused.to_string()),
            ("its Pod is refused", ask.clone()),
            (
                "sign it now, with the variables that its job has in GitHub Actions",
                format!("(. ./{RELEASE_JOB}; {})", signing(&unsigned)),
            ),
            ("and its Pod is admitted", ask),
            (
                "the log: an entry with its proof, and what the log has signed of itself",
                format!("curl -sSw '\\n' '{}'\n{checkpoint}", search::entry_url(instance, 0)),
            ),
        ])
    }
}
