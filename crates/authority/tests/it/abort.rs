//! A panic while issuing or stamping ends the process. Tried in a process of its own: this one,
//! once more.

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use authority::stamp::{SIGSTORE_POLICY, TimestampRequest};
use authority::{CertificateAuthority, IssuingAuthority, TimestampAuthority};
use crypto::{KeyKind, KeyPair, Message, PublicKey, Scheme, SignError, Signer};
use futures::executor::block_on;
use serde_json::json;

use crate::stamp::timestamp_authority;
use crate::world::{
    Log, NOW, applicant, certificate_authority, copy, github, github_claims, serial,
};

const IS_CHILD: &str = "AUTHORITY_TEST_ABORT";
const SIGABRT: i32 = 6;

#[test]
fn a_panic_while_issuing_aborts_the_process() {
    assert_aborts("abort::child_that_panics_while_issuing");
}

#[test]
fn a_panic_while_stamping_aborts_the_process() {
    assert_aborts("abort::child_that_panics_while_stamping");
}

fn assert_aborts(child: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([child, "--exact", "--nocapture"])
        .env(IS_CHILD, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the key fell out"), "{output:?}");
}

/// A server catches panics, which must not help.
fn caught(panics: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(panics)));
    std::process::exit(0);
}

struct Panics(KeyPair);

impl Signer for Panics {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign(&self, _: Scheme, _: Message<'_>) -> Result<Vec<u8>, SignError> {
        panic!("the key fell out");
    }
}

/// The other process of the first test; on its own it has nothing to do.
#[test]
fn child_that_panics_while_issuing() {
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    let (healthy, key) = certificate_authority(KeyKind::EcdsaP384);
    let signer = Box::new(Panics(key));
    let authority = CertificateAuthority::new(healthy.chain().to_vec(), signer).unwrap();
    let authority = IssuingAuthority::new(authority, Log::new());
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let applicant = applicant(github(), &github_claims(), &key);
    caught(|| drop(block_on(authority.issue(&applicant, serial(9), NOW))));
}

/// The other process of the second test; on its own it has nothing to do.
#[test]
fn child_that_panics_while_stamping() {
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    let (healthy, key) = timestamp_authority(KeyKind::EcdsaP384);
    let signer = Box::new(Panics(copy(&key)));
    let chain = healthy.chain().to_vec();
    let authority = TimestampAuthority::new(chain, signer, SIGSTORE_POLICY).unwrap();
    let request = json!({"artifactHash": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        "hashAlgorithm": "sha256"});
    let request = TimestampRequest::parse_json(request.to_string().as_bytes(), &authority).unwrap();
    caught(|| drop(authority.stamp(&request, serial(9), NOW, NOW)));
}
