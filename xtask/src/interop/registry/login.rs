//! Logins: wrong ones, ones that may not do everything, and where they are sent.

use serde_json::Value;

use crate::interop::bench::Log;
use crate::interop::exit::{UNKNOWN, expect_code, expect_success};
use crate::interop::failure::Failure;
use crate::interop::place::{Login, OWNER, READER, TokenService};
use crate::interop::process::Finished;
use crate::interop::shelf::{Format, PLATFORMS, Said, Shelf};

/// Verifies as somebody else than the registry's owner.
fn verify_as(shelf: &Shelf<'_>, name: &str, login: Option<Login>) -> Result<Finished, Failure> {
    let config = shelf.standing.write_login(name, login)?;
    let (identity, issuer) = (shelf.bench.identity(), shelf.bench.issuer());
    let mut command = shelf.verifying(Said::Signature, &shelf.image("amd64"), &identity, issuer);
    Ok(shelf.bench.run(command.env("DOCKER_CONFIG", config))?)
}

/// Who is not let in cannot tell whether an image is signed.
pub(super) fn wrong_password(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let wrong = Login { password: "wrong", ..OWNER };
    for (name, login) in [("wrong", Some(wrong)), ("nobody", None)] {
        expect_code(UNKNOWN, verify_as(shelf, name, login)?)?;
    }
    shelf.say(Said::Signature, Log::V1, Format::Bundles.argument(), "amd64")?;
    for (name, login) in [("wrong", Some(wrong)), ("nobody", None)] {
        expect_code(UNKNOWN, verify_as(shelf, name, login)?)?;
    }
    Ok(())
}

/// The token service gives a reader tokens for pulling only, whatever is asked for.
pub(super) fn reader(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let config = shelf.standing.write_login("reader", Some(READER))?;
    let image = shelf.image("amd64");
    let mut command = shelf.saying(Said::Signature, Log::V1, "bundle", &image)?;
    let finished = shelf.bench.run(command.env("DOCKER_CONFIG", config))?;
    if finished.succeeded() || !finished.stderr.contains("the user `reader` may not push to") {
        let report = finished.report();
        return Err(Failure::new(format!("wanted the push to be refused, found\n{report}")));
    }
    let tags = shelf.tags()?;
    if tags != PLATFORMS {
        return Err(Failure::new(format!("who may only pull has written one of {tags:?}")));
    }
    shelf.say(Said::Signature, Log::V1, Format::Bundles.argument(), "amd64")?;
    expect_success(verify_as(shelf, "reader", Some(READER))?)?;
    // And we asked for no more than that.
    let asked = scopes(tokens(shelf)?, READER.user)?;
    match asked.last().map(String::as_str) {
        Some("repository:app:pull") => Ok(()),
        _ => Err(Failure::new(format!("verifying asked for {asked:?}"))),
    }
}

/// A registry names a token service on another port: unless its user says so, it gets no login.
pub(super) fn unnamed_service(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let service = tokens(shelf)?;
    let before = service.requests()?.len();
    let (identity, issuer) = (shelf.bench.identity(), shelf.bench.issuer());
    let mut command = shelf.verifying(Said::Signature, &shelf.image("amd64"), &identity, issuer);
    command.env_remove("COUNTERSIGN_REGISTRY_TOKEN_SERVICE");
    let finished = expect_code(UNKNOWN, shelf.run(&mut command)?)?;
    if !finished.stderr.contains("--registry-token-service") {
        let report = finished.report();
        return Err(Failure::new(format!("it does not say how to name the service\n{report}")));
    }
    let requests = service.requests()?;
    if requests.len() != before {
        return Err(Failure::new(format!("the service was asked: {:?}", requests.last())));
    }
    Ok(())
}

fn tokens<'a>(shelf: &'a Shelf<'_>) -> Result<&'a TokenService, Failure> {
    shelf.standing.tokens().ok_or_else(|| Failure::new("this registry has no token service"))
}

/// Every scope that somebody asked for.
fn scopes(service: &TokenService, user: &str) -> Result<Vec<String>, Failure> {
    let requests = service.requests()?;
    let by_user = requests.iter().filter(|request| request["user"] == user);
    let scopes = by_user.filter_map(|request| request["scopes"].as_array()).flatten();
    Ok(scopes.filter_map(Value::as_str).map(str::to_owned).collect())
}
