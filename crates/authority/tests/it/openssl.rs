//! What OpenSSL, which shares no code with us, says of our chains, certificates and timestamps.
//! Where it is not installed these say so and pass: `.ci/run` makes sure that it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use authority::certificate::server::create_server_chain;
use authority::stamp::TimestampRequest;
use crypto::{KeyKind, KeyPair, Signer};
use evidence::{Certificate, UnixTime};
use futures::executor::block_on;
use tempfile::TempDir;

use crate::stamp::timestamp_authority;
use crate::world::{NOW, applicant, github, github_claims, issuing_authority, serial};

struct OpenSsl(TempDir);

impl OpenSsl {
    /// `None`, and a line that says so, where it is not installed.
    fn find() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            testkit::tools::skip_without("openssl");
            return None;
        }
        Some(Self(TempDir::new().unwrap()))
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs a command whose arguments beginning with `@` are names of files here.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let path = |argument: &&str| match argument.strip_prefix('@') {
            Some(name) => self.0.path().join(name),
            None => Path::new(argument).to_owned(),
        };
        let output = Command::new("openssl").args(arguments.iter().map(path)).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

fn pem(chain: &[Certificate]) -> String {
    chain.iter().map(Certificate::to_pem).collect()
}

#[test]
fn openssl_verifies_our_certificates() {
    let Some(openssl) = OpenSsl::find() else { return };
    let authority = issuing_authority();
    for kind in [KeyKind::EcdsaP256, KeyKind::Ed25519] {
        let key = KeyPair::generate(kind).unwrap();
        let applicant = applicant(github(), &github_claims(), &key);
        let issued = block_on(authority.issue(&applicant, serial(9), NOW)).unwrap();
        openssl.file("leaf.pem", issued.certificate().to_pem());
        openssl.file("intermediate.pem", issued.chain()[0].to_pem());
        openssl.file("root.pem", issued.chain()[1].to_pem());
        let verify = |time: UnixTime| {
            openssl.run(&[
                "verify",
                "-x509_strict",
                "-purpose",
                "any",
                "-attime",
                &time.seconds().to_string(),
                "-CAfile",
                "@root.pem",
                "-untrusted",
                "@intermediate.pem",
                "@leaf.pem",
            ])
        };
        let (verified, text) = verify(NOW.plus_seconds(300));
        assert!(verified, "{text}");
        assert!(!verify(NOW.plus_seconds(601)).0, "it is valid for ten minutes");
        assert!(!verify(NOW.plus_seconds(-1)).0, "and not before");
        let (_, text) = openssl.run(&["x509", "-in", "@leaf.pem", "-noout", "-text"]);
        assert!(text.contains("CT Precertificate SCTs"), "{text}");
        assert!(text.contains("X509v3 Subject Alternative Name: critical"), "{text}");
    }
}

#[test]
fn openssl_verifies_a_server_of_its_own_address() {
    let Some(openssl) = OpenSsl::find() else { return };
    for (address, other) in [("127.0.0.1", "127.0.0.2"), ("::1", "::2")] {
        let root = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
        let server = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
        let serials = [serial(1), serial(2)];
        let chain =
            create_server_chain(&root, &server, address.parse().unwrap(), "Shop", serials, NOW)
                .unwrap();
        assert_eq!(chain[0].public_key(), server.public_key());
        openssl.file("server.pem", chain[0].to_pem());
        openssl.file("root.pem", pem(&chain[1..]));
        let verify = |purpose, address| {
            let time = NOW.plus_seconds(1).seconds().to_string();
            let common = ["verify", "-x509_strict", "-attime", &time, "-CAfile", "@root.pem"];
            let asked = ["-purpose", purpose, "-verify_ip", address, "@server.pem"];
            openssl.run(&[&common[..], &asked].concat())
        };
        let (verified, text) = verify("sslserver", address);
        assert!(verified, "{text}");
        assert!(!verify("sslserver", other).0, "it is for another address");
        assert!(!verify("sslclient", address).0, "it is for servers");
    }
}

#[test]
fn openssl_verifies_our_timestamps() {
    let Some(openssl) = OpenSsl::find() else { return };
    let (authority, _) = timestamp_authority(KeyKind::EcdsaP384);
    openssl.file("leaf.pem", authority.certificate().to_pem());
    openssl.file("root.pem", pem(&authority.chain()[1..]));
    openssl.file("data", "signature");
    openssl.file("other", "another signature");
    for (hash, certificate) in [("-sha256", true), ("-sha384", false), ("-sha512", false)] {
        let mut query = vec!["ts", "-query", "-data", "@data", hash, "-out", "@query"];
        query.extend(certificate.then_some("-cert"));
        assert!(openssl.run(&query).0);
        let request = std::fs::read(openssl.0.path().join("query")).unwrap();
        let request = TimestampRequest::parse_der(&request, &authority).unwrap();
        assert!(request.nonce().is_some());
        let stamped = authority.stamp(&request, serial(9), NOW, UnixTime::from_seconds(0)).unwrap();
        openssl.file("reply", &stamped.response);
        let time = NOW.seconds().to_string();
        let verify = |what: &[&str]| {
            let common =
                ["ts", "-verify", "-in", "@reply", "-attime", &time, "-CAfile", "@root.pem"];
            let leaf: &[&str] = if certificate { &[] } else { &["-untrusted", "@leaf.pem"] };
            openssl.run(&[&common[..], leaf, what].concat())
        };
        for what in [["-queryfile", "@query"], ["-data", "@data"]] {
            let (verified, text) = verify(&what);
            assert!(verified, "{hash}: {text}");
        }
        assert!(!verify(&["-data", "@other"]).0);
    }
}

#[test]
fn openssl_reads_our_rejections() {
    let Some(openssl) = OpenSsl::find() else { return };
    let (authority, _) = timestamp_authority(KeyKind::EcdsaP256);
    openssl.file("data", "signature");
    assert!(openssl.run(&["ts", "-query", "-data", "@data", "-sha1", "-out", "@query"]).0);
    let request = std::fs::read(openssl.0.path().join("query")).unwrap();
    let rejection = TimestampRequest::parse_der(&request, &authority).unwrap_err();
    openssl.file("reply", rejection.to_response());
    let (_, text) = openssl.run(&["ts", "-reply", "-in", "@reply", "-text"]);
    assert!(text.contains("Status: Rejected."), "{text}");
    assert!(text.contains("unrecognized or unsupported algorithm identifier"), "{text}");
}
