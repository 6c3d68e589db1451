//! Cosign and we about files: signatures and attestations in bundles, with certificates and keys.

use std::process::Command;

use crate::interop::bench::{Bench, Log};
use crate::interop::check::Check;
use crate::interop::exit::{UNTRUSTED, expect_code, expect_success};
use crate::interop::failure::Failure;
use crate::interop::group::Group;
use crate::interop::shelf::Said;

use super::stage::{Cast, PASSWORD, Signer, TYPE};

/// The checks.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for signer in [Signer::Keyless, Signer::Key] {
        for said in [Said::Signature, Said::Attestation] {
            let what = format!("of a file ({said:?}, {signer:?})");
            for (name, run) in [
                (format!("Cosign's bundle {what}"), theirs as Run),
                (format!("our bundle {what}, Cosign verifies"), ours),
            ] {
                let run = move |bench: &Bench| run(&Cast::gather(bench)?, signer, said);
                checks.push(Check::new(Group::Cosign, name, run));
            }
        }
    }
    checks
}

/// How a check is run.
type Run = fn(&Cast<'_>, Signer, Said) -> Result<(), Failure>;

/// Which program a command is for; both have the same commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Cosign,
    Ours,
}

impl Program {
    fn command(self, cast: &Cast<'_>) -> Command {
        match self {
            Self::Cosign => cast.cosign(),
            Self::Ours => {
                let mut command = cast.bench.ours();
                command.env("COSIGN_PASSWORD", PASSWORD);
                command
            }
        }
    }

    /// Signs or attests a file.
    fn says(self, cast: &Cast<'_>, signer: Signer, said: Said) -> Result<Command, Failure> {
        let mut command = self.command(cast);
        match said {
            Said::Signature => command.arg("sign-blob"),
            Said::Attestation => {
                command.args(["attest-blob", "--type", TYPE, "--predicate"]).arg(cast.predicate()?)
            }
        };
        match self {
            Self::Cosign => {
                command.args(["--yes", "--trusted-root"]).arg(cast.bench.trusted_root());
                command.arg("--signing-config").arg(cast.signing_config()?);
            }
            Self::Ours => {
                command.arg("--trust-config").arg(cast.bench.trust_config(Log::V1));
            }
        }
        cast.sign_as(signer, &mut command)?;
        Ok(command)
    }

    /// Verifies a file with the trusted root alone.
    fn verifies(self, cast: &Cast<'_>, said: Said) -> Command {
        let mut command = self.command(cast);
        match said {
            Said::Signature => command.arg("verify-blob"),
            Said::Attestation => command.args(["verify-blob-attestation", "--type", TYPE]),
        };
        command.arg("--trusted-root").arg(cast.bench.trusted_root());
        command
    }
}

fn theirs(cast: &Cast<'_>, signer: Signer, said: Said) -> Result<(), Failure> {
    pass(cast, Program::Cosign, Program::Ours, signer, said)
}

fn ours(cast: &Cast<'_>, signer: Signer, said: Said) -> Result<(), Failure> {
    pass(cast, Program::Ours, Program::Cosign, signer, said)
}

/// One signs and the other verifies, but not for somebody else, and not another file.
fn pass(
    cast: &Cast<'_>,
    from: Program,
    to: Program,
    signer: Signer,
    said: Said,
) -> Result<(), Failure> {
    let bench = cast.bench;
    let file = bench.write("cosign-file", b"what is signed\n")?;
    let other = bench.write("cosign-other", b"what is not signed\n")?;
    let bundle = bench.path(&format!("{from:?}-{signer:?}-{said:?}.sigstore.json"));
    let mut command = from.says(cast, signer, said)?;
    expect_success(bench.run(command.arg("--bundle").arg(&bundle).arg(&file))?)?;

    let (right, wrong) = (cast.right(signer), cast.wrong(signer));
    for (wanted, file, holds) in
        [(&right, &file, true), (&wrong, &file, false), (&right, &other, false)]
    {
        let mut command = to.verifies(cast, said);
        wanted.demand(bench, &mut command);
        let finished = bench.run(command.arg("--bundle").arg(&bundle).arg(file))?;
        match (holds, to) {
            (true, _) => {
                expect_success(finished)?;
            }
            (false, Program::Ours) => {
                expect_code(UNTRUSTED, finished)?;
            }
            (false, Program::Cosign) if finished.succeeded() => {
                return Err(Failure::new(format!("wanted a refusal\n{}", finished.report())));
            }
            (false, Program::Cosign) => {}
        }
    }
    Ok(())
}
