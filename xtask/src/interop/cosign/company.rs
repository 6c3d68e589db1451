//! A company's own authority: a key signs with the certificate that it gave it, and who verifies
//! knows the authority by its chain. Only Cosign's older format keeps the chain, and Cosign 3 reads
//! `--certificate-chain` and `--ca-roots` for that format only.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::interop::bench::{Bench, Log};
use crate::interop::exit::{UNTRUSTED, expect_code, expect_success};
use crate::interop::failure::Failure;
use crate::interop::process::Finished;
use crate::interop::shelf::Format;

use super::stage::{PASSWORD, Stage};

/// Whom the certificate names.
const IDENTITY: &str = "release@company.example";

/// Who the certificate says vouched for them: the company itself.
const VOUCHES: &str = "https://login.company.example";

/// Somebody else there.
const COLLEAGUE: &str = "intern@company.example";

/// The files of an authority of two levels, and of the key that it certified.
struct Company {
    folder: PathBuf,
}

impl Company {
    /// Makes them with OpenSSL, once.
    fn found(bench: &Bench, name: &str) -> Result<Self, Failure> {
        let company = Self { folder: bench.path(name) };
        if company.chain().exists() {
            return Ok(company);
        }
        std::fs::create_dir_all(&company.folder)?;
        let authority = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n\
                         subjectKeyIdentifier=hash\n";
        // 1.3.6.1.4.1.57264.1.1 is Fulcio's for the issuer, as bare text.
        let vouches = hex::encode(VOUCHES);
        let leaf = format!(
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
             subjectAltName=critical,email:{IDENTITY}\n1.3.6.1.4.1.57264.1.1=DER:{vouches}\n"
        );
        let below = format!("{authority}authorityKeyIdentifier=keyid\n");
        company.certify(bench, "root", authority, None)?;
        company.certify(bench, "issuing", &below, Some("root"))?;
        company.certify(bench, "release", &leaf, Some("issuing"))?;
        let mut chain = std::fs::read(company.file("issuing.pem"))?;
        chain.extend(std::fs::read(company.file("root.pem"))?);
        std::fs::write(company.chain(), chain)?;
        // Cosign signs with no key that is not encrypted.
        let mut command = Command::new("cosign");
        command.env("COSIGN_PASSWORD", PASSWORD).args(["import-key-pair", "--output-key-prefix"]);
        command.arg(company.file("release-cosign")).arg("--key").arg(company.file("release.key"));
        expect_success(bench.run(&mut command)?)?;
        Ok(company)
    }

