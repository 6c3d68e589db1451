//! OpenSSL as the judge of our timestamps (RFC 3161) and certificates (RFC 5280).

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::bench::{Bench, Log, post};
use super::check::Check;
use super::clients::{Client, Kind, bundle_of};
use super::exit::expect_success;
use super::failure::Failure;
use super::group::Group;

/// The checks.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, query) in [
        ("a timestamp with nonce and certificates", &["-cert"][..]),
        ("a timestamp without certificates", &[]),
        ("a timestamp without nonce", &["-cert", "-no_nonce"]),
        ("a timestamp over SHA-512", &["-cert", "-sha512"]),
    ] {
        let name = format!("openssl ts -verify takes {name}");
        checks.push(Check::new(Group::OpenSsl, name, move |bench| timestamp(bench, query)));
    }
    let name = "openssl ts -verify takes the timestamp of a bundle";
    checks.push(Check::new(Group::OpenSsl, name, timestamp_of_bundle));
    let name = "openssl verify -x509_strict takes a certificate, and refuses it after its end";
    checks.push(Check::new(Group::OpenSsl, name, certificate));
    checks
}

/// Asks the timestamp authority with a query of OpenSSL's, and lets OpenSSL judge the answer.
fn timestamp(bench: &Bench, query: &[&str]) -> Result<(), Failure> {
    let data = bench.write("data", b"what is timestamped")?;
    let other = bench.write("data-other", b"what is not")?;
    let (question, answer) = (bench.path("question.tsq"), bench.path("answer.tsr"));
    let mut ask = Command::new("openssl");
    ask.args(["ts", "-query", "-data"]).arg(&data).args(query).arg("-out").arg(&question);
    expect_success(bench.run(&mut ask)?)?;

    let url = text(&bench.trust()["signingConfig"]["tsaUrls"][0]["url"])?;
    let (address, path) = split_url(url)?;
    let (status, bytes) =
        post(address, &path, "application/timestamp-query", &fs::read(&question)?)?;
    if status != 200 && status != 201 {
        let said = String::from_utf8_lossy(&bytes);
        return Err(Failure::new(format!("the timestamp authority answers {status}: {said}")));
    }
    fs::write(&answer, bytes)?;

    let (root, chain) = authority(bench, "timestampAuthorities")?;
    let verify = |subject: &[&str]| {
        let mut judge = Command::new("openssl");
        judge.args(["ts", "-verify", "-in"]).arg(&answer).args(subject);
        judge.arg("-CAfile").arg(&root).arg("-untrusted").arg(&chain);
        bench.run(&mut judge)
    };
    expect_success(verify(&["-queryfile", &question.to_string_lossy()])?)?;
    expect_success(verify(&["-data", &data.to_string_lossy()])?)?;
    if verify(&["-data", &other.to_string_lossy()])?.succeeded() {
        return Err(Failure::new("openssl accepts the timestamp for other data"));
    }
    Ok(())
}

/// The timestamp inside a bundle is over the bundle's signature.
fn timestamp_of_bundle(bench: &Bench) -> Result<(), Failure> {
    let bundle = our_bundle(bench)?;
    let signature = bytes(&bundle["messageSignature"]["signature"])?;
    let material = &bundle["verificationMaterial"]["timestampVerificationData"];
    let token = bytes(&material["rfc3161Timestamps"][0]["signedTimestamp"])?;
    let (data, answer) =
        (bench.write("signature", &signature)?, bench.write("bundle.tsr", &token)?);
    let (root, chain) = authority(bench, "timestampAuthorities")?;
    let mut judge = Command::new("openssl");
    judge.args(["ts", "-verify", "-in"]).arg(&answer).arg("-data").arg(&data);
    judge.arg("-CAfile").arg(&root).arg("-untrusted").arg(&chain);
    expect_success(bench.run(&mut judge)?)?;
    Ok(())
}

/// A signer's certificate chains, strictly, at a time within its life and not after.
fn certificate(bench: &Bench) -> Result<(), Failure> {
    let bundle = our_bundle(bench)?;
    let leaf = bytes(&bundle["verificationMaterial"]["certificate"]["rawBytes"])?;
    let leaf = bench.write("leaf.pem", pem(&leaf).as_bytes())?;
    let (root, chain) = authority(bench, "certificateAuthorities")?;
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let logged: i64 = text(&entry["integratedTime"])?.parse()?;
    let verify = |time: i64| {
        let mut judge = Command::new("openssl");
        judge.args(["verify", "-x509_strict", "-purpose", "any", "-attime", &time.to_string()]);
        judge.arg("-CAfile").arg(&root).arg("-untrusted").arg(&chain).arg(&leaf);
        bench.run(&mut judge)
    };
    expect_success(verify(logged)?)?;
    // Ten minutes is how long a certificate lives.
    let after = verify(logged + 11 * 60)?;
    if after.succeeded() || !after.stderr.contains("expired") {
        let report = after.report();
        return Err(Failure::new(format!("wanted a refusal as expired, found\n{report}")));
    }
    Ok(())
}

fn our_bundle(bench: &Bench) -> Result<Value, Failure> {
    let artifact = bench.write("artifact.txt", b"what is signed\n")?;
    let path = bundle_of(bench, Client::Ours, Log::V1, Kind::Blob, &artifact)?;
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Writes the root of the first authority of this name, and the certificates below it, as PEM.
fn authority(bench: &Bench, name: &str) -> Result<(PathBuf, PathBuf), Failure> {
    let chain = bench.trust()["trustedRoot"][name][0]["certChain"]["certificates"]
        .as_array()
        .filter(|chain| chain.len() > 1)
        .ok_or_else(|| Failure::new(format!("{name} holds no chain to a root")))?;
    let mut pems = Vec::new();
    for certificate in chain {
        pems.push(pem(&bytes(&certificate["rawBytes"])?));
    }
    let root = pems.pop().unwrap_or_default();
    Ok((
        bench.write(&format!("{name}-root.pem"), root.as_bytes())?,
        bench.write(&format!("{name}-chain.pem"), pems.concat().as_bytes())?,
    ))
}

/// RFC 7468 §5.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn text(value: &Value) -> Result<&str, Failure> {
    value.as_str().ok_or_else(|| Failure::new(format!("wanted a string, found {value}")))
}

fn bytes(value: &Value) -> Result<Vec<u8>, Failure> {
    Ok(STANDARD.decode(text(value)?)?)
}

/// The address and path of a loopback URL.
fn split_url(url: &str) -> Result<(SocketAddr, String), Failure> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| Failure::new(format!("wanted an http URL, found {url}")))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((authority.parse()?, format!("/{path}")))
}
