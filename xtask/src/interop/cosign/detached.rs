//! What Cosign wrote of an image's signature into files, verified by us from these files alone.

use std::path::{Path, PathBuf};

use crate::interop::exit::{UNSIGNED, UNTRUSTED, expect_code, expect_success};
use crate::interop::failure::Failure;
use crate::interop::shelf::Said;

use super::stage::{Signer, Stage, Wanted};

/// The files of a signature.
struct Files {
    signature: PathBuf,
    payload: PathBuf,
    certificate: PathBuf,
}

/// Cosign signs into files and leaves nothing beside the image. We verify them for their signer, and
/// not for somebody else, about another image, or with another payload. No log entry is among them,
/// so that the log is waived; without that we refuse.
pub(super) fn theirs(stage: &Stage<'_>, signer: Signer) -> Result<(), Failure> {
    let bench = stage.cast.bench;
    let files = Files {
        signature: bench.path("detached.sig"),
        payload: bench.path("detached.payload"),
        certificate: bench.path("detached.pem"),
    };
    let mut command = stage.cosign_signing_tags()?;
    if signer == Signer::Keyless {
        command.args(["--fulcio-url", stage.url()?]);
        command.arg("--output-certificate").arg(&files.certificate);
    }
    stage.cast.sign_as(signer, &mut command)?;
    command.arg("--upload=false").arg("--output-signature").arg(&files.signature);
    command.arg("--output-payload").arg(&files.payload);
    expect_success(stage.shelf.run(command.arg(&stage.image))?)?;

    let (right, wrong) = (stage.right(signer), stage.wrong(signer));
    let other_image = stage.shelf.pinned("arm64")?;
    let payload = std::fs::read_to_string(&files.payload)?;
    let changed = payload.replace(':', ": ");
    let changed = bench.write("detached-changed.payload", changed.as_bytes())?;
    let verify = |payload: &Path, image: &str, wanted: &Wanted, waived: bool| {
        let mut command = stage.shelf.ours();
        command.args(["verify", "--trusted-root"]).arg(bench.trusted_root());
        command.arg("--signature").arg(&files.signature).arg("--payload").arg(payload);
        if signer == Signer::Keyless {
            command.arg("--certificate").arg(&files.certificate);
        }
        if waived {
            command.arg("--insecure-ignore-tlog");
        }
        wanted.demand(bench, &mut command);
        stage.shelf.run(command.arg(image))
    };
    expect_code(0, verify(&files.payload, &stage.image, &right, true)?)?;
    expect_code(UNTRUSTED, verify(&files.payload, &stage.image, &right, false)?)?;
    expect_code(UNTRUSTED, verify(&files.payload, &stage.image, &wrong, true)?)?;
    expect_code(UNTRUSTED, verify(&files.payload, &other_image, &right, true)?)?;
    expect_code(UNTRUSTED, verify(&changed, &stage.image, &right, true)?)?;
    expect_code(UNSIGNED, stage.we_verify(Said::Signature, &right)?)?;
    Ok(())
}