    /// Makes a key, and a certificate for it by another of them, or by itself.
    fn certify(
        &self,
        bench: &Bench,
        name: &str,
        extensions: &str,
        by: Option<&str>,
    ) -> Result<(), Failure> {
        let file = |ending: &str| self.file(&format!("{name}.{ending}"));
        std::fs::write(file("ext"), extensions)?;
        let mut ask = Command::new("openssl");
        ask.args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        ask.args(["-subj", &format!("/O=Company/CN={name}"), "-keyout"]).arg(file("key"));
        expect_success(bench.run(ask.arg("-out").arg(file("csr")))?)?;
        let mut answer = Command::new("openssl");
        answer.args(["x509", "-req", "-sha256", "-days", "1", "-in"]).arg(file("csr"));
        answer.arg("-extfile").arg(file("ext")).arg("-out").arg(file("pem"));
        match by {
            None => answer.arg("-signkey").arg(file("key")),
            Some(by) => {
                answer.arg("-CA").arg(self.file(&format!("{by}.pem")));
                answer.arg("-CAkey").arg(self.file(&format!("{by}.key"))).arg("-CAcreateserial")
            }
        };
        expect_success(bench.run(&mut answer)?)?;
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The issuing authority and the root.
    fn chain(&self) -> PathBuf {
        self.file("chain.pem")
    }

    /// How both programs are told by what certificate the key signs.
    fn sign_as(&self, key: &str, command: &mut Command) {
        command.arg("--key").arg(self.file(key));
        command.arg("--certificate").arg(self.file("release.pem"));
        command.arg("--certificate-chain").arg(self.chain());
    }

    /// How both programs are told which authority to know: its chain, or its root apart.
    fn known_by(&self, apart: bool, command: &mut Command) {
        if apart {
            command.arg("--ca-roots").arg(self.file("root.pem"));
            command.arg("--ca-intermediates").arg(self.file("issuing.pem"));
        } else {
            command.arg("--certificate-chain").arg(self.chain());
        }
    }
}

/// We sign, and Cosign and we verify.
pub(super) fn ours(stage: &Stage<'_>) -> Result<(), Failure> {
    let company = Company::found(stage.cast.bench, "company")?;
    let mut command = stage.shelf.ours();
    command.args(["sign", "--formats", Format::Tags.argument(), "--trust-config"]);
    command.arg(stage.cast.bench.trust_config(Log::V1));
    company.sign_as("release.key", &mut command);
    expect_success(stage.shelf.run(command.arg(&stage.image))?)?;
    verified_by_both(stage, &company)
}

/// Cosign signs, and Cosign and we verify.
pub(super) fn theirs(stage: &Stage<'_>) -> Result<(), Failure> {
    let company = Company::found(stage.cast.bench, "company")?;
    let mut command = stage.cosign_signing_tags()?;
    company.sign_as("release-cosign.key", &mut command);
    expect_success(stage.shelf.run(command.arg(&stage.image))?)?;
    verified_by_both(stage, &company)
}

/// Both verify the image by the company's authority, and neither does for somebody else of the
/// company, nor by another company that calls everything the same.
fn verified_by_both(stage: &Stage<'_>, company: &Company) -> Result<(), Failure> {
    let other = Company::found(stage.cast.bench, "company-other")?;
    let log = log_key(stage.cast.bench)?;
    for apart in [false, true] {
        for (company, identity, holds) in
            [(company, IDENTITY, true), (company, COLLEAGUE, false), (&other, IDENTITY, false)]
        {
            let demand = |command: &mut Command| {
                company.known_by(apart, command);
                command.args(["--certificate-identity", identity]);
                command.args(["--certificate-oidc-issuer", VOUCHES, "--insecure-ignore-sct"]);
            };
            let finished = cosign_verifies(stage, &log, demand)?;
            if holds {
                expect_success(finished)?;
            } else if finished.succeeded() {
                return Err(Failure::new(format!("wanted a refusal\n{}", finished.report())));
            }
            let mut command = stage.shelf.ours();
            command.args(["verify", "--trusted-root"]).arg(stage.cast.bench.trusted_root());
            demand(&mut command);
            let code = if holds { 0 } else { UNTRUSTED };
            expect_code(code, stage.shelf.run(command.arg(&stage.image))?)?;
        }
    }
    Ok(())
}

/// Cosign takes the authorities that are named in place of a trusted root, so that it is told the
/// log's key apart.
fn cosign_verifies(
    stage: &Stage<'_>,
    log: &Path,
    demand: impl Fn(&mut Command),
) -> Result<Finished, Failure> {
    let mut command = stage.cast.cosign();
    command.env("SIGSTORE_REKOR_PUBLIC_KEY", log);
    command.args(["verify", "--allow-http-registry", "--new-bundle-format=false"]);
    command.args(["--rekor-url", stage.url()?]);
    demand(&mut command);
    stage.shelf.run(command.arg(&stage.image))
}

/// The key of log v1, as a file.
fn log_key(bench: &Bench) -> Result<PathBuf, Failure> {
    let trust = bench.trust();
    let services = trust["signingConfig"]["rekorTlogUrls"].as_array().into_iter().flatten();
    let url = { services }.find(|it| it["majorApiVersion"] == 1).map(|it| &it["url"]);
    let logs = trust["trustedRoot"]["tlogs"].as_array().into_iter().flatten();
    let log = { logs }.find(|log| Some(&log["baseUrl"]) == url);
    let key = log.and_then(|log| log["publicKey"]["rawBytes"].as_str());
    let key = key.ok_or_else(|| Failure::new("the trusted root has no log of API version 1"))?;
    let pem = crypto::pem::encode("PUBLIC KEY", &STANDARD.decode(key)?);
    Ok(bench.write("log-v1.pem", pem.as_bytes())?)
}
